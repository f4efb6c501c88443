import {
  type Answer,
  type Counts,
  CURRENT_VERSIONS,
  callId,
  type Dialect,
  looksForCalls,
  type StreamStep,
  type WireContext,
  type WireFinish,
} from "./dialect.ts";
import { createCallStream, extractCalls } from "./hermes-vllm.ts";
import { tokenPieces } from "./pieces.ts";
import {
  createReasoningStream,
  IDENTITY,
  type ReasoningRule,
  SPLIT_AT_THINK_END,
  splitReasoning,
} from "./reasoning.ts";

const ID_PREFIX = "chatcmpl-tool-";

/** vLLM since January 2026, started as LG recommends for K-EXAONE: Hermes calls, `deepseek_v3` reasoning, no strictness. */
export const vllm: Dialect = vllmWith({
  name: "vllm",
  field: "reasoning",
  firstDelta: { role: "assistant", content: "" },
  usage: (counts) => ({
    ...totals(counts),
    prompt_tokens_details: { cached_tokens: counts.cachedTokens },
    completion_tokens_details: { reasoning_tokens: counts.reasoningTokens },
  }),
  errorBody: (status, message, code = null) => ({
    error: { message, type: errorType(status), param: null, code: code ?? status },
  }),
});

/** vLLM of 2025: `reasoning_content`, no token details, and errors that are not wrapped. */
export const vllmLegacy: Dialect = vllmWith({
  name: "vllm-legacy",
  field: "reasoning_content",
  firstDelta: { role: "assistant", content: "", reasoning_content: null },
  usage: (counts) => ({ ...totals(counts), prompt_tokens_details: null }),
  errorBody: (status, message) => ({ object: "error", message, type: errorType(status), param: null, code: status }),
});

interface Variant extends Pick<Dialect, "usage" | "errorBody"> {
  readonly name: "vllm" | "vllm-legacy";
  readonly field: "reasoning" | "reasoning_content";
  readonly firstDelta: object;
}

function vllmWith({ name, field, firstDelta, usage, errorBody }: Variant): Dialect {
  return {
    name,
    message: (raw, context) => wholeAnswer(raw, context, field),
    stream: (raw, context, slice) => [
      { delta: firstDelta, finish: null },
      ...finished(deltasOf(tokenPieces(raw, slice), context, field), context),
    ],
    choiceExtras: (finish) => (finish === null ? {} : { stop_reason: null }),
    bodyExtras: { service_tier: null, system_fingerprint: null, prompt_logprobs: null, kv_transfer_params: null },
    usage,
    nullUsage: false,
    errorBody,
    strict: false,
  };
}

function wholeAnswer(raw: string, context: WireContext, field: string): Answer {
  const { reasoning, content } = splitReasoning(raw, ruleOf(context));
  const parsed = content !== null && looksForCalls(context) ? extractCalls(content) : { text: content, calls: [] };
  const calls = context.parallel === false ? parsed.calls.slice(0, 1) : parsed.calls;
  const message = {
    role: "assistant" as const,
    // A forced call is generated under a grammar and leaves no room for text: the content is empty, not null.
    content: calls.length > 0 && isForced(context) ? "" : parsed.text === "" ? null : parsed.text,
    refusal: null,
    annotations: null,
    audio: null,
    function_call: null,
    tool_calls: calls.map((call, index) => ({
      id: callId(ID_PREFIX, context.digest, index),
      type: "function" as const,
      function: call,
    })),
    [field]: reasoning,
  };
  return { message, finish: finishOf(context, calls.length > 0) };
}

function deltasOf(pieces: readonly string[], context: WireContext, field: string): object[] {
  const split = createReasoningStream(ruleOf(context));
  const parse = looksForCalls(context) ? createCallStream() : (content: string) => ({ content, parts: [] });
  const deltas: object[] = [];
  for (const piece of pieces) {
    const { reasoning, content } = split(piece);
    if (reasoning !== "") deltas.push({ [field]: reasoning });
    if (content === "") continue;
    const parsed = parse(content);
    const parts = parsed.parts.filter((part) => context.parallel !== false || part.index === 0);
    const delta = {
      ...(parsed.content === "" || isForced(context) ? {} : { content: parsed.content }),
      ...(parts.length === 0 ? {} : { tool_calls: parts.map((part) => callPart(part, context.digest)) }),
    };
    if (Object.keys(delta).length > 0) deltas.push(delta);
  }
  return deltas;
}

/** The name comes with id and type and no `arguments` key; the arguments come with neither. */
function callPart(part: { index: number; name?: string; arguments?: string }, digest: string): object {
  const { index, name } = part;
  if (name === undefined) return { index, function: { arguments: part.arguments } };
  return { id: callId(ID_PREFIX, digest, index), type: "function", index, function: { name } };
}

/** The finish reason shares the chunk of the last delta. */
function finished(deltas: readonly object[], context: WireContext): StreamStep[] {
  const called = deltas.some((delta) => "tool_calls" in delta);
  const all = deltas.length === 0 ? [{ content: "" }] : deltas;
  return all.map((delta, index) => ({
    delta,
    finish: index === all.length - 1 ? finishOf(context, called) : null,
  }));
}

/** `deepseek_v3` passes everything on as content unless the request itself asked for thinking. */
function ruleOf({ kwargs = {}, versions = CURRENT_VERSIONS, reasoningParserOff }: WireContext): ReasoningRule {
  if (reasoningParserOff) return IDENTITY;
  const { enableThinkingAware, reasoningParser } = versions.vllm;
  if (reasoningParser === "deepseek_r1") return SPLIT_AT_THINK_END;
  const asked = kwargs.thinking === true || (enableThinkingAware && kwargs.enable_thinking === true);
  return asked ? SPLIT_AT_THINK_END : IDENTITY;
}

function finishOf(context: WireContext, called: boolean): WireFinish {
  if (!context.complete) return "length";
  // As OpenAI does, a named choice ends with `stop`.
  return called && typeof context.toolChoice !== "object" ? "tool_calls" : "stop";
}

function isForced({ toolChoice }: WireContext): boolean {
  return toolChoice === "required" || typeof toolChoice === "object";
}

function totals({ promptTokens, completionTokens }: Counts): object {
  return {
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
  };
}

function errorType(status: number): string {
  if (status === 404) return "NotFoundError";
  return status >= 500 ? "InternalServerError" : status === 401 ? "Unauthorized" : "BadRequestError";
}
