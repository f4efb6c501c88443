import type { ModelErrorCode } from "@maru/contract";

/** A model call that failed for good, after the retries its kind allows. */
export class ModelError extends Error {
  readonly code: ModelErrorCode;
  readonly retryable: boolean;
  readonly retryAfterMs: number | null;
  readonly status: number | null;

  constructor(
    code: ModelErrorCode,
    message: string,
    about: { retryable: boolean; retryAfterMs?: number | null; status?: number | null },
  ) {
    super(message);
    this.name = "ModelError";
    this.code = code;
    this.retryable = about.retryable;
    this.retryAfterMs = about.retryAfterMs ?? null;
    this.status = about.status ?? null;
  }
}

/** The error for an HTTP status and body of a host, whether as a reply or inside a stream that began with 200. */
export function statusError(status: number, body: unknown, retryAfter: string | null, now: number): ModelError {
  const about = { status, retryAfterMs: retryAfterMs(retryAfter, now) };
  const said = messageOf(body);
  if (status === 401 || status === 403)
    return new ModelError("model_unauthorized", "The model's host refused the API key.", {
      ...about,
      retryable: false,
    });
  if (status === 404)
    return new ModelError("model_not_found", "The model's host does not have this model.", {
      ...about,
      retryable: false,
    });
  if (status === 429 || status === 408 || status === 409 || status === 425) {
    return new ModelError(
      status === 429 ? "upstream_rate_limited" : "upstream_unavailable",
      `The model's host asked to slow down (${status}).`,
      { ...about, retryable: true },
    );
  }
  if (status >= 500)
    return new ModelError("upstream_unavailable", `The model's host failed (${status}).`, {
      ...about,
      retryable: true,
    });
  if (/context|maximum.*length|too many tokens/i.test(said))
    return new ModelError("context_overflow", "The conversation is longer than the model's context.", {
      ...about,
      retryable: false,
    });
  return new ModelError(
    "model_bad_request",
    `The model's host refused the request (${status})${said === "" ? "" : `: ${said.slice(0, 300)}`}`,
    { ...about, retryable: false },
  );
}

/** Code and message for the run's `error`: nothing of keys, hosts or stacks. */
export function describeModelError(error: unknown): { code: string; message: string } {
  if (error instanceof ModelError) return { code: error.code, message: error.message };
  return { code: "model_failed", message: "The model call failed." };
}

/** Hosts say it as {error: {message}}, flat, {detail: "…"}, {detail: [{loc, msg}]}, or as a proxy's HTML. */
function messageOf(body: unknown): string {
  if (typeof body !== "object" || body === null) return "";
  const { error, message, detail } = body as { error?: unknown; message?: unknown; detail?: unknown };
  if (typeof error === "object" && error !== null) return messageOf(error);
  if (typeof error === "string") return error;
  if (typeof message === "string") return message;
  if (typeof detail === "string") return detail;
  if (Array.isArray(detail))
    return detail
      .map((item: { loc?: unknown[]; msg?: string }) => `${(item.loc ?? []).join(".")}: ${item.msg ?? ""}`)
      .join("; ");
  return "";
}

/** `Retry-After` in milliseconds: seconds or a date (RFC 9110 §10.2.3). */
function retryAfterMs(header: string | null, now: number): number | null {
  if (header === null) return null;
  const seconds = Number(header);
  if (Number.isFinite(seconds)) return Math.max(0, seconds * 1_000);
  const date = Date.parse(header);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}
