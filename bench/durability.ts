import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import pg from "pg";
import { median, percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const LONG = `apiVersion: maru/v1
kind: Agent
metadata: { name: long }
spec:
  instructions: You are a helpful assistant.
  model: { thinking: false, maxOutputTokens: 256 }
  limits: { steps: 200, tokens: 2000000, duration: 1h }
  tools: [{ name: calculator, type: builtin }]
`;
const AT = [5, 50, 195];

async function start(bench: Bench, deployment: string, input: string): Promise<string> {
  const response = await fetch(`${bench.url}/v1/runs`, {
    method: "POST",
    headers: { authorization: `Bearer ${bench.key}`, "content-type": "application/json" },
    body: JSON.stringify({ deployment, input }),
  });
  if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
  return ((await response.json()) as { id: string }).id;
}

/** Bytes of write-ahead log a step costs, early and late in one run of 199 steps, beside writing the whole state each step. */
export async function journalBench(bench: Bench): Promise<void> {
  await bench.deploy(LONG);
  await bench.latency(25);
  const client = new pg.Client({ connectionString: bench.ownerUrl });
  client.on("error", () => {});
  await client.connect();
  const number = async (sql: string) => Number((await client.query<{ n: string }>(sql)).rows[0]?.n);
  // Whole pages are logged once after a checkpoint, whoever touches them: that is the checkpoint's cost, not the step's.
  await client.query("ALTER SYSTEM SET full_page_writes = off");
  await client.query("SELECT pg_reload_conf()");
  await start(bench, "long", "#sim steps 99\nWhat is 6 * 7?");
  const at = new Map<number, number>();
  for (let ended = false; !ended; ) {
    const { rows } = await client.query<{ done: string; lsn: string; ended: boolean }>(
      "SELECT (SELECT count(*) FROM run_steps WHERE finished_at IS NOT NULL) AS done, pg_current_wal_insert_lsn() - '0/0' AS lsn, (SELECT bool_and(finished_at IS NOT NULL) FROM runs) AS ended",
    );
    const done = Number(rows[0]?.done);
    ended = rows[0]?.ended ?? true;
    if (!at.has(done)) at.set(done, Number(rows[0]?.lsn));
    await new Promise((next) => setTimeout(next, 2));
  }
  if (!at.has(199))
    throw new Error(
      `the run ended after ${Math.max(...at.keys())} steps: ${JSON.stringify((await client.query("SELECT status, incomplete_reason, error FROM runs")).rows)}`,
    );
  const seen = [...at.keys()].sort((a, b) => a - b);
  const nearest = (step: number) =>
    seen.reduce((best, item) => (Math.abs(item - step) < Math.abs(best - step) ? item : best));
  const perStep = AT.map((step) => {
    const [from, to] = [nearest(step - 4), nearest(step + 4)];
    return ((at.get(to) as number) - (at.get(from) as number)) / (to - from);
  });

  await client.query("CREATE TABLE whole (step int PRIMARY KEY, state jsonb)");
  const whole: number[] = [];
  for (const step of AT) {
    const before = await number("SELECT pg_current_wal_insert_lsn() - '0/0' AS n");
    await client.query("INSERT INTO whole SELECT $1, jsonb_agg(to_jsonb(s)) FROM run_steps s WHERE seq <= $1", [step]);
    whole.push((await number("SELECT pg_current_wal_insert_lsn() - '0/0' AS n")) - before);
  }
  await client.query("ALTER SYSTEM RESET full_page_writes");
  await client.query("SELECT pg_reload_conf()");
  await client.end();
  const kb = (bytes: number) => `${(bytes / 1_024).toFixed(1)} KiB`;
  console.log(
    "\nWrite-ahead log per step (journal, events, usage, ledger), one run of 199 steps; beside it the whole state written once",
  );
  for (const [index, step] of AT.entries())
    console.log(
      `  at step ${String(step).padStart(3)}: ${kb(perStep[index] as number)} (${((perStep[index] as number) / (perStep[0] as number)).toFixed(2)} of step ${AT[0]}); whole state ${kb(whole[index] as number)} (${((whole[index] as number) / (whole[0] as number)).toFixed(1)} of step ${AT[0]})`,
    );
}

const KILLS = 6;
const RUNS = 20;
const LEASE_MS = 3_000;

/** From the kill of a worker to the next step of each of its runs, beside the lease that has to run out first. */
export async function recoveryBench(bench: Bench): Promise<void> {
  await bench.latency(400);
  const client = new pg.Client({ connectionString: bench.ownerUrl });
  client.on("error", () => {});
  await client.connect();
  const config = { ...bench.workerConfig, leaseMs: LEASE_MS };
  const newWorker = async (): Promise<ChildProcess> => {
    const child = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await once(child, "message");
    return child;
  };
  const gaps: number[] = [];
  for (let kill = 0; kill < KILLS; kill++) {
    const doomed = await newWorker();
    const ids = await Promise.all(
      Array.from({ length: RUNS }, () => start(bench, "bench", "#sim steps 8\nWhat is 6 * 7?")),
    );
    await new Promise((next) => setTimeout(next, 1_500));
    const other = await newWorker();
    const died = Number((await client.query("SELECT extract(epoch FROM clock_timestamp()) * 1000 AS n")).rows[0]?.n);
    doomed.kill("SIGKILL");
    for (let open = ids.length; open > 0; ) {
      await new Promise((next) => setTimeout(next, 100));
      open = Number((await client.query("SELECT count(*) AS n FROM runs WHERE finished_at IS NULL")).rows[0]?.n);
    }
    const { rows } = await client.query<{ at: Date }>(
      "SELECT min(at) AS at FROM run_events WHERE type = 'run.running' AND (data->>'attempt')::int = 2 AND at >= to_timestamp($1 / 1000.0) GROUP BY run_id",
      [died],
    );
    gaps.push(...rows.map(({ at }) => at.getTime() - died));
    other.kill("SIGTERM");
    await once(other, "exit");
  }
  await client.end();
  gaps.sort((a, b) => a - b);
  const seconds = (ms: number) => `${(ms / 1_000).toFixed(1)} s`;
  console.log(
    `\nFrom a worker's kill -9 to the next step of its runs: ${gaps.length} runs over ${KILLS} kills, lease ${seconds(LEASE_MS)}, sweep every second`,
  );
  console.log(
    `  p50 ${seconds(median(gaps))}, p99 ${seconds(percentile(gaps, 0.99))}, max ${seconds(gaps.at(-1) ?? 0)}: ${(median(gaps) / LEASE_MS).toFixed(2)} of the lease at p50`,
  );
}
