import { deeperThan } from "@maru/domain";
import { describe, expect, test } from "vitest";
import { schemaProblems } from "../schema/admit.ts";
import { expandApart } from "./apart.ts";
import type { Expanded, Expansion } from "./expand.ts";
import { documentOf, expand, expansion, operation } from "./testing/documents.ts";

const never = new AbortController().signal;
const apart = (source: Expansion["source"]) => expandApart(expansion(source), never);
const toolsOf = ({ pinned, problems }: Expanded) => {
  expect(problems).toEqual([]);
  for (const { parameters } of Object.values(pinned?.operations ?? {}))
    expect(schemaProblems(parameters, "")).toEqual([]);
  return Object.keys(pinned?.operations ?? {});
};
const query = (schema: object, components: object = {}) =>
  operation({ parameters: [{ name: "q", in: "query", schema }] }, { components });

/** Schemas that each refer twice to the next. */
const doubling = (levels: number, keyword: "allOf" | "properties" | "oneOf") =>
  Object.fromEntries(
    Array.from({ length: levels }, (_, n) => {
      const next = { $ref: `#/components/schemas/S${n + 1}` };
      const twice = keyword === "properties" ? { a: next, b: next } : [next, next];
      return [`S${n}`, n === levels - 1 ? { type: "object" } : { type: "object", [keyword]: twice }];
    }),
  );

describe("a document", () => {
  test.each(["allOf", "properties", "oneOf"] as const)(
    "whose references double with %s makes a bounded tool",
    (keyword) => {
      const document = query({ $ref: "#/components/schemas/S0" }, { schemas: doubling(60, keyword) });
      const result = expand(document);
      expect(JSON.stringify(result).length).toBeLessThan(40_000);
      expect(toolsOf(result).length + result.warnings.length).toBeGreaterThan(0);
    },
  );

  test("of 10,000 operations says to choose fewer, and gives those that are chosen", () => {
    const paths = Object.fromEntries(
      Array.from({ length: 10_000 }, (_, n) => [
        `/p${n}`,
        { get: { operationId: `op${n % 5_000}`, tags: [`t${n % 100}`] } },
      ]),
    );
    const all = expand(documentOf(paths));
    expect(all.problems).toMatchObject([{ place: "/operations", code: "limit_out_of_range" }]);
    expect(all.problems[0]?.detail).toMatch(/10000 operations are chosen.*128/);
    const names = toolsOf(
      expand(documentOf(paths), { operations: { include: ["GET /p7", "op8", "tag:t3"], exclude: ["* /p9*"] } }),
    );
    expect(names.length).toBeGreaterThan(80);
    expect(names.filter((name) => name.startsWith("api_op7_"))).toHaveLength(1);
    expect(names.filter((name) => name.startsWith("api_op8_"))).toHaveLength(2);
  });

  test("with selectors made to be slow is searched all the same", () => {
    const include = [`${"*a".repeat(200)}b`];
    const result = expand(operation({ operationId: "a".repeat(100_000) }), { operations: { include, exclude: [] } });
    expect(result.problems).toMatchObject([{ code: "operation_not_found" }]);
  });

  test("of YAML whose aliases multiply is refused", () => {
    const lines = ["openapi: 3.1.0", "a0: &a0 [x, x, x, x, x, x, x, x, x]"];
    for (let n = 1; n < 10; n++)
      lines.push(
        `a${n}: &a${n} [${Array(9)
          .fill(`*a${n - 1}`)
          .join(", ")}]`,
      );
    lines.push("paths: { /t: { get: { parameters: [{ name: q, in: query, schema: { enum: *a9 } }] } } }");
    const { problems } = expand(lines.join("\n"));
    expect(problems).toMatchObject([{ place: "/document", code: "document_invalid" }]);
    expect(problems[0]?.detail).toMatch(/alias/i);
  });

  test.each<[string, string, RegExp]>([
    ["no YAML", "a: [1", /not valid YAML/],
    ["no JSON", '{"openapi": ', /not valid JSON/],
    ["nothing", "", /must be an object/],
    ["a list", "[]", /must be an object/],
    ["a page", "<html><body>Not found</body></html>", /must be an object|not valid YAML/],
    ["a tag", "!!js/function 'x'", /must be an object|not valid YAML/],
    ["no version", "{}", /no field openapi/],
    ["another version", '{"openapi": "4.0.0"}', /OpenAPI 4\.0\.0: Maru reads 3\.0, 3\.1 and 3\.2/],
    ["no paths", '{"openapi": "3.1.0"}', /no operations/],
    ["paths that are none", '{"openapi": "3.1.0", "paths": [1, null, {"/a": {}}]}', /no operations/],
    ["deep YAML", `a: ${"[".repeat(50_000)}`, /not valid YAML/],
    [
      "deep JSON",
      `{"openapi":"3.1.0","x":${"[".repeat(200_000)}${"]".repeat(200_000)}}`,
      /no operations|not valid JSON/,
    ],
  ])("of %s is refused in words", (_name, text, detail) => {
    const { problems } = expand(text);
    expect(problems).toMatchObject([{ place: "/document", code: "document_invalid" }]);
    expect(problems[0]?.detail).toMatch(detail);
  });

  test("of version 3.2 with things of its own is read as far as they are known", () => {
    const document = {
      ...documentOf({
        "/t": {
          query: { operationId: "q" },
          additionalOperations: { COPY: {} },
          get: { operationId: "g", parameters: [{ name: "all", in: "querystring", content: {} }] },
        },
      }),
      openapi: "3.2.0",
    };
    expect(toolsOf(expand(document))).toEqual(["api_g"]);
  });

  test("with __proto__ and constructor for names changes nobody's prototype", () => {
    const text = `{"openapi":"3.1.0","servers":[{"url":"https://a.example.com/{constructor}","variables":{"__proto__":{"default":"x"}}}],
      "components":{"securitySchemes":{"__proto__":{"type":"http","scheme":"bearer"}},"schemas":{"__proto__":{"type":"integer"}}},
      "paths":{"/t":{"get":{"operationId":"__proto__","security":[{"constructor":[]},{"__proto__":[]}],"parameters":[
        {"name":"__proto__","in":"query","schema":{"type":"string"}},
        {"name":"constructor","in":"query","schema":{"$ref":"#/components/schemas/__proto__","properties":{"__proto__":{"polluted":true}}}},
        {"name":"b","in":"query","schema":{"$ref":"#/components/schemas/constructor"}}]}}}}`;
    const result = expand(text);
    expect(result.problems.map(({ code }) => code)).toEqual(["url_not_allowed"]);
    const other = expand(text.replace("/{constructor}", "").replace(/,\s*\{"name":"b"[^}]*\}\}/, ""), {
      auth: JSON.parse('{"__proto__": "x"}'),
      toolPrefix: "",
    });
    expect(toolsOf(other)).toEqual([expect.stringMatching(/^proto|^__proto___[0-9a-f]+|^[0-9a-z_]+$/)]);
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined();
    expect(Object.keys(Object.values(other.pinned?.operations ?? {})[0]?.parameters.properties as object)).toEqual([
      "constructor",
    ]);
  });

  test("with descriptions without end is cut, and texts in Korean are kept", () => {
    const long = "아주 긴 설명 ".repeat(100_000);
    const document = operation({
      summary: "날씨를 알려 줍니다",
      description: long,
      parameters: [
        { name: "도시", in: "query", description: long, schema: { type: "string", enum: ["서울", "부산"] } },
      ],
    });
    const found = Object.values(expand(document).pinned?.operations ?? {})[0];
    expect(found?.description).toMatch(/^날씨를 알려 줍니다\n\n아주 긴 설명[\s\S]*…$/);
    expect(found?.description.length).toBeLessThanOrEqual(1_024);
    expect(found?.parameters).toMatchObject({ properties: { 도시: { enum: ["서울", "부산"] } } });
    expect(JSON.stringify(found).length).toBeLessThan(3_000);
  });

  test("of a thousand parameters, or a thousand fields, is not made; of a field of a thousand fields what fits is", () => {
    const fields = Object.fromEntries(Array.from({ length: 1_000 }, (_, n) => [`f${n}`, { type: "string" }]));
    const parameters = Object.keys(fields).map((name) => ({ name, in: "query", schema: {} }));
    expect(expand(operation({ parameters }), { operations: { include: ["op"], exclude: [] } }).problems).toMatchObject([
      {
        place: "/operations/include/0",
        code: "operation_invalid",
        detail: expect.stringMatching(/more than 250 parameters/),
      },
    ]);
    const result = expand(query({ type: "object", properties: { a: { type: "object", properties: fields } } }));
    expect(toolsOf(result)).toEqual(["api_op"]);
    expect(result.pinned?.operations.api_op?.parameters.properties).toEqual({
      q: { type: "object", properties: { a: { type: "object" } } },
    });
    expect(result.warnings).toMatchObject([
      { detail: expect.stringMatching(/^op: what is below level 2 is left open/) },
    ]);
  });

  test("whose parts are of the wrong kind is read without them, or refused in words", () => {
    const wrong: unknown[] = [
      null,
      1,
      "x",
      true,
      [],
      {},
      [null],
      [1],
      { $ref: 1 },
      { $ref: "" },
      { $ref: "#" },
      { $ref: "#/" },
      { $ref: "#x" },
    ];
    for (const value of wrong)
      for (const document of [
        documentOf({ "/t": value }),
        documentOf({ "/t": { parameters: value, get: {} } }),
        operation({
          parameters: value,
          security: value,
          requestBody: value,
          tags: value,
          servers: value,
          summary: value,
        }),
        operation({ parameters: [value] }),
        operation({
          parameters: [{ name: "q", in: "query", schema: value, content: value, style: value, explode: value }],
        }),
        operation({ requestBody: { content: value, required: true } }, {}, "post"),
        operation(
          { requestBody: { content: { "application/json": value, "multipart/form-data": value } } },
          {},
          "post",
        ),
        operation({}, { components: value, servers: value, info: value, security: value }),
        operation({ security: [{ s: [] }] }, { components: { securitySchemes: { s: value } } }),
      ]) {
        const { pinned, problems } = expand(document);
        expect((pinned === null) === problems.length > 0, JSON.stringify(document)).toBe(true);
      }
  });
});

describe("apart", () => {
  test("a document is read in a thread of its own, with the same result", async () => {
    const document = query({ type: "integer" });
    expect(await apart({ value: document })).toEqual(JSON.parse(JSON.stringify(expand(document))));
    expect(await apart({ text: JSON.stringify(document) })).toEqual(JSON.parse(JSON.stringify(expand(document))));
  });

  test("one that takes more than it may is given up, and the next is read", async () => {
    // Each object costs far more than its three bytes.
    const text = `a: [${"{},".repeat(1_300_000)}]`;
    expect(await apart({ text })).toBeNull();
    expect((await apart({ value: query({}) }))?.problems).toEqual([]);
  });

  test("ends with its caller", async () => {
    const stop = new AbortController();
    const reading = expandApart(expansion({ text: `a: [${"{},".repeat(1_000_000)}]` }), stop.signal);
    stop.abort(new Error("closing"));
    await expect(reading).rejects.toThrow("closing");
  });
});

test("the deepest that is pinned is far from what overflows", () => {
  const deep = Array.from({ length: 5_000 }).reduce<object>(
    (inner) => ({ default: inner, items: inner, example: inner, enum: [inner] }),
    {},
  );
  const { pinned } = expand(query(deep));
  expect(deeperThan(pinned, 40)).toBe(false);
});
