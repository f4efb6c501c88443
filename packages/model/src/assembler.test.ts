import type { FinishReason, ModelAnswer } from "@maru/contract";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { asked, assemble, chunk, cut } from "../test/kit.ts";
import { classifyAnswer } from "./classify.ts";
import type { WireChunk } from "./wire.ts";

const call = (fields: object) => chunk({ tool_calls: [fields] });
const args = (answer: ModelAnswer) => answer.toolCalls.map((each) => each.arguments);

describe("reading an answer", () => {
  test.each([
    [undefined, ""],
    [null, ""],
    ["", ""],
    ["\n\n", ""],
    ["\n\n맑음\n", "맑음"],
  ])("A1: content %j is the text %j", (content, text) => {
    const message = content === undefined ? {} : { content };
    const { answer } = assemble([{ choices: [{ message, finish_reason: "stop" }] }]);
    expect(answer.text).toBe(text);
  });

  test("A2: thinking is read from either field, and from only one where both have it", () => {
    expect(assemble([chunk({ reasoning_content: "a" }, "stop")]).answer.reasoning).toBe("a");
    expect(assemble([chunk({ reasoning: "a" }, "stop")]).answer.reasoning).toBe("a");
    expect(assemble([chunk({ reasoning: "a", reasoning_content: "a" }, "stop")]).answer.reasoning).toBe("a");
    expect(assemble([chunk({ reasoning: "a", reasoning_content: null }, "stop")]).answer.reasoning).toBe("a");
  });

  test("A2: leak A, an unparsed answer beside structured calls: what stands before a bare </think> was thinking", () => {
    const { answer, text } = assemble([
      {
        choices: [
          {
            index: 0,
            finish_reason: "tool_calls",
            message: {
              content: "사용자는 날씨를 원한다. weather를 부르자.\n</think>\n\n",
              reasoning: null,
              tool_calls: [{ id: "chatcmpl-tool-7f0c", function: { name: "weather", arguments: '{"city": "서울"}' } }],
            },
          },
        ],
      },
    ]);
    expect(answer).toMatchObject({
      text: "",
      reasoning: "사용자는 날씨를 원한다. weather를 부르자.",
      toolCalls: [asked("chatcmpl-tool-7f0c", "weather", '{"city": "서울"}')],
    });
    expect(text).toBe("");
  });

  test("A2: without thinking asked for, a stray mark goes and the text on both sides stays", () => {
    const { answer } = assemble([chunk({ content: "하나 </think>둘<think>몰래</think>" }, "stop")], {
      thinking: false,
    });
    expect(answer.text).toBe("하나 둘");
  });

  test("A2: a whole <think> block goes; an answer about the mark itself keeps it", () => {
    expect(assemble([chunk({ content: "<think>\n음\n</think>\n\n답" }, "stop")]).answer).toMatchObject({
      reasoning: "음",
      text: "답",
    });
    expect(assemble([chunk({ content: "The <think> mark opens it." }, "stop")]).answer.text).toBe(
      "The <think> mark opens it.",
    );
    expect(assemble([chunk({ content: "Use <tool_call> for it." }, "stop")]).answer.text).toBe(
      "Use <tool_call> for it.",
    );
  });

  test("A2: a call inside thinking is not a call", () => {
    const { answer } = assemble([
      chunk({ content: '<tool_call>{"name": "weather", "arguments": {}}</tool_call> 할까?</think>아니요.' }, "stop"),
    ]);
    expect([answer.toolCalls, answer.text]).toEqual([[], "아니요."]);
  });

  test.each([null, []])("A3: tool_calls %j is none", (tool_calls) => {
    expect(assemble([chunk({ content: "x", tool_calls }, "stop")], { thinking: false }).answer.toolCalls).toEqual([]);
  });

  test("A3: a call without an id, or with another's, gets its own; odd arguments become text", () => {
    const { answer } = assemble([
      chunk({
        tool_calls: [
          { index: 0, function: { name: "weather", arguments: { city: "서울" } } },
          { index: 1, id: "x", function: { name: "weather", arguments: null } },
          { index: 2, id: "x", function: { name: "weather", arguments: "" } },
          { index: 3, id: "", function: { name: "weather", arguments: "null" } },
          { index: 4, id: "nameless", function: {} },
          null,
        ],
      }),
      chunk({}, "tool_calls"),
    ]);
    expect(answer.toolCalls).toEqual([
      asked("minted_1", "weather", '{"city":"서울"}'),
      asked("x", "weather", "{}"),
      asked("minted_2", "weather", "{}"),
      asked("minted_3", "weather", "{}"),
    ]);
  });

  test("A3: in a body that was not streamed each call stands for itself, whatever its id", () => {
    const twice = ["서울", "부산"].map((city) => ({ id: "x", function: { name: "weather", arguments: { city } } }));
    const message = { tool_calls: [...twice, { function: { name: "weather" } }, { function: { name: "weather" } }] };
    expect(assemble([{ choices: [{ message, finish_reason: "tool_calls" }] }]).answer.toolCalls).toEqual([
      asked("x", "weather", '{"city":"서울"}'),
      asked("minted_1", "weather", '{"city":"부산"}'),
      asked("minted_2", "weather", "{}"),
      asked("minted_3", "weather", "{}"),
    ]);
  });

  test.each([
    [
      '<tool_call>{"name": "locate", "arguments": {"location": "강남역"}}</tool_call>',
      "locate",
      { location: "강남역" },
    ],
    [
      '<tool_call>{"kma_today" name="kma_today" arguments={"location": "서울"}}</tool_call>',
      "kma_today",
      { location: "서울" },
    ],
    [
      '<tool_call>{"name_nmc_emergency_search": {"query": "근처 응급실"}}</tool_call>',
      "nmc_emergency_search",
      { query: "근처 응급실" },
    ],
    [
      "<tool_call>koroad_accident_hotspot_search\n<arg_key>location</arg_key><arg_value>어린이 보호구역</arg_value>\n</tool_call>",
      "koroad_accident_hotspot_search",
      { location: "어린이 보호구역" },
    ],
  ])("A4: a call written as text is a call, and not shown: %s", (content, name, expected) => {
    const { answer, deltas } = assemble([chunk({ content }, "stop")], { thinking: false });
    expect(answer.toolCalls.map((each) => [each.name, JSON.parse(each.arguments)])).toEqual([[name, expected]]);
    expect([answer.text, deltas]).toEqual(["", []]);
    expect(classifyAnswer(answer, { thinking: false })).toBe("tools");
    const nothing = assemble([chunk({ content }, "stop")], { thinking: false, toolNames: [] });
    expect([nothing.answer.toolCalls, nothing.answer.text]).toEqual([[], ""]);
  });

  test("A4: an end tag inside an argument is part of it", () => {
    const { answer } = assemble(
      [
        chunk(
          { content: 'a <tool_call>{"name": "weather", "arguments": {"q": "\\"</tool_call>\\""}}</tool_call> b' },
          "stop",
        ),
      ],
      { thinking: false },
    );
    expect([answer.text, args(answer).map((each) => JSON.parse(each))]).toEqual(["a  b", [{ q: '"</tool_call>"' }]]);
  });

  test("A4: a call without its end counts only when its JSON is whole and the answer was not cut", () => {
    const open = '<tool_call>{"name": "weather", "arguments": {"city": "서울"}}';
    const xml = "<tool_call>weather<arg_key>city</arg_key><arg_value>서울</arg_value>";
    const calls = (content: string, finish: string) =>
      assemble([chunk({ content }, finish)], { thinking: false }).answer.toolCalls.length;
    expect([calls(open, "stop"), calls(open, "length"), calls(xml, "stop"), calls(xml, "length")]).toEqual([
      1, 0, 0, 0,
    ]);
  });

  test("A4: leak B, malformed call text with finish stop, is neither shown nor carried out", () => {
    const { answer } = assemble([
      {
        choices: [
          {
            index: 0,
            finish_reason: "stop",
            message: {
              content: '<tool_call>{"name": "weather", "arguments": {"city": "서울"</tool_call>',
              tool_calls: [],
              reasoning: "...",
            },
          },
        ],
      },
    ]);
    expect([answer.text, answer.toolCalls, classifyAnswer(answer, { thinking: true })]).toEqual(["", [], "empty"]);
  });

  test.each<[string, FinishReason, string[], string, string]>([
    ["tools", "tool_calls", ["{}"], "", ""],
    ["tools", "stop", ["{}"], "", ""],
    ["tools", "unknown", ["{}"], "", ""],
    ["tools", "tool_calls", ["{bad"], "", ""],
    ["tools", "length", ["{}", '{"a":1}'], "", ""],
    ["truncated", "length", ["{}", '{"a'], "", ""],
    ["truncated", "length", [""], "", ""],
    ["final", "stop", [], "네", ""],
    ["final", "unknown", [], "네", ""],
    ["empty", "stop", [], " \n", ""],
    ["empty", "stop", [], "", "음"],
    ["thinking_ate_budget", "length", [], "", "음"],
    ["truncated", "length", [], "네", "음"],
    ["protocol_error", "tool_calls", [], "네", ""],
    ["filtered", "content_filter", ["{}"], "네", ""],
    ["failed", "error", ["{}"], "네", ""],
  ])("A5: %s for finish %s, arguments %j, text %j, thinking %j", (expected, finishReason, texts, text, reasoning) => {
    const toolCalls = texts.map((each, index) => asked(`c${index}`, "weather", each));
    const usage = { inputTokens: 1, cachedInputTokens: 0, outputTokens: 1, estimated: false };
    const answer: ModelAnswer = { reasoning, text, toolCalls, finishReason, usage, model: "m" };
    expect(classifyAnswer(answer, { thinking: true })).toBe(expected);
  });

  test("A5: a call cut before its arguments is not one without arguments", () => {
    const cutOff = [call({ index: 0, id: "a", function: { name: "weather" } }), chunk({}, "length")];
    expect(classifyAnswer(assemble(cutOff).answer, { thinking: true })).toBe("truncated");
    const whole = [call({ index: 0, id: "a", function: { name: "weather" } }), chunk({}, "tool_calls")];
    expect(args(assemble(whole).answer)).toEqual(["{}"]);
  });

  test("A5: an answer that never ended is a failure, with its text kept as partial", () => {
    const { answer, finished } = assemble([chunk({ content: "half" })], { thinking: false });
    expect([answer.text, finished, classifyAnswer(answer, { thinking: false })]).toEqual(["half", false, "failed"]);
  });

  test("A8: usage is the host's; what it leaves out is counted by us and said to be", () => {
    const usage = (given: WireChunk["usage"]) =>
      assemble([chunk({ content: "안녕하세요" }, "stop"), { choices: [], usage: given ?? null }]).answer.usage;
    expect(usage({ prompt_tokens: 50, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 16 } })).toEqual({
      inputTokens: 50,
      cachedInputTokens: 16,
      outputTokens: 7,
      estimated: false,
    });
    expect(usage({ prompt_tokens: 50, completion_tokens: 7, prompt_tokens_details: null })).toMatchObject({
      cachedInputTokens: 0,
      estimated: false,
    });
    expect(
      usage({ prompt_tokens: 5, completion_tokens: 7, prompt_tokens_details: { cached_tokens: 99 } }),
    ).toMatchObject({
      cachedInputTokens: 5,
    });
    expect(usage({ prompt_tokens: 50 })).toMatchObject({ inputTokens: 50, outputTokens: 3, estimated: true });
    expect(usage(null)).toMatchObject({ inputTokens: 100, outputTokens: 3, estimated: true });
  });

  test("A8: tokens of thinking and of calls are output too where we count", () => {
    const { answer } = assemble([
      chunk({ reasoning: "abcdefgh" }),
      call({ index: 0, function: { name: "weather", arguments: "" } }),
      chunk({}, "tool_calls"),
    ]);
    expect(answer.usage.outputTokens).toBe(4);
  });
});

describe("reading a stream", () => {
  const vllm: WireChunk[] = [
    { model: "m", ...chunk({ role: "assistant", content: "" }) },
    chunk({ reasoning: "두 도구가 " }),
    call({ id: "chatcmpl-tool-a", type: "function", index: 0, function: { name: "weather" } }),
    call({ index: 0, function: { arguments: '{"city": "서' } }),
    chunk({
      tool_calls: [
        { index: 0, function: { arguments: '울"}' } },
        { id: "chatcmpl-tool-b", index: 1, function: { name: "air_quality" } },
      ],
    }),
    chunk({ tool_calls: [{ index: 1, function: { arguments: '{"city": "서울"}' } }] }, "tool_calls"),
    { model: "m", choices: [], usage: { prompt_tokens: 412, completion_tokens: 88 } },
  ];

  test("S2: vLLM, two calls, the second opening in the chunk of the first's end", () => {
    expect(assemble(vllm).answer).toEqual({
      reasoning: "두 도구가",
      text: "",
      toolCalls: [
        asked("chatcmpl-tool-a", "weather", '{"city": "서울"}'),
        asked("chatcmpl-tool-b", "air_quality", '{"city": "서울"}'),
      ],
      finishReason: "tool_calls",
      usage: { inputTokens: 412, cachedInputTokens: 0, outputTokens: 88, estimated: false },
      model: "m",
    });
  });

  test("S2: parts that are absent, null or of the wrong kind, a second finish and usage on every chunk do no harm", () => {
    const odd = [{}, { choices: null }, { choices: {} }, { choices: [null, { delta: null, finish_reason: "null" }] }];
    const usage = { prompt_tokens: 9, completion_tokens: 1 };
    const { answer } = assemble(
      [
        ...(odd as WireChunk[]),
        { ...chunk({ content: "hi", tool_calls: {} as never }), usage },
        { choices: [{ index: 1, delta: { content: "another choice" } }] },
        { ...chunk({}, "stop"), usage: { ...usage, completion_tokens: 2 } },
        chunk({}, "length"),
      ],
      { thinking: false },
    );
    expect(answer).toMatchObject({ text: "hi", finishReason: "stop", usage: { inputTokens: 9, outputTokens: 2 } });
  });

  test.each<[string, object[], string[]]>([
    [
      "SGLang: id and name null in what follows",
      [
        { id: "a", index: 0, function: { name: "weather", arguments: '{"city": ' } },
        { id: null, index: 0, type: "function", function: { name: null, arguments: '"서울"}' } },
      ],
      ['a weather {"city": "서울"}'],
    ],
    [
      "OCI: another id with every piece",
      [
        { index: 0, id: "a", function: { name: "weather", arguments: '{"city": "' } },
        { index: 0, id: "call_ed8209ffd3", function: { arguments: 'Paris"}' } },
      ],
      ['a weather {"city": "Paris"}'],
    ],
    [
      "always index 0, with ids",
      [
        { index: 0, id: "a", function: { name: "weather", arguments: "{}" } },
        { index: 0, id: "b", function: { name: "weather", arguments: "{}" } },
      ],
      ["a weather {}", "b weather {}"],
    ],
    [
      "always index 0, no ids",
      [
        { index: 0, function: { name: "weather", arguments: "{}" } },
        { index: 0, function: { name: "weather", arguments: '{"a":1}' } },
      ],
      ["minted_1 weather {}", 'minted_2 weather {"a":1}'],
    ],
    [
      "no index, no ids: the same tool again behind a whole call",
      [
        { function: { name: "weather", arguments: '{"city":"서울"}' } },
        { function: { name: "weather", arguments: '{"city":"부산"}' } },
      ],
      ['minted_1 weather {"city":"서울"}', 'minted_2 weather {"city":"부산"}'],
    ],
    [
      "no index: a new name opens a call",
      [
        { id: "a", function: { name: "weather" } },
        { function: { arguments: "{}" } },
        { id: "b", function: { name: "locate" } },
        { function: { arguments: '{"b":1}' } },
      ],
      ["a weather {}", 'b locate {"b":1}'],
    ],
    [
      "no index: a new id behind a whole call opens one, its name comes later",
      [
        { id: "a", function: { name: "weather", arguments: "{}" } },
        { id: "b", type: "function" },
        { id: "b", function: { name: "locate", arguments: "{}" } },
      ],
      ["a weather {}", "b locate {}"],
    ],
    [
      "the name with every piece",
      [
        { index: 0, id: "a", function: { name: "weather", arguments: '{"a' } },
        { index: 0, id: "a", function: { name: "weather", arguments: '":1}' } },
        { index: 0, id: "a", function: { name: "weather", arguments: "" } },
      ],
      ['a weather {"a":1}'],
    ],
    [
      "pieces of two calls by turns",
      [
        { index: 0, id: "a", function: { name: "weather", arguments: '{"a"' } },
        { index: 1, id: "b", function: { name: "locate", arguments: '{"b"' } },
        { index: 0, function: { arguments: ":1}" } },
        { index: 1, function: { arguments: ":2}" } },
      ],
      ['a weather {"a":1}', 'b locate {"b":2}'],
    ],
  ])("S3: %s", (_name, pieces, expected) => {
    const { answer } = assemble([...pieces.map(call), chunk({}, "tool_calls")]);
    expect(answer.toolCalls.map(({ id, name, arguments: text }) => `${id} ${name} ${text}`)).toEqual(expected);
  });

  test("S4: calls may come before thinking, and thinking after text", () => {
    const { answer, text } = assemble([
      call({ index: 0, id: "a", function: { name: "weather", arguments: "{}" } }),
      chunk({ content: "확인합니다." }),
      chunk({ reasoning_content: "음" }),
      chunk({}, "tool_calls"),
    ]);
    expect([answer.reasoning, answer.text, answer.toolCalls.length, text]).toEqual([
      "음",
      "확인합니다.",
      1,
      "확인합니다.",
    ]);
  });

  test("S5: nothing is shown while a bare </think> may come, and all of it when none can come any more", () => {
    const shown = (...chunks: WireChunk[]) => assemble(chunks).deltas.filter(({ kind }) => kind === "text");
    expect(shown(chunk({ content: "생각" }), chunk({ content: "</think>답" }, "stop"))).toEqual([
      { kind: "text", text: "답" },
    ]);
    expect(shown(chunk({ content: "답" }), chunk({}, "stop"))).toEqual([{ kind: "text", text: "답" }]);
    expect(shown(chunk({ reasoning: "음" }), chunk({ content: "답" }), chunk({ content: "변" }, "stop"))).toHaveLength(
      2,
    );
  });

  test("S5: past the limit text is shown all the same, and the answer is still put right", () => {
    const long = "생".repeat(70_000);
    const { answer, deltas } = assemble([chunk({ content: long }), chunk({ content: "</think>답" }, "stop")]);
    expect(deltas.map(({ text }) => text)).toEqual([long, "답"]);
    expect([answer.reasoning, answer.text]).toEqual([long, "답"]);
  });

  test("S5: what was shown is the text of the answer, and both are the same however the content is cut", () => {
    const parts = [
      "<think>",
      "</think>",
      "<tool_call>",
      "</tool_call>",
      '{"name": "weather", "arguments": {"q": "</tool_call>"}}',
      '{"name": "weather", "arguments": {"q": "',
      "weather<arg_key>a</arg_key><arg_value>1</arg_value>",
      "<tool",
      "</",
      '"',
      " \n",
      "맑음",
      "<b>",
    ];
    const content = fc.array(fc.constantFrom(...parts), { maxLength: 12 }).map((each) => each.join(""));
    const sizes = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 8 });
    const finish = fc.constantFrom("stop", "length");
    fc.assert(
      fc.property(content, sizes, fc.boolean(), finish, (text, lengths, thinking, reason) => {
        const read = (pieces: readonly string[]) =>
          assemble([...pieces.map((piece) => chunk({ content: piece })), chunk({}, reason)], { thinking });
        const pieces = read(cut(text, lengths));
        expect(pieces.answer).toEqual(read([text]).answer);
        expect(pieces.text).toBe(pieces.answer.text);
        // A mark that was not settled as plain text is never in the text.
        expect(pieces.answer.text).not.toMatch(/<\/think>|<\/tool_call>/);
      }),
      { numRuns: 500 },
    );
  });
});
