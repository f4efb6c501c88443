import { randomUUID } from "node:crypto";
import type { FinishReason, ModelAnswer, ModelDelta, TokenUsage, ToolCall } from "@maru/contract";
import { createCallList, limitCalls } from "./calls.ts";
import { type CallBlock, createContentReader } from "./content.ts";
import { textToolCalls } from "./text-calls.ts";
import { estimateTokens } from "./tokens.ts";
import type { WireChunk, WireUsage } from "./wire.ts";

export interface AssemblerOptions {
  /** Whether thinking was asked for. */
  readonly thinking: boolean;
  /** Thinking goes back unmodified (GLM), so even the blank around it stays. */
  readonly exactReasoning?: boolean;
  /** Names of the tools that were declared; calls written as text count only for these. */
  readonly toolNames: readonly string[];
  /** Our own count of the prompt, for a host that reports no usage. */
  readonly promptTokens: number;
  /** An id for a call the host gave none, or one that another call of the answer has. */
  readonly newCallId?: () => string;
}

const FINISH: Readonly<Record<string, FinishReason>> = {
  stop: "stop",
  length: "length",
  tool_calls: "tool_calls",
  function_call: "tool_calls",
  content_filter: "content_filter",
  abort: "error",
  error: "error",
};

/**
 * Puts a model's answer together from the chunks of its stream, or from one whole body, whatever the host's habits: order
 * of thinking, text and calls is not promised, ids may be missing or repeated, the reason for the end may come twice.
 */
export function createAssembler(options: AssemblerOptions) {
  const content = createContentReader(options);
  const { newCallId = randomCallId } = options;
  const list = createCallList();
  let reasoning = "";
  let finish: FinishReason | null = null;
  let usage: WireUsage | null = null;
  let model = "";

  const show = (deltas: ModelDelta[], text: string): void => {
    if (text !== "") deltas.push({ kind: "text", text });
  };

  /** What the host reported, completed by our own count. Thinking is part of the output. */
  const usageSoFar = (): TokenUsage => {
    const input = whole(usage?.prompt_tokens);
    const output = whole(usage?.completion_tokens);
    const inputTokens = input ?? options.promptTokens;
    return {
      inputTokens,
      cachedInputTokens: Math.min(whole(usage?.prompt_tokens_details?.cached_tokens) ?? 0, inputTokens),
      outputTokens:
        output ??
        list.calls.reduce(
          (sum, { name, text }) => sum + estimateTokens(name) + estimateTokens(text),
          estimateTokens(reasoning) + estimateTokens(content.raw()),
        ),
      estimated: input === null || output === null,
    };
  };

  const cut = (): boolean => finish === null || finish === "length";

  const toolCalls = (blocks: readonly CallBlock[]): ToolCall[] => {
    // Beside structured calls, textual ones are their duplicates.
    const source =
      list.calls.length > 0
        ? list.calls
        : textToolCalls(blocks, options.toolNames, cut()).map((call) => ({ ...call, id: "" }));
    limitCalls(source.length);
    const ids = new Set<string>();
    return source.flatMap(({ id, name, text }, index) => {
      if (name === "") return [];
      const unique = id !== "" && !ids.has(id) ? id : newCallId();
      ids.add(unique);
      const none = text.trim() === "" || text.trim() === "null";
      // An answer that was cut before a call's arguments must not become a call without arguments.
      const missing = cut() && index === source.length - 1 ? "" : "{}";
      return [{ id: unique, name, arguments: none ? missing : text }];
    });
  };

  return {
    push(chunk: WireChunk): ModelDelta[] {
      const deltas: ModelDelta[] = [];
      if (typeof chunk.model === "string" && chunk.model !== "") model = chunk.model.slice(0, MODEL_NAME_CHARACTERS);
      if (chunk.usage) usage = chunk.usage;
      for (const choice of listOf(chunk.choices)) {
        // One answer was asked for; others are not ours.
        if (!choice || choice.index) continue;
        const delta = choice.delta ?? choice.message;
        const thought = delta?.reasoning_content || delta?.reasoning || delta?.thinking_content;
        if (typeof thought === "string" && thought !== "") {
          if (reasoning === "") show(deltas, content.reasoningFieldSeen());
          reasoning += thought;
          deltas.push({ kind: "reasoning", text: thought });
        }
        if (typeof delta?.content === "string" && delta.content !== "") show(deltas, content.push(delta.content));
        for (const part of listOf(delta?.tool_calls)) {
          if (part) deltas.push({ kind: "tool_call", ...list.push(part, delta !== choice.delta) });
        }
        const reason = choice.finish_reason;
        if (typeof reason === "string" && reason !== "" && reason !== "null") finish ??= FINISH[reason] ?? "unknown";
      }
      return deltas;
    },

    /** Whether the host said that it was done; a stream that ends without was cut. */
    finished: (): boolean => finish !== null,

    usage: usageSoFar,

    /** The last deltas: what was held back and turned out to be text. Nothing may be pushed after this. */
    flush(): ModelDelta[] {
      const deltas: ModelDelta[] = [];
      show(deltas, content.finish(cut()));
      return deltas;
    },

    /** The answer. A `finishReason` of `unknown` is one we don't know; without any it is `error`. */
    end(): ModelAnswer {
      content.finish(cut());
      const { text, reasoning: leaked, blocks } = content.result();
      return {
        // Hosts leave the line ends around thinking in it; K-EXAONE's template writes its own.
        reasoning: options.exactReasoning && reasoning.trim() !== "" ? reasoning : (reasoning || leaked).trim(),
        text,
        toolCalls: toolCalls(blocks),
        finishReason: finish ?? "error",
        usage: usageSoFar(),
        model,
      };
    },
  };
}
export type Assembler = ReturnType<typeof createAssembler>;

const listOf = <T>(value: readonly T[] | null | undefined): readonly T[] => (Array.isArray(value) ? value : []);
const MODEL_NAME_CHARACTERS = 256;
/** More tokens than any call has: a host that reports more reports nothing. */
const PLAUSIBLE_TOKENS = 10_000_000;
const whole = (value: unknown): number | null =>
  Number.isSafeInteger(value) && Number(value) >= 0 && Number(value) <= PLAUSIBLE_TOKENS ? Number(value) : null;
const randomCallId = () => `call_${randomUUID().replaceAll("-", "")}`;
