import type { ModelAnswer } from "@maru/contract";
import { jsonObject } from "./json.ts";

/**
 * What an answer amounts to.
 *
 * - `final`: text for the user
 * - `tools`: calls to carry out; their arguments may still be no valid JSON, which the model is to be told
 * - `truncated`: cut off in its text, or in a call, which then must not run
 * - `thinking_ate_budget`: cut off before any text or call
 * - `empty`: it said nothing
 * - `protocol_error`: calls announced and none there
 * - `filtered`: withheld by the host
 * - `failed`: the host gave up, or never said how it ended
 */
export type AnswerClass =
  | "final"
  | "tools"
  | "truncated"
  | "empty"
  | "thinking_ate_budget"
  | "protocol_error"
  | "filtered"
  | "failed";

/**
 * Decides on the presence of calls, not on the stated reason: OpenAI and vLLM say `stop` for a named tool choice, others
 * `tool_calls` for none. A reason we don't know counts as `stop`.
 */
export function classifyAnswer(answer: ModelAnswer, asked: { thinking: boolean }): AnswerClass {
  const { finishReason: reason, toolCalls, text, reasoning } = answer;
  if (reason === "content_filter") return "filtered";
  if (reason === "error") return "failed";
  const empty = text.trim() === "";
  if (reason === "length") {
    if (toolCalls.length > 0)
      return toolCalls.every((call) => jsonObject(call.arguments) !== null) ? "tools" : "truncated";
    return empty && (asked.thinking || reasoning.trim() !== "") ? "thinking_ate_budget" : "truncated";
  }
  if (toolCalls.length > 0) return "tools";
  if (reason === "tool_calls") return "protocol_error";
  return empty ? "empty" : "final";
}
