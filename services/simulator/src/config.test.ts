import { expect, test } from "vitest";
import { readConfig } from "./config.ts";

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
