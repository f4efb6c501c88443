import type { Problem } from "./generated.ts";
import type { OperationId } from "./options.ts";

/** What a reply of the API says went wrong; the list is closed. */
export type ProblemCode = Problem["code"];

/** The call an error is of. */
export interface ErrorContext {
  readonly operation: OperationId | null;
  /** As the gateway's log names the request; null when no reply came. */
  readonly requestId: string | null;
}
const NOWHERE: ErrorContext = { operation: null, requestId: null };

const named = (message: string, { operation, requestId }: ErrorContext): string => {
  const words = [operation, requestId === null ? null : `request ${requestId}`].filter((word) => word !== null);
  return words.length === 0 ? message : `${message} [${words.join(", ")}]`;
};

/** A problem the API answered (RFC 9457). Its subclasses say what a caller can do about it. */
export class MaruError extends Error {
  readonly problem: Problem;
  readonly code: ProblemCode;
  readonly status: number;
  readonly operation: OperationId | null;
  readonly requestId: string | null;
  /** Milliseconds after which asking again may help; null when the reply did not say. */
  readonly retryAfterMs: number | null;

  constructor(problem: Problem, context: ErrorContext = NOWHERE, retryAfterMs: number | null = null) {
    const requestId = context.requestId ?? problem.instance ?? null;
    const said = `${problem.title}${problem.detail === undefined ? "" : `: ${problem.detail}`}`;
    super(named(said, { ...context, requestId }));
    this.name = new.target.name;
    this.problem = problem;
    this.code = problem.code;
    this.status = problem.status;
    this.operation = context.operation;
    this.requestId = requestId;
    this.retryAfterMs = problem.retry_after_ms ?? retryAfterMs;
  }
}

/** The request is wrong (400, 413, 415 …): `problem.errors` says where. */
export class InvalidRequest extends MaruError {}
/** There are no credentials, or none that hold (401). */
export class Unauthorized extends MaruError {}
/** The credentials do not allow the call (403). */
export class Forbidden extends MaruError {}
/** There is no such thing in this workspace (404). */
export class NotFound extends MaruError {}
/** What is there does not let the call happen (409), has changed since (412), or is gone (410). */
export class Conflict extends MaruError {}
/** The service failed or is away (5xx). */
export class ServiceError extends MaruError {}

/** Too many calls (429). The client has waited and tried again as often as it may before it throws this. */
export class RateLimited extends MaruError {
  /** The limit that refused the call; null for one that has no name. */
  readonly limit: string | null;

  constructor(problem: Problem, context?: ErrorContext, retryAfterMs?: number | null) {
    super(problem, context, retryAfterMs);
    this.limit = problem.limit ?? null;
  }
}

/** Quota, a campaign or a limit of the workspace leaves no room for the run (402, 403 `run_too_large`, 429). */
export class QuotaExhausted extends MaruError {
  /** When there is room again, as far as that is known. */
  readonly freesAt: Date | null;
  /** When the free tier ended, for good. */
  readonly endedAt: Date | null;
  /** The limit that has no room. */
  readonly limit: string | null;

  constructor(problem: Problem, context?: ErrorContext, retryAfterMs?: number | null) {
    super(problem, context, retryAfterMs);
    this.freesAt = problem.resets_at === undefined ? null : new Date(problem.resets_at);
    this.endedAt = problem.ends_at === undefined ? null : new Date(problem.ends_at);
    this.limit = problem.limit ?? null;
  }
}

const QUOTA: ReadonlySet<string> = new Set<ProblemCode>([
  "quota_exhausted",
  "free_tier_not_begun",
  "free_tier_ended",
  "concurrency_exceeded",
  "queue_full",
  "run_too_large",
]);

const BY_STATUS: Readonly<Record<number, typeof MaruError>> = {
  401: Unauthorized,
  403: Forbidden,
  404: NotFound,
  409: Conflict,
  410: Conflict,
  412: Conflict,
  429: RateLimited,
};

/** The error a problem is. `retryAfterMs`: of the reply's header, for problems that do not say it themselves. */
export function errorOf(problem: Problem, context: ErrorContext, retryAfterMs: number | null = null): MaruError {
  const { code, status } = problem;
  const Kind = QUOTA.has(code)
    ? QuotaExhausted
    : (BY_STATUS[status] ?? (status >= 500 ? ServiceError : InvalidRequest));
  return new Kind(problem, context, retryAfterMs);
}

/** No reply of Maru came: the network failed, or something in between answered in its place. `cause` says more. */
export class ConnectionError extends Error {
  readonly operation: OperationId | null;
  readonly requestId: string | null;
  /** Of a reply that was not Maru's: a proxy's, a captive portal's. */
  readonly status: number | null;
  /** Milliseconds after which asking again may help; null when the reply did not say. */
  readonly retryAfterMs: number | null;

  constructor(
    message: string,
    context: ErrorContext = NOWHERE,
    options: { cause?: unknown; status?: number; retryAfterMs?: number | null } = {},
  ) {
    super(named(message, context), options.cause === undefined ? undefined : { cause: options.cause });
    this.name = new.target.name;
    this.operation = context.operation;
    this.requestId = context.requestId;
    this.status = options.status ?? null;
    this.retryAfterMs = options.retryAfterMs ?? null;
  }
}

/** Nothing came in time. What was asked for may have happened. */
export class TimeoutError extends ConnectionError {}

/** A run's stream broke and could not be taken up again. The run goes on: `lastSeq` is where to go on reading. */
export class StreamLost extends ConnectionError {
  /** Null when the run may not have begun. */
  readonly runId: string | null;
  readonly lastSeq: number;

  constructor(
    message: string,
    context: ErrorContext,
    about: { runId: string | null; lastSeq: number; cause: unknown },
  ) {
    super(message, context, { cause: about.cause });
    this.runId = about.runId;
    this.lastSeq = about.lastSeq;
  }
}
