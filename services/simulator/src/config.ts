import type { Latency } from "./pacing.ts";

export interface SimulatorConfig {
  readonly host: string;
  readonly port: number;
  readonly seed: string;
  readonly apiKeys: readonly string[] | undefined;
  readonly maxOutputTokens: number;
  readonly latency: Latency;
}

/**
 * Reads the environment. Throws an Error that names the variable when a number is missing its range.
 * SIMULATOR_HOST, SIMULATOR_PORT, SIMULATOR_SEED, SIMULATOR_API_KEYS (comma-separated; unset = open),
 * SIMULATOR_MAX_OUTPUT_TOKENS, SIMULATOR_CALL_MS, SIMULATOR_FIRST_BYTE_MS, SIMULATOR_TOKENS_PER_SECOND,
 * SIMULATOR_WRITE_INTERVAL_MS.
 */
export function readConfig(env: Readonly<Record<string, string | undefined>>): SimulatorConfig {
  const whole = (name: string, fallback: number, min: number, max: number): number => {
    const text = env[name];
    if (text === undefined || text === "") return fallback;
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
  return {
    host: env.SIMULATOR_HOST || "127.0.0.1",
    port: whole("SIMULATOR_PORT", 8_081, 0, 65_535),
    seed: env.SIMULATOR_SEED || "0",
    apiKeys: keys.length > 0 ? keys : undefined,
    maxOutputTokens: whole("SIMULATOR_MAX_OUTPUT_TOKENS", 16_384, 1, 262_144),
    latency: {
      callMs: whole("SIMULATOR_CALL_MS", 0, 0, 3_600_000),
      firstByteMs: whole("SIMULATOR_FIRST_BYTE_MS", 0, 0, 3_600_000),
      tokensPerSecond: whole("SIMULATOR_TOKENS_PER_SECOND", 0, 0, 1_000_000),
      writeIntervalMs: whole("SIMULATOR_WRITE_INTERVAL_MS", 15, 1, 60_000),
    },
  };
}
