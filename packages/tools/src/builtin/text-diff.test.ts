import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callContext } from "../testing/context.ts";
import { prepareBuiltin } from "./index.ts";

const diff = prepareBuiltin({ type: "builtin", name: "text_diff" });
const compare = async (before: string, after: string, more: object = {}) =>
  (await diff.call({ before, after, ...more }, callContext())).output;
const lines = (count: number, of: (n: number) => string) =>
  Array.from({ length: count }, (_, n) => `${of(n)}\n`).join("");

describe("text_diff by lines", () => {
  test("is a unified diff", async () => {
    const before = lines(9, (n) => `line ${n}`);
    expect(await compare(before, before.replace("line 4", "줄 4"))).toBe(
      "--- before\n+++ after\n@@ -2,7 +2,7 @@\n line 1\n line 2\n line 3\n-line 4\n+줄 4\n line 5\n line 6\n line 7\n",
    );
    expect(await compare(before, before.replace("line 4\n", ""), { context: 0 })).toBe(
      "--- before\n+++ after\n@@ -5,1 +4,0 @@\n-line 4\n",
    );
  });

  test("names what can't be seen", async () => {
    expect(await compare("a\nb", "a\nb")).toBe("The texts are the same.");
    expect(await compare("a\r\nb", "a\nb")).toContain("line ends");
    expect(await compare("가나", "가나".normalize("NFD"))).toContain("normalisation");
    expect(await compare("a\n", "a")).toContain("\\ No newline at end of file");
    expect(await compare("", "a\n")).toContain("+a");
  });
});

describe("text_diff by words and characters", () => {
  test.each([
    ["빨간 사과를 먹었다", "파란 사과를 먹었다", "words", "[-빨간-]{+파란+} 사과를 먹었다"],
    ["나는 학교에 갔다.", "나는 학교로 갔다!", "words", "나는 [-학교에-]{+학교로+} 갔다[-.-]{+!+}"],
    ["안녕하세요", "안녕하셔요", "characters", "안녕하[-세-]{+셔+}요"],
    [
      "각나".normalize("NFD"),
      "갂나".normalize("NFD"),
      "characters",
      `[-${"각".normalize("NFD")}-]{+${"갂".normalize("NFD")}+}${"나".normalize("NFD")}`,
    ],
    ["👨‍👩‍👧 x", "👨‍👩‍👦 x", "characters", "[-👨‍👩‍👧-]{+👨‍👩‍👦+} x"],
    ["日本語の文章を比較する", "日本語の文を比較した", "words", "日本語の[-文章-]{+文+}を比較[-する-]{+した+}"],
    ["", "새 글", "words", "{+새 글+}"],
  ])("%s and %s by %s", async (before, after, mode, expected) => {
    expect(await compare(before, after, { mode })).toBe(expected);
  });

  test("leaves the middle of long unchanged stretches out, and says how long it was", async () => {
    const [head, tail] = ["가 ".repeat(300), " 나".repeat(300)];
    expect(await compare(`${head}A${tail}`, `${head}B${tail}`, { mode: "words" })).toBe(
      `[520 characters the same]${"가 ".repeat(40)}[-A-]{+B+}${" 나".repeat(40)}[520 characters the same]`,
    );
  });

  test("with the added left out it is the text before, with the removed left out the text after", async () => {
    const text = fc.string({ unit: fc.constantFrom("가", "나", " ", "a", "."), maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(text, text, fc.constantFrom("words", "characters"), async (before, after, mode) => {
        fc.pre(before !== after);
        const marked = await compare(before, after, { mode });
        expect(marked.replace(/\{\+.*?\+\}/g, "").replace(/\[-(.*?)-\]/g, "$1")).toBe(before);
        expect(marked.replace(/\[-.*?-\]/g, "").replace(/\{\+(.*?)\+\}/g, "$1")).toBe(after);
      }),
    );
  });
});

describe("texts that differ in too much", () => {
  test.each([
    ["lines", lines(6_000, (n) => `a${n}`), lines(6_000, (n) => `b${n}`)],
    ["words", "a b ".repeat(12_000), "c d ".repeat(12_000)],
    ["characters", "ab".repeat(25_000), "cd".repeat(25_000)],
  ])("%s are refused, not compared for minutes", async (mode, before, after) => {
    expect(await diff.call({ before, after, mode }, callContext())).toMatchObject({
      code: "tool_failed",
      output: `The texts differ in more than 1500 ${mode}: compare smaller parts of them.`,
    });
  });

  test("large texts with few changes are compared", async () => {
    const before = lines(7_000, (n) => `${n}`);
    expect(await compare(before, before.replace("\n3500\n", "\nx\n"), { context: 0 })).toBe(
      "--- before\n+++ after\n@@ -3501,1 +3501,1 @@\n-3500\n+x\n",
    );
  });

  test.each([
    [{ before: "a" }, "after"],
    [{ before: "a", after: 1 }, "/after"],
    [{ before: "a", after: "x".repeat(50_001) }, "/after"],
    [{ before: "a", after: "b", mode: "lines", context: 11 }, "/context"],
    [{ before: "a", after: "b", mode: "bytes" }, "/mode"],
  ])("arguments %# are refused at their place", (args, place) => expect(diff.checkArguments(args)).toContain(place));
});
