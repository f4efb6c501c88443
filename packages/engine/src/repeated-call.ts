import type { ToolCall } from "@maru/contract";
import { canonicalJson } from "@maru/domain";
import type { StoredStep } from "@maru/store";

/**
 * The name of a call the model keeps repeating: asked for again after it already ran `times` times in a row with the same
 * arguments and the same result, so one more run of it can't tell anything new. Null when there is none.
 */
export function repeatedCall(calls: readonly ToolCall[], steps: readonly StoredStep[], times: number): string | null {
  const done = steps.filter((step) => step.kind === "tool" && step.output !== null);
  for (const call of calls) {
    const key = callKey(call);
    let repeats = 0;
    let result: string | undefined;
    for (const step of done.toReversed()) {
      if (step.kind !== "tool" || step.name !== call.name) break;
      if (callKey(step.input) !== key || (result !== undefined && step.output?.output !== result)) break;
      result = step.output?.output;
      repeats++;
    }
    if (repeats >= times) return call.name;
  }
  return null;
}

function callKey({ name, arguments: text }: ToolCall): string {
  try {
    return `${name} ${canonicalJson(JSON.parse(text === "" ? "{}" : text))}`;
  } catch {
    return `${name} ${text}`;
  }
}
