import { expect, test } from "vitest";
import { K_EXAONE } from "../test/kit.ts";
import { CATALOGUE, DEFAULT_MODEL_ID, findModel, priceMicros } from "./catalogue.ts";

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
    expect(prices.at(-1)?.to).toBeNull();
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
