import { type Egress, EgressBlocked } from "../egress/index.ts";
import { failed, type ToolCallContext, type ToolResult } from "../kind.ts";
import { SecretUnavailable } from "../secrets/reference.ts";
import { readResponse } from "./response.ts";

/** A request made of a call's arguments. */
export interface BuiltRequest {
  readonly method: string;
  readonly url: string;
  /** Names in lower case; they go beside Maru's own and win over its Accept. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/**
 * Builds a request and makes it, all within the time-out. What goes wrong is a result in words for the model: `build` answers
 * one itself where the arguments make no request.
 * @throws SecretUnavailable, and the reason of the context's signal
 */
export async function sendRequest(
  egress: Egress,
  timeoutMs: number,
  context: ToolCallContext,
  build: () => Promise<BuiltRequest | ToolResult>,
): Promise<ToolResult> {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), timeoutMs);
  try {
    const built = await build();
    if ("output" in built) return built;
    const response = await egress.request({
      method: built.method,
      url: built.url,
      headers: {
        "user-agent": "maru",
        accept: "application/json, text/*;q=0.9, */*;q=0.1",
        "accept-encoding": "identity",
        "x-run-epoch": String(context.epoch),
        "idempotency-key": context.idempotencyKey,
        ...built.headers,
      },
      body: built.body,
      signal: AbortSignal.any([context.signal, late.signal]),
    });
    return await readResponse(response);
  } catch (error) {
    if (context.signal.aborted) throw context.signal.reason;
    if (error instanceof SecretUnavailable) throw error;
    if (late.signal.aborted)
      return { ...failed("tool_timeout", `No complete answer in ${timeoutMs} ms.`), uncertain: true };
    if (isBlocked(error)) return failed("egress_blocked", "The destination is not allowed.");
    const answer = failed("tool_failed", "The request failed: the server could not be reached or broke off.");
    return wasNotSent(error) ? answer : { ...answer, uncertain: true };
  } finally {
    clearTimeout(timer);
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

const isBlocked = (error: unknown): boolean =>
  error instanceof EgressBlocked || (error instanceof Error && error.cause !== undefined && isBlocked(error.cause));
