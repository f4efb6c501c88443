import { ConnectionError, MaruError } from "./errors.ts";

/** The longest wait a reply may ask for that is waited; a call that would wait longer throws at once. */
export const LONGEST_WAIT_MS = 30_000;
const FIRST_DELAY_MS = 250;
const LONGEST_DELAY_MS = 8_000;

/** Codes that say "ask again": quota that is used up is an answer, and no reason to. */
const PASSING: ReadonlySet<string> = new Set(["rate_limited", "request_timeout", "idempotency_in_progress"]);
const STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** Full jitter: anything from nothing to a bound that doubles, so that clients that failed together do not come back together. */
export const backoffMs = (attempt: number, random: () => number = Math.random): number =>
  random() * Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** attempt);

/** Whether asking again may help. */
export function isPassing(error: unknown): boolean {
  if (error instanceof MaruError) return PASSING.has(error.code) || error.status >= 500;
  return error instanceof ConnectionError && (error.status === null || STATUSES.has(error.status));
}

/** Milliseconds to wait before the next attempt; null when there should be none. What a reply asked for is waited to the millisecond. */
export function retryDelayMs(error: unknown, attempt: number): number | null {
  if (!isPassing(error)) return null;
  const asked = error instanceof MaruError || error instanceof ConnectionError ? error.retryAfterMs : null;
  if (asked === null) return backoffMs(attempt);
  return asked > LONGEST_WAIT_MS ? null : asked;
}

/** `Retry-After` (RFC 9110 §10.2.3), seconds or a date, in milliseconds; null when there is none to understand. */
export function retryAfterMs(headers: Headers, now: number = Date.now()): number | null {
  const value = headers.get("retry-after");
  if (value === null) return null;
  if (/^\d{1,9}$/.test(value)) return Number(value) * 1_000;
  const date = Date.parse(value);
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

/** Resolves after the time. @throws the signal's reason, as soon as it aborts */
export function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    signal?.throwIfAborted();
    const onAbort = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", onAbort);
      resolve();
    }, ms);
    signal?.addEventListener("abort", onAbort, { once: true });
  });
}
