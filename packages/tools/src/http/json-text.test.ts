import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compactJson, createPicker, elementsOf, isJson, type Pointer, parsePointer } from "./json-text.ts";

const partsOf = (json: string, pointers: readonly Pointer[]) => createPicker(pointers)(json);

/** What a walk over the parsed document finds; undefined where that is nothing. */
function walk(value: unknown, pointer: readonly string[]): unknown {
  let at = value;
  for (const token of pointer) {
    if (typeof at !== "object" || at === null) return undefined;
    if (Array.isArray(at) && !/^(?:0|[1-9]\d*)$/.test(token)) return undefined;
    if (!Object.hasOwn(at, token)) return undefined;
    at = (at as Record<string, unknown>)[token];
  }
  return at;
}

const tricky = fc.constantFrom(
  "a",
  "b",
  "a/b",
  "~",
  "~1",
  "",
  "0",
  "1",
  "01",
  "-",
  "__proto__",
  "length",
  '"',
  "a\\",
  "서울",
  "{",
  "]",
);
// No key begins with a backslash: after one that is just that, Node 24.21's JSON.parse takes an escaped key of one character
// for it, and could not be the judge.
const key = fc
  .oneof({ weight: 4, arbitrary: tricky }, { weight: 1, arbitrary: fc.string({ unit: "binary" }) })
  .filter((name) => !name.startsWith("\\"));
const scalar = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.constantFrom("a\\", '"', "[1,{", "}", "\\\\", "\\u005c"),
  fc.double({ noNaN: true, noDefaultInfinity: true }),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
);
const { document, object, list } = fc.letrec<{ document: unknown; list: unknown; object: unknown }>((tie) => ({
  document: fc.oneof({ maxDepth: 5, withCrossShrink: true }, scalar, tie("list"), tie("object")),
  list: fc.array(tie("document"), { maxLength: 4 }),
  // With entries and not as an object, so that a key may stand twice.
  object: fc.array(fc.tuple(key, tie("document")), { maxLength: 5 }).map((entries) => new Entries(entries)),
}));
class Entries {
  readonly entries: readonly [string, unknown][];
  constructor(entries: readonly [string, unknown][]) {
    this.entries = entries;
  }
}

/** Written with white space and escapes where JSON lets them be. */
function write(value: unknown, space: string): string {
  if (value instanceof Entries) {
    const members = value.entries.map(([name, item]) => `${space}${escaped(name)}${space}:${write(item, space)}`);
    return `${space}{${members.join(",") || space}}${space}`;
  }
  if (Array.isArray(value)) return `${space}[${value.map((item) => write(item, space)).join(",") || space}]${space}`;
  return `${space}${JSON.stringify(value)}${space}`;
}
const escaped = (name: string): string =>
  JSON.stringify(name).replace(
    /^"([a-z])/,
    (_all, letter: string) => `"\\u${letter.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );

const container = fc.oneof({ weight: 3, arbitrary: object }, { weight: 1, arbitrary: list });
const pointer = fc.array(key, { maxLength: 3 });

describe("parts of a JSON text", () => {
  test("are what parsing it and walking finds, for any document and any pointers", () => {
    let hits = 0;
    fc.assert(
      fc.property(
        fc.oneof({ weight: 9, arbitrary: container }, { weight: 1, arbitrary: document }),
        fc.array(pointer, { minLength: 1, maxLength: 5 }),
        fc.constantFrom("", " ", "\n\t "),
        (tree, pointers, space) => {
          const json = write(tree, space);
          const value: unknown = JSON.parse(json);
          const parts = partsOf(json, pointers);
          for (const [index, part] of parts.entries()) {
            const expected = walk(value, pointers[index] as string[]);
            if (part !== null && (pointers[index] as string[]).length > 0) hits++;
            expect(part === null ? undefined : JSON.parse(part)).toEqual(expected);
            expect(part).toBe(part?.trim() ?? null);
          }
        },
      ),
      { numRuns: 5_000 },
    );
    // Else the property would say little.
    expect(hits).toBeGreaterThan(100);
  });

  test("are found at every place there is", () => {
    fc.assert(
      fc.property(document, fc.constantFrom("", "\r\n "), (tree, space) => {
        const json = write(tree, space);
        const places: [string[], unknown][] = [];
        const collect = (value: unknown, path: string[]) => {
          places.push([path, value]);
          if (typeof value === "object" && value !== null)
            for (const [token, item] of Object.entries(value)) collect(item, [...path, token]);
        };
        collect(JSON.parse(json), []);
        const parts = partsOf(
          json,
          places.map(([path]) => path),
        );
        expect(parts.map((part) => JSON.parse(part as string))).toEqual(places.map(([, value]) => value));
      }),
      { numRuns: 2_000 },
    );
  });

  test("keep the digits that a number has", () => {
    const json = '{"a": [1, {"id": 12345678901234567890, "x": 1.10, "e": 1E400}], "z": -0}';
    expect(partsOf(json, ["/a/1/id", "/a/1/x", "/a/1/e", "/z"].map(parsePointer))).toEqual([
      "12345678901234567890",
      "1.10",
      "1E400",
      "-0",
    ]);
  });

  test("of a key that stands twice are those of the last", () => {
    expect(partsOf('{"a":{"b":1},"a":{"c":2}}', ["/a", "/a/b", "/a/c"].map(parsePointer))).toEqual([
      '{"c":2}',
      null,
      "2",
    ]);
  });

  test("of the examples in RFC 6901 §5", () => {
    const json = '{"foo":["bar","baz"],"":0,"a/b":1,"c%d":2,"e^f":3,"g|h":4,"i\\\\j":5,"k\\"l":6," ":7,"m~n":8}';
    const texts = ["", "/foo", "/foo/0", "/", "/a~1b", "/c%d", "/e^f", "/g|h", "/i\\j", '/k"l', "/ ", "/m~0n"];
    expect(partsOf(json, texts.map(parsePointer))).toEqual([
      json,
      '["bar","baz"]',
      '"bar"',
      "0",
      "1",
      "2",
      "3",
      "4",
      "5",
      "6",
      "7",
      "8",
    ]);
  });

  test("are found under keys that are written with escapes", () => {
    expect(partsOf('{"\\\\": 1, "\\u0061": 2, "\\"": 3}', ["/\\", "/a", '/"'].map(parsePointer))).toEqual([
      "1",
      "2",
      "3",
    ]);
  });

  test("of a text nested without end are found without an overflow", () => {
    const levels = 200_000;
    const json = `{"a":1,"deep":${"[".repeat(levels)}${"]".repeat(levels)},"b":2}`;
    expect(partsOf(json, [["b"], ["deep", "1"]])).toEqual(["2", null]);
  });
});

test("a list's elements are its elements, and nothing else is a list", () => {
  fc.assert(
    fc.property(document, fc.constantFrom("", "\n "), (tree, space) => {
      const json = write(tree, space);
      const value: unknown = JSON.parse(json);
      const elements = elementsOf(json);
      expect(elements?.map((element) => JSON.parse(element)) ?? null).toEqual(Array.isArray(value) ? value : null);
    }),
    { numRuns: 1_000 },
  );
});

test("compact JSON has no white space, and is the same value", () => {
  fc.assert(
    fc.property(document, (tree) => {
      const compact = compactJson(write(tree, "\n \t"));
      expect(JSON.parse(compact)).toEqual(JSON.parse(write(tree, "")));
      expect(compact.length).toBe(write(tree, "").length);
    }),
    { numRuns: 1_000 },
  );
});

test.each<[string, boolean]>([
  ["[".repeat(1_000) + "]".repeat(1_000), true],
  ["[".repeat(1_001) + "]".repeat(1_001), false],
  [`${'{"a":'.repeat(1_001)}1${"}".repeat(1_001)}`, false],
  [JSON.stringify(`\\"${"[{".repeat(2_000)}`), true],
  [`[${"[],".repeat(2_000)}1]`, true],
  ['"', false],
  ["\\", false],
])("JSON is what parses and does not nest beyond a thousand levels (case %#)", (text, expected) => {
  expect(isJson(text)).toBe(expected);
});
