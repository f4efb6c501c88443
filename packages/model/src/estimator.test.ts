import type { ModelRequest } from "@maru/contract";
import { expect, test } from "vitest";
import { CATALOGUE, findModel } from "./catalogue/index.ts";
import { createEstimator } from "./estimator.ts";
import { estimateRequestTokens } from "./tokens.ts";

const request = (id: string, words: number): ModelRequest => ({
  model: findModel(id) as NonNullable<ReturnType<typeof findModel>>,
  messages: [{ role: "user", content: "서울 날씨 word ".repeat(words) }],
  tools: [],
  thinking: false,
  temperature: 1,
  topP: 1,
  presencePenalty: 0,
  seed: null,
  maxOutputTokens: 1_000,
  parallelToolCalls: true,
});

test("an estimate follows what the family's hosts report, and no other family's", () => {
  const estimator = createEstimator();
  const asked = request("k-exaone", 200);
  const plain = estimateRequestTokens(asked);
  expect(estimator.request(asked)).toBe(plain);
  for (let call = 0; call < 200; call++) estimator.observe(asked, Math.round(plain * 0.8));
  expect(estimator.request(asked) / plain).toBeCloseTo(0.8, 2);
  expect(estimator.text(asked.model, "word ".repeat(100))).toBeLessThan(estimator.text(null, "word ".repeat(100)));
  const other = request(CATALOGUE.find(({ family }) => family !== asked.model.family)?.id ?? "", 200);
  expect(estimator.request(other)).toBe(estimateRequestTokens(other));
});

test("too low is believed sooner than too high, and nonsense is bounded", () => {
  const estimator = createEstimator();
  const asked = request("k-exaone", 200);
  const plain = estimateRequestTokens(asked);
  estimator.observe(asked, plain * 2);
  expect(estimator.request(asked) / plain).toBeCloseTo(1.5, 2);
  estimator.observe(asked, plain);
  expect(estimator.request(asked) / plain).toBeGreaterThan(1.45);
  for (let call = 0; call < 50; call++) estimator.observe(asked, plain * 1_000);
  expect(estimator.request(asked) / plain).toBeLessThanOrEqual(2.51);
  for (let call = 0; call < 500; call++) estimator.observe(asked, 1);
  expect(estimator.request(asked) / plain).toBeGreaterThanOrEqual(0.4);
});

test("short requests teach nothing: they are mostly the template's own words", () => {
  const estimator = createEstimator();
  const short = request("k-exaone", 1);
  estimator.observe(short, 500);
  expect(estimator.request(short)).toBe(estimateRequestTokens(short));
});

test("an overflow lifts the estimate to what the context can't hold", () => {
  const estimator = createEstimator();
  const asked = request("k-exaone", 200);
  const small = { ...asked, model: { ...asked.model, contextTokens: 4_000 } };
  estimator.overflowed(small);
  expect(estimator.request(small)).toBeGreaterThanOrEqual(Math.min(3_000, 2.5 * estimateRequestTokens(small)));
});
