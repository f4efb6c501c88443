import type { JsonSchema } from "@maru/contract";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schemaProblems } from "./admit.ts";
import { createArgumentCheck } from "./check.ts";
import { judgePattern } from "./pattern.ts";

const object = (properties: object, more: object = {}): JsonSchema => ({ type: "object", properties, ...more });
const nested = (levels: number): object =>
  levels === 0 ? { type: "string" } : { type: "object", properties: { a: nested(levels - 1) } };
const unions = (levels: number): object =>
  levels === 0 ? { type: "string" } : { anyOf: [unions(levels - 1), unions(levels - 1)] };

describe("schemas that are admitted", () => {
  test.each<[string, JsonSchema]>([
    ["nothing but an object", { type: "object" }],
    ["the usual keywords", object({ city: { type: "string", minLength: 1 } }, { required: ["city"] })],
    ["eight levels", nested(8) as JsonSchema],
    ["two levels of anyOf", object({ a: unions(2) })],
    ["a dialect that is named", { $schema: "https://json-schema.org/draft/2020-12/schema", type: "object" }],
    ["a definition used twice", object({ a: ref("p"), b: ref("p") }, { $defs: { p: { type: "number" } } })],
    ["definitions in a row", object({ a: ref("p") }, { $defs: { p: ref("q"), q: { enum: [1, 2] } } })],
    ["unique scalars", object({ a: { type: "array", items: { type: "string" }, uniqueItems: true } })],
    ["a date's pattern", object({ a: { type: "string", pattern: "^\\d{4}-\\d{2}-\\d{2}(T\\d{2}:\\d{2})?$" } })],
  ])("%s", (_name, schema) => {
    expect(schemaProblems(schema, "/parameters")).toEqual([]);
    expect(() => createArgumentCheck(schema)({})).not.toThrow();
  });
});

function ref(name: string): object {
  return { $ref: `#/$defs/${name}` };
}

describe("schemas that are refused, with the place", () => {
  test.each<[string, JsonSchema, string]>([
    ["not an object", { type: "array" }, "/type"],
    ["no type", { properties: {} }, "/type"],
    ["remote reference", object({ a: { $ref: "https://example.com/s.json" } }), "/properties/a/$ref"],
    ["metadata reference", object({ a: { $ref: "http://169.254.169.254/" } }), "/properties/a/$ref"],
    ["reference to the root", object({ a: { $ref: "#" } }), "/properties/a/$ref"],
    ["reference to nothing", object({ a: ref("gone") }), "/properties/a/$ref"],
    ["reference to what objects inherit", object({ a: ref("constructor") }, { $defs: {} }), "/properties/a/$ref"],
    ["definition of itself", object({}, { $defs: { p: ref("p") } }), "/$defs/p/$ref"],
    ["definitions in a circle", object({ a: ref("p") }, { $defs: { p: ref("q"), q: ref("p") } }), "/$defs/q/$ref"],
    ["definitions below the root", object({ a: { $defs: {} } }), "/properties/a/$defs"],
    ["nine levels", nested(9) as JsonSchema, "/properties/a".repeat(9)],
    ["five branches", object({ a: { oneOf: [{}, {}, {}, {}, {}] } }), "/properties/a/oneOf"],
    ["three levels of anyOf", object({ a: unions(3) }), "/properties/a/anyOf/0/anyOf/0/anyOf"],
    ["anyOf through references", object({ a: ref("p") }, unionsByReference(3)), "/$defs/p0/anyOf"],
    ["allOf", object({ a: { allOf: [{}] } }), "/properties/a/allOf"],
    ["boolean schema", object({ a: true }), "/properties/a"],
    ["boolean items", object({ a: { type: "array", items: false } }), "/properties/a/items"],
    ["$id", object({}, { $id: "https://example.com/" }), "/$id"],
    ["$anchor", object({ a: { $anchor: "x" } }), "/properties/a/$anchor"],
    ["$dynamicRef", object({ a: { $dynamicRef: "#x" } }), "/properties/a/$dynamicRef"],
    ["another dialect", object({}, { $schema: "http://json-schema.org/draft-07/schema#" }), "/$schema"],
    ["unknown keyword", object({ a: { nullable: true } }), "/properties/a/nullable"],
    ["unknown type", object({ a: { type: "date" } }), "/properties/a/type"],
    ["type twice", object({ a: { type: ["string", "string"] } }), "/properties/a/type"],
    ["required twice", object({ a: {} }, { required: ["a", "a"] }), "/required"],
    ["format regex", object({ a: { type: "string", format: "regex" } }), "/properties/a/format"],
    ["unique objects", object({ a: { type: "array", items: {}, uniqueItems: true } }), "/properties/a/uniqueItems"],
    ["names are escaped", object({ "a/b~c": { minLength: -1 } }), "/properties/a~1b~0c/minLength"],
    ["nested repeats", object({ a: { pattern: "^(a+)+$" } }), "/properties/a/pattern"],
  ])("%s", (_name, schema, place) => {
    expect(schemaProblems(schema, "/spec/tools/0/parameters")).toContainEqual({
      pointer: `/spec/tools/0/parameters${place}`,
      code: "tool_schema_invalid",
      detail: expect.any(String),
    });
  });

  test("a schema of more than 32 KiB, however few its characters", () => {
    expect(schemaProblems(object({}, { description: "가".repeat(11_000) }), "/p")).toMatchObject([{ pointer: "/p" }]);
  });

  test("twenty thousand properties give a few errors, not twenty thousand", () => {
    const short = Object.fromEntries(Array.from({ length: 2_500 }, (_, index) => [`p${index}`, {}]));
    expect(schemaProblems(object(short), "/p")).toMatchObject([{ detail: "A schema may have 300 parts." }]);
    const long = Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`p${index}`, {}]));
    expect(schemaProblems(object(long), "/p")).toHaveLength(1);
  });

  test("definitions that double at every step are counted as written out", () => {
    const $defs = Object.fromEntries(
      Array.from({ length: 14 }, (_, index) => [
        `p${index}`,
        index === 0 ? {} : object({ a: ref(`p${index - 1}`), b: ref(`p${index - 1}`) }),
      ]),
    );
    expect(schemaProblems(object({ a: ref("p13") }, { $defs }), "/p")).not.toEqual([]);
  });
});

function unionsByReference(levels: number): object {
  const $defs: Record<string, object> = { p: ref(`p${levels - 1}`) };
  for (let level = 0; level < levels; level++)
    $defs[`p${level}`] = { anyOf: [level === 0 ? { type: "string" } : ref(`p${level - 1}`)] };
  return { $defs };
}

describe("patterns", () => {
  test.each([
    "^[a-z0-9-]{1,63}$",
    "^01[016789]-?\\d{3,4}-?\\d{4}$",
    "^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$",
    "^(?:seoul|busan|jeju)$",
    "^\\p{Script=Hangul}+$",
    "[()+*|]\\(a\\+",
    "^(abc)+$",
    "\\u{1F600}x",
  ])("%s is admitted", (pattern) => expect(judgePattern(pattern)).toMatchObject({ ok: true }));

  test.each([
    ["^(a+)+$", "repeat"],
    ["(a|a)*$", "repeat"],
    ["((a*)b)*", "repeat"],
    ["(a?){30}a{30}", "repeat"],
    ["(?:a{2,3}){2}", "repeat"],
    ["(?=a)b", "Lookaround"],
    ["(?<!a)b", "Lookaround"],
    ["(?<name>a)", "Lookaround"],
    ["(a)\\1", "Back-references"],
    [`${"a?".repeat(30)}${"a".repeat(30)}`, "choices"],
    [`^${"(?:a|a)".repeat(30)}$`, "choices"],
    [`^${"a{0,9}".repeat(12)}$`, "choices"],
    ["a*a*a*a*a*a*b", "choices"],
    ["(", "regular expression"],
    ["a".repeat(257), "256"],
  ])("%s is refused", (pattern, reason) => {
    const verdict = judgePattern(pattern);
    expect(verdict.ok ? "" : verdict.detail).toContain(reason);
  });

  test("a text longer than its pattern can judge in bounded time does not match", () => {
    const check = createArgumentCheck(object({ a: { type: "string", pattern: "^a*a*a*$" } }));
    expect(check({ a: "a".repeat(400) })).toBeNull();
    expect(check({ a: "a".repeat(100_000) })).toContain("/a must match pattern");
  });

  test("many texts share the steps of one check, and the next check has its own", () => {
    const check = createArgumentCheck(object({ a: { type: "array", items: { pattern: "^a*a*a*$" } } }));
    const texts = (count: number) => ({ a: Array.from({ length: count }, () => "a".repeat(300)) });
    expect(check(texts(1_000))).toContain("must match pattern");
    expect(check(texts(2))).toBeNull();
  });

  test("two patterns of one schema are kept apart", () => {
    const check = createArgumentCheck(object({ a: { pattern: "^a$" }, b: { pattern: "^b$" } }));
    expect(check({ a: "a", b: "b" })).toBeNull();
    expect(check({ a: "b", b: "b" })).toContain("/a must match pattern");
    expect(check({ a: "a", b: "a" })).toContain("/b must match pattern");
  });
});

describe("arguments", () => {
  const check = createArgumentCheck(
    object(
      { city: { type: "string" }, unit: { enum: ["c", "f"] }, days: { type: "integer", maximum: 7 }, on: ref("day") },
      { required: ["city"], additionalProperties: false, $defs: { day: { type: "string", format: "date" } } },
    ),
  );

  test("that fit are accepted", () => {
    expect(check({ city: "서울", unit: "c", days: 3, on: "2026-01-28" })).toBeNull();
  });

  test.each([
    [{}, "the arguments must have required property 'city'"],
    [{ city: 1 }, "/city must be string"],
    [{ city: "a", unit: "k" }, '/unit must be equal to one of the allowed values: ["c","f"]'],
    [{ city: "a", days: 8 }, "/days must be <= 7"],
    [{ city: "a", on: "28 Jan" }, '/on must match format "date"'],
    [{ city: "a", town: "b" }, "the arguments must NOT have additional properties (town)"],
    [[], "the arguments must be object"],
  ])("%j: the pointer and what is expected", (args, reason) => expect(check(args)).toContain(reason));

  test("however many are wrong, few errors are made of them: a worker does not stand still for a server's list", () => {
    const nothing = { anyOf: [{ type: "string" }, { type: "boolean" }, { type: "null" }, { type: "array" }] };
    const list = createArgumentCheck(object({ list: { type: "array", items: nothing } }));
    const before = process.memoryUsage().heapUsed;
    expect(list({ list: Array.from({ length: 400_000 }, () => 0) })).toMatch(/^.{1,400}$/s);
    expect(process.memoryUsage().heapUsed - before).toBeLessThan(100 * 1_048_576);
    // Of few more than the first is said.
    expect(list({ list: [0] })).toContain("/list/0 must be null; /list/0 must be array");
  });

  test("every schema that is admitted compiles", () => {
    const leaf = fc.oneof(
      fc.record(
        {
          type: fc.constantFrom("string", "number", "null", "date", ["string", "null"]),
          minLength: fc.constantFrom(0, 3, -1, "1"),
          pattern: fc.constantFrom("^a+$", "(a+)+", "("),
          format: fc.constantFrom("date", "regex"),
          enum: fc.array(fc.jsonValue({ maxDepth: 1 }), { maxLength: 3 }),
          examples: fc.jsonValue({ maxDepth: 1 }),
          title: fc.constantFrom("t", 1),
          $comment: fc.constantFrom("c", 1),
          deprecated: fc.constantFrom(true, "yes"),
          required: fc.array(fc.constantFrom("a", "b"), { maxLength: 2 }),
          multipleOf: fc.constantFrom(2, 0),
          $ref: fc.constantFrom("#/$defs/d", "#/$defs/e", "#"),
          uniqueItems: fc.constantFrom(true, false, 1),
        },
        { requiredKeys: [] },
      ),
      fc.boolean(),
    );
    const schemas = fc.record(
      {
        type: fc.constant("object"),
        properties: fc.dictionary(fc.string({ maxLength: 4 }), leaf, { maxKeys: 2 }),
        $defs: fc.record({ d: leaf }),
        additionalProperties: leaf,
      },
      { requiredKeys: ["type"] },
    );
    fc.assert(
      fc.property(schemas, (schema) => {
        fc.pre(schemaProblems(schema, "").length === 0);
        expect(() => createArgumentCheck(schema)({})).not.toThrow();
      }),
      { numRuns: 60, maxSkipsPerRun: 500 },
    );
  });
});
