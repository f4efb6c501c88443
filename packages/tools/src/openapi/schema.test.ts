import { Ajv2020 } from "ajv/dist/2020.js";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schemaProblems } from "../schema/admit.ts";
import { createArgumentCheck } from "../schema/check.ts";
import type { Expanded } from "./expand.ts";
import { expand, operation } from "./testing/documents.ts";

const operationsOf = ({ pinned, problems }: Expanded) => {
  expect(problems).toEqual([]);
  return pinned?.operations ?? {};
};
const argumentsOf = (document: object, over = {}) =>
  Object.values(operationsOf(expand(document, over)))[0]?.parameters as { properties: Record<string, unknown> };
const query = (schema: unknown) => operation({ parameters: [{ name: "q", in: "query", schema }] });

describe("schemas", () => {
  const q = (schema: object) => argumentsOf(query(schema)).properties.q;
  const in30 = (schema: object) => argumentsOf({ ...query(schema), openapi: "3.0.3" }).properties.q;

  test.each<[string, object, object]>([
    ["nullable", { type: "string", nullable: true }, { type: ["string", "null"] }],
    [
      "nullable with values",
      { type: "string", enum: ["a"], nullable: true },
      { type: ["string", "null"], enum: ["a", null] },
    ],
    [
      "exclusive bounds",
      { type: "number", minimum: 1, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: false },
      { type: "number", exclusiveMinimum: 1, maximum: 9 },
    ],
    ["an example", { type: "string", example: "a" }, { type: "string", examples: ["a"] }],
    ["formats of its own", { type: "integer", format: "int64" }, { type: "integer" }],
  ])("of 3.0 with %s are those of 2020-12", (_name, schema, expected) => expect(in30(schema)).toEqual(expected));

  test.each<[string, object, object]>([
    [
      "allOf",
      {
        allOf: [
          { type: "object", properties: { a: { type: "string" } }, required: ["a"], additionalProperties: false },
          { properties: { b: {} }, required: ["b"] },
        ],
      },
      { type: "object", properties: { a: { type: "string" }, b: {} }, required: ["a", "b"] },
    ],
    [
      "oneOf",
      { oneOf: [{ type: "string", minLength: 1 }, { type: "integer" }] },
      { anyOf: [{ type: "string", minLength: 1 }, { type: "integer" }] },
    ],
    [
      "something or null",
      { anyOf: [{ type: "string", format: "date" }, { type: "null" }] },
      { type: ["string", "null"], format: "date" },
    ],
    [
      "many types",
      { oneOf: [{ type: "string" }, { type: "integer" }, { type: "boolean" }, { type: "null" }, { type: "array" }] },
      { type: ["string", "integer", "boolean", "null", "array"] },
    ],
    [
      "many values",
      { oneOf: ["a", "b", "c", "d", "e"].map((value) => ({ const: value })) },
      { enum: ["a", "b", "c", "d", "e"] },
    ],
    ["anything", { anyOf: [{ type: "string" }, {}] }, {}],
    [
      "what only answers have",
      { type: "object", properties: { id: { readOnly: true }, a: {} }, required: ["id", "a"] },
      { type: "object", properties: { a: {} }, required: ["a"] },
    ],
    [
      "what only answers have, and nothing more",
      { type: "object", properties: { id: { readOnly: true }, a: {} }, additionalProperties: false },
      { type: "object", properties: { a: {} } },
    ],
    ["cents", { type: "number", multipleOf: 0.01 }, { type: "number" }],
    [
      "__proto__",
      { type: "object", properties: JSON.parse('{"__proto__": {"type": "string"}, "a": {}}') },
      { type: "object", properties: { a: {} } },
    ],
  ])("with %s are written as the dialect has it", (_name, schema, expected) => expect(q(schema)).toEqual(expected));

  test.each<[string, object, RegExp]>([
    ["a pattern with lookahead", { type: "string", pattern: "^(?=a)b" }, /pattern/],
    ["not", { not: { type: "string" } }, /not is left out/],
    ["a list of 500 values", { enum: Array.from({ length: 500 }, (_, n) => n) }, /list of values/],
    [
      "ten levels",
      Array.from({ length: 10 }).reduce<object>((inner) => ({ type: "object", properties: { a: inner } }), {
        type: "string",
      }),
      /below level 8/,
    ],
    [
      "six forms",
      { oneOf: Array.from({ length: 6 }, (_, n) => ({ type: "object", required: [`a${n}`] })) },
      /one of 6 forms/,
    ],
  ])("with %s are simplified, with a warning that names the operation", (_name, schema, detail) => {
    const { warnings } = expand(query(schema));
    expect(warnings).toMatchObject([{ code: "schema_simplified", detail: expect.stringMatching(/^op: /) }]);
    expect(warnings[0]?.detail).toMatch(detail);
  });

  test("that refer to themselves, or one another, are cut where they begin again", () => {
    const components = {
      schemas: {
        Node: {
          type: "object",
          properties: {
            name: { type: "string" },
            children: { type: "array", items: { $ref: "#/components/schemas/Node" } },
          },
        },
        A: { type: "object", properties: { b: { $ref: "#/components/schemas/B" } } },
        B: { type: "object", properties: { a: { $ref: "#/components/schemas/A" } } },
        Loop: { $ref: "#/components/schemas/Loop" },
        Every: { allOf: [{ $ref: "#/components/schemas/Every" }] },
      },
    };
    const make = (name: string) => expand({ ...query({ $ref: `#/components/schemas/${name}` }), components });
    const schema = (name: string) => Object.values(operationsOf(make(name)))[0]?.parameters.properties;
    expect(schema("Node")).toEqual({
      q: {
        type: "object",
        properties: { name: { type: "string" }, children: { type: "array", items: { type: "object" } } },
      },
    });
    expect(schema("A")).toEqual({
      q: { type: "object", properties: { b: { type: "object", properties: { a: { type: "object" } } } } },
    });
    for (const name of ["Node", "A", "Loop", "Every"])
      expect(make(name).warnings).toMatchObject([{ code: "schema_simplified" }]);
  });

  const names = fc.constantFrom("a", "b", "c");
  const values = fc.constantFrom<unknown>(null, 0, 1, 2.5, "", "a", "long text", true);
  const { value } = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 3 },
      values,
      fc.array(tie("value"), { maxLength: 2 }),
      fc.dictionary(names, tie("value"), { maxKeys: 3, noNullPrototype: true }),
    ),
  }));
  const types = fc.constantFrom("object", "array", "string", "integer", "number", "boolean", "null");
  const { schema: schemas } = fc.letrec((tie) => ({
    schema: fc.oneof(
      { maxDepth: 5 },
      fc.boolean(),
      fc.record({ type: types }),
      fc.record({ const: values }),
      fc.record({ enum: fc.uniqueArray(values, { minLength: 1, maxLength: 3 }) }),
      fc.record(
        { type: fc.constant("string"), minLength: fc.nat(2), pattern: fc.constantFrom("^a", "(?=a)", "(a+)+") },
        { requiredKeys: [] },
      ),
      fc.record(
        { type: fc.constant("number"), minimum: fc.nat(2), multipleOf: fc.constantFrom(0.5, 2) },
        { requiredKeys: [] },
      ),
      fc.record(
        {
          type: fc.constantFrom("object", ["object", "null"]),
          properties: fc.dictionary(names, tie("schema"), { maxKeys: 3, noNullPrototype: true }),
          required: fc.uniqueArray(names, { maxLength: 2 }),
          additionalProperties: tie("schema"),
          patternProperties: fc.dictionary(names, tie("schema"), { maxKeys: 1 }),
          anyOf: fc.array(tie("schema"), { minLength: 1, maxLength: 6 }),
          allOf: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }),
        },
        { requiredKeys: [] },
      ),
      fc.record(
        { type: fc.constant("array"), items: tie("schema"), uniqueItems: fc.boolean(), maxItems: fc.nat(2) },
        { requiredKeys: [] },
      ),
      fc.record({ oneOf: fc.array(tie("schema"), { minLength: 1, maxLength: 6 }) }),
      fc.record({ not: tie("schema") }),
      fc.record({ prefixItems: fc.array(tie("schema"), { minLength: 1, maxLength: 2 }), items: tie("schema") }),
      fc.record({
        allOf: fc.array(tie("schema"), { minLength: 1, maxLength: 3 }),
        anyOf: fc.array(tie("schema"), { minLength: 1, maxLength: 2 }),
      }),
    ),
  }));

  test("are admitted, and what they took before they take still, whatever they are", () => {
    let taken = 0;
    const ajv = new Ajv2020({ strict: false, addUsedSchema: false });
    fc.assert(
      fc.property(schemas, fc.array(value, { minLength: 5, maxLength: 10 }), (schema, candidates) => {
        const parameters = argumentsOf(query(schema));
        expect(schemaProblems(parameters, "")).toEqual([]);
        const before = ajv.compile(schema as object);
        const after = createArgumentCheck(parameters);
        for (const q of candidates) {
          if (!before(q)) continue;
          taken++;
          expect(after({ q })).toBeNull();
        }
      }),
      { numRuns: 60 },
    );
    expect(taken).toBeGreaterThan(20);
  });

  test("of any JSON at all make a tool or a word", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom("3.0.0", "3.1.0"), (schema, openapi) => {
        const { pinned, problems, warnings } = expand({ ...query(schema), openapi });
        expect(problems.length + warnings.length + Object.keys(pinned?.operations ?? {}).length).toBeGreaterThan(0);
      }),
    );
  });
});
