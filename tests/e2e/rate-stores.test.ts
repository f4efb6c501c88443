import { randomUUID } from "node:crypto";
import { aheadUsOf, judgeCall, type RateBucket, type RateStore, rateBucket, roomOf } from "@maru/domain";
import { createRedisRates } from "@maru/queue";
import { openRates } from "@maru/store";
import fc from "fast-check";
import { Redis } from "ioredis";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { backendFor, createTestDatabase, describeEachBackend, type TestDatabase } from "../setup/database.ts";

/** So slow that nothing comes back while a test runs. */
const SLOW = { everyUs: 3_600_000_000 };
const bucket = (key: string, burst: number): RateBucket => ({ key, burst, ...SLOW });
const OWNER = "workspace";
/** A machine that stands still for a while must not look like a store that is away. */
const PATIENT_MS = 20_000;
let names = 0;
const fresh = (what: string) => `${what}-${names++}`;

describeEachBackend("rate limits that gateways share", (backend) => {
  let database: TestDatabase;
  let stores: RateStore[];
  beforeAll(async () => {
    database = await createTestDatabase();
    const queue = backendFor(backend, database);
    const open = () =>
      queue.kind === "redis"
        ? createRedisRates({ ...queue, answerMs: PATIENT_MS })
        : openRates({ url: database.runtimeUrl, answerMs: PATIENT_MS });
    stores = [open(), open()];
    // The first call waits for its connection: the ones a test counts do not.
    for (const store of stores) await store.take(OWNER, [bucket("first", 10)]);
  });
  afterAll(async () => {
    for (const store of stores ?? []) await store.close();
    await database?.drop();
  });
  const store = (index: number) => stores[index % 2] as RateStore;

  test("of many calls at once through two gateways exactly the burst passes, each with its own place", async () => {
    const buckets = [bucket(fresh("key"), 37), bucket(fresh("workspace"), 1_000)];
    const verdicts = await Promise.all(Array.from({ length: 150 }, (_, index) => store(index).take(OWNER, buckets)));
    const passed = verdicts.filter(({ granted }) => granted);
    expect(passed).toHaveLength(37);
    const room = (ahead: number | undefined) => roomOf(buckets[0] as RateBucket, Math.ceil(ahead ?? 0) - 1);
    expect(verdicts.filter(({ granted }) => !granted).map(({ aheadUs }) => room(aheadUs[0]))).toEqual(
      Array(113).fill(0),
    );
    // Nobody was told the same rest as another.
    expect(passed.map(({ aheadUs }) => room(aheadUs[0])).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 37 }, (_, index) => index),
    );
  });

  test("the narrower of two limits decides, whoever's it is, and a refused call takes nothing from the other", async () => {
    const workspace = bucket(fresh("workspace"), 12);
    const [one, other] = [bucket(fresh("key"), 5), bucket(fresh("key"), 50)];
    const ask = async (own: RateBucket, count: number) => {
      const verdicts = await Promise.all(
        Array.from({ length: count }, (_, index) => store(index).take(OWNER, [own, workspace])),
      );
      return verdicts.filter(({ granted }) => granted).length;
    };
    expect(await ask(one, 40)).toBe(5);
    // The 35 that were refused left the workspace's limit as it was: seven are left for the other key.
    expect(await ask(other, 40)).toBe(7);
    // And the 33 the workspace refused left the other key's as it was.
    const alone = await Promise.all(Array.from({ length: 60 }, (_, index) => store(index).take(OWNER, [other])));
    expect(alone.filter(({ granted }) => granted)).toHaveLength(43);
  });

  test("a limit that is used up is another's no more than before", async () => {
    const [used, unused] = [bucket(fresh("key"), 3), bucket(fresh("key"), 3)];
    for (let index = 0; index < 5; index++) await store(index).take(OWNER, [used]);
    expect((await store(0).take(OWNER, [used])).granted).toBe(false);
    expect((await store(1).take("another workspace", [unused])).granted).toBe(true);
  });

  test("judges as the rule says: any calls of any keys of a workspace, one after another or at once", async () => {
    const key = fc.record({ burst: fc.integer({ min: 1, max: 6 }), calls: fc.integer({ min: 1, max: 9 }) });
    await fc.assert(
      fc.asyncProperty(
        fc.array(key, { minLength: 1, maxLength: 4 }),
        fc.integer({ min: 1, max: 15 }),
        async (keys, burst) => {
          const workspace = bucket(fresh("workspace"), burst);
          let shared = 0;
          for (const [index, { burst: own, calls }] of keys.entries()) {
            const buckets = [bucket(fresh("key"), own), workspace];
            let ahead: readonly number[] = [0, shared];
            let expected = 0;
            for (let call = 0; call < calls; call++) {
              const verdict = judgeCall(buckets, ahead);
              ahead = verdict.aheadUs;
              if (verdict.granted) expected++;
            }
            shared = ahead[1] ?? 0;
            const verdicts = await Promise.all(
              Array.from({ length: calls }, (_, call) => store(index + call).take(OWNER, buckets)),
            );
            expect(verdicts.filter(({ granted }) => granted)).toHaveLength(expected);
          }
        },
      ),
      { numRuns: 40 },
    );
  });

  test("calls of many workspaces at once, new ones among them, are judged each by itself", async () => {
    const owners = Array.from({ length: 60 }, (_, index) => ({
      name: fresh("owner"),
      buckets: [bucket(fresh(index % 2 === 0 ? "a" : "z"), 2), bucket(fresh("workspace"), 3)],
    }));
    const asks = owners.flatMap((owner) => [0, 1, 2].map(() => owner));
    const verdicts = await Promise.all(asks.map(({ name, buckets }, index) => store(index).take(name, buckets)));
    for (const owner of owners)
      expect(verdicts.filter(({ granted }, index) => granted && asks[index] === owner)).toHaveLength(2);
  });

  test("after exactly the wait it was told a call passes", async () => {
    // A call every 40 ms: long enough that a store's answer does not take as long.
    const own = { key: fresh("key"), everyUs: 40_000, burst: 1 };
    await store(0).take(OWNER, [own]);
    for (let tries = 0; tries < 5; tries++) {
      const { granted, aheadUs } = await store(tries).take(OWNER, [own]);
      if (granted) continue;
      // Timers may fire a part of a millisecond early.
      await new Promise((done) => setTimeout(done, Math.ceil((aheadUs[0] ?? 0) / 1_000) + 1));
      expect((await store(tries + 1).take(OWNER, [own])).granted).toBe(true);
    }
  });
});

test.skipIf(inject("redisUrl") === null)(
  "in Redis too an arrival of a clock that was set back is a full burst",
  async () => {
    const redis = new Redis(inject("redisUrl") as string);
    const prefix = `test-${randomUUID()}`;
    const store = createRedisRates({ url: inject("redisUrl") as string, prefix, answerMs: PATIENT_MS });
    try {
      await redis.set(`${prefix}:rates:{${OWNER}}:key`, String((Date.now() + 86_400_000) * 1_000));
      expect(await store.take(OWNER, [bucket("key", 2)])).toEqual({ granted: false, aheadUs: [7_200_000_000] });
      const next = await store.take(OWNER, [bucket("key", 2)]);
      expect(next.aheadUs[0]).toBeLessThan(7_200_000_000);
    } finally {
      await store.close();
      redis.disconnect();
    }
  },
);

describe("on a clock of our own (Postgres)", () => {
  let database: TestDatabase;
  let store: RateStore;
  let clock = 1_800_000_000_000;
  const setClock = (ms: number) => {
    clock = ms;
    return database.query("UPDATE test_clock SET at = to_timestamp($1::double precision / 1000)", [clock]);
  };
  beforeAll(async () => {
    database = await createTestDatabase();
    await database.query("CREATE TABLE public.test_clock (at timestamptz)");
    await database.query("INSERT INTO test_clock VALUES (to_timestamp($1::double precision / 1000))", [clock]);
    await database.query("GRANT SELECT ON test_clock TO PUBLIC");
    await database.query(
      "CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT at FROM public.test_clock $$",
    );
    store = openRates({ url: database.runtimeUrl, answerMs: PATIENT_MS });
  });
  afterAll(async () => {
    await store?.close();
    await database?.drop();
  });

  test("every verdict, to the microsecond, is that of the rule", async () => {
    const policy = fc.record({ perMinute: fc.integer({ min: 7, max: 9_000 }), burst: fc.integer({ min: 1, max: 5 }) });
    const calls = fc.array(fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 20_000 })), {
      minLength: 1,
      maxLength: 15,
    });
    await fc.assert(
      fc.asyncProperty(policy, policy, calls, async (own, shared, pauses) => {
        const buckets = [rateBucket(fresh("key"), own), rateBucket(fresh("workspace"), shared)];
        const arrivals = [0, 0];
        for (const pause of pauses) {
          if (pause > 0) await setClock(clock + pause);
          const verdict = judgeCall(
            buckets,
            buckets.map((bucket, index) => aheadUsOf(bucket, arrivals[index] ?? 0, clock * 1_000)),
          );
          expect(await store.take(OWNER, buckets)).toEqual(verdict);
          for (const [index, ahead] of verdict.aheadUs.entries()) arrivals[index] = clock * 1_000 + ahead;
        }
      }),
      { numRuns: 40 },
    );
  });

  test("a clock that is set back keeps a caller out for a full burst at most", async () => {
    const minute = [rateBucket(fresh("key"), { perMinute: 60, burst: 5 })];
    for (let call = 0; call < 6; call++) await store.take(OWNER, minute);
    const now = clock;
    await setClock(now - 86_400_000);
    expect(await store.take(OWNER, minute)).toEqual({ granted: false, aheadUs: [5_000_000] });
    await setClock(clock + 1_000);
    expect(await store.take(OWNER, minute)).toEqual({ granted: true, aheadUs: [5_000_000] });
    await setClock(now);
  });

  test("a bucket nobody uses any more is forgotten, one in use is not", async () => {
    const [idle, used] = [fresh("idle"), fresh("used")];
    await store.take(OWNER, [rateBucket(idle, { perMinute: 60, burst: 5 })]);
    await setClock(clock + 90_000);
    await store.take(OWNER, [rateBucket(used, { perMinute: 60, burst: 5 })]);
    await database.query("SELECT forget_idle_rates()");
    const rows = await database.query<{ key: string }>("SELECT key FROM rate_limits WHERE key = ANY ($1)", [
      [idle, used],
    ]);
    expect(rows).toEqual([{ key: used }]);
  });
});
