import type { ToolCall } from "@maru/contract";
import type { StoredStep } from "@maru/store";
import { callDigest } from "./digest.ts";
import { isResult } from "./journal-state.ts";

/**
 * The name of a call the model keeps repeating: asked for again after it already ran `times` times in a row with the same
 * arguments and the same result, so one more run of it can't tell anything new. Null when there is none.
 */
export function repeatedCall(calls: readonly ToolCall[], steps: readonly StoredStep[], times: number): string | null {
  const done = steps.filter((step) => isResult(step) && step.output !== null);
  for (const call of calls) {
    const key = callDigest(call);
    let repeats = 0;
    let result: string | undefined;
    for (const step of done.toReversed()) {
      if (!isResult(step) || step.name !== call.name) break;
      if (callDigest(step.input) !== key || (result !== undefined && step.output?.output !== result)) break;
      result = step.output?.output;
      repeats++;
    }
    if (repeats >= times) return call.name;
  }
  return null;
}
