import fc from "fast-check";
import { expect, test } from "vitest";
import { createPrefixCache } from "./prefix-cache.ts";
import { countTokens, firstTokens } from "./tokens.ts";

test("one token is 4 Latin or 2.2 Korean characters, rounded up", () => {
  expect(countTokens("")).toBe(0);
  expect(countTokens("abcd")).toBe(1);
  expect(countTokens("abcde")).toBe(2);
  expect(countTokens("가나")).toBe(1);
  expect(countTokens("가나다라마바사아자차카")).toBe(5);
});

test("the first n tokens are a start of the text, count at most n and split no character", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary" }), fc.nat(20), (text, n) => {
      const start = firstTokens(text, n);
      expect(text.startsWith(start)).toBe(true);
      expect(countTokens(start)).toBeLessThanOrEqual(n);
      expect(start.isWellFormed()).toBe(true);
      if (countTokens(text) <= n) expect(start).toBe(text);
    }),
  );
});

test("cached tokens are the common start with the key's previous prompt in blocks of 16", () => {
  const cache = createPrefixCache();
  const start = "x".repeat(200); // 50 tokens
  expect(cache.cachedTokens("a", `${start} one`, 51)).toBe(0);
  expect(cache.cachedTokens("a", `${start} two`, 51)).toBe(48);
  expect(cache.cachedTokens("b", `${start} two`, 51)).toBe(0);
  expect(cache.cachedTokens("a", `y${start}`, 51)).toBe(0);
});

test("a repeated prompt is never wholly cached: its last token must be computed", () => {
  const cache = createPrefixCache();
  const prompt = "x".repeat(64); // exactly 16 tokens
  cache.cachedTokens("a", prompt, 16);
  expect(cache.cachedTokens("a", prompt, 16)).toBe(0);
});
