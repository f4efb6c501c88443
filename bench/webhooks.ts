import { openStore } from "@maru/store";
import pg from "pg";
import { load, median } from "./load.ts";
import type { Bench } from "./setup.ts";

const RUNS = 500;
const ROUNDS = 7;

/**
 * What webhooks add to the transaction that ends a run, one after another: without the trigger, with nobody listening, with an
 * endpoint that listens to something else, and with one and five that are told.
 */
export async function webhooksBench(bench: Bench): Promise<void> {
  const store = await openStore({ url: bench.workerConfig.databaseUrl, poolSize: 4 });
  const owner = new pg.Pool({ connectionString: bench.ownerUrl, max: 2 });
  const { rows } = await owner.query<{ id: string }>("SELECT workspace_id AS id FROM deployments LIMIT 1");
  const { idOf } = await import("@maru/contract");
  const workspaceId = idOf("workspace", rows[0]?.id as string);
  const run = {
    deployment: "bench",
    input: "hello",
    inputTokens: 5,
    threadId: null,
    revision: null,
    onThreadBusy: null,
    metadata: {},
    simulated: true,
    apiKeyId: null,
    idempotency: null,
  };
  const endpoints = async (count: number, event: "run.cancelled" | "quota.*") => {
    await owner.query("DELETE FROM webhook_endpoints");
    const fields = { url: "https://hooks.example.com/in", events: [event], description: "", enabled: true };
    for (let index = 0; index < count; index++) await store.webhooks.add(workspaceId, fields, () => Buffer.from("x"));
  };
  const cases: [string, () => Promise<unknown>][] = [
    ["without the trigger", () => owner.query("ALTER TABLE runs DISABLE TRIGGER webhooks")],
    ["nobody listens", () => endpoints(0, "quota.*")],
    ["one listens to other events", () => endpoints(1, "quota.*")],
    ["one is told", () => endpoints(1, "run.cancelled")],
    ["five are told", () => endpoints(5, "run.cancelled")],
  ];
  const times = cases.map((): number[] => []);
  for (let round = 0; round < ROUNDS; round++) {
    for (const [index, [, prepare]] of cases.entries()) {
      await owner.query("ALTER TABLE runs ENABLE TRIGGER webhooks");
      await prepare();
      const ids = Array.from({ length: RUNS }, () => store.runs.newId());
      await load(RUNS, 4, async () => {
        await store.runs.create(workspaceId, { ...run, id: ids.pop() as string });
      });
      const { rows: made } = await owner.query<{ id: string }>("SELECT id FROM runs WHERE status = 'queued'");
      const queued = made.map(({ id }) => idOf("run", id));
      const measured = await load(RUNS, 1, async () => {
        await store.runs.cancel(workspaceId, queued.pop() as string);
      });
      times[index]?.push(median(measured.times));
    }
  }
  console.log(`\nEnding a run, one after another (median of ${ROUNDS} rounds of ${RUNS})`);
  for (const [index, [name]] of cases.entries()) {
    const [base, mine] = [times[0] ?? [], times[index] ?? []].map(median) as [number, number];
    console.log(`  ${name.padEnd(28)} ${mine.toFixed(3)} ms  +${((mine - base) * 1_000).toFixed(0)} µs`);
  }
  await owner.end();
  await store.close();
}
