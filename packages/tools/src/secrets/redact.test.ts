import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { base64Writings, leaks, writings } from "../../../../tests/setup/secret-forms.ts";
import { createRedactor } from "./redact.ts";

const KEY = "sk-live/9+a%B&c=\"q\\z' 비밀";
const redactor = createRedactor([{ name: "KEY", value: KEY }]);

/** What a person may set: any characters that can be stored, eight or more. */
const secret = fc
  .oneof(
    fc.string({ minLength: 8, maxLength: 60 }),
    fc.string({ minLength: 8, maxLength: 40, unit: "binary" }),
    fc.string({ minLength: 8, maxLength: 40, unit: fc.constantFrom(...'%\\"+/ &;u0041n<') }),
    fc.stringMatching(/^[A-Za-z0-9_-]{20,60}$/),
  )
  .filter((text) => [...text].length >= 8 && !text.includes("\0") && text.isWellFormed());
const surrounding = fc.oneof(
  fc.string({ maxLength: 200 }),
  fc.string({ maxLength: 60, unit: fc.constantFrom(...'\\"%&;=+/u0041 \nab') }),
);

describe("a redactor", () => {
  test.each(Object.entries(writings(KEY)))("takes out a secret written as: %s", (_form, written) => {
    expect(redactor.redact(`before ${written} after`)).toBe("before [secret KEY] after");
  });

  test.each([0, 1, 2, 3, 4, 5].flatMap((before) => [0, 1, 2].map((after) => [before, after] as const)))(
    "takes base64 out of a longer text, %i bytes before and %i after",
    (before, after) => {
      const texts = base64Writings(KEY, Buffer.alloc(before, "a"), Buffer.alloc(after, "z"));
      for (const [form, text] of Object.entries(texts)) {
        const clean = redactor.redact(`Basic ${text}`);
        expect([form, leaks(clean, KEY), clean.includes("[secret KEY]")]).toEqual([form, [], true]);
      }
    },
  );

  test("leaves no form of any secret, at any place in any text", () => {
    fc.assert(
      fc.property(secret, surrounding, surrounding, fc.nat(), (value, before, after, choice) => {
        const forms = Object.entries(writings(value));
        const [form, written] = forms[choice % forms.length] as [string, string];
        const clean = createRedactor([{ name: "A", value }]).redact(`${before}${written}${after}`);
        expect([form, leaks(clean, value)]).toEqual([form, []]);
      }),
      { numRuns: 1_000 },
    );
  });

  test("leaves no base64 of any secret, at any alignment", () => {
    const bytes = fc.uint8Array({ maxLength: 40 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(secret, bytes, bytes, surrounding, fc.nat(), (value, before, after, text, choice) => {
        const forms = Object.entries(base64Writings(value, before, after));
        const [form, written] = forms[choice % forms.length] as [string, string];
        const clean = createRedactor([{ name: "A", value }]).redact(`${text} ${written} ${text}`);
        expect([form, leaks(clean, value)]).toEqual([form, []]);
      }),
      { numRuns: 1_000 },
    );
  });

  test("leaves a text without secrets as it is", () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 500, unit: "binary" }), (text) => {
        fc.pre(text.isWellFormed());
        expect(redactor.redact(text)).toBe(text);
      }),
    );
  });

  test("cut at any byte, a secret at the edge leaves nothing of it: the cut comes after", () => {
    fc.assert(
      fc.property(secret, fc.nat({ max: 300 }), fc.nat({ max: 400 }), fc.boolean(), (value, at, max, cutBefore) => {
        const one = createRedactor([{ name: "A", value }]);
        const source = `${"x".repeat(at)}${value}${"y".repeat(20_000)}`;
        // As a tool cuts that keeps what the context asks it to keep.
        const given = cutBefore
          ? Buffer.from(source)
              .subarray(0, max + one.margin)
              .toString("utf8")
          : source;
        const { text, truncated } = one.redactAndCut(given, max, cutBefore);
        expect(truncated).toBe(true);
        const [kept = ""] = text.split("\n[cut: ");
        expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(max);
        // Only whole pieces of the surroundings and of the words in the secret's place are left.
        expect(`${"x".repeat(at)}[secret A]${"y".repeat(20_000)}`.startsWith(kept)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  test("many secrets before the limit do not let one beyond it come in, cut in half", () => {
    const long = "s3cr3t-".repeat(40);
    const one = createRedactor([{ name: "A", value: long }]);
    const max = 1_000;
    const text = long.repeat(200);
    const given = Buffer.from(text)
      .subarray(0, max + one.margin)
      .toString("utf8");
    const clean = one.redactAndCut(given, max, true).text;
    expect(clean).not.toContain("s3cr3t");
    expect(clean).toMatch(/^(?:\[secret A\])+\n\[cut: \d+ more bytes\]$/);
  });

  test("of one secret that begins another, and of two that overlap, nothing is left", () => {
    const both = createRedactor([
      { name: "SHORT", value: "password" },
      { name: "LONG", value: "password-1234" },
      { name: "NEXT", value: "1234-abcdefgh" },
    ]);
    expect(both.redact("a password-1234 b")).toBe("a [secret LONG] b");
    expect(both.redact("a password-1234-abcdefgh b")).toBe("a [secret LONG] b");
  });

  test("a value that is part of the words in its place is not brought back by them", () => {
    for (const [name, value] of [
      ["PASSWORD", "PASSWORD"],
      ["A", "[secret A]"],
      ["A", "[secret]"],
      ["A", "secret A"],
      ["AB", "xx[secret "],
      ["AB", " AB]yyyyyy"],
    ] as const) {
      const one = createRedactor([
        { name, value },
        { name: "AB", value: "another-value" },
      ]);
      for (const text of [`a ${value} b`, `xx${value}`, `${value}yyyyyy`, "xxanother-value", "another-valueyyyyyy"])
        expect([text, leaks(one.redact(text), value)]).toEqual([text, []]);
    }
  });

  test("withholds a text made to take for ever, and reads a large one once for however many secrets", () => {
    const costly = createRedactor(
      Array.from({ length: 32 }, (_, index) => ({ name: `A${index}`, value: `${"a".repeat(8_000)}${index}` })),
    );
    expect(costly.redactAndCut("a".repeat(1_048_576), 1_048_576).text).toMatch(/^\[withheld/);
    const many = createRedactor(
      Array.from({ length: 32 }, (_, index) => ({ name: `B${index}`, value: `key-${index}-`.repeat(20) })),
    );
    const page = '{"id":12345,"name":"서울 \\"특별시\\"","url":"https%3A%2F%2Fexample.com"},'.repeat(12_000);
    const text = `${page}${Buffer.from("key-7-".repeat(20)).toString("base64")}${page}`;
    const { text: clean } = many.redactAndCut(text, 4_000_000);
    expect(clean).toBe(`${page}[secret B7]${page}`);
  });
});
