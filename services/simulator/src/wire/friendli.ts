import { splitToolCalls } from "./hermes.ts";

/** What a dialect is told about the call besides the model's text. */
export interface WireContext {
  /** Whether the prompt ended in an open think block. */
  readonly thinking: boolean;
  readonly parseReasoning: boolean;
  readonly includeReasoning: boolean;
  /** The whole answer's digest; ids are derived from it. */
  readonly digest: string;
  /** False when the answer was cut by a token limit. */
  readonly complete: boolean;
}

export interface WireToolCall {
  readonly id: string;
  readonly type: "function";
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A message of a completion. Key order is the order on the wire. */
export interface WireMessage {
  readonly role: "assistant";
  readonly content: string | null;
  readonly reasoning_content?: string;
  readonly tool_calls?: readonly WireToolCall[];
}

export type WireFinish = "stop" | "length" | "tool_calls";

/** How one kind of host puts the model's raw text, which follows `<think>\n`, on the wire; streaming and not. */
export interface Dialect {
  readonly message: (
    raw: string,
    context: WireContext,
  ) => { readonly message: WireMessage; readonly finish: WireFinish };
  /** The deltas of a stream, in order; put together again they give exactly the message. */
  readonly deltas: (message: WireMessage, slice: (text: string) => readonly string[]) => readonly object[];
}

const THINK_END = "</think>";

/**
 * Friendli's wire for K-EXAONE. With `parse_reasoning` the text before the first `</think>` moves to
 * `reasoning_content`; an answer cut while thinking has no content at all. Without it everything stays in `content`,
 * with a bare `</think>`, because the opening tag was part of the prompt. Newlines around both parts are kept: the host
 * was seen to send contents of nothing but newlines.
 */
export const friendli: Dialect = {
  message(raw, context) {
    const { reasoning, answer } = splitReasoning(raw, context);
    const { text, calls } = splitToolCalls(answer);
    const message: WireMessage = {
      role: "assistant",
      content: text === "" && (calls.length > 0 || reasoning !== null) ? null : text,
      ...(reasoning === null || !context.includeReasoning ? {} : { reasoning_content: reasoning }),
      ...(calls.length === 0
        ? {}
        : {
            tool_calls: calls.map((call, index) => ({
              id: `call_${context.digest.slice(24, 44)}${index.toString(16).padStart(4, "0")}`,
              type: "function" as const,
              function: { name: call.name, arguments: call.arguments },
            })),
          }),
    };
    return { message, finish: !context.complete ? "length" : calls.length > 0 ? "tool_calls" : "stop" };
  },

  deltas(message, slice) {
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
  },
};

function splitReasoning(
  raw: string,
  context: WireContext,
): { readonly reasoning: string | null; readonly answer: string } {
  if (!context.thinking || !context.parseReasoning) return { reasoning: null, answer: raw };
  const end = raw.indexOf(THINK_END);
  if (end < 0) return { reasoning: raw, answer: "" };
  return { reasoning: raw.slice(0, end), answer: raw.slice(end + THINK_END.length) };
}
