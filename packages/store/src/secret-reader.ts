import { aboutSecret, type EnvelopeSealer } from "@maru/domain";
import type { Secrets, SecretUse } from "./secrets.ts";

/** Uses are noted this often: that a secret is in use is for people to see, and no call waits for it. */
const NOTE_MS = 2_000;

/**
 * Opens secrets for tools, when they are called and not before. Nothing is kept: a call reads what is there now, so a value
 * that was changed is in force at once and one that was deleted is gone.
 */
export function createSecretReader(deps: {
  secrets: Pick<Secrets, "read" | "touch">;
  sealer: EnvelopeSealer;
  logger: {
    warn(fields: object, message: string): void;
    error(fields: object, message: string): void;
  };
}) {
  const { secrets, sealer, logger } = deps;
  const uses = new Map<string, SecretUse>();
  let timer: NodeJS.Timeout | null = null;

  const note = async () => {
    timer = null;
    if (uses.size === 0) return;
    const batch = [...uses.values()];
    uses.clear();
    await secrets.touch(batch).catch((error) => logger.warn({ err: error }, "uses of secrets not noted"));
  };

  const read = async (
    workspaceId: string,
    agent: string,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, string>> => {
    const values = new Map<string, string>();
    for (const secret of await secrets.read(workspaceId, agent, names)) {
      const place = { name: secret.name, agent: secret.agent };
      const value = sealer.open(secret, aboutSecret(workspaceId, place.agent, place.name, secret.version));
      // Wrapped by a key that is gone, or not where it was sealed for: as if it were not there, but the operator must know.
      if (value === null) {
        logger.error({ workspaceId, secret: secret.name, keyId: secret.keyId }, "secret does not open");
        continue;
      }
      values.set(secret.name, value);
      uses.set(JSON.stringify([workspaceId, place]), { workspaceId, ...place, at: new Date() });
    }
    if (uses.size > 0) timer ??= setTimeout(() => void note(), NOTE_MS).unref();
    return values;
  };

  return {
    read,
    /** Notes what was not noted yet. */
    async close(): Promise<void> {
      if (timer !== null) clearTimeout(timer);
      await note();
    },
  };
}
