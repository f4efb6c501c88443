import type { ChatCall, Said } from "./call.ts";
import type { Prompt } from "./completion.ts";
import type { Fault } from "./faults/fault.ts";
import { FAULTS, type FaultName, isFaultName } from "./faults/faults.ts";
import type { Directives } from "./model/directives.ts";
import type { Refusal } from "./refusal.ts";
import type { ChatRequest } from "./request.ts";
import { unknownFault } from "./scenario.ts";
import type { State } from "./state.ts";
import type { Dialect } from "./wire/dialect.ts";

/**
 * The fault of this try, if any: the header's, else the scenario's, the script's, the one that is set. An unknown name is
 * an answer of its own. A fault that this answer cannot have is left out and not counted.
 */
export function chooseFault(
  state: State,
  call: ChatCall,
  request: ChatRequest,
  { digest }: Prompt,
  said: Said,
): { readonly name: FaultName | null } | { readonly unknown: string } {
  const forever = Number.POSITIVE_INFINITY;
  const asked =
    call.fault !== null
      ? { name: call.fault, times: forever }
      : said.fault !== null
        ? { name: said.fault, times: forever }
        : (said.directives.fault ?? state.fault);
  const none = { name: null };
  if (asked === null || asked === undefined) return none;
  const { name, times } = asked;
  if (!isFaultName(name)) return { unknown: unknownFault(name) };
  const { on, streams } = FAULTS[name];
  if (!fits(on, request, said)) return none;
  if (streams !== "both" && (streams === "stream") !== request.stream) return none;
  return state.tries.within(`${digest} ${name}`, times) ? { name } : none;
}

/** Whether the answer is one the fault waits for. */
function fits(on: Fault["on"], { thinking }: ChatRequest, { utterance }: Said): boolean {
  if (on === "any") return true;
  if (on === "think") return thinking;
  const calls = utterance.calls.length > 0 || utterance.raw?.includes("<tool_call>") === true;
  return (on === "call") === calls;
}

/** The refusal a `#sim error` line asks of this try. */
export function forcedError(state: State, dialect: Dialect, digest: string, { error }: Directives): Refusal | null {
  if (error === null || !state.tries.within(`${digest} error`, error.times)) return null;
  const { status, retryAfterSeconds } = error;
  return {
    status,
    body: dialect.errorBody(status, `Forced by #sim error ${status}.`),
    ...(retryAfterSeconds === null ? {} : { headers: { "retry-after": String(retryAfterSeconds) } }),
  };
}
