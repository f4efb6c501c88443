/** A limit of calls: so many a minute in the long run, of which `burst` may come at once. Both at least 1. */
export interface RatePolicy {
  readonly perMinute: number;
  readonly burst: number;
}

/**
 * One bucket of the generic cell rate algorithm (GCRA, ITU-T I.371). It holds one instant a key, the arrival: when the
 * bucket would be empty again if nothing more came. Each call moves it by `everyUs`; a call that would move it further
 * than `burst` calls ahead of the clock is refused. Exact, without windows whose edges let twice the rate through.
 *
 * Whole microseconds, so that JavaScript, SQL and Lua judge the same call alike: sums of them stay exact in a double.
 */
export interface RateBucket {
  readonly key: string;
  readonly everyUs: number;
  readonly burst: number;
}

export interface RateVerdict {
  /** Every bucket had room and was taken from. Else none was. */
  readonly granted: boolean;
  /** How far each bucket's arrival is ahead of the clock after this call, in the order they were asked for. 0 = unused. */
  readonly aheadUs: readonly number[];
}

/** Where buckets are kept that several gateways share. */
export interface RateStore {
  /**
   * One call of `owner`, taken from all the buckets or from none; the store's own clock judges.
   * @throws Error when the store is away or does not answer soon
   */
  take(owner: string, buckets: readonly RateBucket[]): Promise<RateVerdict>;
  close(): Promise<void>;
}

/** Rounded up to a whole microsecond a call: never more than the policy's rate. */
export const rateBucket = (key: string, { perMinute, burst }: RatePolicy): RateBucket => ({
  key,
  everyUs: Math.ceil(60_000_000 / perMinute),
  burst,
});

/**
 * How far an arrival is ahead of the clock, µs. No call moves it further than a full burst. Where it is a minute beyond that the
 * clock was set back, and it counts as a full burst from now on: nobody is kept out for as long as the clock was wrong. Less
 * than that may be a gateway with a larger limit, as while a new one is rolled out.
 */
export function aheadUsOf({ everyUs, burst }: RateBucket, arrivalUs: number, nowUs: number): number {
  const ahead = Math.max(arrivalUs - nowUs, 0);
  return ahead > burst * everyUs + 60_000_000 ? burst * everyUs : ahead;
}

/** Calls the bucket takes at once, when its arrival is this far ahead. */
export const roomOf = ({ everyUs, burst }: RateBucket, aheadUs: number): number =>
  Math.max(0, Math.floor((burst * everyUs - aheadUs) / everyUs));

/** Microseconds until there is room for one call more than now; 0 when the bucket is unused. */
export const moreRoomInUs = (bucket: RateBucket, aheadUs: number): number =>
  aheadUs === 0 ? 0 : aheadUs - (bucket.burst - 1 - roomOf(bucket, aheadUs)) * bucket.everyUs;

/** Judges one call of buckets whose arrivals are this far ahead of the clock: all or nothing. */
export function judgeCall(buckets: readonly RateBucket[], aheadUs: readonly number[]): RateVerdict {
  const granted = buckets.every((bucket, index) => roomOf(bucket, aheadUs[index] ?? 0) >= 1);
  return { granted, aheadUs: buckets.map(({ everyUs }, index) => (aheadUs[index] ?? 0) + (granted ? everyUs : 0)) };
}
