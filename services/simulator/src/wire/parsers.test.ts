import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { numbersFrom } from "../seeded.ts";
import { CURRENT_VERSIONS, type Dialect, type DialectName, type WireContext } from "./dialect.ts";
import { DIALECTS } from "./dialects.ts";
import { slicer } from "./envelope.ts";
import { readPartialJson } from "./partial-json.ts";

const digest = "0123456789abcdef".repeat(4);
const context: WireContext = {
  thinking: true,
  parseReasoning: true,
  includeReasoning: true,
  digest,
  complete: true,
  kwargs: { enable_thinking: true },
  toolNames: ["weather", "air_quality"],
};
const block = (name: string, json: string): string =>
  `<tool_call>{"name": "${name}", "arguments": ${json}}</tool_call>`;
const think = "두 도구가 필요하다.\n</think>\n\n";
const two = `${think}확인해 보겠습니다.\n${block("weather", '{"city":"서울"}')}\n${block("air_quality", '{"city": "서울"}')}`;

interface Part {
  readonly index: number;
  readonly id?: string | null;
  readonly function: { readonly name?: string | null; readonly arguments?: string };
}

/** A stream put together the way a tolerant client does. */
function assembled(dialect: Dialect, raw: string, given: WireContext = context) {
  const steps = dialect.stream(raw, given, slicer(numbersFrom(digest)));
  const deltas = steps.map(({ delta }) => delta as Record<string, unknown>);
  const text = (name: string) => deltas.map((delta) => (delta[name] as string | null | undefined) ?? "").join("");
  const calls: { name: string; arguments: string }[] = [];
  for (const part of deltas.flatMap((delta) => (delta.tool_calls as Part[] | null | undefined) ?? [])) {
    calls[part.index] ??= { name: "", arguments: "" };
    const call = calls[part.index] as { name: string; arguments: string };
    call.name += part.function.name ?? "";
    call.arguments += part.function.arguments ?? "";
  }
  return {
    reasoning: text("reasoning") || text("reasoning_content"),
    content: text("content"),
    calls,
    finishes: steps.flatMap(({ finish }) => (finish === null ? [] : [finish])),
    deltas,
  };
}

const callsOf = (dialect: Dialect, raw: string, given = context) =>
  (dialect.message(raw, given).message.tool_calls ?? []).map((call) => call.function);

describe("vllm", () => {
  const { vllm } = DIALECTS;

  test("the golden pair: raw text of two calls becomes this message", () => {
    const raw =
      '두 도구가 필요하다.\n</think>\n\n확인해 보겠습니다.\n<tool_call>{"name": "weather", "arguments": {"city": "서울"}}</tool_call>\n<tool_call>{"name": "air_quality", "arguments": {"city": "서울"}}</tool_call>';
    const { message, finish } = vllm.message(raw, context);
    expect(message).toMatchObject({
      role: "assistant",
      reasoning: "두 도구가 필요하다.\n",
      content: "\n\n확인해 보겠습니다.\n",
      tool_calls: [
        { type: "function", function: { name: "weather", arguments: '{"city": "서울"}' } },
        { type: "function", function: { name: "air_quality", arguments: '{"city": "서울"}' } },
      ],
    });
    expect(finish).toBe("tool_calls");
  });

  test("without enable_thinking in the request the reasoning leaks with a bare </think>", () => {
    const { message, finish } = vllm.message(`${think}${block("weather", "{}")}`, { ...context, kwargs: {} });
    expect(message).toMatchObject({ reasoning: null, content: think });
    expect(finish).toBe("tool_calls");
    const before014 = { ...CURRENT_VERSIONS, vllm: { ...CURRENT_VERSIONS.vllm, enableThinkingAware: false } };
    expect(vllm.message("hm</think>yes", { ...context, versions: before014 }).message.reasoning).toBeNull();
    expect(
      vllm.message("hm</think>yes", { ...context, versions: before014, kwargs: { thinking: true } }).message.reasoning,
    ).toBe("hm");
  });

  test("deepseek_r1 leaves the content empty when thinking is off", () => {
    const versions = {
      ...CURRENT_VERSIONS,
      vllm: { ...CURRENT_VERSIONS.vllm, reasoningParser: "deepseek_r1" as const },
    };
    const { message } = vllm.message("the answer", { ...context, kwargs: { enable_thinking: false }, versions });
    expect(message).toMatchObject({ content: null, reasoning: "the answer" });
  });

  test("broken JSON leaks as text in a whole answer, and streams as it is", () => {
    const broken = `${think}${block("weather", '{"city": "서울"').replace("}</", "</")}`;
    const whole = vllm.message(broken, context);
    expect(whole.message).toMatchObject({ content: `\n\n${broken.split("\n\n")[1]}`, tool_calls: [] });
    expect(whole.finish).toBe("stop");
    const stream = assembled(vllm, broken);
    expect(stream.calls).toEqual([{ name: "weather", arguments: '{"city": "서울"' }]);
    expect(stream.content).toBe("\n\n");
    expect(stream.finishes).toEqual(["tool_calls"]);
  });

  test("a closing tag inside an argument cuts the call", () => {
    const raw = `${think}${block("weather", '{"city": "</tool_call>"}')}`;
    expect(callsOf(vllm, raw)).toEqual([]);
    expect(assembled(vllm, raw).calls).toEqual([{ name: "weather", arguments: '{"city": "' }]);
  });

  test("an unclosed last call is accepted, a call inside the think block is lost", () => {
    expect(callsOf(vllm, `${think}${block("weather", "{}").replace("</tool_call>", "")}`)).toHaveLength(1);
    expect(callsOf(vllm, `${block("weather", "{}")}\n</think>\n\nok`)).toEqual([]);
  });

  test("the name comes without arguments, later parts without id; the finish shares the last chunk", () => {
    const { deltas, finishes } = assembled(vllm, two);
    const parts = deltas.flatMap((delta) => (delta.tool_calls as Part[]) ?? []);
    expect(parts[0]).toMatchObject({ index: 0, type: "function", function: { name: "weather" } });
    expect(parts[0]?.function).not.toHaveProperty("arguments");
    expect(parts[1]).not.toHaveProperty("id");
    expect(finishes).toEqual(["tool_calls"]);
    expect(deltas[0]).toEqual({ role: "assistant", content: "" });
  });

  test("a named choice ends with stop and empty content", () => {
    const { message, finish } = vllm.message(two, { ...context, toolChoice: { name: "weather" }, parallel: false });
    expect([message.content, message.tool_calls?.length, finish]).toEqual(["", 1, "stop"]);
  });
});

describe("vllm-legacy", () => {
  test("has reasoning_content, and tool_calls even when there are none", () => {
    const { message } = DIALECTS["vllm-legacy"].message("hm</think>yes", context);
    expect(message).toMatchObject({ content: "yes", reasoning_content: "hm", tool_calls: [] });
    expect(message).not.toHaveProperty("reasoning");
  });
});

describe("sglang", () => {
  const { sglang } = DIALECTS;

  test("content is never null, calls have an index, a closing tag in an argument does no harm", () => {
    const { message, finish } = sglang.message(`${think}${block("weather", '{"city": "</tool_call>"}')}`, context);
    expect(message.content).toBe("");
    expect(message.tool_calls).toMatchObject([
      {
        index: 0,
        id: expect.stringMatching(/^call_[0-9a-f]{24}$/),
        function: { arguments: '{"city": "</tool_call>"}' },
      },
    ]);
    expect(finish).toBe("tool_calls");
  });

  test("a broken tail vanishes; a broken first call is text that finished with tool_calls", () => {
    expect(callsOf(sglang, `${think}${block("weather", "{}")}${block("air_quality", "{")}`)).toHaveLength(1);
    const { message, finish } = sglang.message(`${think}${block("weather", "{")}`, context);
    expect([message.tool_calls, finish]).toEqual([[], "tool_calls"]);
    expect(message.content).toContain("<tool_call>");
  });

  test("calls of tools that were not offered are dropped", () => {
    expect(callsOf(sglang, `${think}${block("Read", "{}")}${block("weather", "{}")}`).map(({ name }) => name)).toEqual([
      "weather",
    ]);
  });

  test("streamed arguments are escaped, and agree with the whole answer once parsed", () => {
    const { calls } = assembled(sglang, two);
    expect(calls[0]?.arguments).toBe('{"city": "\\uc11c\\uc6b8"}');
    const plain = { ...CURRENT_VERSIONS, sglang: { ...CURRENT_VERSIONS.sglang, asciiStreamArguments: false } };
    expect(assembled(sglang, two, { ...context, versions: plain }).calls).toEqual(callsOf(sglang, two));
  });

  test("the finish reason comes twice in old releases", () => {
    const old = { ...CURRENT_VERSIONS, sglang: { ...CURRENT_VERSIONS.sglang, duplicateFinish: true } };
    expect(assembled(sglang, two, { ...context, versions: old }).finishes).toEqual(["tool_calls", "tool_calls"]);
  });

  test("a call ends the think block when nothing else does", () => {
    const { message } = sglang.message(`hm\n${block("weather", "{}")}`, context);
    expect([message.reasoning_content, message.tool_calls?.length]).toEqual(["hm\n", 1]);
  });
});

describe("openai", () => {
  test("has no reasoning, and null content beside calls", () => {
    const { message, finish } = DIALECTS.openai.message(`${think}${block("weather", "{}")}`, context);
    expect(Object.keys(message)).toEqual(["role", "content", "refusal", "annotations", "tool_calls"]);
    expect([message.content, finish]).toEqual([null, "tool_calls"]);
    expect(JSON.stringify(assembled(DIALECTS.openai, two).deltas)).not.toContain("필요");
  });
});

test.each(Object.keys(DIALECTS) as DialectName[])("%s: streamed and whole agree when the text is sound", (name) => {
  const dialect = DIALECTS[name];
  const value = fc.string({ unit: "binary", maxLength: 20 }).map((text) => text.replaceAll("<", ""));
  fc.assert(
    fc.property(value, value, fc.array(value, { maxLength: 3 }), (reasoning, text, values) => {
      const calls = values.map((city) => block("weather", `{"city": ${JSON.stringify(city)}}`)).join("\n");
      const raw = `${reasoning}\n</think>\n\nx${text}\n${calls}`;
      const { message, finish } = dialect.message(raw, context);
      const stream = assembled(dialect, raw);
      const parse = (args: string): unknown => JSON.parse(args);
      expect(stream.calls.map((call) => parse(call.arguments))).toEqual(
        (message.tool_calls ?? []).map((call) => parse(call.function.arguments)),
      );
      expect(stream.content.trim()).toBe((message.content ?? "").trim());
      expect(stream.reasoning).toBe(message.reasoning ?? message.reasoning_content ?? "");
      expect(stream.finishes).toEqual([finish]);
    }),
    { numRuns: 60 },
  );
});

describe("partial JSON", () => {
  test.each([
    ['{"a": "b', true, { a: "b" }],
    ['{"a": "b', false, {}],
    ['{"a": [1, {"b": tr', true, { a: [1, {}] }],
    ['{"a": "x\\u12', true, { a: "x" }],
    ['{"a": 1, "b', true, { a: 1 }],
  ])("%s (strings cut: %s)", (text, strings, value) => {
    expect(readPartialJson(text, strings)).toEqual({ value, end: text.length, complete: false });
  });

  test("a complete value tells where it ended, a malformed one is nothing", () => {
    expect(readPartialJson('{"a": "}"}</tool_call>', false)).toEqual({ value: { a: "}" }, end: 10, complete: true });
    expect(readPartialJson("{a: 1}", true)).toBeUndefined();
    expect(readPartialJson("[".repeat(100_000), true)).toBeUndefined();
  });

  test("reads whatever JSON.parse reads", () => {
    fc.assert(
      fc.property(fc.jsonValue({ noUnicodeString: false }), (value) => {
        const text = `[${JSON.stringify(value)}]`;
        expect(readPartialJson(text, true)).toEqual({ value: JSON.parse(text), end: text.length, complete: true });
      }),
      { numRuns: 60, examples: [[JSON.parse('{"__proto__":{"a":[]}}')]] },
    );
  });
});
