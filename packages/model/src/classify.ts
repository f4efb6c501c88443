import type { ModelAnswer } from "@maru/contract";

/**
 * What an answer amounts to. Decided on the presence of calls, not on the stated reason: hosts say `stop` for a named
 * choice and `tool_calls` for none.
 *
 * - `truncated`: cut off with text, or in the middle of a call, which then must not run
 * - `thinking_ate_budget`: cut off before any text
 * - `protocol_error`: calls announced and none there
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

export function classifyAnswer(answer: ModelAnswer, asked: { thinking: boolean }): AnswerClass {
  const { finishReason: reason, toolCalls, text } = answer;
  if (reason === "content_filter") return "filtered";
  if (reason === "error") return "failed";
  if (toolCalls.length > 0)
    return reason === "length" && !toolCalls.every(({ arguments: args }) => complete(args)) ? "truncated" : "tools";
  if (reason === "length")
    return text.trim() === "" && (asked.thinking || answer.reasoning !== "") ? "thinking_ate_budget" : "truncated";
  if (reason === "tool_calls") return "protocol_error";
  return text.trim() === "" ? "empty" : "final";
}

function complete(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}
