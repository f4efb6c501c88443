/** What one call learned of its limit. */
export interface RateVerdict {
  readonly allowed: boolean;
  /** Calls that may follow at once. */
  readonly remaining: number;
  /** Until the next call is allowed when this one is not, else until the burst is whole again. */
  readonly waitMs: number;
}

export interface RateLimiter {
  take(key: string): RateVerdict;
  /** As `take`, but counts nothing. */
  peek(key: string): RateVerdict;
  readonly policy: { readonly burst: number; readonly windowSeconds: number };
}

/**
 * GCRA, the generic cell rate algorithm (ITU-T I.371): one instant a key says when its bucket would be empty again. Exact,
 * without windows whose edges let twice the rate through. Kept in this process: the limit holds for each gateway.
 */
export function createRateLimiter(options: {
  perMinute: number;
  burst: number;
  now: () => number;
  maxKeys?: number;
}): RateLimiter {
  const { burst, now, maxKeys = 50_000 } = options;
  const interval = 60_000 / options.perMinute;
  const arrivals = new Map<string, number>();

  const judge = (key: string, cost: number): RateVerdict => {
    const at = now();
    const arrival = Math.max(at, arrivals.get(key) ?? at);
    const next = arrival + cost * interval;
    const waitMs = next - at - burst * interval;
    if (waitMs > 1e-6) return { allowed: false, remaining: 0, waitMs };
    if (cost > 0) {
      if (arrivals.size >= maxKeys) forgetIdle(at);
      arrivals.set(key, next);
    }
    return {
      allowed: true,
      remaining: Math.floor((burst * interval - (next - at)) / interval + 1e-6),
      waitMs: next - at,
    };
  };
  /** A key whose bucket is full again is as good as a new one. */
  const forgetIdle = (at: number) => {
    for (const [key, arrival] of arrivals) if (arrival <= at) arrivals.delete(key);
    if (arrivals.size >= maxKeys) arrivals.clear();
  };

  return {
    take: (key) => judge(key, 1),
    peek: (key) => judge(key, 0),
    policy: { burst, windowSeconds: Math.ceil((burst * interval) / 1_000) },
  };
}
