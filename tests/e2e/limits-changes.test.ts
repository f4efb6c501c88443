import { uuidOf } from "@maru/contract";
import { type JournalWrite, openStore, type Store } from "@maru/store";
import { type Admin, openAdmin } from "@maru/store/admin";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";

// Limits, plans and campaigns that change while runs are in flight or wait.
describe("what is in flight", () => {
  let house: House;
  let store: Store;
  let admin: Admin;
  let person: Person;
  let planned = 0;
  beforeAll(async () => {
    house = await openHouse("postgres", { worker: false });
    store = await openStore({ url: house.database.runtimeUrl });
    admin = openAdmin(house.database.ownerUrl);
  });
  beforeEach(async () => {
    await clock("2027-01-10T00:00:00.000Z");
    person = await house.register();
    await house.deploy(person, manifest("agent", { model: "{ maxOutputTokens: 1000 }" }));
  });
  afterAll(async () => {
    await admin?.close();
    await store?.close();
    await house?.close();
  });

  const clock = (instant: string) =>
    house.database.query(
      `CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT '${instant}'::timestamptz $$`,
    );
  const limit = (name: string, body: object) => house.api("PUT", `/v1/quota/limits/${name}`, { key: person.key, body });
  const run = (extra: object = {}) =>
    house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "agent", input: "hello", ...extra } });
  const exact = async () => {
    expect((await house.api("GET", "/v1/quota/audit", { key: person.key })).body.findings).toEqual([]);
    expect((await brokenInvariants(house.database)).filter((what) => !/^open steps/.test(what))).toEqual([]);
  };
  type Limits = Parameters<Admin["makePlan"]>[0]["limits"];
  const plan = async (limits: Limits, term?: { startsAt: Date; endsAt: Date }) => {
    const id = `changes-${planned++}`;
    const period =
      term === undefined
        ? { renew: "monthly" as const, throughDay: 28, startsAt: null, endsAt: null }
        : { renew: "campaign" as const, throughDay: null, ...term };
    await admin.makePlan({ id, timeZone: "Asia/Seoul", graceS: null, limits, note: "", ...period });
    await admin.changePlan(person.workspaceId, id, null, "");
    return id;
  };
  const claim = async (runId: string) => {
    const claimed = await store.journal.claim(person.workspaceId, runId, 60_000, 5);
    if ("ended" in claimed) throw new Error("not claimed");
    return claimed;
  };
  const settling = (tokens: number, next: number): JournalWrite => ({
    done: [
      {
        seq: 1,
        state: "done",
        output: {
          reasoning: "",
          text: "",
          toolCalls: [],
          finishReason: "stop",
          model: "m",
          usage: { inputTokens: tokens, cachedInputTokens: 0, outputTokens: 0, estimated: false },
        },
      },
    ],
    start: next === 0 ? [] : [{ seq: 2, kind: "model", name: "k-exaone", effect: "model", input: null }],
    events: next === 0 ? [{ type: "run.completed", data: {} }] : [],
    usage: {
      step: 1,
      model: "k-exaone",
      inputTokens: tokens,
      cachedInputTokens: 0,
      outputTokens: 0,
      costMicros: 3,
      estimated: false,
      simulated: true,
    },
    reserveTokens: next,
    end: next === 0 ? { status: "completed", output: "", reason: null, error: null, messages: [], tokens: 0 } : null,
  });
  const nothing: JournalWrite = { done: [], start: [], events: [], usage: null, reserveTokens: 0, end: null };

  test("what a run holds may change more than once between two steps", async () => {
    const held = await claim((await run()).body.id);
    for (const tokens of [2_000, 1_500, 2_500, 900])
      expect(await store.journal.write(held, { ...nothing, hold: { step: 1, tokens } })).toMatchObject({
        ok: true,
        room: true,
      });
    const [row] = await house.database.query<{ amount: string }>(
      "SELECT amount FROM quota_reservations WHERE run_id = $1 AND unit = 'tokens'",
      [uuidOf("run", held.runId)],
    );
    expect(Number(row?.amount)).toBe(900);
    await exact();
  });

  test("an extension that lies ahead takes the windows of parts with it when the old end has passed", async () => {
    const term = { startsAt: new Date("2027-01-01T00:00:00Z"), endsAt: new Date("2027-01-12T00:00:00Z") };
    const id = await plan(
      [
        { unit: "tokens", amount: 1_000_000, spanS: null },
        { unit: "runs", name: "each", subject: "end_user", amount: 2, spanS: null },
      ],
      term,
    );
    await limit("mine", { unit: "runs", amount: 3 });
    const kim = { metadata: { user: "kim" } };
    expect((await run(kim)).status).toBe(202);
    await admin.extendCampaign(id, new Date("2027-02-01T00:00:00Z"), new Date("2027-01-11T00:00:00Z"), "");
    await clock("2027-01-13T00:00:00.000Z");
    expect((await run(kim)).status).toBe(202);
    // What was used before the old end counts on: nothing of the campaign begins anew.
    expect((await run(kim)).body.limit).toBe("each");
    expect((await run()).status).toBe(202);
    expect((await run()).body.limit).toBe("mine");
    await exact();
  });

  test("a limit that comes to count something else under its name begins anew, and what was held ends where it was", async () => {
    await plan([
      { unit: "tokens", amount: 1_000_000, spanS: null },
      { unit: "requests", name: "pace", amount: 2, spanS: 60 },
    ]);
    expect([(await run()).status, (await run()).status, (await run()).status]).toEqual([202, 202, 429]);
    await clock("2027-01-10T00:00:30.000Z");
    await plan([
      { unit: "tokens", amount: 1_000_000, spanS: null },
      { unit: "requests", name: "pace", amount: 2, spanS: 3_600 },
    ]);
    const admitted: number[] = [];
    for (let minute = 1; minute <= 6; minute++) {
      await clock(`2027-01-10T00:0${minute}:00.000Z`);
      admitted.push((await run()).status);
    }
    expect(admitted).toEqual([202, 202, 429, 429, 429, 429]);
    await clock("2027-01-10T01:10:00.000Z");
    await plan([
      { unit: "tokens", amount: 1_000_000, spanS: null },
      { unit: "concurrent_runs", name: "pace", amount: 1, spanS: null },
    ]);
    const only = await run();
    expect([only.status, (await run()).body.code]).toEqual([202, "concurrency_exceeded"]);
    await house.api("POST", `/v1/runs/${only.body.id}/cancel`, { key: person.key });
    expect((await run()).status).toBe(202);
    await exact();
  });

  test("who waits for a limit of their own stands in nobody else's way, and not in the workspace's queue", async () => {
    await limit("hourly", { unit: "requests", amount: 1, per: "1h", subject: "end_user" });
    await house.deploy(person, manifest("queued", { deploy: "{ onLimit: queue }" }));
    const ask = async (user: string) => {
      const { body } = await run({ deployment: "queued", metadata: { user } });
      const [row] = await house.database.query<{ parked: boolean }>("SELECT parked FROM runs WHERE id = $1", [
        uuidOf("run", body.id),
      ]);
      return row?.parked;
    };
    expect([await ask("kim"), await ask("kim"), await ask("kim")]).toEqual([false, true, true]);
    expect([await ask("lee"), await ask("lee")]).toEqual([false, true]);
    await exact();
  });

  test("a limit that is removed judges no run any more, those in flight neither", async () => {
    await limit("mine", { unit: "tokens", amount: 5_000 });
    const held = await claim((await run()).body.id);
    await clock("2027-01-10T00:00:01.000Z");
    await house.api("DELETE", "/v1/quota/limits/mine", { key: person.key });
    expect(await store.journal.write(held, settling(4_010, 3_000))).toMatchObject({ ok: true, room: true });
    const rows = await house.database.query<{ used: string; reserved: string }>(
      "SELECT used, reserved FROM quota_windows WHERE retired",
    );
    expect(rows.map(({ used, reserved }) => [Number(used), Number(reserved)])).toEqual([[4_010, 0]]);
    await exact();
  });

  test("whoever admits, settles and ends runs at once never waits for another in a circle", async () => {
    await plan([
      { unit: "runs", amount: 100_000, spanS: null },
      { unit: "cost_micros", amount: 100_000_000, spanS: null },
    ]);
    const held = [];
    for (let n = 0; n < 30; n++) held.push(await claim((await run()).body.id));
    const deadlocks = async () => {
      await house.database.query("SELECT pg_stat_force_next_flush()");
      const [row] = await house.database.query<{ n: string }>(
        "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()",
      );
      return Number(row?.n);
    };
    const before = await deadlocks();
    const [ended, made] = await Promise.all([
      Promise.all(held.map((item) => store.journal.write(item, settling(10, 0)))),
      Promise.all(Array.from({ length: 30 }, () => run())),
    ]);
    expect(ended.every(({ ok }) => ok)).toBe(true);
    expect(made.map(({ status }) => status)).toEqual(Array(30).fill(202));
    expect(await deadlocks()).toBe(before);
    await exact();
  });
});

test("a host's own limit ends a run under its own name, and with the instant the host named", async () => {
  const house = await openHouse("postgres");
  try {
    const person = await house.register();
    await house.deploy(person, manifest("agent"));
    const before = Date.now();
    const run = await house.run(person, "agent", "#sim error 429 retry-after=3600");
    expect([run.status, run.error.code]).toEqual(["failed", "upstream_rate_limited"]);
    const ahead = Date.parse(run.error.retry_at) - before;
    expect(ahead).toBeGreaterThanOrEqual(3_600_000);
    expect(ahead).toBeLessThan(3_660_000);
    // It paid for nothing: the host had billed nothing.
    expect(run.usage).toMatchObject({ total_tokens: 0, cost_micros: 0 });
  } finally {
    await house.close();
  }
});

test("a fork with longer instructions waits for its caller as any run does", async () => {
  const house = await openHouse("postgres");
  try {
    const person = await house.register();
    const tools = "    - { name: ask_user, type: client, description: Asks the user }\n";
    await house.deploy(person, manifest("asks", { tools }));
    const asking = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "asks", input: "#sim tool ask_user {}" },
      headers: { prefer: "wait=20" },
    });
    expect(asking.body.status).toBe("waiting");
    const overrides = { instructions: "Long words. ".repeat(900) };
    const fork = await house.api("POST", `/v1/runs/${asking.body.id}/fork`, {
      key: person.key,
      body: { from_step: 2, overrides },
    });
    await until("it waits", async () => {
      const { body } = await house.api("GET", `/v1/runs/${fork.body.id}`, { key: person.key });
      return body.status === "waiting";
    });
    expect(await brokenInvariants(house.database)).toEqual([]);
  } finally {
    await house.close();
  }
});
