import {
  aheadUsOf,
  judgeCall,
  moreRoomInUs,
  type RateBucket,
  type RatePolicy,
  type RateVerdict,
  rateBucket,
} from "@maru/domain";

/** Buckets in this process: each gateway counts for itself. */
export interface LocalRates {
  take(buckets: readonly RateBucket[]): RateVerdict;
  /** How far each bucket's arrival is ahead, µs; takes nothing. */
  peek(buckets: readonly RateBucket[]): readonly number[];
}

/** @param now milliseconds; buckets beyond `maxKeys` are forgotten, the one used longest ago first */
export function createLocalRates({ now, maxKeys = 50_000 }: { now: () => number; maxKeys?: number }): LocalRates {
  const arrivals = new Map<string, number>();
  const peek = (buckets: readonly RateBucket[], at = now() * 1_000) =>
    buckets.map((bucket) => aheadUsOf(bucket, arrivals.get(bucket.key) ?? 0, at));
  return {
    peek: (buckets) => peek(buckets),
    take(buckets) {
      const at = now() * 1_000;
      const verdict = judgeCall(buckets, peek(buckets, at));
      for (const [index, { key }] of buckets.entries()) {
        arrivals.delete(key);
        arrivals.set(key, at + (verdict.aheadUs[index] ?? 0));
      }
      for (const key of arrivals.keys()) {
        if (arrivals.size <= maxKeys) break;
        arrivals.delete(key);
      }
      return verdict;
    },
  };
}

/** A limit of what is counted only once it has happened: failed attempts, new accounts. */
export interface Tally {
  count(key: string): void;
  /** Milliseconds until there is room again; 0 when there is. */
  waitMs(key: string): number;
}

export function createTally(policy: RatePolicy, now: () => number): Tally {
  const rates = createLocalRates({ now });
  return {
    count: (key) => {
      rates.take([rateBucket(key, policy)]);
    },
    waitMs(key) {
      const bucket = rateBucket(key, policy);
      const [ahead = 0] = rates.peek([bucket]);
      return judgeCall([bucket], [ahead]).granted ? 0 : moreRoomInUs(bucket, ahead) / 1_000;
    },
  };
}
