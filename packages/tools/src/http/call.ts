import { failed, type ToolCallContext, type ToolResult } from "../kind.ts";
import { SecretUnavailable } from "../secrets/reference.ts";
import type { ExchangeOptions, Pace } from "./exchange.ts";
import { failureOf } from "./failure.ts";

/**
 * Makes a call within its time-out; what goes wrong is a result in words for the model. `make` is told when to stop, and how to
 * say what an error of a part of it is.
 * @throws SecretUnavailable, and the reason of the context's signal
 */
export async function withinTimeout(
  context: ToolCallContext,
  timeoutMs: number,
  pace: Pace,
  make: (
    limits: Pick<ExchangeOptions, "signal" | "deadline">,
    resultOf: (error: unknown) => ToolResult,
  ) => Promise<ToolResult>,
): Promise<ToolResult> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  /** The result an error stands for; the stop of the run is thrown on. */
  const resultOf = (error: unknown): ToolResult => {
    if (context.signal.aborted) throw context.signal.reason;
    if (error instanceof SecretUnavailable) throw error;
    if (late.signal.aborted)
      return { ...failed("tool_timeout", `No complete answer in ${timeoutMs} ms.`), uncertain: true };
    return failureOf(error);
  };
  try {
    const signal = AbortSignal.any([context.signal, late.signal]);
    return await make({ signal, deadline: pace.now() + timeoutMs }, resultOf);
  } catch (error) {
    return resultOf(error);
  } finally {
    clearTimeout(timer);
  }
}
