import type { Message, ModelRequest, ToolCall } from "@maru/contract";
import type { ChatCompletionMessageParam } from "openai/resources/chat/completions";
import type { Dialect } from "./dialect.ts";
import { jsonObject } from "./json.ts";
import { neutralised } from "./neutralise.ts";

type AssistantMessage = Extract<Message, { role: "assistant" }>;
type ToolMessage = Extract<Message, { role: "tool" }>;

/**
 * Whether the message at an index sends its thinking back. `interleaved`: only after the last user message, where the
 * template expects it; it renders earlier turns without. `preserved`: always, unmodified but for the template's marks. `strip`: never.
 */
export function reasoningReplay({ model, messages }: Pick<ModelRequest, "model" | "messages">) {
  const { history } = model.thinking;
  const lastUser = messages.findLastIndex(({ role }) => role === "user");
  return (index: number): boolean => history === "preserved" || (history === "interleaved" && index > lastUser);
}

/**
 * A conversation as hosts take it. Every call gets exactly one result, in the order of the calls: K-EXAONE's template
 * carries no call id, so the model pairs results with calls by position. A result nobody asked for (history may have been
 * cut in between) is left out, since hosts refuse it; a call without one gets an error as its result.
 */
export function wireMessages(
  request: Pick<ModelRequest, "model" | "messages">,
  dialect: Dialect,
): ChatCompletionMessageParam[] {
  const replays = reasoningReplay(request);
  const { messages } = request;
  const wire: ChatCompletionMessageParam[] = [];
  for (const [index, message] of messages.entries()) {
    switch (message.role) {
      case "system":
        wire.push({ role: "system", content: message.content });
        break;
      case "user":
        wire.push({ role: "user", content: neutralised(message.content) });
        break;
      case "assistant":
        wire.push(assistantMessage(message, replays(index) ? dialect.reasoningFields : []));
        for (const call of message.toolCalls ?? []) wire.push(resultOf(call, messages, index));
        break;
      case "tool":
        // Sent with the calls it answers, above.
        break;
    }
  }
  return wire;
}

function assistantMessage(message: AssistantMessage, fields: readonly string[]): ChatCompletionMessageParam {
  const { content, reasoning = "", toolCalls = [] } = message;
  return {
    role: "assistant",
    content: content === "" && toolCalls.length > 0 ? null : neutralised(content),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls.map(wireCall) }),
    ...(reasoning.trim() === "" ? {} : Object.fromEntries(fields.map((field) => [field, neutralised(reasoning)]))),
  };
}

const wireCall = (call: ToolCall) => ({
  id: call.id,
  type: "function" as const,
  function: { name: wireName(call.name), arguments: neutralised(objectText(call.arguments)) },
});

function resultOf(call: ToolCall, messages: readonly Message[], assistant: number): ChatCompletionMessageParam {
  let result: ToolMessage | null = null;
  for (let index = assistant + 1; result === null && index < messages.length; index++) {
    const message = messages[index];
    if (message?.role !== "tool") break;
    if (message.toolCallId === call.id) result = message;
  }
  return { role: "tool", tool_call_id: call.id, content: result === null ? NO_RESULT : neutralised(result.content) };
}
const NO_RESULT = JSON.stringify({ error: { code: "no_result", message: "This call was not carried out." } });

/** Hosts refuse a whole conversation over one name outside this alphabet, even one the model itself made up. */
const wireName = (name: string): string => name.replace(/[^A-Za-z0-9_-]/g, "_").slice(0, 64) || "_";

/** Templates render past arguments as JSON and fail on anything else, so what was no object goes back as an empty one. */
const objectText = (text: string): string => (jsonObject(text) === null ? "{}" : text);
