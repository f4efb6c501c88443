import { Problem, SECRET_LIMITS, type Secret, uuidOf } from "@maru/contract";
import { asProblem, type Database, instant, instantOrNull, only } from "./database.ts";

/** What is stored of a value; this module sees no other. */
export interface SealedSecret {
  readonly keyId: string;
  readonly wrappedKey: Uint8Array;
  readonly sealed: Uint8Array;
}

/** Which secret of a workspace: null is the workspace's own, which every agent has. */
export interface SecretPlace {
  readonly name: string;
  readonly agent: string | null;
}
/** A secret as its user needs it: what it is bound to, and its ciphertext. */
export interface UsableSecret extends SecretPlace, SealedSecret {
  readonly version: number;
}
export interface SecretUse extends SecretPlace {
  readonly workspaceId: string;
  readonly at: Date;
}

/** A lost race is repeated this often: only writers of the very same secret race. */
const TRIES = 5;

/** Secrets of workspaces and their agents. The table has '' for the workspace's own. */
export function createSecrets(db: Database) {
  const scope = (workspaceId: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, client: db.forWorkspace(workspace).secret };
  };
  const missing = ({ name, agent }: SecretPlace) =>
    new Problem(
      "not_found",
      agent === null ? `There is no secret named ${name}.` : `The agent ${agent} has no secret named ${name}.`,
    );
  const changed = () => new Problem("precondition_failed", "Read the secret again and repeat with its new ETag.");

  const find = async (workspaceId: string, { name, agent }: SecretPlace): Promise<Secret | null> => {
    const { workspace, client } = scope(workspaceId);
    const row = await client.findFirst({ where: { workspaceId: workspace, name, agent: agent ?? "" } });
    return row === null ? null : secretObject(row);
  };

  return {
    /**
     * Sets a value: a new version, also of the same value, since telling the two apart would tell the value. `seal` gets the
     * version, to which the ciphertext is bound. `ifMatch` is the tag its caller last saw.
     * @throws Problem limit_out_of_range, precondition_failed
     */
    async put(
      workspaceId: string,
      place: SecretPlace,
      ifMatch: string | null,
      seal: (version: number) => SealedSecret,
    ): Promise<{ secret: Secret; created: boolean }> {
      for (let tries = 0; tries < TRIES; tries++) {
        const before = await find(workspaceId, place);
        if (ifMatch !== null && (before === null || secretTag(before) !== ifMatch)) throw changed();
        const version = (before?.version ?? 0) + 1;
        const { keyId, wrappedKey, sealed } = seal(version);
        const rows = await db
          .call<{ r: SecretRow | null }>("SELECT put_secret($1) AS r", [
            {
              workspace_id: uuidOf("workspace", workspaceId),
              agent: place.agent ?? "",
              name: place.name,
              version,
              key_id: keyId,
              wrapped_key: Buffer.from(wrappedKey).toString("hex"),
              sealed: Buffer.from(sealed).toString("hex"),
              max: SECRET_LIMITS.perWorkspace,
            },
          ])
          .catch((error) =>
            asProblem(error, {
              MS001: () =>
                new Problem(
                  "limit_out_of_range",
                  `A workspace may have ${SECRET_LIMITS.perWorkspace} secrets: delete one first.`,
                ),
            }),
          );
        const { r } = only(rows);
        if (r !== null)
          return {
            secret: secretObject({
              name: r.name,
              agent: r.agent,
              version: r.version,
              keyId: r.key_id,
              createdAt: r.created_at,
              updatedAt: r.updated_at,
              lastUsedAt: r.last_used_at,
            }),
            created: version === 1,
          };
      }
      throw changed();
    },

    /** By name, then agent, the workspace's own first. */
    async list(workspaceId: string, limit: number, after: SecretPlace | null): Promise<Secret[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.findMany({
        where: {
          workspaceId: workspace,
          ...(after === null
            ? {}
            : { OR: [{ name: { gt: after.name } }, { name: after.name, agent: { gt: after.agent ?? "" } }] }),
        },
        orderBy: [{ name: "asc" }, { agent: "asc" }],
        take: limit,
      });
      return rows.map(secretObject);
    },

    /** @throws Problem not_found */
    async get(workspaceId: string, place: SecretPlace): Promise<Secret> {
      const found = await find(workspaceId, place);
      if (found === null) throw missing(place);
      return found;
    },

    /** @throws Problem not_found, precondition_failed */
    async remove(workspaceId: string, place: SecretPlace, ifMatch: string | null): Promise<void> {
      const { workspace, client } = scope(workspaceId);
      const found = await find(workspaceId, place);
      if (found === null) throw missing(place);
      if (ifMatch !== null && secretTag(found) !== ifMatch) throw changed();
      const { count } = await client.deleteMany({
        where: {
          workspaceId: workspace,
          name: place.name,
          agent: place.agent ?? "",
          ...(ifMatch === null ? {} : { version: found.version }),
        },
      });
      if (count === 0) throw ifMatch === null ? missing(place) : changed();
    },

    /** Names an agent may refer to: its own secrets' and the workspace's. */
    async namesFor(workspaceId: string, agent: string): Promise<ReadonlySet<string>> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.findMany({
        where: { workspaceId: workspace, agent: { in: ["", agent] } },
        select: { name: true },
        take: SECRET_LIMITS.perWorkspace,
      });
      return new Set(rows.map(({ name }) => name));
    },

    /** The secrets an agent uses under these names, its own before the workspace's; those not there are left out. */
    async read(workspaceId: string, agent: string, names: readonly string[]): Promise<UsableSecret[]> {
      const rows = await db.call<{
        agent: string;
        name: string;
        version: number;
        key_id: string;
        wrapped_key: Buffer;
        sealed: Buffer;
      }>("SELECT * FROM read_secrets($1, $2, $3)", [uuidOf("workspace", workspaceId), agent, names]);
      return rows.map((row) => ({
        name: row.name,
        agent: row.agent === "" ? null : row.agent,
        version: row.version,
        keyId: row.key_id,
        wrappedKey: row.wrapped_key,
        sealed: row.sealed,
      }));
    },

    /** Notes when secrets were used; called in batches, since no call should wait for it. */
    async touch(uses: readonly SecretUse[]): Promise<void> {
      await db.call("SELECT touch_secrets($1)", [
        JSON.stringify(
          uses.map(({ workspaceId, name, agent, at }) => ({
            w: uuidOf("workspace", workspaceId),
            name,
            agent: agent ?? "",
            at,
          })),
        ),
      ]);
    },
  };
}
export type Secrets = ReturnType<typeof createSecrets>;

/** For ETag and If-Match. A secret that was deleted and set again counts its versions anew, but began at another time. */
export const secretTag = ({ created_at, version }: Secret): string => `${Date.parse(created_at)}:${version}`;

interface SecretRow {
  readonly name: string;
  readonly agent: string;
  readonly version: number;
  readonly key_id: string;
  readonly created_at: string;
  readonly updated_at: string;
  readonly last_used_at: string | null;
}

const secretObject = (row: {
  name: string;
  agent: string;
  version: number;
  keyId: string;
  createdAt: Date | string;
  updatedAt: Date | string;
  lastUsedAt: Date | string | null;
}): Secret => ({
  name: row.name,
  agent: row.agent === "" ? null : row.agent,
  version: row.version,
  key_id: row.keyId,
  created_at: instant(row.createdAt),
  updated_at: instant(row.updatedAt),
  last_used_at: instantOrNull(row.lastUsedAt),
});
