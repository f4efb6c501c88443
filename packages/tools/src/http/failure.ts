import {
  blockedBy,
  DecompressionLimit,
  EncodingRefused,
  OverheadLimit,
  RedirectFailed,
  RedirectRefused,
} from "../egress/index.ts";
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
export const wasNotSent = (error: unknown): boolean =>
  error instanceof Error &&
  (("code" in error && BEFORE_SENDING.has(String(error.code))) ||
    (error.cause !== undefined && wasNotSent(error.cause)));

/** Whether the same request would fail in the same way. */
export const isFinal = (error: unknown): boolean =>
  blockedBy(error) !== null ||
  [CallFailed, DecompressionLimit, EncodingRefused, OverheadLimit, RedirectRefused].some(
    (kind) => error instanceof kind,
  );

/** What the model reads of an exchange that failed; no address, which would map the inside. */
export function failureOf(error: unknown): ToolResult {
  if (error instanceof CallFailed) return error.result;
  if (error instanceof DecompressionLimit || error instanceof OverheadLimit)
    return failed("tool_response_too_large", error.message);
  if (error instanceof EncodingRefused) return failed("tool_failed", error.message);
  if (error instanceof RedirectRefused) return failed("tool_http_error", error.message);
  const blocked = blockedBy(error);
  if (blocked !== null)
    return { ...failed(blocked.code, blocked.message), ...(blocked.afterRedirect ? { uncertain: true } : {}) };
  const answer = failed(
    "tool_failed",
    error instanceof RedirectFailed
      ? error.message
      : "The request failed: the server could not be reached or broke off.",
  );
  return wasNotSent(error) ? answer : { ...answer, uncertain: true };
}
