import { expect, test } from "vitest";
import { K_EXAONE } from "../../test/kit.ts";
import { CATALOGUE, DEFAULT_MODEL_ID, findModel, priceMicros } from "./index.ts";

const usage = (inputTokens: number, cachedInputTokens: number, outputTokens: number) => ({
  inputTokens,
  cachedInputTokens,
  outputTokens,
  estimated: false,
});
const inMarch = new Date("2026-03-01T00:00:00Z");

test("the default model is in the catalogue, and ids are unique", () => {
  expect(findModel(DEFAULT_MODEL_ID)).toBe(K_EXAONE);
  expect(findModel("no-such-model")).toBeUndefined();
  expect(new Set(CATALOGUE.map(({ id }) => id)).size).toBe(CATALOGUE.length);
});

test("a model's price periods follow each other without a gap, and the last is open", () => {
  for (const { prices } of CATALOGUE) {
    expect(prices.slice(1).map(({ from }) => from)).toEqual(prices.slice(0, -1).map(({ to }) => to));
    expect(prices.at(-1)?.to ?? null).toBeNull();
  }
});

test("the promotion ends with 2026-02-12 in Seoul", () => {
  const million = usage(1_000_000, 0, 1_000_000);
  expect(priceMicros(K_EXAONE, million, new Date("2026-02-12T23:59:59.999+09:00"))).toBe(0);
  expect(priceMicros(K_EXAONE, million, new Date("2026-02-13T00:00:00+09:00"))).toBe(1_000_000);
});

test("cached input has its own price, and the sum is rounded up once", () => {
  expect(priceMicros(K_EXAONE, usage(1_000_000, 400_000, 10), inMarch)).toBe(160_008);
  expect(priceMicros(K_EXAONE, usage(1, 0, 1), inMarch)).toBe(1);
  expect(priceMicros(K_EXAONE, usage(0, 0, 0), inMarch)).toBe(0);
  expect(priceMicros(K_EXAONE, usage(1, 9, 0), inMarch)).toBe(1);
});

test("before its first period a model costs nothing", () => {
  expect(priceMicros(K_EXAONE, usage(1_000_000, 0, 0), new Date("2025-01-01T00:00:00Z"))).toBe(0);
});

test("every score says where it was published, and none is there twice", () => {
  for (const { benchmarks } of CATALOGUE) {
    for (const { score, source } of benchmarks) {
      expect(score).toBeGreaterThan(0);
      expect(source).not.toBe("");
    }
    expect(new Set(benchmarks.map(({ benchmark }) => benchmark)).size).toBe(benchmarks.length);
  }
});

test("a score nobody published is missing, not zero", () => {
  expect(K_EXAONE.benchmarks.find(({ benchmark }) => benchmark === "tau2-bench Telecom")?.score).toBe(73.5);
  expect(findModel("ax-k1")?.benchmarks.map(({ benchmark }) => benchmark)).not.toContain("SWE-bench Verified");
  expect(findModel("hyperclova-x-seed-think-32b")?.benchmarks).toEqual([]);
});

test("room for an answer fits the context, and thinking by effort has its words", () => {
  for (const { id, maxOutputTokens: room, contextTokens, thinking } of CATALOGUE) {
    expect(room.default, id).toBeLessThanOrEqual(room.max);
    expect(room.nonThinking, id).toBeLessThanOrEqual(room.max);
    expect(room.max, id).toBeLessThan(contextTokens);
    expect(thinking.effort !== null, id).toBe(thinking.control === "reasoning_effort");
    if (thinking.control === "never") expect(thinking.default, id).toBe(false);
    if (thinking.control === "always") expect(thinking.default, id).toBe(true);
  }
});
