import { createWorker, type Worker } from "@maru/worker";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", { workerConfig: { retentionDays: 0 } });
  person = await house.register();
  await house.deploy(person, manifest("weather"));
});
afterAll(() => house?.close());

test("the payload of runs that ended long ago goes; that they ran, how they ended and what they used stays", async () => {
  const thread = (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id;
  const old = await house.run(person, "weather", "서울 날씨", { metadata: { order: "7" }, thread_id: thread });
  const fresh = await house.run(person, "weather", "부산 날씨");
  const api = (path: string) => house.api("GET", path, { key: person.key });
  const ledger = async () => [
    (await api("/v1/quota")).body.windows,
    (await api("/v1/usage")).body.total,
    (await api("/v1/usage/records")).body.data,
    await house.database.query("SELECT * FROM quota_entries ORDER BY run_id, unit, step, kind"),
  ];
  const before = await ledger();
  await house.database.query("UPDATE runs SET finished_at = now() - interval '31 days' WHERE metadata <> '{}'");
  let worker: Worker | null = null;
  try {
    worker = await createWorker({
      config: { ...house.workerConfig, retentionDays: 30, keepMs: 50 },
      logger: pino({ level: "silent" }),
      metrics: new Registry(),
    });
    await worker.start();
    await until("it is removed", async () => (await api(`/v1/runs/${old.id}`)).body.payload_expired_at !== null);
  } finally {
    await worker?.stop(1_000);
  }
  const run = (await api(`/v1/runs/${old.id}`)).body;
  expect(run).toMatchObject({
    status: "completed",
    input: "",
    output: null,
    metadata: {},
    usage: old.usage,
    thread_id: thread,
  });
  expect((await api(`/v1/runs/${old.id}/steps`)).body.data).toEqual([]);
  const events = await api(`/v1/runs/${old.id}/events`);
  expect([events.status, events.body.code]).toEqual([410, "payload_expired"]);
  const fork = await house.api("POST", `/v1/runs/${old.id}/fork`, { key: person.key, body: { from_step: 1 } });
  expect([fork.status, fork.body.code]).toEqual([410, "payload_expired"]);
  // The other run, the conversation and the ledger are as they were.
  expect((await api(`/v1/runs/${fresh.id}`)).body).toEqual(fresh);
  expect((await api(`/v1/threads/${thread}/messages`)).body.data.length).toBeGreaterThan(1);
  // Housekeeping may have noticed meanwhile that a window ends soon.
  expect(withoutNotices(await ledger())).toEqual(withoutNotices(before));
});

test("removing waits for nobody and nobody waits for it", async () => {
  const runs = await Promise.all(
    Array.from({ length: 6 }, (_, index) => house.run(person, "weather", `hello ${index}`)),
  );
  await house.database.query("UPDATE runs SET finished_at = now() - interval '40 days' WHERE input LIKE 'hello %'");
  const { openStore } = await import("@maru/store");
  const { default: pg } = await import("pg");
  const store = await openStore({ url: house.database.runtimeUrl });
  const other = new pg.Client({ connectionString: house.database.ownerUrl });
  await other.connect();
  try {
    // Somebody holds one of the rows: the others go, that one later.
    await other.query("BEGIN");
    await other.query("SELECT 1 FROM runs WHERE input = 'hello 3' FOR UPDATE");
    const cutoff = new Date(Date.now() - 30 * 86_400_000);
    expect(await store.runs.expirePayloads(cutoff, 4)).toBe(4);
    expect(await store.runs.expirePayloads(cutoff, 4)).toBe(1);
    expect(await store.runs.expirePayloads(cutoff, 4)).toBe(0);
    await other.query("COMMIT");
    expect(await store.runs.expirePayloads(cutoff, 4)).toBe(1);
    expect(runs.length).toBe(6);
  } finally {
    await other.end();
    await store.close();
  }
});

const withoutNotices = (value: unknown): unknown =>
  JSON.parse(JSON.stringify(value, (key, item) => (key === "notices" ? undefined : item)));
