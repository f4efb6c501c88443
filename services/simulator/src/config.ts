import type { Tier } from "./options.ts";
import type { Latency, Timing } from "./pacing.ts";
import { DIALECT_NAMES, type DialectName } from "./wire/dialect.ts";

export interface SimulatorConfig {
  readonly host: string;
  readonly port: number;
  /** Undefined: no control plane. */
  readonly controlPort: number | undefined;
  readonly seed: string;
  readonly apiKeys: readonly string[] | undefined;
  /** Undefined: the tier's. */
  readonly maxOutputTokens: number | undefined;
  readonly dialect: DialectName | undefined;
  readonly tier: Tier | undefined;
  readonly requestsPerMinute: number | undefined;
  readonly chunkBytes: number | undefined;
  readonly latency: Latency;
  readonly timing: Timing | undefined;
}

/**
 * Reads the environment; the README lists the variables. Throws an Error that names the variable whose value is wrong.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): SimulatorConfig {
  const number = (name: string, min: number, max: number): number | undefined => {
    const text = env[name];
    if (text === undefined || text === "") return undefined;
    const value = Number(text);
    if (!Number.isInteger(value) || value < min || value > max) {
      throw new Error(`${name} must be a whole number from ${min} to ${max}, not "${text}"`);
    }
    return value;
  };
  const keys = (env.SIMULATOR_API_KEYS ?? "")
    .split(",")
    .map((key) => key.trim())
    .filter((key) => key !== "");
  const tier = number("SIMULATOR_TIER", 0, 4) as Tier | undefined;
  const thinkingMs = number("SIMULATOR_THINKING_MS", 0, 3_600_000);
  return {
    host: env.SIMULATOR_HOST || "127.0.0.1",
    port: number("SIMULATOR_PORT", 0, 65_535) ?? 8_081,
    controlPort: number("SIMULATOR_CONTROL_PORT", 0, 65_535),
    seed: env.SIMULATOR_SEED || "0",
    apiKeys: keys.length > 0 ? keys : undefined,
    maxOutputTokens: number("SIMULATOR_MAX_OUTPUT_TOKENS", 1, 262_144) ?? (tier === undefined ? 16_384 : undefined),
    dialect: readDialect(env.SIMULATOR_DIALECT),
    tier,
    requestsPerMinute: number("SIMULATOR_REQUESTS_PER_MINUTE", 1, 1_000_000),
    chunkBytes: number("SIMULATOR_CHUNK_BYTES", 1, 1_000_000),
    latency: {
      callMs: number("SIMULATOR_CALL_MS", 0, 3_600_000) ?? 0,
      firstByteMs: number("SIMULATOR_FIRST_BYTE_MS", 0, 3_600_000) ?? 0,
      tokensPerSecond: number("SIMULATOR_TOKENS_PER_SECOND", 0, 1_000_000) ?? 0,
      writeIntervalMs: number("SIMULATOR_WRITE_INTERVAL_MS", 1, 60_000) ?? 15,
    },
    timing: thinkingMs === undefined ? undefined : { thinkingMs, scale: 1 },
  };
}

function readDialect(name: string | undefined): DialectName | undefined {
  if (name === undefined || name === "") return undefined;
  const known = DIALECT_NAMES.find((candidate) => candidate === name);
  if (known === undefined)
    throw new Error(`SIMULATOR_DIALECT must be one of ${DIALECT_NAMES.join(", ")}, not "${name}"`);
  return known;
}

/** The same without what is undefined: an option that is left out is not the same as one that is set to nothing. */
export function given<T extends object>(options: T): { [Name in keyof T]?: Exclude<T[Name], undefined> } {
  const entries = Object.entries(options).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries) as ReturnType<typeof given<T>>;
}
