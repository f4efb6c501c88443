/** Requests whose tries are counted; the oldest is forgotten first. */
const MAX_REQUESTS = 4_096;

export interface Tries {
  /**
   * Whether this try of a request is one of its first `times`: those fail and the next succeeds, which is what a client
   * that retries must see. `key` names the request and what is done to it.
   */
  within(key: string, times: number): boolean;
  clear(): void;
}

export function createTries(): Tries {
  const seen = new Map<string, number>();
  return {
    within(key, times) {
      if (!Number.isFinite(times)) return true;
      const before = seen.get(key) ?? 0;
      if (before >= times) return false;
      seen.set(key, before + 1);
      if (seen.size > MAX_REQUESTS) for (const oldest of seen.keys()) if (seen.delete(oldest)) break;
      return true;
    },
    clear: () => seen.clear(),
  };
}
