import fc from "fast-check";
import { expect, test } from "vitest";
import { cutAt, type Habits, type Meant, read, streamOf, TOOL_NAMES } from "../test/streams.ts";

const plain = fc.string({
  unit: fc.constantFrom(...'서울날씨알려줘ab1 .,"\\{}\n\t🌤👨‍👩‍👧é한글中日𝒳', "́", "<", ">", "|"),
  maxLength: 60,
});
/** Texts with pieces of marks in them, whole and broken. */
const marked = fc
  .array(
    fc.oneof(
      plain,
      fc.constantFrom(
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<|endofturn|>",
        "<thi",
        "</",
        "[DONE]",
        "data: x\n\n",
      ),
    ),
    { maxLength: 6 },
  )
  .map((parts) => parts.join(""));
const args = fc.dictionary(
  fc.constantFrom("city", "도시", "n", "list"),
  fc.oneof(plain, fc.integer(), fc.array(plain, { maxLength: 3 })),
  {
    maxKeys: 3,
  },
);
const calls = fc.array(fc.record({ name: fc.constantFrom(...TOOL_NAMES), args }), { maxLength: 3 });
const habits: fc.Arbitrary<Habits> = fc.record({
  reasoningField: fc.constantFrom("reasoning", "reasoning_content", "thinking_content"),
  ids: fc.constantFrom("each", "none", "first delta again"),
  indexes: fc.constantFrom("each", "none", "zero"),
  lengths: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
  usage: fc.constantFrom("last", "every chunk", "none"),
  lineEnd: fc.constantFrom("\n", "\r\n"),
  dataSpace: fc.boolean(),
  named: fc.boolean(),
  comments: fc.boolean(),
  pretty: fc.boolean(),
  done: fc.boolean(),
});
const places = fc.oneof(
  { weight: 40, arbitrary: fc.array(fc.nat(20_000), { maxLength: 40 }) },
  // Every byte alone.
  { weight: 1, arbitrary: fc.constant(Array.from({ length: 5_000 }, (_, index) => index)) },
);

test("S1: any cut of any answer's bytes assembles to the same answer, and shows the same", async () => {
  const meant: fc.Arbitrary<Meant> = fc.record({ reasoning: marked, text: marked, calls });
  await fc.assert(
    fc.asyncProperty(meant, habits, places, async (answer, host, cuts) => {
      const bytes = new TextEncoder().encode(streamOf(answer, host));
      const whole = await read([bytes]);
      const cut = await read(cutAt(bytes, cuts));
      expect(cut).toEqual(whole);
      const shown = whole.deltas.flatMap((delta) => (delta.kind === "text" ? [delta.text] : [])).join("");
      expect(shown.trim()).toBe(whole.answer.text.trim());
    }),
    { numRuns: 10_000 },
  );
}, 120_000);

test("A3, S3: whatever the host's habits, the answer is what the model meant", async () => {
  const innocent = plain.map((text) => text.replaceAll(/[<>|]/g, ""));
  const meant: fc.Arbitrary<Meant> = fc.record({ reasoning: innocent, text: innocent, calls });
  await fc.assert(
    fc.asyncProperty(meant, habits, async (answer, host) => {
      const { answer: got } = await read([new TextEncoder().encode(streamOf(answer, host))]);
      expect(got.text.trim()).toBe(answer.text.trim());
      expect(got.reasoning.trim()).toBe(answer.reasoning.trim());
      expect(got.toolCalls.map(({ name, arguments: text }) => ({ name, args: JSON.parse(text) }))).toEqual(
        answer.calls.map((call) => ({ name: call.name, args: JSON.parse(JSON.stringify(call.args)) })),
      );
      expect(new Set(got.toolCalls.map(({ id }) => id)).size).toBe(answer.calls.length);
      expect(got.usage.estimated).toBe(host.usage === "none");
    }),
    { numRuns: 3_000 },
  );
}, 60_000);

test("S1: a line that comes in very many pieces takes no longer than its length", async () => {
  const line = `data: {"choices":[{"index":0,"delta":{"content":"${"x".repeat(8_000_000)}"},"finish_reason":"stop"}]}\n\n`;
  const bytes = new TextEncoder().encode(line);
  const pieces = Array.from({ length: Math.ceil(bytes.length / 64) }, (_, index) =>
    bytes.slice(index * 64, index * 64 + 64),
  );
  expect((await read(pieces)).answer.text).toHaveLength(8_000_000);
}, 60_000);
