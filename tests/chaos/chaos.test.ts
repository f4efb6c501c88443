import { describe, expect, test } from "vitest";
import { type ChaosOptions, type ChaosResult, runChaos } from "./chaos.ts";
import { redisThere } from "./redis-there.ts";
import { broken, NOTHING } from "./verdict.ts";

const SHORT: Omit<ChaosOptions, "backend"> = {
  seed: Number(process.env.CHAOS_SEED ?? 1),
  runs: Number(process.env.CHAOS_RUNS ?? 150),
  inFlight: 60,
  loadMs: 10_000,
  deadlineMs: 150_000,
  modelCallMs: 300,
  maxToolDelayMs: 200,
  faults: {
    everyMs: 2_000,
    postgresCrashesAt: [0.35],
    flushesAt: [0.6],
    gatewayKillsAt: [0.75],
    toTheEnd: false,
  },
  keepLogs: false,
};

/** The long form is `npm run chaos`; its figures are in docs/durability.md. */
describe("with workers, a gateway and Postgres dying under load, no promise is broken", () => {
  test("with the queue on Postgres", { timeout: 200_000 }, async () => {
    const result = await runChaos({ ...SHORT, backend: "postgres" });
    expect(broken(result)).toEqual(NOTHING);
    expectFaults(result);
  });

  const redis = redisThere();
  const title = `with the queue on Redis${redis ? "" : ": not run, there is no redis-server"}`;
  test.skipIf(!redis)(title, { timeout: 200_000 }, async () => {
    const result = await runChaos({ ...SHORT, backend: "redis" });
    expect(broken(result)).toEqual(NOTHING);
    expectFaults(result);
    expect(result.done.flushes).toBe(1);
  });
});

/** Without these the promises were not put to the test. */
function expectFaults({ done, tools, runs }: ChaosResult): void {
  expect(done.kills).toBeGreaterThanOrEqual(2);
  expect(done.stops).toBeGreaterThanOrEqual(1);
  expect([done.postgresCrashes, done.gatewayKills]).toEqual([1, 1]);
  expect(tools.arrivals).toBeGreaterThan(0);
  expect(runs).toBe(SHORT.runs);
}
