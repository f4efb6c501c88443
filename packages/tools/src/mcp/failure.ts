import { ProtocolError, SdkError, SdkErrorCode, SdkHttpError } from "@modelcontextprotocol/client";
import { blockedBy } from "../egress/index.ts";
import { wasNotSent } from "../http/failure.ts";
import { failed, type ToolResult } from "../kind.ts";
import { Overflow, Redirected } from "./bounds.ts";
import { plainText } from "./definition.ts";
import { ListTooLong, NoSession, StdioOff } from "./errors.ts";

const causes = (error: unknown): unknown[] => {
  const found: unknown[] = [];
  for (let next = error; next !== undefined && next !== null && found.length < 8; )
    next = found.push(next) > 0 ? (next as { cause?: unknown }).cause : undefined;
  return found;
};
const caused = (error: unknown, kind: abstract new (...args: never[]) => Error): boolean =>
  causes(error).some((item) => item instanceof kind);

/** The status the server answered with, when that is what went wrong. */
export function statusOf(error: unknown): number | null {
  for (const item of causes(error)) {
    if (item instanceof SdkHttpError) return item.status;
    if (!(item instanceof Error)) continue;
    // The SSE transport has the status in its words, its event source in a code.
    const status = /\(HTTP (\d{3})\)/.exec(item.message)?.[1] ?? (item as { code?: unknown }).code;
    if (Number(status) >= 100 && Number(status) < 600) return Number(status);
  }
  return null;
}

/** Whether a server that answered so may speak the transport of before (2024-11-05): no answer to a POST but 400, 404 or 405. */
export const mayBeOlder = (error: unknown): boolean => [400, 404, 405].includes(statusOf(error) ?? 0);

const timedOut = (error: unknown): boolean =>
  causes(error).some(
    (item) =>
      (item instanceof SdkError && item.code === SdkErrorCode.RequestTimeout) ||
      (item instanceof Error && item.name === "TimeoutError"),
  );

/**
 * Why a server can't be had, in words that tell a stranger nothing of what is inside: neither addresses nor what the server
 * itself said, which may repeat what it was sent.
 */
export function reasonOf(error: unknown): string {
  const status = statusOf(error);
  if (error instanceof StdioOff || error instanceof NoSession) return error.message;
  const blocked = blockedBy(error);
  if (blocked?.code === "policy_denied") return "The workspace's policy does not allow its host.";
  if (blocked !== null) return "Its address is not one that may be reached.";
  if (caused(error, Redirected)) return "It answers with a redirect, which is not followed.";
  if (caused(error, Overflow) || caused(error, ListTooLong)) return "It sends more than is read.";
  if (status === 401 || status === 403) return `It does not accept the credentials (HTTP ${status}).`;
  if (status === 404 || status === 405) return `There is no MCP endpoint at this URL (HTTP ${status}).`;
  if (status !== null) return `It answers with HTTP ${status}.`;
  if (timedOut(error)) return "It did not answer in time.";
  if (wasNotSent(error)) return "It could not be reached.";
  return speaksOtherwise(error) ? "What it answers is not MCP." : "It could not be reached, or broke off.";
}

/** A range error is what the SDK's validation ends with where something is nested without end. */
function speaksOtherwise(error: unknown): boolean {
  const first = causes(error).at(-1);
  if (first instanceof SdkError) return first.code !== SdkErrorCode.ConnectionClosed;
  return first instanceof ProtocolError || first instanceof RangeError;
}

const MAX_MESSAGE = 2_000;

/** What the model reads of a call that came to nothing. `sent`: whether the call itself may have reached the server. */
export function failedCall(error: unknown, sent: boolean): ToolResult {
  const unsure = (result: ToolResult): ToolResult => (sent ? { ...result, uncertain: true } : result);
  if (caused(error, Overflow)) return failed("tool_response_too_large", "The server sent more than 8 MiB.");
  if (timedOut(error)) return unsure(failed("tool_timeout", "The server gave no complete answer in time."));
  const blocked = blockedBy(error);
  if (blocked !== null) return failed(blocked.code, blocked.message);
  if (error instanceof ProtocolError && sent)
    return failed("tool_failed", `The server refused the call: ${plainText(error.message, MAX_MESSAGE)}`);
  if (error instanceof SdkError && error.code === SdkErrorCode.UnsupportedResultType)
    return failed("tool_failed", "The server asks for something in between, which nobody here can give.");
  const status = statusOf(error);
  if (status !== null) {
    const answer = failed("tool_http_error", `The MCP server failed the call. ${reasonOf(error)}`);
    return status >= 500 ? unsure(answer) : answer;
  }
  const answer = failed("tool_failed", `The MCP server failed the call. ${reasonOf(error)}`);
  return wasNotSent(error) ? answer : unsure(answer);
}
