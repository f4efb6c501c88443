import { expect, test } from "vitest";
import { parseTranscript, TRANSCRIPT } from "../test/transcript.ts";
import type { ChatMessage, ToolDefinition } from "./request.ts";
import { renderPrompt, renderToolTurn } from "./template.ts";

const tool = (name: string, description: string): ToolDefinition => ({
  type: "function",
  function: {
    name,
    description,
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
});

const conversation: ChatMessage[] = [
  { role: "system", content: "당신은 날씨 도우미입니다." },
  { role: "user", content: "안녕" },
  { role: "assistant", content: "안녕하세요!", reasoning: "인사다.", calls: [] },
  { role: "user", content: "서울 날씨와 미세먼지는?" },
  {
    role: "assistant",
    content: "\n\n확인해 보겠습니다.\n",
    reasoning: "두 도구가 필요하다.\n",
    calls: [
      { id: "a", name: "weather", arguments: '{"city": "서울"}' },
      { id: "b", name: "air", arguments: '{"city": "서울"' },
    ],
  },
  { role: "tool", toolCallId: "a", content: '{"temp": -3}' },
  { role: "tool", toolCallId: "b", content: "arguments are not valid JSON" },
  { role: "assistant", content: "", reasoning: "", calls: [{ id: "c", name: "air", arguments: '{"city": "서울"}' }] },
  { role: "tool", toolCallId: "c", content: '{"pm10": 31}' },
];

const golden = `<|tool_declare|>
# Tools
<tool>{"type": "function", "function": {"name": "weather", "description": "현재 날씨", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}</tool>
<tool>{"type": "function", "function": {"name": "air", "description": "미세먼지", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}}}</tool>
<|endofturn|>
<|system|>
당신은 날씨 도우미입니다.<|endofturn|>
<|user|>
안녕<|endofturn|>
<|assistant|>
<think>

</think>

안녕하세요!<|endofturn|>
<|user|>
서울 날씨와 미세먼지는?<|endofturn|>
<|assistant|>
<think>
두 도구가 필요하다.
</think>

확인해 보겠습니다.
<tool_call>{"name": "weather", "arguments": {"city": "서울"}}</tool_call>
<tool_call>{"name": "air", "arguments": {}}</tool_call><|endofturn|>
<|tool|>
<tool_result>{"temp": -3}</tool_result>
<tool_result>arguments are not valid JSON</tool_result><|endofturn|>
<|assistant|>
<think>

</think>

<tool_call>{"name": "air", "arguments": {"city": "서울"}}</tool_call><|endofturn|>
<|tool|>
<tool_result>{"pm10": 31}</tool_result><|endofturn|>
<|assistant|>
<think>
`;

test("a conversation with two tools is rendered byte for byte as the chat template does", () => {
  const tools = renderToolTurn([tool("weather", "현재 날씨"), tool("air", "미세먼지")]);
  expect(renderPrompt(tools, conversation, true)).toBe(golden);
});

test("without thinking the prompt ends in a closed, empty think block", () => {
  expect(renderPrompt("", [{ role: "user", content: "hi" }], false)).toBe(
    "<|user|>\nhi<|endofturn|>\n<|assistant|>\n<think>\n\n</think>\n\n",
  );
});

test("LG AI Research's published transcript is rendered byte for byte", () => {
  const { tools, messages } = parseTranscript(TRANSCRIPT);
  expect(messages.filter((message) => message.role === "assistant")).toHaveLength(9);
  const open = "<|assistant|>\n<think>\n";
  expect(renderPrompt(renderToolTurn(tools), messages, true)).toBe(TRANSCRIPT + open);
});

test("the reasoning of an earlier user turn is dropped, that of the current one kept", () => {
  const turn = (question: string, reasoning: string): ChatMessage[] => [
    { role: "user", content: question },
    { role: "assistant", content: "", reasoning, calls: [{ id: "a", name: "f", arguments: "{}" }] },
    { role: "tool", toolCallId: "a", content: "1" },
  ];
  const text = renderPrompt("", [...turn("first", "old thought"), ...turn("second", "new thought")], true);
  expect(text).not.toContain("old thought");
  expect(text).toContain("<think>\nnew thought\n</think>\n\n<tool_call>");
});

test("text before calls stands on its own line, results of one batch share one turn in their order", () => {
  const calls = ["a", "b"].map((id) => ({ id, name: "f", arguments: `{"x": "${id}"}` }));
  const text = renderPrompt(
    "",
    [
      { role: "user", content: "hi" },
      { role: "assistant", content: "Looking.", reasoning: "", calls },
      { role: "tool", toolCallId: "b", content: "second call's result, sent first" },
      { role: "tool", toolCallId: "a", content: "first call's" },
    ],
    false,
  );
  expect(text).toContain('\n\nLooking.\n<tool_call>{"name": "f", "arguments": {"x": "a"}}</tool_call>\n<tool_call>');
  expect(text).toContain(
    "<|tool|>\n<tool_result>second call's result, sent first</tool_result>\n<tool_result>first call's</tool_result><|endofturn|>",
  );
});
