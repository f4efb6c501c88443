import { judgeCall, type RateBucket, type RateStore, type RateVerdict, rateBucket } from "@maru/domain";
import { pino } from "pino";
import { expect, test } from "vitest";
import { createLocalRates } from "./local.ts";
import { createSharedRates } from "./shared.ts";

const BUCKETS: readonly RateBucket[] = [
  rateBucket("key", { perMinute: 60, burst: 40 }),
  rateBucket("workspace", { perMinute: 60, burst: 400 }),
];

/** Shared limits over a store whose answers the test gives, on a clock it sets. */
function arrange(answer: () => Promise<RateVerdict>) {
  const lines: string[] = [];
  const clock = { ms: 1_000_000 };
  let asked = 0;
  const store: RateStore = {
    take: () => {
      asked++;
      return answer();
    },
    close: async () => {},
  };
  const now = () => clock.ms;
  const logger = pino({ level: "warn" }, { write: (line: string) => lines.push(line) });
  const rates = createSharedRates({ store, local: createLocalRates({ now }), logger, now });
  return { rates, clock, lines, asked: () => asked };
}
const gone = () => Promise.reject(new Error("gone"));
const there = async () => judgeCall(BUCKETS, [0, 0]);

test("without the store a quarter of each limit holds, at a quarter of the rate", async () => {
  const { rates, clock } = arrange(gone);
  const passed = async (calls: number) => {
    let count = 0;
    for (let call = 0; call < calls; call++) if ((await rates.take("w", BUCKETS)).verdict.granted) count++;
    return count;
  };
  expect(await passed(200)).toBe(10);
  clock.ms += 8_000;
  expect(await passed(200)).toBe(2);
  expect((await rates.take("w", BUCKETS)).buckets.map(({ burst }) => burst)).toEqual([10, 100]);
});

test("a limit of one call is one call without the store, not none", async () => {
  const { rates } = arrange(gone);
  const single = [rateBucket("narrow", { perMinute: 1, burst: 1 })];
  expect((await rates.take("w", single)).verdict.granted).toBe(true);
  expect((await rates.take("w", single)).verdict.granted).toBe(false);
});

test("a store that failed is asked once a second, logged once a minute, and used again when it answers", async () => {
  let answer: () => Promise<RateVerdict> = gone;
  const { rates, clock, lines, asked } = arrange(() => answer());
  for (let second = 0; second < 59; second++) {
    for (let call = 0; call < 3; call++) await rates.take("w", BUCKETS);
    clock.ms += 1_000;
  }
  expect([asked(), lines.length]).toEqual([59, 1]);
  clock.ms += 1_000;
  await rates.take("w", BUCKETS);
  expect([asked(), lines.length]).toEqual([60, 2]);
  answer = there;
  clock.ms += 1_000;
  expect((await rates.take("w", BUCKETS)).buckets).toBe(BUCKETS);
  expect((await rates.take("w", BUCKETS)).buckets).toBe(BUCKETS);
  expect([asked(), lines.length]).toEqual([62, 2]);
});

test("while one call asks whether the store is back, the others do not wait for it", async () => {
  let release: (verdict: RateVerdict) => void = () => {};
  let answer: () => Promise<RateVerdict> = gone;
  const { rates, clock } = arrange(() => answer());
  await rates.take("w", BUCKETS);
  clock.ms += 1_000;
  answer = () => new Promise((done) => (release = done));
  const probe = rates.take("w", BUCKETS);
  expect((await rates.take("w", BUCKETS)).buckets).not.toBe(BUCKETS);
  release(await there());
  expect((await probe).buckets).toBe(BUCKETS);
});
