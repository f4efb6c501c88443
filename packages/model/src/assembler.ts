import { randomUUID } from "node:crypto";
import type { FinishReason, ModelAnswer, ModelDelta, TokenUsage, ToolCall } from "@maru/contract";
import { textToolCalls } from "./text-calls.ts";
import { estimateTokens } from "./tokens.ts";

/** A chunk as hosts really send them: any part may be absent or null. */
export interface WireChunk {
  readonly model?: string | null;
  readonly usage?: {
    readonly prompt_tokens?: number | null;
    readonly completion_tokens?: number | null;
    readonly prompt_tokens_details?: { readonly cached_tokens?: number | null } | null;
  } | null;
  readonly choices?:
    | readonly {
        readonly finish_reason?: string | null;
        readonly delta?: {
          readonly content?: string | null;
          readonly reasoning_content?: string | null;
          readonly reasoning?: string | null;
          readonly tool_calls?: readonly WireToolDelta[] | null;
        } | null;
      }[]
    | null;
}
interface WireToolDelta {
  readonly index?: number | null;
  readonly id?: string | null;
  readonly function?: { readonly name?: string | null; readonly arguments?: string | object | null } | null;
}

interface OpenCall {
  index: number | null;
  id: string;
  name: string;
  text: string;
}

const FINISH: Record<string, FinishReason> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool_calls",
  function_call: "tool_calls",
  content_filter: "content_filter",
  abort: "error",
  error: "error",
};
/** Marks that must not flash up in shown text before it is known what they are. */
const HELD_BACK = ["<tool_call>", "<think>", "</think>"];

/**
 * Puts a model's answer together from the chunks of its stream, whatever the host's habits: order of thinking, text and
 * calls is not promised, ids may be missing or repeated, the reason for the end may come twice or never.
 */
export function createAssembler(asked: { thinking: boolean; toolNames: readonly string[]; promptTokens: number }) {
  let reasoning = "";
  let content = "";
  let shown = 0;
  let begun = false;
  let sawReasoningField = false;
  let finish: FinishReason | null = null;
  let usage: TokenUsage | null = null;
  let model = "";
  const calls: OpenCall[] = [];

  const showable = (): string => {
    // Thinking that a host left in the content ends with a bare </think>: until it is known, none of it is shown.
    if (asked.thinking && !sawReasoningField && !content.includes("</think>")) return "";
    let end = content.length;
    const mark = content.indexOf("<tool_call>");
    if (mark >= 0) end = mark;
    else {
      for (const held of HELD_BACK) {
        for (let size = Math.min(held.length - 1, content.length); size > 0; size--) {
          if (content.endsWith(held.slice(0, size))) end = Math.min(end, content.length - size);
        }
      }
    }
    const start = sawReasoningField || !asked.thinking ? 0 : content.indexOf("</think>") + "</think>".length;
    shown = Math.max(shown, start);
    let text = content.slice(shown, end);
    shown = Math.max(shown, end);
    // Hosts put blank lines between thinking and text; an answer begins with its first word.
    if (!begun) text = text.trimStart();
    begun ||= text !== "";
    return text;
  };

  const openCall = (delta: WireToolDelta): OpenCall => {
    const id = delta.id ?? "";
    const name = delta.function?.name ?? "";
    const index = delta.index ?? null;
    const known = index === null ? undefined : calls.findLast((call) => call.index === index);
    const last = calls.at(-1);
    // Servers that always send index 0 open a new call with a new id and a name; a new id without a name is only noise.
    if (known !== undefined && !(id !== "" && id !== known.id && name !== "" && known.name !== "")) return known;
    if (index === null && last !== undefined && (id === "" || id === last.id) && (name === "" || name === last.name))
      return last;
    const call = { index, id, name, text: "" };
    calls.push(call);
    return call;
  };

  return {
    push(chunk: WireChunk): ModelDelta[] {
      const deltas: ModelDelta[] = [];
      if (chunk.model) model = chunk.model;
      if (chunk.usage) {
        const { prompt_tokens: input, completion_tokens: output, prompt_tokens_details: details } = chunk.usage;
        usage = {
          inputTokens: whole(input) ?? asked.promptTokens,
          cachedInputTokens: Math.min(whole(details?.cached_tokens) ?? 0, whole(input) ?? 0),
          outputTokens: whole(output) ?? 0,
          estimated: whole(input) === null || whole(output) === null,
        };
      }
      for (const { delta, finish_reason } of chunk.choices ?? []) {
        const thought = delta?.reasoning_content ?? delta?.reasoning;
        if (thought) {
          sawReasoningField = true;
          reasoning += thought;
          deltas.push({ kind: "reasoning", text: thought });
        }
        if (delta?.content) {
          content += delta.content;
          const text = showable();
          if (text !== "") deltas.push({ kind: "text", text });
        }
        for (const part of delta?.tool_calls ?? []) {
          const call = openCall(part);
          if (part.id && call.id === "") call.id = part.id;
          if (part.function?.name && call.name === "") call.name = part.function.name;
          const given = part.function?.arguments;
          const text = typeof given === "string" ? given : given ? JSON.stringify(given) : "";
          call.text += text;
          deltas.push({ kind: "tool_call", index: calls.indexOf(call), name: call.name, text });
        }
        if (finish_reason && finish_reason !== "null") finish ??= FINISH[finish_reason] ?? "unknown";
      }
      return deltas;
    },

    /** Whether the host said that it was done; a stream that ends without was cut. */
    finished: () => finish !== null,

    end(): ModelAnswer {
      let text = content;
      let thought = reasoning;
      const close = text.indexOf("</think>");
      if (close >= 0 && !text.slice(0, close).includes("<think>")) {
        if (asked.thinking && thought === "") thought = text.slice(0, close);
        text = text.slice(close + "</think>".length);
      }
      text = text.replace(/<think>[\s\S]*?<\/think>/g, "");
      const textual = textToolCalls(text, asked.toolNames);
      text = textual.rest.trim();
      const ids = new Set<string>();
      const source = calls.length > 0 ? calls : textual.calls.map((call) => ({ ...call, id: "" }));
      const toolCalls = source.map(({ id, name, text: args }): ToolCall => {
        const unique = id !== "" && !ids.has(id) ? id : `call_${randomUUID().replaceAll("-", "")}`;
        ids.add(unique);
        return { id: unique, name, arguments: args.trim() === "" || args.trim() === "null" ? "{}" : args };
      });
      return {
        reasoning: thought.trim(),
        text,
        toolCalls,
        finishReason: finish ?? "unknown",
        usage: usage ?? {
          inputTokens: asked.promptTokens,
          cachedInputTokens: 0,
          outputTokens:
            estimateTokens(reasoning) +
            estimateTokens(content) +
            calls.reduce((sum, call) => sum + estimateTokens(call.name + call.text), 0),
          estimated: true,
        },
        model,
      };
    },
  };
}
export type Assembler = ReturnType<typeof createAssembler>;

const whole = (value: unknown): number | null =>
  typeof value === "number" && Number.isInteger(value) && value >= 0 ? value : null;
