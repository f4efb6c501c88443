import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { readChatRequest } from "./validation.ts";

const good = { model: "m", messages: [{ role: "user", content: "hi" }] };
const tool = { type: "function", function: { name: "f", parameters: { type: "object", properties: {} } } };

function errorsOf(body: unknown): string[] {
  const read = readChatRequest(body, true);
  return "errors" in read ? read.errors.map((error) => `${error.loc.join(".")} ${error.type}`) : [];
}

describe("what the host refuses", () => {
  test.each([
    ["no body", null, "body model_attributes_type"],
    ["no model", { messages: good.messages }, "body.model missing"],
    ["no messages", { model: "m" }, "body.messages missing"],
    ["no message at all", { ...good, messages: [] }, "body.messages too_short"],
    [
      "a developer message",
      { ...good, messages: [{ role: "developer", content: "x" }] },
      "body.messages.0.role literal_error",
    ],
    ["a message without role", { ...good, messages: [{ content: "x" }] }, "body.messages.0.role missing"],
    [
      "a tool result in parts",
      { ...good, messages: [{ role: "tool", tool_call_id: "a", content: [] }] },
      "body.messages.0.content string_type",
    ],
    [
      "a tool result without id",
      { ...good, messages: [{ role: "tool", content: "x" }] },
      "body.messages.0.tool_call_id missing",
    ],
    ["an assistant with nothing", { ...good, messages: [{ role: "assistant" }] }, "body.messages.0.content missing"],
    [
      "an image",
      { ...good, messages: [{ role: "user", content: [{ type: "image_url" }] }] },
      "body.messages.0.content.0 value_error",
    ],
    [
      "a tool name with a dot",
      { ...good, tools: [{ ...tool, function: { ...tool.function, name: "a.b" } }] },
      "body.tools.0.function.name string_pattern_mismatch",
    ],
    [
      "a tool without parameters",
      { ...good, tools: [{ type: "function", function: { name: "f" } }] },
      "body.tools.0.function.parameters missing",
    ],
    [
      "platform metadata in a tool",
      { ...good, tools: [{ ...tool, function: { ...tool.function, strict: true } }] },
      "body.tools.0.function.strict extra_forbidden",
    ],
    [
      "tools with response_format",
      { ...good, tools: [tool], response_format: { type: "json_object" } },
      "body.response_format value_error",
    ],
    ["tools with min_tokens", { ...good, tools: [tool], min_tokens: 1 }, "body.min_tokens value_error"],
    [
      "a choice of a tool not offered",
      { ...good, tools: [tool], tool_choice: { type: "function", function: { name: "g" } } },
      "body.tool_choice.function.name value_error",
    ],
    ["required without tools", { ...good, tool_choice: "required" }, "body.tool_choice value_error"],
    [
      "stream_options without stream",
      { ...good, stream_options: { include_usage: true } },
      "body.stream_options value_error",
    ],
    ["max_tokens 0", { ...good, max_tokens: 0 }, "body.max_tokens value_error"],
    ["a text for a flag", { ...good, stream: "yes" }, "body.stream bool_type"],
  ])("%s", (_what, body, error) => {
    expect(errorsOf(body)).toContain(error);
  });
});

test("defaults are the host's: thinking, parallel calls and parsed reasoning on", () => {
  expect(readChatRequest(good, true)).toEqual({
    request: {
      model: "m",
      messages: [{ role: "user", content: "hi" }],
      tools: [],
      toolChoice: "auto",
      parallelToolCalls: true,
      responseFormat: { type: "text" },
      maxTokens: null,
      stop: [],
      seed: "",
      stream: false,
      includeUsage: false,
      thinking: true,
      parseReasoning: true,
      includeReasoning: true,
    },
  });
});

test("both names of the reasoning field are read, and a null content beside calls is empty", () => {
  const calls = [{ id: "a", type: "function", function: { name: "f", arguments: "{}" } }];
  const messages = [
    { role: "assistant", content: null, reasoning: "why", tool_calls: calls },
    { role: "assistant", content: "x", reasoning_content: "how", tool_calls: null },
  ];
  const read = readChatRequest({ ...good, messages }, true);
  expect("request" in read && read.request.messages).toEqual([
    { role: "assistant", content: "", reasoning: "why", calls: [{ id: "a", name: "f", arguments: "{}" }] },
    { role: "assistant", content: "x", reasoning: "how", calls: [] },
  ]);
});

test("no JSON value makes the validation throw", () => {
  const message = fc.oneof(
    fc.jsonValue(),
    fc.record({
      role: fc.constantFrom("user", "assistant", "tool", "x"),
      content: fc.jsonValue(),
      tool_calls: fc.jsonValue(),
    }),
  );
  const body = fc.record(
    {
      model: fc.jsonValue(),
      messages: fc.oneof(fc.jsonValue(), fc.array(message)),
      tools: fc.oneof(fc.jsonValue(), fc.array(fc.jsonValue())),
      tool_choice: fc.jsonValue(),
      response_format: fc.jsonValue(),
      stop: fc.jsonValue(),
      seed: fc.jsonValue(),
      stream_options: fc.jsonValue(),
      chat_template_kwargs: fc.jsonValue(),
    },
    { requiredKeys: [] },
  );
  fc.assert(fc.property(fc.oneof(body, fc.jsonValue()), (value) => void readChatRequest(value, true)));
});

test("a schema nested a hundred thousand levels deep is refused, not recursed into", () => {
  const parameters = JSON.parse(`${'{"a":'.repeat(100_000)}1${"}".repeat(100_000)}`) as object;
  expect(errorsOf({ ...good, tools: [{ type: "function", function: { name: "f", parameters } }] })).toEqual([
    "body.tools.0.function.parameters value_error",
  ]);
});
