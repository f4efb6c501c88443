import type { RateBucket, RateStore, RateVerdict } from "@maru/domain";
import type { Logger } from "pino";
import type { LocalRates } from "./local.ts";

/** Of its limits a caller has this much at each gateway while nobody can see what the others let through. */
const SHARE = 4;
/** How long the store is left alone after it failed. Then one call asks it, and the others do not wait for that. */
const RETRY_MS = 1_000;
const LOG_EVERY_MS = 60_000;

export interface SharedRates {
  /** Never rejects. The buckets in force are answered too: smaller ones while the store is away. */
  take(
    owner: string,
    buckets: readonly RateBucket[],
  ): Promise<{ verdict: RateVerdict; buckets: readonly RateBucket[] }>;
  close(): Promise<void>;
}

/** Limits in the store all gateways share; without it, a quarter of each limit in this process. */
export function createSharedRates(deps: {
  store: RateStore;
  local: LocalRates;
  logger: Logger;
  now: () => number;
}): SharedRates {
  const { store, local, logger, now } = deps;
  let away = false;
  let retryAt = 0;
  let loggedAt = Number.NEGATIVE_INFINITY;

  const failed = (error: unknown) => {
    away = true;
    retryAt = now() + RETRY_MS;
    if (now() - loggedAt < LOG_EVERY_MS) return;
    loggedAt = now();
    logger.warn({ err: error }, `rate limits are counted here, a 1/${SHARE} of each: their store does not answer`);
  };
  return {
    async take(owner, buckets) {
      if (!away || now() >= retryAt) {
        retryAt = now() + RETRY_MS;
        try {
          const verdict = await store.take(owner, buckets);
          away = false;
          return { verdict, buckets };
        } catch (error) {
          failed(error);
        }
      }
      const shares = buckets.map(({ key, everyUs, burst }) => ({
        key,
        everyUs: everyUs * SHARE,
        burst: Math.max(1, Math.floor(burst / SHARE)),
      }));
      return { verdict: local.take(shares), buckets: shares };
    },
    close: () => store.close(),
  };
}
