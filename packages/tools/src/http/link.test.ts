import { expect, test } from "vitest";
import { nextLink } from "./link.ts";

test.each<[string, string | string[] | undefined, string | null]>([
  ["no header", undefined, null],
  ["nothing in it", "", null],
  ["one link", '<https://a.example/?page=2>; rel="next"', "https://a.example/?page=2"],
  ["a relation without quotes", "</b>;rel=next", "/b"],
  [
    "the one among several",
    '<https://a.example/?page=1>; rel="prev", <https://a.example/?page=3>; rel="next"',
    "https://a.example/?page=3",
  ],
  ["several headers", ['<a>; rel="last"', '<b>; rel="next"'], "b"],
  ["several relations of a link", '<b>; rel="prefetch NEXT"', "b"],
  ["commas, semicolons and brackets in quotes", '<a?x=1,2;3>; title="x, <y>; rel=\\"prev\\""; rel="next"', "a?x=1,2;3"],
  ["a comma in the target", "<a?ids=1,2>; rel=next", "a?ids=1,2"],
  ["spaces wherever they may be", ' , <a> ; title = "t" ;  rel = "next" ', "a"],
  ["only the first rel counts", '<a>; rel="prev"; rel="next"', null],
  ["a link of another context", '<a>; rel="next"; anchor="#other"', null],
  ["a relation that only begins so", '<a>; rel="next-archive"', null],
  ["a parameter without a value", "<a>; crossorigin; rel=next", "a"],
  ["what is no link", "a; rel=next", null],
  ["a quote that does not end", '<a>; title="x; rel=next', null],
])("%s", (_what, header, target) => expect(nextLink(header)).toBe(target));

test.each([
  "<".repeat(16_000),
  `<a>${";".repeat(16_000)}`,
  `<a>; x="${"\\".repeat(16_000)}`,
  `<a>;${" ".repeat(16_000)}x`,
  `<a>; ${"a".repeat(8_000)}${" ".repeat(8_000)}"`,
])("a header made to take long is soon read (%#)", (header) => expect(nextLink(header)).toBe(null), 2_000);
