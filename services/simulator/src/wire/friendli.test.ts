import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { numbersFrom } from "../seeded.ts";
import type { WireContext, WireMessage } from "./dialect.ts";
import { slicer } from "./envelope.ts";
import { friendli } from "./friendli.ts";

const digest = "0123456789abcdef".repeat(4);
const context: WireContext = { thinking: true, parseReasoning: true, includeReasoning: true, digest, complete: true };
const raw =
  '두 도구가 필요하다.\n</think>\n\n확인해 보겠습니다.\n<tool_call>{"name": "weather", "arguments": {"city": "서울"}}</tool_call>\n<tool_call>{"name": "air", "arguments": {"city": "서울"}}</tool_call>';

function namesAndArguments(message: WireMessage): (readonly [string, string])[] {
  return (message.tool_calls ?? []).map((call) => [call.function.name, call.function.arguments] as const);
}

describe("raw text becomes a message", () => {
  test("reasoning, text and calls are told apart, newlines kept", () => {
    const { message, finish } = friendli.message(raw, context);
    expect(message.reasoning_content).toBe("두 도구가 필요하다.\n");
    expect(message.content).toBe("\n\n확인해 보겠습니다.\n");
    expect(namesAndArguments(message)).toEqual([
      ["weather", '{"city": "서울"}'],
      ["air", '{"city": "서울"}'],
    ]);
    expect(finish).toBe("tool_calls");
  });

  test("without parse_reasoning a bare </think> stays in the content", () => {
    const { message } = friendli.message("hm\n</think>\n\nyes", { ...context, parseReasoning: false });
    expect(message).toEqual({ role: "assistant", content: "hm\n</think>\n\nyes" });
  });

  test("without include_reasoning the reasoning is left out", () => {
    const { message } = friendli.message("hm\n</think>\n\nyes", { ...context, includeReasoning: false });
    expect(message).toEqual({ role: "assistant", content: "\n\nyes" });
  });

  test("an answer cut while thinking has reasoning and no content", () => {
    const { message, finish } = friendli.message("still thin", { ...context, complete: false });
    expect(message).toEqual({ role: "assistant", content: null, reasoning_content: "still thin" });
    expect(finish).toBe("length");
  });

  test("an answer cut inside a call has the arguments so far and finishes with length", () => {
    const cut = raw.slice(0, raw.lastIndexOf("서울") + 1);
    const { message, finish } = friendli.message(cut, { ...context, complete: false });
    expect(namesAndArguments(message)).toEqual([
      ["weather", '{"city": "서울"}'],
      ["air", '{"city": "서'],
    ]);
    expect(finish).toBe("length");
  });

  test("invalid arguments are passed on as they are, and do not swallow the next call", () => {
    const bad =
      '<tool_call>{"name": "a", "arguments": {"x": "1}</tool_call>\n<tool_call>{"name": "b", "arguments": {}}</tool_call>';
    expect(namesAndArguments(friendli.message(bad, { ...context, thinking: false }).message)).toEqual([
      ["a", '{"x": "1'],
      ["b", "{}"],
    ]);
  });

  test("a closing tag inside an argument string does not end the call", () => {
    const tricky = '<tool_call>{"name": "a", "arguments": {"x": "</tool_call>"}}</tool_call>';
    expect(namesAndArguments(friendli.message(tricky, { ...context, thinking: false }).message)).toEqual([
      ["a", '{"x": "</tool_call>"}'],
    ]);
  });
});

interface Delta {
  readonly role?: string;
  readonly content?: string;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly [
    {
      readonly index: number;
      readonly id: string | null;
      readonly function: { readonly name: string | null; readonly arguments: string };
    },
  ];
}

test("the deltas of any message put together are the message", () => {
  const text = fc.string({ unit: "binary", maxLength: 80 });
  const call = fc.record({ name: fc.constantFrom("a", "b"), arguments: text });
  fc.assert(
    fc.property(text, text, fc.array(call, { maxLength: 3 }), (reasoning, content, calls) => {
      const message: WireMessage = {
        role: "assistant",
        content,
        reasoning_content: reasoning,
        tool_calls: calls.map((fn, index) => ({ id: `call_${index}`, type: "function", function: fn })),
      };
      const deltas = friendli.deltas(message, slicer(numbersFrom(digest))) as Delta[];
      expect(deltas[0]?.role).toBe("assistant");
      expect(deltas.map((delta) => delta.reasoning_content ?? "").join("")).toBe(reasoning);
      expect(deltas.map((delta) => delta.content ?? "").join("")).toBe(content);
      const parts = deltas.flatMap((delta) => delta.tool_calls ?? []);
      calls.forEach((fn, index) => {
        const own = parts.filter((part) => part.index === index);
        expect(own.map((part) => part.id)).toEqual([`call_${index}`, ...own.slice(1).map(() => null)]);
        expect(own.map((part) => part.function.arguments).join("")).toBe(fn.arguments);
      });
    }),
  );
});

test("pieces are 3 to 10 code points long, but for the last", () => {
  const pieces = slicer(numbersFrom(digest))("안녕😀hello ".repeat(40));
  const sizes = pieces.map((piece) => [...piece].length);
  expect(Math.min(...sizes.slice(0, -1))).toBeGreaterThanOrEqual(3);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(10);
  expect(pieces.every((piece) => piece.isWellFormed())).toBe(true);
});
