import { errorBody } from "../http-error.ts";
import type { Dialect, StreamStep, WireContext, WireMessage } from "./dialect.ts";
import { friendli } from "./friendli.ts";

/**
 * OpenAI's own wire, for clients that are tested against nothing else: no reasoning text, `content: null` beside calls,
 * only new fields in a call's later deltas, `stop` for a named tool.
 */
export const openai: Dialect = {
  name: "openai",
  message: wholeAnswer,
  stream: (raw, context, slice) => {
    const { message, finish } = wholeAnswer(raw, context);
    const steps: object[] = [{ role: "assistant", content: message.tool_calls ? null : "", refusal: null }];
    for (const text of slice(message.content ?? "")) steps.push({ content: text });
    message.tool_calls?.forEach((call, index) => {
      const { id, type, function: fn } = call;
      steps.push({ tool_calls: [{ index, id, type, function: { name: fn.name, arguments: "" } }] });
      for (const text of slice(fn.arguments)) steps.push({ tool_calls: [{ index, function: { arguments: text } }] });
    });
    return [...steps.map((delta): StreamStep => ({ delta, finish: null })), { delta: {}, finish }];
  },
  choiceExtras: () => ({}),
  bodyExtras: { service_tier: "default", system_fingerprint: null },
  usage: ({ promptTokens, completionTokens, cachedTokens, reasoningTokens }) => ({
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: reasoningTokens, audio_tokens: 0 },
  }),
  nullUsage: true,
  errorBody,
  strict: false,
};

function wholeAnswer(raw: string, context: WireContext): ReturnType<Dialect["message"]> {
  const answer = friendli.message(raw, { ...context, parseReasoning: true, includeReasoning: false });
  const { role, content, tool_calls } = answer.message;
  const text = content?.trim() ?? "";
  const message: WireMessage = {
    role,
    content: tool_calls && text === "" ? null : text,
    refusal: null,
    annotations: [],
    ...(tool_calls ? { tool_calls } : {}),
  };
  const named = typeof context.toolChoice === "object" && answer.finish === "tool_calls";
  return { message, finish: named ? "stop" : answer.finish };
}
