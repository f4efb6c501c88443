import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callContext } from "../testing/context.ts";
import { prepareBuiltin } from "./index.ts";

const regex = prepareBuiltin({ type: "builtin", name: "regex" });
const call = (args: object) => regex.call({ ...args }, callContext());
const answer = async (args: object) => {
  const { output, isError } = await call(args);
  expect([isError, output]).toEqual([false, output]);
  return JSON.parse(output);
};

describe("regex", () => {
  test.each([
    [
      { pattern: "\\d+", text: "a12" },
      { matches: true, first: { match: "12", index: 1 } },
    ],
    [{ pattern: "^\\d+$", text: "a12" }, { matches: false }],
    [
      { pattern: "a.c", text: "A\nC", flags: "is" },
      { matches: true, first: { match: "A\nC", index: 0 } },
    ],
    [{ pattern: "a.c", text: "a\nc" }, { matches: false }],
    [
      { pattern: "^b$", text: "a\nb", flags: "m" },
      { matches: true, first: { match: "b", index: 2 } },
    ],
    [{ pattern: "^b$", text: "a\nb" }, { matches: false }],
    [
      { pattern: "\\uAC00", text: "가" },
      { matches: true, first: { match: "가", index: 0 } },
    ],
    [
      { pattern: "\\p{Hangul}+", text: "abc 한글" },
      { matches: true, first: { match: "한글", index: 4 } },
    ],
  ])("match %j", async (args, expected) => {
    expect(await answer({ action: "match", ...args })).toEqual(expected);
  });

  test.each([
    [
      { pattern: "(\\d+)원", text: "3000원, 500원" },
      [
        { match: "3000원", index: 0, groups: ["3000"] },
        { match: "500원", index: 7, groups: ["500"] },
      ],
    ],
    [
      { pattern: "(?<year>\\d{4})-(\\d\\d)?", text: "2026-01 2025-" },
      [
        { match: "2026-01", index: 0, groups: ["2026", "01"], named: { year: "2026" } },
        { match: "2025-", index: 8, groups: ["2025", null], named: { year: "2025" } },
      ],
    ],
    [{ pattern: "z", text: "abc" }, []],
    [
      { pattern: "b*", text: "ab" },
      [
        { match: "", index: 0 },
        { match: "b", index: 1 },
        { match: "", index: 2 },
      ],
    ],
    [{ pattern: "😀+", text: "😀😀" }, [{ match: "😀😀", index: 0 }]],
  ])("extract %j", async (args, matches) => {
    expect(await answer({ action: "extract", ...args })).toEqual({ count: matches.length, matches });
  });

  test.each([
    ["(\\w+) (\\w+)", "hello world", "$2 $1 $& $$ $3 $10 $0", "world hello hello world $ $3 hello0 $0"],
    ["(?<a>b)", "abc", "[$<a>$<z>]", "a[b]c"],
    ["x*", "abc", "-", "-a-b-c-"],
    ["a", "aba", undefined, "b"],
    ["z", "abc", "-", "abc"],
  ])("replace %s in %s", async (pattern, text, replacement, result) => {
    expect((await answer({ action: "replace", pattern, text, replacement })).text).toBe(result);
  });

  test.each([
    [",\\s*", "a, b,c", ["a", "b", "c"]],
    ["", "a😀가", ["a", "😀", "가"]],
    ["x", "abc", ["abc"]],
    ["\\s", "a b ", ["a", "b", ""]],
    [",", "", [""]],
  ])("split at %j", async (pattern, text, parts) => {
    expect(await answer({ action: "split", pattern, text })).toEqual({ count: parts.length, parts });
  });

  test("replaces and splits as JavaScript does", async () => {
    const pattern = fc.constantFrom("a", "a*", "b|ab", "(a)(b)?", "[^a]", "a+?", "^a|b$");
    const text = fc.string({ unit: fc.constantFrom("a", "b", "c"), maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(pattern, text, async (pattern, text) => {
        const here = new RegExp(pattern, "gu");
        expect((await answer({ action: "replace", pattern, text, replacement: "<$1$&>" })).text).toBe(
          text.replace(here, "<$1$&>"),
        );
        expect(
          (await answer({ action: "extract", pattern, text })).matches.map(({ match }: { match: string }) => match),
        ).toEqual(text.match(here) ?? []);
      }),
    );
  });
});

describe("a pattern that would hold a backtracking engine for years", () => {
  test.each(["(a+)+$", "(a|a)*[bc]$", "(a|aa)+$", "(.*)*[bc]$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$"])(
    "%s has its answer",
    async (pattern) => {
      expect(await answer({ action: "match", pattern, text: `${"a".repeat(20_000)}!` })).toEqual({ matches: false });
    },
  );

  test.each([
    [{ pattern: "a.*b|a", text: "a".repeat(100_000) }, "takes too long to find all matches"],
    [{ pattern: "(?:a?){400}[bc]", text: "a".repeat(100_000) }, "can search a text of"],
    [{ pattern: "a{1000}{1000}", text: "a" }, "not valid"],
    [{ pattern: "a".repeat(257), text: "a" }, "256 characters"],
    [
      { action: "replace", pattern: "a", text: "a".repeat(999), replacement: "x".repeat(1_000) },
      "result has more than",
    ],
    [{ action: "replace", pattern: "a", text: "a".repeat(1_001) }, "more than 1000 matches"],
    [{ pattern: "((((.+))))", text: `${"a".repeat(9_999)}\n`.repeat(9) }, "result has more than"],
  ])("or all memory is refused: %#", async (args, why) => {
    expect(await call({ action: "extract", ...args })).toMatchObject({
      code: "tool_failed",
      output: expect.stringContaining(why),
    });
  });

  test("more than a thousand matches are cut, and said to be", async () => {
    const found = await answer({ action: "extract", pattern: "\\w", text: "a".repeat(1_001) });
    expect([found.count, found.cut]).toEqual([1_000, "only the first 1000 matches"]);
    expect(await answer({ action: "extract", pattern: "\\w", text: "a".repeat(1_000) })).not.toHaveProperty("cut");
  });
});

describe("what RE2 has not is refused with what to do instead", () => {
  test.each([
    ["a(?=b)", "Lookahead"],
    ["(?!b)a", "Lookahead"],
    ["(?<=b)a", "lookbehind"],
    ["(?<!b)a", "lookbehind"],
    ["(a)\\1", "Back-references"],
    ["(?<n>a)\\k<n>", "Back-references"],
    ["a*+", "possessive"],
    ["(?>a)", "Atomic"],
    ["(a)?(?(1)b|c)", "Conditions"],
    ["(a", "missing closing )"],
    ["[z-a]", "character class range"],
    ["*", "missing argument"],
    ["\\h", "escape"],
  ])("%s", async (pattern, why) => {
    expect(await call({ action: "match", pattern, text: "a" })).toMatchObject({
      isError: true,
      code: "tool_failed",
      output: expect.stringContaining(why),
    });
  });

  test.each([
    [{ action: "match", pattern: "a" }, "text"],
    [{ action: "find", pattern: "a", text: "" }, "/action"],
    [{ action: "match", pattern: "a", text: "", flags: "g" }, "/flags"],
    [{ action: "match", pattern: "a", text: 1 }, "/text"],
    [{ action: "match", pattern: "a", text: "x".repeat(100_001) }, "/text"],
    [{ action: "match", pattern: "a", text: "", more: 1 }, "more"],
  ])("arguments %# are refused at their place", (args, place) => {
    expect(regex.checkArguments(args)).toContain(place);
  });
});
