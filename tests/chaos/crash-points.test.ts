import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { POINTS, type Point } from "@maru/engine";
import { createWorker, type Worker } from "@maru/worker";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { openToolServer, type ToolServer } from "../setup/tool-server.ts";

// The worker is killed at every named point of the loop, at every pass of it, in a run that has a tool of each effect class and
// waits once; another worker carries on. The ordinary form tries every pass around a tool call and the first of every other
// point, `CHAOS_POINTS=all` every pass.

const TOOLS = `    - { name: look, type: http, description: Looks, request: { url: "http://tools.maru.internal/look" } }
    - { name: put, type: http, description: Puts, effect: idempotent, request: { method: POST, url: "http://tools.maru.internal/put" } }
    - { name: pay, type: http, description: Pays, request: { method: POST, url: "http://tools.maru.internal/pay" } }
    - { name: ask_user, type: client, description: Asks }
`;
const INPUT = "#sim tool look {}\n#sim parallel put {} pay {}\n#sim tool ask_user {}\ngo";
const LEASE_MS = 600;

let house: House;
let person: Person;
let tools: ToolServer;
let child: ChildProcess | null = null;
let survivor: Worker | null = null;

beforeAll(async () => {
  tools = await openToolServer();
  house = await openHouse("postgres", { worker: false, egressAllow: { "tools.maru.internal": tools.origin } });
  person = await house.register();
  expect((await house.deploy(person, manifest("crash", { tools: TOOLS }))).status).toBe(201);
});
afterEach(async () => {
  child?.kill("SIGKILL");
  await survivor?.stop(500);
  survivor = null;
});
afterAll(async () => {
  await house?.close();
  await tools?.close();
});

const config = () => ({ ...house.workerConfig, leaseMs: LEASE_MS, sweepMs: 100, resendMs: 500 });
const newWorker = async (pass?: (point: Point) => void) => {
  const worker = await createWorker({
    config: config(),
    logger: pino({ level: "silent" }),
    metrics: new Registry(),
    ...(pass === undefined ? {} : { pass }),
  });
  await worker.start();
  return worker;
};
const start = async () =>
  (await house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "crash", input: INPUT } })).body
    .id as string;
const get = async (id: string) => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
const steps = async (id: string) => (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data;

/** Sees the run to its end, answering what it asks. */
async function finish(id: string) {
  await until("the run ends", async () => {
    const run = await get(id);
    for (const { call_id } of run.required_action?.tool_results ?? [])
      await house.api("POST", `/v1/runs/${id}/tool-results`, {
        key: person.key,
        body: { tool_results: [{ call_id, output: "yes" }] },
      });
    return run.finished_at !== null;
  });
  return get(id);
}

/** How often an undisturbed run passes each point. */
async function passes(): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  survivor = await newWorker((point) => {
    counts[point] = (counts[point] ?? 0) + 1;
  });
  const run = await finish(await start());
  expect(run.status).toBe("completed");
  await survivor.stop(1_000);
  survivor = null;
  return counts;
}

test("killed at every point of the loop, a run loses nothing and does nothing twice", async () => {
  const counts = await passes();
  expect(Object.keys(counts).toSorted()).toEqual([...POINTS].toSorted());
  const cases = POINTS.flatMap((point) =>
    Array.from(
      { length: process.env.CHAOS_POINTS === "all" || point.endsWith("tool_call") ? (counts[point] as number) : 1 },
      (_, index) => ({
        point,
        pass: index + 1,
      }),
    ),
  );
  for (const death of cases) {
    const name = `${death.point} ${death.pass}`;
    tools.arrivals.length = 0;
    child = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config()), JSON.stringify(death)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    const gone = once(child, "exit");
    await once(child, "message");
    const id = await start();
    // What it asks is answered while the doomed worker lives too: some points come only after that.
    const answered = finish(id);
    await gone;
    const before = (await steps(id)).filter(({ state }: { state: string }) => state === "done");
    survivor = await newWorker();
    const run = await answered;
    expect([name, run.status]).toEqual([name, "completed"]);
    const after = await steps(id);
    // What was recorded is as it was, to the instant.
    for (const step of before) expect([name, after[step.seq - 1]]).toEqual([name, step]);
    const arrived = (path: string) => tools.arrivals.filter((arrival) => arrival.path === path);
    expect([name, new Set(arrived("/put").map(({ key }) => key)).size]).toEqual([name, 1]);
    expect([name, arrived("/put").length + arrived("/look").length <= 3]).toEqual([name, true]);
    const pay = after.find((step: { name: string }) => step.name === "pay");
    // Never twice; not at all only where it says that it does not know.
    expect([name, arrived("/pay").length, pay.state]).toEqual([
      name,
      pay.state === "done" ? 1 : Math.min(1, arrived("/pay").length),
      pay.state === "done" ? "done" : "unknown",
    ]);
    // A call is not known to be unknown unless a worker died with it in flight.
    if (!/tool_call|before_append|after_append/.test(name)) expect([name, pay.state]).toEqual([name, "done"]);
    const models = after.filter(({ kind }: { kind: string }) => kind === "model");
    const records = (await house.api("GET", `/v1/usage/records?run_id=${id}`, { key: person.key })).body.data;
    expect([name, records.length, models.length]).toEqual([name, 4, 4]);
    await survivor.stop(500);
    survivor = null;
  }
  const [ledger] = await house.database.query<Record<string, string>>(
    `SELECT (SELECT sum(used) FROM quota_windows WHERE unit = 'tokens') AS used, (SELECT sum(reserved) FROM quota_windows) AS reserved,
            (SELECT sum(used_delta) FROM quota_entries WHERE unit = 'tokens') AS entries,
            (SELECT sum(input_tokens + output_tokens) FROM usage_records) AS records, (SELECT sum(reserved_delta) FROM quota_entries) AS held`,
  );
  expect(ledger).toMatchObject({ used: ledger?.records, entries: ledger?.records, reserved: "0", held: "0" });
}, 240_000);
