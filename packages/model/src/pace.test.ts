import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { standingClock } from "../test/kit.ts";
import { createLocalSlots, createPacer, slotTerms, type UpstreamLimits, type UpstreamSlots } from "./pace.ts";

const never = new AbortController().signal;
const lease = (id: string) => ({ id, ms: 60_000 });

/** A clock whose sleepers are woken one after the other, as soon as everybody sleeps. */
function steppingClock() {
  let time = 0;
  return {
    now: () => time,
    sleep: async (ms: number, signal: AbortSignal) => {
      await new Promise<void>((done) => setImmediate(done));
      signal.throwIfAborted();
      time += ms;
    },
  };
}

const pacerOf = (limits: UpstreamLimits, clock: ReturnType<typeof steppingClock>, slots = createLocalSlots(clock)) =>
  createPacer({ slots, key: "k", limits, clock, random: () => 0.5 });

describe("slots", () => {
  test("in any minute no more calls than the limit and its burst get a slot", () => {
    fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 600 }),
        fc.array(fc.integer({ min: 0, max: 5_000 }), { maxLength: 300 }),
        async (callsPerMinute, gaps) => {
          const clock = standingClock(0);
          const slots = createLocalSlots(clock);
          const granted: number[] = [];
          for (const gap of gaps) {
            clock.advance(gap);
            const { waitMs } = await slots.take("k", slotTerms({ callsPerMinute, inFlight: null }), lease("a"));
            if (waitMs === 0) granted.push(clock.now());
          }
          const { everyMs, toleranceMs } = slotTerms({ callsPerMinute, inFlight: null });
          const burst = toleranceMs / (everyMs ?? 1) + 1;
          for (const from of granted) {
            const inMinute = granted.filter((at) => at >= from && at < from + 60_000).length;
            expect(inMinute).toBeLessThanOrEqual(callsPerMinute + burst);
          }
        },
      ),
    );
  });

  test("who waits as long as told gets a slot", async () => {
    const clock = standingClock(0);
    const slots = createLocalSlots(clock);
    const limits = { callsPerMinute: 7, inFlight: null };
    for (let call = 0; call < 50; call++) {
      const { waitMs } = await slots.take("k", slotTerms(limits), lease("a"));
      clock.advance(waitMs);
      if (waitMs > 0) expect(await slots.take("k", slotTerms(limits), lease("a"))).toEqual({ waitMs: 0 });
    }
  });

  test("keys have nothing to do with each other", async () => {
    const slots = createLocalSlots(standingClock(0));
    const limits = { callsPerMinute: 1, inFlight: 1 };
    expect((await slots.take("a", slotTerms(limits), lease("1"))).waitMs).toBe(0);
    expect((await slots.take("a", slotTerms(limits), lease("2"))).waitMs).toBeGreaterThan(0);
    expect((await slots.take("b", slotTerms(limits), lease("3"))).waitMs).toBe(0);
  });

  test("a slot of a process that died is free when its lease is over", async () => {
    const clock = standingClock(0);
    const slots = createLocalSlots(clock);
    const limits = { callsPerMinute: null, inFlight: 1 };
    expect((await slots.take("k", slotTerms(limits), lease("dead"))).waitMs).toBe(0);
    expect((await slots.take("k", slotTerms(limits), lease("next"))).waitMs).toBeGreaterThan(0);
    clock.advance(60_000);
    expect((await slots.take("k", slotTerms(limits), lease("next"))).waitMs).toBe(0);
  });
});

describe("turns", () => {
  test("come in the order of asking", async () => {
    const clock = steppingClock();
    const pacer = pacerOf({ callsPerMinute: 60, inFlight: null }, clock);
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, async (_, index) => {
        (await pacer.turn(never))();
        order.push(index);
      }),
    );
    expect(order).toEqual(order.toSorted((a, b) => a - b));
  });

  test("never more at once than the limit", async () => {
    const clock = steppingClock();
    const pacer = pacerOf({ callsPerMinute: null, inFlight: 3 }, clock);
    let now = 0;
    let most = 0;
    await Promise.all(
      Array.from({ length: 12 }, async () => {
        const end = await pacer.turn(never);
        most = Math.max(most, ++now);
        await new Promise<void>((done) => setImmediate(done));
        now--;
        end();
      }),
    );
    expect(most).toBe(3);
  });

  test("one that was aborted while waiting holds up nobody", async () => {
    const clock = steppingClock();
    const pacer = pacerOf({ callsPerMinute: null, inFlight: 1 }, clock);
    const end = await pacer.turn(never);
    const gone = new AbortController();
    const waiting = pacer.turn(gone.signal);
    const next = pacer.turn(never);
    gone.abort(new Error("gone"));
    await expect(waiting).rejects.toThrow("gone");
    end();
    (await next)();
  });

  test("slots that can't be reached are replaced by the process's own", async () => {
    const clock = steppingClock();
    const away: UpstreamSlots = {
      take: async () => {
        throw new Error("away");
      },
      give: async () => {},
      pause: async () => {
        throw new Error("away");
      },
    };
    const pacer = pacerOf({ callsPerMinute: 60, inFlight: null }, clock, away);
    for (let call = 0; call < 8; call++) (await pacer.turn(never))();
    expect(clock.now()).toBeGreaterThanOrEqual(2_000);
    pacer.pause(5_000);
    const paused = clock.now();
    (await pacer.turn(never))();
    expect(clock.now()).toBeGreaterThanOrEqual(paused + 5_000);
  });
});
