import fc from "fast-check";
import { expect, test } from "vitest";
import { aheadUsOf, judgeCall, moreRoomInUs, type RatePolicy, rateBucket, roomOf } from "./rate.ts";

const policy = fc.record({ perMinute: fc.integer({ min: 1, max: 100_000 }), burst: fc.integer({ min: 1, max: 20 }) });
/** Pauses before calls, from none to longer than it takes to fill any bucket again. */
const pauses = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 100_000_000 })), {
  minLength: 1,
  maxLength: 80,
});

/** Buckets at an artificial clock of whole microseconds. */
function play(policies: readonly RatePolicy[], gaps: readonly number[]) {
  const buckets = policies.map((item, index) => rateBucket(String(index), item));
  const arrivals = buckets.map(() => 0);
  let at = 0;
  return gaps.map((gap) => {
    at += gap;
    const before = buckets.map((bucket, index) => aheadUsOf(bucket, arrivals[index] ?? 0, at));
    const { granted, aheadUs } = judgeCall(buckets, before);
    for (const [index, ahead] of aheadUs.entries()) arrivals[index] = at + ahead;
    return { at, granted, before, aheadUs, buckets };
  });
}

test("between any two instants at most burst + rate × time calls pass", () => {
  fc.assert(
    fc.property(policy, pauses, (one, gaps) => {
      const passed = play([one], gaps).filter(({ granted }) => granted);
      for (const [from, first] of passed.entries())
        for (const [index, last] of passed.slice(from).entries())
          expect(index + 1).toBeLessThanOrEqual(one.burst + ((last.at - first.at) * one.perMinute) / 60_000_000);
    }),
  );
});

test("a call is refused only by a bucket that as many calls have filled, and then takes from none", () => {
  fc.assert(
    fc.property(policy, policy, pauses, (own, shared, gaps) => {
      for (const { granted, before, aheadUs, buckets } of play([own, shared], gaps)) {
        const rooms = buckets.map((bucket, index) => roomOf(bucket, before[index] ?? 0));
        expect(granted).toBe(rooms.every((room) => room > 0));
        if (!granted) expect(aheadUs).toEqual(before);
        else
          expect(buckets.map((bucket, index) => roomOf(bucket, aheadUs[index] ?? 0))).toEqual(
            rooms.map((room) => room - 1),
          );
      }
    }),
  );
});

test("a refused call passes after exactly the wait it was told, and not a microsecond before", () => {
  fc.assert(
    fc.property(policy, pauses, (one, gaps) => {
      const bucket = rateBucket("key", one);
      for (const { granted, aheadUs } of play([one], gaps)) {
        const ahead = aheadUs[0] ?? 0;
        const wait = moreRoomInUs(bucket, ahead);
        if (!granted) {
          expect(judgeCall([bucket], [Math.max(0, ahead - wait)]).granted).toBe(true);
          expect(judgeCall([bucket], [ahead - wait + 1]).granted).toBe(false);
        }
        expect(roomOf(bucket, Math.max(0, ahead - wait))).toBe(ahead === 0 ? one.burst : roomOf(bucket, ahead) + 1);
      }
    }),
  );
});

test("an arrival far ahead of the clock, as after it was set back, is a full burst and no more", () => {
  const bucket = rateBucket("key", { perMinute: 60, burst: 5 });
  expect(aheadUsOf(bucket, 86_400_000_000, 0)).toBe(5_000_000);
  expect(moreRoomInUs(bucket, 5_000_000)).toBe(1_000_000);
});
