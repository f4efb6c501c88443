import type { ChatMessage, RecordedCall } from "./request.ts";
import { type Fail, isObject, type Json, type Loc } from "./validation-error.ts";

/** Reads `messages`; a message that is wrong is noted and stands in as an empty one. */
export function readMessages(value: unknown, fail: Fail): ChatMessage[] {
  if (value === undefined) fail(["messages"], "missing", "Field required");
  else if (!Array.isArray(value)) fail(["messages"], "list_type", "Input should be a valid list");
  else if (value.length === 0) fail(["messages"], "too_short", "List should have at least 1 item");
  else return value.map((message, index) => readMessage(message, ["messages", index], fail));
  return [];
}

function readMessage(value: unknown, loc: Loc, fail: Fail): ChatMessage {
  const nothing: ChatMessage = { role: "user", content: "" };
  if (!isObject(value)) {
    fail(loc, "model_attributes_type", "Input should be a valid dictionary or object to extract fields from");
    return nothing;
  }
  const text = (name: string): string => {
    const content = value[name];
    if (content === undefined) fail([...loc, name], "missing", "Field required");
    else if (typeof content !== "string") fail([...loc, name], "string_type", "Input should be a valid string");
    else return content;
    return "";
  };
  switch (value.role) {
    case undefined:
      fail([...loc, "role"], "missing", "Field required");
      return nothing;
    case "system":
      return { role: "system", content: text("content") };
    case "user":
      return {
        role: "user",
        content: Array.isArray(value.content) ? readParts(value.content, loc, fail) : text("content"),
      };
    case "tool":
      return { role: "tool", content: text("content"), toolCallId: text("tool_call_id") };
    case "assistant": {
      const calls = readCalls(value.tool_calls ?? [], [...loc, "tool_calls"], fail);
      const content = value.content ?? null;
      // Friendli's rule: the content may be missing only beside tool calls.
      return {
        role: "assistant",
        content: content === null && calls.length > 0 ? "" : text("content"),
        reasoning: readReasoning(value, loc, fail),
        calls,
      };
    }
    default:
      fail([...loc, "role"], "literal_error", "Input should be 'system', 'user', 'assistant' or 'tool'");
      return nothing;
  }
}

/** Both field names are read: Friendli calls `reasoning` a compatible option for `reasoning_content`. */
function readReasoning(message: Json, loc: Loc, fail: Fail): string {
  for (const name of ["reasoning_content", "reasoning"]) {
    const value = message[name] ?? null;
    if (value === null) continue;
    if (typeof value === "string") return value;
    fail([...loc, name], "string_type", "Input should be a valid string");
  }
  return "";
}

function readParts(parts: readonly unknown[], loc: Loc, fail: Fail): string {
  const texts = parts.map((part, index) => {
    if (isObject(part) && part.type === "text" && typeof part.text === "string") return part.text;
    fail([...loc, "content", index], "value_error", "Value error, this model reads text parts only");
    return "";
  });
  return texts.join("\n");
}

function readCalls(value: unknown, loc: Loc, fail: Fail): RecordedCall[] {
  if (!Array.isArray(value)) {
    fail(loc, "list_type", "Input should be a valid list");
    return [];
  }
  return value.map((call, index) => {
    const fn: unknown = isObject(call) ? call.function : undefined;
    if (isObject(call) && isObject(fn)) {
      const id = call.id;
      const name = fn.name;
      const args = fn.arguments;
      if (typeof id === "string" && typeof name === "string" && typeof args === "string") {
        return { id, name, arguments: args };
      }
    }
    fail(
      [...loc, index],
      "value_error",
      "Value error, a tool call needs id, function.name and function.arguments as strings",
    );
    return { id: "", name: "", arguments: "" };
  });
}
