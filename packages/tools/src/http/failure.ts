import { EgressBlocked } from "../egress/index.ts";
import { failed, type ToolResult } from "../kind.ts";

/** The call ends here, with this result. */
export class CallFailed extends Error {
  readonly result: ToolResult;
  constructor(code: string, output: string) {
    super(output);
    this.name = "CallFailed";
    this.result = failed(code, output);
  }
}

/** Failures of finding and reaching a server, which come before anything is sent. */
const BEFORE_SENDING: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
const wasNotSent = (error: unknown): boolean =>
  error instanceof Error &&
  (("code" in error && BEFORE_SENDING.has(String(error.code))) ||
    (error.cause !== undefined && wasNotSent(error.cause)));

export const isBlocked = (error: unknown): boolean =>
  error instanceof EgressBlocked || (error instanceof Error && error.cause !== undefined && isBlocked(error.cause));

/** What the model reads of an exchange that failed; no address, which would map the inside. */
export function failureOf(error: unknown): ToolResult {
  if (error instanceof CallFailed) return error.result;
  if (isBlocked(error)) return failed("egress_blocked", "The destination is not allowed.");
  const answer = failed("tool_failed", "The request failed: the server could not be reached or broke off.");
  return wasNotSent(error) ? answer : { ...answer, uncertain: true };
}
