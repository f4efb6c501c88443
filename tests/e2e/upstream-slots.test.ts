import { randomUUID } from "node:crypto";
import { slotTerms, type UpstreamSlots } from "@maru/model";
import { createRedisSlots } from "@maru/queue";
import { openStore } from "@maru/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { backendFor, createTestDatabase, describeEachBackend, type TestDatabase } from "../setup/database.ts";

const MINUTE_MS = 60_000;

describeEachBackend("slots of an upstream key, shared by processes", (backend) => {
  let database: TestDatabase;
  let processes: { slots: UpstreamSlots; close(): Promise<unknown> }[];
  beforeAll(async () => {
    database = await createTestDatabase();
    const queue = backendFor(backend, database);
    processes = await Promise.all(
      [1, 2].map(async () => {
        if (queue.kind === "redis") {
          const slots = createRedisSlots(queue);
          return { slots, close: () => slots.close() };
        }
        const store = await openStore({ url: database.runtimeUrl });
        return { slots: store.upstream, close: () => store.close() };
      }),
    );
  });
  afterAll(async () => {
    await Promise.all(processes.map(({ close }) => close()));
    await database.drop();
  });
  const [first, second] = [() => processes[0]?.slots as UpstreamSlots, () => processes[1]?.slots as UpstreamSlots];
  const lease = () => ({ id: randomUUID(), ms: MINUTE_MS });

  test("never more in flight than allowed, over all of them; given back, a slot is free", async () => {
    const terms = slotTerms({ callsPerMinute: null, inFlight: 3 });
    const leases = Array.from({ length: 20 }, lease);
    const taken = await Promise.all(
      leases.map((item, index) => (index % 2 === 0 ? first() : second()).take("flight", terms, item)),
    );
    const got = leases.filter((_, index) => taken[index]?.waitMs === 0);
    expect(got).toHaveLength(3);
    await second().give("flight", got[0]?.id as string);
    expect((await first().take("flight", terms, lease())).waitMs).toBe(0);
    expect((await second().take("flight", terms, lease())).waitMs).toBeGreaterThan(0);
  });

  test("a slot nobody gave back is free when its lease is over", async () => {
    const terms = slotTerms({ callsPerMinute: null, inFlight: 1 });
    expect((await first().take("lease", terms, { id: randomUUID(), ms: 1 })).waitMs).toBe(0);
    await new Promise((done) => setTimeout(done, 20));
    expect((await second().take("lease", terms, lease())).waitMs).toBe(0);
  });

  test("a tenth of a minute's calls may come at once, over all of them; then each is told its wait", async () => {
    const terms = slotTerms({ callsPerMinute: 60, inFlight: null });
    const waits = await Promise.all(
      Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? first() : second()).take("rate", terms, lease())),
    );
    expect(waits.filter(({ waitMs }) => waitMs === 0)).toHaveLength(6);
    for (const { waitMs } of waits) expect(waitMs).toBeLessThanOrEqual(1_000);
  });

  test("a pause the host asked one for holds for all, and a shorter one does not end it", async () => {
    const terms = slotTerms({ callsPerMinute: 600, inFlight: 5 });
    await first().pause("paused", MINUTE_MS);
    await second().pause("paused", 1);
    const { waitMs } = await second().take("paused", terms, lease());
    expect(waitMs).toBeGreaterThan(MINUTE_MS / 2);
    expect((await second().take("another", terms, lease())).waitMs).toBe(0);
  });
});
