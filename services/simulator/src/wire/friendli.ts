import { errorBody } from "../http-error.ts";
import {
  type Answer,
  callId,
  type Dialect,
  type Slice,
  type StreamStep,
  type WireContext,
  type WireMessage,
} from "./dialect.ts";
import { splitToolCalls } from "./hermes.ts";
import { IDENTITY, SPLIT_AT_THINK_END, splitReasoning } from "./reasoning.ts";

/**
 * Friendli's wire for K-EXAONE. With `parse_reasoning` the text before the first `</think>` moves to
 * `reasoning_content`; an answer cut while thinking has no content at all. Without it everything stays in `content`,
 * with a bare `</think>`, because the opening tag was part of the prompt. Newlines around both parts are kept: the host
 * was seen to send contents of nothing but newlines. Its parsers are not public: calls with broken arguments are passed
 * on as they are, since its contract says that arguments may be invalid JSON.
 */
export const friendli: Dialect & {
  readonly deltas: (message: WireMessage, slice: Slice) => readonly object[];
} = {
  name: "friendli",
  message: wholeAnswer,
  deltas: deltasOf,
  stream: (raw, context, slice) => {
    const { message, finish } = wholeAnswer(raw, context);
    return [...deltasOf(message, slice).map((delta): StreamStep => ({ delta, finish: null })), { delta: {}, finish }];
  },
  choiceExtras: () => ({}),
  bodyExtras: {},
  usage: ({ promptTokens, completionTokens, cachedTokens }) => ({
    prompt_tokens: promptTokens,
    completion_tokens: completionTokens,
    total_tokens: promptTokens + completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
  }),
  nullUsage: true,
  errorBody,
  strict: true,
};

function wholeAnswer(raw: string, context: WireContext): Answer {
  const parses = context.thinking && context.parseReasoning && !context.reasoningParserOff;
  const { reasoning, content } = splitReasoning(raw, parses ? SPLIT_AT_THINK_END : IDENTITY);
  const answer = content ?? "";
  const parsed = context.toolChoice === "none" ? { text: answer, calls: [] } : splitToolCalls(answer);
  const { text } = parsed;
  const calls = context.parallel === false ? parsed.calls.slice(0, 1) : parsed.calls;
  const message: WireMessage = {
    role: "assistant",
    content: text === "" && (calls.length > 0 || reasoning !== null) ? null : text,
    ...(reasoning === null || !context.includeReasoning ? {} : { reasoning_content: reasoning }),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map((call, index) => ({
            id: callId("call_", context.digest, index),
            type: "function" as const,
            function: { name: call.name, arguments: call.arguments },
          })),
        }),
  };
  return { message, finish: !context.complete ? "length" : calls.length > 0 ? "tool_calls" : "stop" };
}

/** The deltas of a stream, in order; put together again they give exactly the message. */
function deltasOf(message: WireMessage, slice: Slice): object[] {
  const deltas: object[] = [];
  for (const text of slice(message.reasoning_content ?? "")) deltas.push({ reasoning_content: text });
  for (const text of slice(message.content ?? "")) deltas.push({ content: text });
  message.tool_calls?.forEach(({ id, type, function: { name, arguments: args } }, index) => {
    deltas.push({ tool_calls: [{ index, type, id, function: { name, arguments: "" } }] });
    for (const text of slice(args)) {
      deltas.push({ tool_calls: [{ index, type, id: null, function: { name: null, arguments: text } }] });
    }
  });
  // Role and first content share the first delta on this host; an empty answer still names its role.
  const [first = { content: "" }, ...rest] = deltas;
  return [{ role: "assistant", ...first }, ...rest];
}
