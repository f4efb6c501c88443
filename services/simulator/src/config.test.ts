import { expect, test } from "vitest";
import { given, readConfig } from "./config.ts";

test("an empty environment gives an open, immediate simulator on 127.0.0.1:8081", () => {
  expect(readConfig({})).toEqual({
    host: "127.0.0.1",
    port: 8_081,
    seed: "0",
    apiKeys: undefined,
    maxOutputTokens: 16_384,
    latency: { callMs: 0, firstByteMs: 0, tokensPerSecond: 0, writeIntervalMs: 15 },
  });
});

test("every value can be set", () => {
  const config = readConfig({
    SIMULATOR_PORT: "0",
    SIMULATOR_CALL_MS: "300",
    SIMULATOR_TOKENS_PER_SECOND: "53",
    SIMULATOR_API_KEYS: "a, b",
  });
  expect(config.port).toBe(0);
  expect(config.latency.callMs).toBe(300);
  expect(config.latency.tokensPerSecond).toBe(53);
  expect(config.apiKeys).toEqual(["a", "b"]);
});

test("a senseless number is refused with the name of its variable", () => {
  expect(() => readConfig({ SIMULATOR_PORT: "eighty" })).toThrow(
    'SIMULATOR_PORT must be a whole number from 0 to 65535, not "eighty"',
  );
});

test("a tier brings its own output cap, and a dialect must be one that is known", () => {
  const { tier, maxOutputTokens, dialect, controlPort, timing } = readConfig({
    SIMULATOR_TIER: "3",
    SIMULATOR_DIALECT: "vllm",
    SIMULATOR_CONTROL_PORT: "0",
    SIMULATOR_THINKING_MS: "60000",
  });
  expect([tier, maxOutputTokens, dialect, controlPort]).toEqual([3, undefined, "vllm", 0]);
  expect(timing).toEqual({ thinkingMs: 60_000, scale: 1 });
  expect(() => readConfig({ SIMULATOR_DIALECT: "tgi" })).toThrow("SIMULATOR_DIALECT must be one of friendli, vllm");
});

test("what is undefined is left out of the options", () => {
  expect(Object.keys(given({ a: 1, b: undefined, c: null }))).toEqual(["a", "c"]);
});
