import { createEnvelopeSealer, deriveKey, type EnvelopeSealer, SECRETS } from "@maru/domain";
import { type StandaloneConfig, standaloneConfig } from "./config.ts";
import { loadState } from "./state.ts";

/** What an operator's commands may be told; read once, here. */
export interface AdminConfig extends Pick<StandaloneConfig, "databaseUrl" | "dataDir"> {
  /** Null when it is not known which secret the installation has. */
  readonly sealer: EnvelopeSealer | null;
}

/** @throws Error naming the variable that is wrong */
export function adminConfig(env: NodeJS.ProcessEnv): AdminConfig {
  const { databaseUrl, dataDir } = standaloneConfig(env, []);
  // The local Maru makes its secret up; elsewhere gateways and workers are told theirs.
  const secret = env.MARU_SECRET || (databaseUrl === null ? loadState(dataDir).secret : null);
  if (secret !== null && secret.length < 32) throw new Error("MARU_SECRET must have at least 32 characters");
  const previous = env.MARU_SECRET_PREVIOUS ? [deriveKey(env.MARU_SECRET_PREVIOUS, SECRETS)] : [];
  return {
    databaseUrl,
    dataDir,
    sealer: secret === null ? null : createEnvelopeSealer([deriveKey(secret, SECRETS), ...previous]),
  };
}
