import type { Directives } from "./model/directives.ts";

/** Requests whose failures are counted; the oldest is forgotten first. */
const MAX_REQUESTS = 4_096;

/**
 * Decides whether a `#sim error` directive fails this try of a request. With `times=N` the first N tries of the very
 * same request fail and the next succeeds, which is what a client that retries must see.
 */
export function createForcedErrors(): (digest: string, error: Directives["error"]) => Directives["error"] {
  const failed = new Map<string, number>();
  return (digest, error) => {
    if (error === null || !Number.isFinite(error.times)) return error;
    const before = failed.get(digest) ?? 0;
    if (before >= error.times) return null;
    failed.set(digest, before + 1);
    if (failed.size > MAX_REQUESTS) for (const oldest of failed.keys()) if (failed.delete(oldest)) break;
    return error;
  };
}
