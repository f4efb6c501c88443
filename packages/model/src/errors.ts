import type { ModelErrorCode, TokenUsage } from "@maru/contract";
import { isObject } from "./json.ts";

/** A model call that failed for good, after the retries its kind allows. */
export class ModelError extends Error {
  readonly code: ModelErrorCode;
  /** Whether the same call may succeed later. */
  readonly retryable: boolean;
  /** How long the host asked to wait. */
  readonly retryAfterMs: number | undefined;
  /** HTTP status of the reply, or the one a stream's error envelope named. */
  readonly status: number | undefined;
  /** What the last attempt used, where the host had begun to answer; by our own count where it reported none. */
  usage: TokenUsage | undefined;

  constructor(
    code: ModelErrorCode,
    message: string,
    about: { retryable: boolean; retryAfterMs?: number | undefined; status?: number | undefined },
  ) {
    super(message);
    this.name = "ModelError";
    this.code = code;
    this.retryable = about.retryable;
    this.retryAfterMs = about.retryAfterMs;
    this.status = about.status;
  }
}

const OVERFLOW = /context.{0,20}(?:length|window)|too many tokens|prompt is too long/i;

/**
 * The error for an HTTP status and body of a host, whether as a reply or inside a stream that began with 200. `body` is
 * parsed JSON, or text that was none. `now` in epoch milliseconds, for a `Retry-After` that is a date.
 */
export function statusError(status: number, body: unknown, retryAfter: string | null, now: number): ModelError {
  const final = { status, retryable: false };
  const passing = { status, retryable: true, retryAfterMs: retryAfterMs(retryAfter, now) };
  if (status === 401 || status === 403)
    return new ModelError("model_unauthorized", "The model's host refused the API key.", final);
  // Like a refused key, something only the operator of this installation can put right.
  if (status === 402)
    return new ModelError("model_unauthorized", "The account at the model's host has no credit left.", final);
  if (status === 404) return new ModelError("model_not_found", "The model's host does not have this model.", final);
  if (status === 429)
    return new ModelError("upstream_rate_limited", "The model's host asked to slow down (429).", passing);
  if (status === 408 || status === 409 || status === 425 || status >= 500)
    return new ModelError("upstream_unavailable", `The model's host could not answer (${status}).`, passing);
  const said = messageOf(body);
  if ((status === 400 || status === 413 || status === 422) && OVERFLOW.test(`${codeOf(body)} ${said}`))
    return new ModelError("context_overflow", "The conversation is longer than the model's context.", final);
  return new ModelError(
    "model_bad_request",
    `The model's host refused the request (${status})${said === "" ? "" : `: ${said.slice(0, 300)}`}`,
    final,
  );
}

/** The error in a piece of a stream that began with 200, or null when the piece is none. */
export function envelopeError(event: string, piece: unknown, now: number): ModelError | null {
  if (!isObject(piece)) return event === "error" ? statusError(500, piece, null, now) : null;
  const flat = piece.object === "error" || event === "error" || ("detail" in piece && !("choices" in piece));
  const error = piece.error ? piece.error : flat ? piece : null;
  return error === null ? null : statusError(statusOf(error), piece, null, now);
}

function statusOf(error: unknown): number {
  if (!isObject(error)) return 500;
  for (const said of [error.status, error.code, error.status_code]) {
    const status = typeof said === "object" ? Number.NaN : Number(said);
    if (Number.isInteger(status) && status >= 400 && status < 600) return status;
  }
  const kind = `${textOf(error.type)} ${textOf(error.code)}`;
  if (/rate.?limit|too.?many/i.test(kind)) return 429;
  if (/overload|unavailable/i.test(kind)) return 503;
  return /bad.?request|invalid|context_length/i.test(kind) || "detail" in error ? 400 : 500;
}

/** Code and message for the run's `error`: nothing of keys, hosts or stacks; and what the failed call used all the same. */
export function describeModelError(error: unknown): {
  code: string;
  message: string;
  usage?: TokenUsage;
  retryAfterMs?: number;
} {
  if (error instanceof ModelError)
    return {
      code: error.code,
      message: error.message,
      ...(error.usage === undefined ? {} : { usage: error.usage }),
      ...(error.retryAfterMs === undefined ? {} : { retryAfterMs: error.retryAfterMs }),
    };
  return { code: "model_failed", message: "The model call failed." };
}

/** Errors in errors are not looked into deeper than this: a host may nest them a million times. */
const ERROR_DEPTH = 4;

/** Hosts say it as {error: {message}}, flat, {detail: "…"}, {detail: [{loc, msg}]}, or as a proxy's page. */
function messageOf(body: unknown, depth = 0): string {
  if (typeof body === "string") return body.trimStart().startsWith("<") ? "" : body.trim();
  if (!isObject(body) || depth > ERROR_DEPTH) return "";
  const { error, message, detail } = body;
  if (error) return messageOf(error, depth + 1);
  if (typeof message === "string") return message;
  if (Array.isArray(detail)) return detail.slice(0, MAX_DETAILS).map(validationMessage).join("; ");
  return typeof detail === "string" ? detail : "";
}

const codeOf = (body: unknown, depth = 0): string => {
  if (!isObject(body) || depth > ERROR_DEPTH) return "";
  return isObject(body.error) ? codeOf(body.error, depth + 1) : textOf(body.code);
};

const MAX_DETAILS = 20;
/** What a host says where text is expected; String() of its objects could throw, or never end. */
const textOf = (value: unknown): string =>
  typeof value === "string" ? value : typeof value === "number" || typeof value === "boolean" ? String(value) : "";

function validationMessage(item: unknown): string {
  if (!isObject(item)) return textOf(item);
  const place = Array.isArray(item.loc) ? item.loc.slice(0, MAX_DETAILS).map(textOf).join(".") : "";
  return place === "" ? textOf(item.msg) : `${place}: ${textOf(item.msg)}`;
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110 §10.2.3); undefined when it is neither. */
function retryAfterMs(header: string | null, now: number): number | undefined {
  if (header === null || header.trim() === "") return undefined;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return seconds < 0 ? undefined : seconds * 1_000;
  const date = Date.parse(header);
  return Number.isNaN(date) ? undefined : Math.max(0, date - now);
}
