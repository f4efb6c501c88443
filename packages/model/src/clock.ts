import { setTimeout } from "node:timers/promises";

/** The model client's time: all its waits and limits go by it. */
export interface ModelClock {
  /** Epoch milliseconds that never go back. */
  now(): number;
  /** Resolves after that many milliseconds; rejects as soon as the signal aborts. */
  sleep(ms: number, signal: AbortSignal): Promise<void>;
}

export const systemClock: ModelClock = {
  now: () => performance.timeOrigin + performance.now(),
  sleep: (ms, signal) => setTimeout(ms, undefined, { signal }),
};

/**
 * Calls `bark` once when the time given by the last `within` has passed. Moving the time later costs nothing: a sleeper
 * that wakes too early goes back to sleep.
 */
export function createWatchdog(clock: ModelClock, bark: () => void) {
  let deadline = 0;
  let wakesAt = Number.POSITIVE_INFINITY;
  let nap = new AbortController();

  const watch = async (stop: AbortSignal): Promise<void> => {
    try {
      for (let left = deadline - clock.now(); left > 0; left = deadline - clock.now()) {
        wakesAt = deadline;
        await clock.sleep(left, stop);
      }
    } catch {
      return;
    }
    if (!stop.aborted) bark();
  };

  return {
    within(ms: number): void {
      deadline = clock.now() + ms;
      if (deadline >= wakesAt) return;
      nap.abort();
      nap = new AbortController();
      void watch(nap.signal);
    },
    stop(): void {
      nap.abort();
    },
  };
}
