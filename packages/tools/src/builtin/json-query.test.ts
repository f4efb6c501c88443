import { describe, expect, test } from "vitest";
import { callContext } from "../testing/context.ts";
import { prepareBuiltin } from "./index.ts";

const query = prepareBuiltin({ type: "builtin", name: "json_query" });
const call = (json: unknown, text: string, result?: string) =>
  query.call({ json, query: text, ...(result === undefined ? {} : { result }) }, callContext());
const answer = async (json: unknown, text: string, result?: string) => {
  const { output, isError } = await call(json, text, result);
  expect([isError, output]).toEqual([false, output]);
  return JSON.parse(output);
};

const STORE = {
  books: [
    { title: "녹차의 역사", price: 12_000, tags: ["차", "역사"] },
    { title: "Tea\rtime", price: 8_000.5, isbn: "89-1" },
    { title: "😀", price: 30_000, "a b": null },
  ],
  bicycle: { price: 150_000 },
};

describe("json_query", () => {
  test.each<[string, unknown[]]>([
    ["$.books[*].title", ["녹차의 역사", "Tea\rtime", "😀"]],
    ["$..price", [12_000, 8_000.5, 30_000, 150_000]],
    ["$.books[0].tags", [["차", "역사"]]],
    ["$.books[-1].price", [30_000]],
    ["$.books[::2].price", [12_000, 30_000]],
    ["$.books[0, 2]['price']", [12_000, 30_000]],
    ["$.books[?@.price < 13000 && !@.isbn].title", ["녹차의 역사"]],
    ["$.books[?@.isbn || @.price == 30000].price", [8_000.5, 30_000]],
    ["$.books[?@['a b'] == null].price", [30_000]],
    ["$.books[?count(@.tags[*]) == 2].price", [12_000]],
    ["$.books[?length(@.title) == 1].price", [30_000]],
    ["$.books[?search(@.title, '역사$')].price", [12_000]],
    ["$.books[?match(@.title, '녹차.*')].price", [12_000]],
    ["$.books[?match(@.title, '역사')].price", []],
    ["$.books[?search(@.title, 'Tea.time')].price", []],
    ["$.books[?search(@.title, 'Tea[.\\\\r]time')].price", [8_000.5]],
    ["$.books[?value(@..isbn) == '89-1'].price", [8_000.5]],
    ["$.books[?@.tags == $.books[0].tags].price", [12_000]],
    ["$.none", []],
    ["$.books.length", []],
    ["$", [STORE]],
  ])("%s selects", async (text, values) => {
    expect(await answer(STORE, text)).toEqual({ count: values.length, values });
    expect(await answer(JSON.stringify(STORE), text)).toEqual({ count: values.length, values });
  });

  test("gives paths, or only how many there are", async () => {
    expect(await answer(STORE, "$..isbn", "paths")).toEqual({ count: 1, paths: ["$['books'][1]['isbn']"] });
    expect(await answer(STORE, "$..price", "count")).toEqual({ count: 4 });
  });

  test.each(["$.constructor", "$.__proto__", "$['toString']", "$.books.map", "$..constructor"])(
    "%s is not in the JSON",
    async (text) => expect(await answer(STORE, text)).toEqual({ count: 0, values: [] }),
  );

  test("a key __proto__ of the JSON is a key like any other", async () => {
    expect(await answer('{"__proto__": {"a": 1}}', "$.__proto__.a")).toEqual({ count: 1, values: [1] });
    expect(({} as Record<string, unknown>).a).toBeUndefined();
  });

  test.each<[unknown, string, string]>([
    ["{a: 1}", "$", "not JSON"],
    ["", "$", "not JSON"],
    [{}, "books", "expected '$'"],
    [{}, "$.books[", "unclosed"],
    [{}, "$[?foo(@)]", "no such function 'foo'"],
    [{}, "$[?@.a == ]", "not valid"],
    [{}, "$[(@.length-1)]", "not valid"],
    [{}, "$[?@.a.constructor('return 1')()]", "not valid"],
    [STORE, "$.books[?search(@.title, '(?=a)')]", "Lookahead"],
    [STORE, "$.books[?search(@.title, '(a)\\\\1')]", "Back-references"],
    [`${"[".repeat(65)}1${"]".repeat(65)}`, "$", "deeper than 64"],
    [`${"[".repeat(90_000)}${"]".repeat(90_000)}`, "$", "deeper than 64"],
    [["x".repeat(200_000)], "$", "200000 characters"],
    [`"${"x".repeat(200_000)}"`, "$", "200000 characters"],
  ])("%# is refused in words", async (json, text, why) => {
    expect(await call(json, text)).toMatchObject({ code: "tool_failed", output: expect.stringContaining(why) });
  });

  const ones = (length: number) => JSON.stringify(Array(length).fill(1));
  const nested = JSON.stringify(Array.from({ length: 800 }, () => JSON.parse(`${"[".repeat(60)}1${"]".repeat(60)}`)));
  const texts = (count: number, of: (n: number) => string) =>
    JSON.stringify(Array.from({ length: count }, (_, n) => of(n)));
  // Each of these would read billions of values, or compile thousands of patterns.
  test.each<[string, string, string]>([
    ["descents upon descents", nested, "$..*..*..*..*"],
    ["a filter in a filter in a filter", ones(3_000), "$[?$[?$[?@ == 1]]]"],
    ["a count in a filter", ones(3_000), "$[?count($..*) > 1]"],
    ["hundreds of selectors a value", ones(50_000), `$..[${"*,".repeat(200)}*]`],
    ["hundreds of segments", ones(50_000), `$..${"[*]".repeat(150)}`],
    ["hundreds of parentheses", ones(50_000), `$[?${"(".repeat(200)}@ > 1${")".repeat(200)}]`],
    ["a large pattern on large texts", texts(60, () => "a".repeat(3_000)), "$[?search(@, '(?:a?){200}[bc]')]"],
    ["a pattern a value", texts(1_500, (n) => `a{900}[bc]{${n % 90}}${n}`), "$[?search('aaaaaa', @)]"],
    [
      "long texts again and again",
      texts(1, () => "x".repeat(190_000)),
      `$[?${Array(28).fill("length($[0])==1").join("||")}]`,
    ],
  ])("%s end with a refusal", async (_what, json, text) => {
    expect(await call(json, text)).toMatchObject({
      code: "tool_failed",
      output: expect.stringContaining("The query takes too long"),
    });
  });

  test("ordinary questions of a large JSON are answered", async () => {
    const rows = JSON.stringify(Array.from({ length: 7_000 }, (_, n) => ({ a: n, b: `x${n}` })));
    expect(await answer(rows, "$[?@.a >= 6998].b")).toEqual({ count: 2, values: ["x6998", "x6999"] });
    expect(await answer(rows, "$..a", "count")).toEqual({ count: 7_000 });
    expect(await answer(rows, "$[?match(@.b, 'x1|x2')].a")).toEqual({ count: 2, values: [1, 2] });
    const first = await answer(rows, "$[*].a");
    expect([first.count, first.values.length, first.cut]).toEqual([7_000, 1_000, "only the first 1000"]);
    const whole = await answer(JSON.stringify(Array(3).fill("y".repeat(66_000))), "$..*");
    expect([whole.count, whole.values.length]).toEqual([3, 3]);
  });

  test("values that hold each other are not written out without end", async () => {
    const { output } = await call(JSON.parse(`${"[".repeat(50)}"${"z".repeat(100_000)}"${"]".repeat(50)}`), "$..*");
    expect(output.length).toBeLessThan(500_000);
    expect(JSON.parse(output)).toMatchObject({ count: 50, cut: expect.stringContaining("only the first") });
  });

  test.each([
    [{ json: 1, query: "$" }, "/json"],
    [{ json: {}, query: "" }, "/query"],
    [{ json: {}, query: `$${".a".repeat(256)}` }, "/query"],
    [{ json: {} }, "query"],
    [{ json: {}, query: "$", result: "sum" }, "/result"],
  ])("arguments %# are refused at their place", (args, place) => expect(query.checkArguments(args)).toContain(place));
});
