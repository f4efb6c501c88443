import type { ModelClock } from "./clock.ts";

const FAILURES = 5;
const OPEN_MS = 5_000;
const OPEN_MAX_MS = 60_000;

/**
 * A circuit breaker of one host. After five calls in a row that failed for the host's reasons, each with its retries, it
 * is open: calls are not sent. When its time is over it is half open: one call is let through as a probe, and its outcome
 * closes the circuit or opens it for twice as long, up to a minute.
 */
export function createBreaker({ clock }: { readonly clock: Pick<ModelClock, "now"> }) {
  let failures = 0;
  let openMs = OPEN_MS;
  let openUntil = 0;
  let probing = false;

  return {
    /** 0 = go ahead; else the circuit is open, for at least so many milliseconds. */
    waitMs(): number {
      if (failures < FAILURES) return 0;
      const left = openUntil - clock.now();
      if (left > 0) return left;
      if (probing) return OPEN_MS;
      probing = true;
      return 0;
    },
    succeeded(): void {
      failures = 0;
      openMs = OPEN_MS;
      probing = false;
    },
    failed(): void {
      failures++;
      if (failures < FAILURES) return;
      if (probing) openMs = Math.min(OPEN_MAX_MS, openMs * 2);
      probing = false;
      openUntil = clock.now() + openMs;
    },
    /** The call says nothing about the host: it was aborted, or the fault was the caller's. */
    undecided(): void {
      probing = false;
    },
  };
}
export type Breaker = ReturnType<typeof createBreaker>;
