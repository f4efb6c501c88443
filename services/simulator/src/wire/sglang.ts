import {
  type Answer,
  CURRENT_VERSIONS,
  callId,
  type Dialect,
  looksForCalls,
  type Slice,
  type StreamStep,
  type WireContext,
  type WireFinish,
} from "./dialect.ts";
import { createDetectorStream, detectCalls } from "./hermes-sglang.ts";
import { tokenPieces } from "./pieces.ts";
import { createReasoningStream, IDENTITY, type ReasoningRule, splitReasoning } from "./reasoning.ts";

/** `<|endofturn|>`, by which an answer stopped. */
const END_OF_TURN = 53;

/** SGLang with `--reasoning-parser qwen3`, as LG recommends for K-EXAONE, and its Hermes detector. */
export const sglang: Dialect = {
  name: "sglang",
  message: wholeAnswer,
  stream: streamSteps,
  choiceExtras: (finish) => ({ matched_stop: finish === "stop" ? END_OF_TURN : null }),
  bodyExtras: { metadata: { weight_version: "default" } },
  usage: ({ promptTokens, completionTokens, cachedTokens, reasoningTokens }) => ({
    prompt_tokens: promptTokens,
    total_tokens: promptTokens + completionTokens,
    completion_tokens: completionTokens,
    prompt_tokens_details: { cached_tokens: cachedTokens },
    reasoning_tokens: reasoningTokens,
  }),
  nullUsage: true,
  errorBody: (status, message) => ({
    object: "error",
    message,
    type: status >= 500 ? "InternalServerError" : "BadRequestError",
    param: null,
    code: status,
  }),
  strict: false,
};

function wholeAnswer(raw: string, context: WireContext): Answer {
  const { reasoning, content } = splitReasoning(raw, ruleOf(context));
  const text = content ?? "";
  const tried = looksForCalls(context) && text.includes("<tool_call>");
  const parsed = tried ? detectCalls(text, context.toolNames ?? []) : { text, calls: [] };
  const calls = context.parallel === false ? parsed.calls.slice(0, 1) : parsed.calls;
  const message = {
    role: "assistant" as const,
    content: parsed.text,
    reasoning_content: reasoning === "" ? null : reasoning,
    tool_calls: tried
      ? calls.map((call, index) => ({
          id: callId("call_", context.digest, index),
          index,
          type: "function" as const,
          function: call,
        }))
      : null,
  };
  // The finish reason is decided by the tag, before the calls are read: broken ones leave `tool_calls` without calls.
  return { message, finish: !context.complete ? "length" : tried ? "tool_calls" : "stop" };
}

function streamSteps(raw: string, context: WireContext, slice: Slice): StreamStep[] {
  const { sglang: version } = context.versions ?? CURRENT_VERSIONS;
  const split = createReasoningStream(ruleOf(context));
  const parse = looksForCalls(context)
    ? createDetectorStream(context.toolNames ?? [], version.asciiStreamArguments)
    : (content: string) => ({ content, parts: [] });
  const steps: StreamStep[] = [step({ role: "assistant", content: "" })];
  let called = false;
  for (const piece of tokenPieces(raw, slice)) {
    const { reasoning, content } = split(piece);
    if (reasoning !== "") steps.push(step({ reasoning_content: reasoning }));
    if (content === "") continue;
    const parsed = parse(content);
    if (parsed.content !== "") steps.push(step({ content: parsed.content }));
    for (const part of parsed.parts) {
      if (context.parallel === false && part.index > 0) continue;
      called = true;
      steps.push(step({ tool_calls: [callPart(part, context.digest)] }));
    }
  }
  const finish: WireFinish = !context.complete ? "length" : called ? "tool_calls" : "stop";
  const last = { ...step({}), finish };
  return [...steps, last, ...(version.duplicateFinish ? [last] : [])];
}

/** SGLang writes every field of a delta, null when there is nothing. */
function step(delta: object): StreamStep {
  return { delta: { role: null, content: null, reasoning_content: null, tool_calls: null, ...delta }, finish: null };
}

function callPart(part: { index: number; name?: string; arguments?: string }, digest: string): object {
  return {
    id: part.name === undefined ? null : callId("call_", digest, part.index),
    index: part.index,
    type: "function",
    function: { name: part.name ?? null, arguments: part.arguments ?? "" },
  };
}

/** The `qwen3` rule: split unless the request turned thinking off. */
function ruleOf(context: WireContext): ReasoningRule {
  const { kwargs = {}, parseReasoning, reasoningParserOff, versions = CURRENT_VERSIONS } = context;
  if (kwargs.enable_thinking === false || !parseReasoning || reasoningParserOff) return IDENTITY;
  return { active: true, endsAtToolCall: versions.sglang.toolCallEndsThinking };
}
