import { setTimeout as wait } from "node:timers/promises";
import { LIMITS } from "@maru/contract";
import type { DecompressedResponse, Egress, Redirects } from "../egress/index.ts";
import { CallFailed, isFinal } from "./failure.ts";

/** A request with everything filled in. */
export interface OutgoingRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

/** A reply that was read whole. */
export interface Reply {
  /** Where it is from, after redirects. */
  readonly url: string;
  readonly status: number;
  readonly headers: DecompressedResponse["headers"];
  readonly bytes: Buffer;
}

/** Time and chance, given so that tests need neither. */
export interface Pace {
  now(): number;
  /** From 0 to 1. */
  random(): number;
  wait(ms: number, signal: AbortSignal): Promise<void>;
}
export const REAL_PACE: Pace = {
  now: Date.now,
  random: Math.random,
  wait: (ms, signal) => wait(ms, undefined, { signal }),
};

export interface ExchangeOptions {
  readonly egress: Egress;
  /** Times a request is sent again; 0 for one that must not be. */
  readonly retries: number;
  /** Null: none are followed. */
  readonly redirects: Redirects | null;
  readonly signal: AbortSignal;
  /** Nothing is sent again after it, in milliseconds of `pace.now()`. */
  readonly deadline: number;
  /** How long a server may take for the head of its answer. */
  readonly headersTimeoutMs: number;
  /** What all exchanges of one call may read together. */
  readonly budget: { left: number; readonly max: number };
  readonly pace: Pace;
}

/** Statuses that say "not now" (RFC 9110 §15.5.9, §15.6; RFC 6585 §4). */
const PASSING: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 8_000;
/** Bytes that a byte of a compressed reply may stand for; texts have 3 to 20. */
const MAX_RATIO = 200;

/**
 * Sends a request, and again where it failed in passing: after a random part of a time that doubles, so that callers who
 * failed together do not come back together, and not before the server's Retry-After. The last answer is given when the next
 * try would come too late.
 * @throws CallFailed when the reply is too large, or whatever the last request failed with
 */
export async function exchange(request: OutgoingRequest, options: ExchangeOptions): Promise<Reply> {
  const { egress, retries, redirects, signal, deadline, headersTimeoutMs, budget, pace } = options;
  for (let tried = 0; ; tried++) {
    const waitFor = (atLeast: number): number | null => {
      if (tried >= retries) return null;
      const ms = Math.max(atLeast, pace.random() * Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tried));
      return pace.now() + ms < deadline ? ms : null;
    };
    let ms: number | null;
    try {
      const response = await egress.request({
        ...request,
        ...(redirects === null ? {} : { redirects }),
        signal,
        headersTimeoutMs,
        decompress: { maxBytes: budget.left, maxRatio: MAX_RATIO },
      });
      ms = PASSING.has(response.statusCode) ? waitFor(retryAfterMs(response.headers, pace.now()) ?? 0) : null;
      if (ms === null) return await readWhole(response, request.method, budget);
      leave(response);
    } catch (error) {
      ms = signal.aborted || isFinal(error) ? null : waitFor(0);
      if (ms === null) throw error;
    }
    await pace.wait(ms, signal);
  }
}

/** How long a server asks to be left alone (RFC 9110 §10.2.3); null when it does not say. */
export function retryAfterMs(headers: Reply["headers"], now: number): number | null {
  const text = String(headers["retry-after"] ?? "").trim();
  if (/^\d{1,9}$/.test(text)) return Number(text) * 1_000;
  const date = /^[A-Z][a-z]{2,8},? /.test(text) ? Date.parse(text) : Number.NaN;
  return Number.isNaN(date) ? null : Math.max(0, date - now);
}

async function readWhole(
  response: DecompressedResponse,
  method: string,
  budget: ExchangeOptions["budget"],
): Promise<Reply> {
  const { statusCode: status, finalUrl: url, headers, body } = response;
  const tooLarge = (): CallFailed => {
    leave(response);
    const size = budget.max === LIMITS.responseBytes.max ? "8 MiB" : `${budget.max} bytes`;
    return new CallFailed("tool_response_too_large", `The reply is larger than ${size}.`);
  };
  const chunks: Buffer[] = [];
  if (Number(headers["content-length"] ?? 0) > budget.left && method !== "HEAD") throw tooLarge();
  for await (const chunk of body as AsyncIterable<Buffer>) {
    budget.left -= chunk.length;
    if (budget.left < 0) throw tooLarge();
    chunks.push(chunk);
  }
  return { url, status, headers, bytes: Buffer.concat(chunks) };
}

/** A reply nobody reads: it might never end, so its connection does. */
export const leave = ({ body }: DecompressedResponse): void => void body.on("error", () => {}).destroy();
