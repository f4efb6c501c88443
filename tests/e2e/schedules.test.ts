import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { uuidOf } from "@maru/contract";
import { createWorker, type Worker } from "@maru/worker";
import { Redis } from "ioredis";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from "vitest";
import { backendFor, describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";
import { movableClock } from "../setup/webhook-receiver.ts";

// biome-ignore lint/suspicious/noExplicitAny: replies are checked against the OpenAPI document
type Body = any;

/** A house whose database's clock stands where the test sets it. */
async function stillHouse(options: Parameters<typeof openHouse>[1] = {}, backend: "postgres" | "redis" = "postgres") {
  const house = await openHouse(backend, options);
  return {
    house,
    clock: async (instant: string) => {
      await house.database.query(
        `CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT '${instant}'::timestamptz $$`,
      );
      // Calls that were counted before the clock was set back lie ahead of it.
      await house.database.query("DELETE FROM rate_limits");
    },
  };
}
const caller = (house: House, person: () => Person) => ({
  post: (path: string, body?: object) =>
    house.api("POST", path, { key: person().key, ...(body === undefined ? {} : { body }) }),
  get: async (path: string): Promise<Body> => (await house.api("GET", path, { key: person().key })).body,
});

describe("a schedule", () => {
  let house: House;
  let clock: (instant: string) => Promise<void>;
  let person: Person;
  beforeAll(async () => {
    ({ house, clock } = await stillHouse({ worker: false }));
  });
  beforeEach(async () => {
    await clock("2026-03-07T12:00:00Z");
    person = await house.register();
    await house.deploy(person, manifest("agent"));
  });
  afterAll(() => house?.close());

  const create = (body: object = {}) =>
    house.api("POST", "/v1/schedules", {
      key: person.key,
      body: { name: "daily", deployment: "agent", cron: "0 9 * * *", input: "hello", ...body },
    });

  test("says what it is and when it fires next", async () => {
    const reply = await create({ cron: "  30  2 * * * ", time_zone: "America/New_York", jitter: "90s" });
    expect([reply.status, reply.headers.get("location")]).toEqual([201, `/v1/schedules/${reply.body.id}`]);
    expect(reply.body).toMatchObject({
      name: "daily",
      deployment: "agent",
      cron: "30 2 * * *",
      time_zone: "America/New_York",
      input: "hello",
      metadata: {},
      thread_id: null,
      overlap: "skip",
      missed: { catch_up: "none", within: "1h" },
      jitter: "90s",
      paused: false,
      // The first of them does not exist: clocks go from 02:00 to 03:00.
      next_runs: [
        "2026-03-08T07:00:00.000Z",
        "2026-03-09T06:30:00.000Z",
        "2026-03-10T06:30:00.000Z",
        "2026-03-11T06:30:00.000Z",
        "2026-03-12T06:30:00.000Z",
      ],
    });
    expect(reply.body.api_key_id).toMatch(/^key_/);
    const read = await house.api("GET", `/v1/schedules/${reply.body.id}`, { key: person.key });
    expect([read.body, read.headers.get("etag")]).toEqual([reply.body, reply.headers.get("etag")]);
    expect((await house.api("GET", "/v1/schedules", { key: person.key })).body.data).toEqual([reply.body]);
  });

  test("is of Seoul, at nine in the morning, when nothing else is said", async () => {
    const { body } = await create();
    expect(body.time_zone).toBe("Asia/Seoul");
    expect(body.next_runs[0]).toBe("2026-03-08T00:00:00.000Z");
  });

  test("changes and goes only as its caller last saw it; paused it fires never, resumed as from now", async () => {
    const made = await create();
    const path = `/v1/schedules/${made.body.id}`;
    const call = (method: string, etag: string | null, body?: object) =>
      house.api(method, path, { key: person.key, headers: { "if-match": etag ?? "*" }, ...(body ? { body } : {}) });
    const etag = made.headers.get("etag");
    const paused = await call("PATCH", etag, { paused: true, missed: { catch_up: "all" } });
    expect(paused.body).toMatchObject({ paused: true, next_runs: [], missed: { catch_up: "all", within: "1h" } });
    expect((await call("PATCH", etag, { paused: false })).body.code).toBe("precondition_failed");
    await clock("2026-04-01T12:00:00Z");
    const resumed = await call("PATCH", paused.headers.get("etag"), { paused: false });
    expect(resumed.body.next_runs[0]).toBe("2026-04-02T00:00:00.000Z");
    const moved = await call("PATCH", null, {
      cron: "@hourly",
      time_zone: "UTC",
      name: "hourly",
      missed: { within: "90m" },
    });
    expect(moved.body).toMatchObject({ cron: "@hourly", name: "hourly", missed: { catch_up: "all", within: "90m" } });
    expect(moved.body.next_runs[0]).toBe("2026-04-01T13:00:00.000Z");
    expect((await call("DELETE", etag)).status).toBe(412);
    expect((await call("DELETE", moved.headers.get("etag"))).status).toBe(204);
    expect((await house.api("GET", path, { key: person.key })).status).toBe(404);
  });

  test("has a name of its own, and there are a hundred at most, however many ask at once", async () => {
    await create();
    expect((await create()).body).toMatchObject({ code: "name_taken", errors: [{ pointer: "/name" }] });
    const replies = await Promise.all(Array.from({ length: 105 }, (_, index) => create({ name: `s-${index}` })));
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(99);
    expect(replies.filter(({ body }) => body.code === "limit_out_of_range")).toHaveLength(6);
    const [first] = replies.filter(({ status }) => status === 201);
    const renamed = await house.api("PATCH", `/v1/schedules/${first?.body.id}`, {
      key: person.key,
      body: { name: "daily" },
    });
    expect([renamed.status, renamed.body.code]).toEqual([409, "name_taken"]);
  });

  test.each<[string, object, number, string, string?]>([
    ["a cron that never fires", { cron: "0 0 30 2 *" }, 400, "cron_invalid", "/cron"],
    ["one of seconds", { cron: "* * * * * *" }, 400, "cron_invalid", "/cron"],
    ["one that is none", { cron: "every day" }, 400, "cron_invalid", "/cron"],
    ["one that is out of range", { cron: "61 * * * *" }, 400, "cron_invalid", "/cron"],
    ["an instant", { cron: "2026-12-01T00:00:00" }, 400, "cron_invalid", "/cron"],
    ["a zone that is not there", { time_zone: "Mars/X" }, 400, "unknown_time_zone", "/time_zone"],
    ["an offset for a zone", { time_zone: "+09:00" }, 400, "unknown_time_zone", "/time_zone"],
    ["an unknown place", { input: "hi {{who}}" }, 400, "template_error", "/input"],
    ["a place that is not closed", { input: "hi {{name" }, 400, "template_error", "/input"],
    ["an empty input", { input: "" }, 400, "validation_failed", "/input"],
    [
      "an input that grows beyond what runs take",
      { name: "n".repeat(63), input: "{{name}}".repeat(8_192) },
      400,
      "template_error",
      "/input",
    ],
    ["a name that is none", { name: "Daily report" }, 400, "validation_failed", "/name"],
    ["no such deployment", { deployment: "nothing" }, 404, "not_found"],
    ["no such thread", { thread_id: "thr_01h455vb4pex5vsknk084sn02q" }, 404, "not_found"],
    ["an unknown overlap", { overlap: "allow" }, 400, "validation_failed", "/overlap"],
    ["an unknown catch-up", { missed: { catch_up: "some" } }, 400, "validation_failed", "/missed/catch_up"],
    ["too long a span", { missed: { within: "25h" } }, 400, "limit_out_of_range", "/missed/within"],
    ["too short a span", { missed: { within: "59s" } }, 400, "limit_out_of_range", "/missed/within"],
    ["too much jitter", { jitter: "61m" }, 400, "limit_out_of_range", "/jitter"],
    ["a length that is none", { jitter: "a while" }, 400, "validation_failed", "/jitter"],
    ["a field it does not know", { every: "5m" }, 400, "unknown_field", "/every"],
  ])("is not made of %s, nor changed to it", async (_name, body, status, code, pointer) => {
    const made = await create(body);
    expect([made.status, made.body.code]).toEqual([status, code]);
    if (pointer !== undefined) expect(made.body.errors[0].pointer).toBe(pointer);
    const { id } = (await create()).body;
    const changed = await house.api("PATCH", `/v1/schedules/${id}`, { key: person.key, body });
    expect([changed.status, changed.body.code]).toEqual([status, code]);
    expect((await house.api("GET", "/v1/schedules", { key: person.key })).body.data).toHaveLength(1);
  });

  test("needs a key that may manage schedules, and belongs to its workspace alone", async () => {
    const { id } = (await create()).body;
    const other = await house.register();
    const reader = (
      await house.api("POST", "/v1/api-keys", { key: person.key, body: { name: "r", scopes: ["schedules:read"] } })
    ).body.key;
    for (const [method, path, body] of [
      ["GET", ""],
      ["PATCH", "", { paused: true }],
      ["DELETE", ""],
      ["POST", "/run"],
      ["GET", "/fires"],
    ] as [string, string, object?][]) {
      const options = body === undefined ? {} : { body };
      const foreign = await house.api(method, `/v1/schedules/${id}${path}`, { key: other.key, ...options });
      expect([method, path, foreign.status, foreign.body.code]).toEqual([method, path, 404, "not_found"]);
      const mine = await house.api(method, `/v1/schedules/${id}${path}`, { key: reader, ...options });
      expect([method, path, mine.status]).toEqual([method, path, method === "GET" ? 200 : 403]);
    }
    expect((await house.api("GET", "/v1/schedules", { key: other.key })).body.data).toEqual([]);
  });

  test("is run now when somebody asks, also while it is paused; a refusal is the caller's to see", async () => {
    const thread = (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id;
    const { id } = (
      await create({ paused: true, input: "{{name}} {{date}}", metadata: { user: "kim" }, thread_id: thread })
    ).body;
    const ran = await house.api("POST", `/v1/schedules/${id}/run`, {
      key: person.key,
      headers: { "idempotency-key": "once" },
    });
    expect(ran.status).toBe(202);
    expect(ran.body).toMatchObject({
      status: "queued",
      input: "daily 2026-03-07",
      metadata: { user: "kim" },
      thread_id: thread,
      source: { type: "schedule", id },
    });
    const again = await house.api("POST", `/v1/schedules/${id}/run`, {
      key: person.key,
      headers: { "idempotency-key": "once" },
    });
    expect(again.body.id).toBe(ran.body.id);
    const busy = await house.api("POST", `/v1/schedules/${id}/run`, { key: person.key });
    expect([busy.status, busy.body.code]).toEqual([409, "thread_busy"]);
    const fires = (await house.api("GET", `/v1/schedules/${id}/fires`, { key: person.key })).body.data;
    expect(fires).toMatchObject([{ manual: true, outcome: "run", run_id: ran.body.id, count: 1, code: null }]);
    const runs = (await house.api("GET", `/v1/runs?schedule_id=${id}`, { key: person.key })).body.data;
    expect(runs.map((run: Body) => run.id)).toEqual([ran.body.id]);
    const both = `/v1/runs?schedule_id=${id}&trigger_id=trg_01h455vb4pex5vsknk084sn02q`;
    expect((await house.api("GET", both, { key: person.key })).body.code).toBe("validation_failed");
  });
});

test("a run that somebody asks for counts against the key that asks, whoever's the schedule is", async () => {
  const house = await openHouse("postgres", { worker: false });
  try {
    const person = await house.register();
    await house.deploy(person, manifest("agent"));
    const { post } = caller(house, () => person);
    const { api_key: key, key: secret } = (await post("/v1/api-keys", { name: "few", scopes: ["schedules:write"] }))
      .body;
    const limit = { unit: "runs", amount: 1, per: "1h", subject: "api_key", subject_id: key.id };
    expect((await house.api("PUT", "/v1/quota/limits/few", { key: person.key, body: limit })).status).toBe(201);
    const body = { name: "daily", deployment: "agent", cron: "@daily", input: "x" };
    const { id } = (await post("/v1/schedules", body)).body;
    const run = (key: string) => house.api("POST", `/v1/schedules/${id}/run`, { key });
    expect((await run(secret)).status).toBe(202);
    expect((await run(secret)).body).toMatchObject({ code: "quota_exhausted", limit: "few" });
    expect((await run(person.key)).status).toBe(202);
  } finally {
    await house.close();
  }
});

describeEachBackend("schedules and the clock", (backend) => {
  let house: House;
  let clock: (instant: string) => Promise<void>;
  let person: Person;
  beforeAll(async () => {
    ({ house, clock } = await stillHouse({}, backend));
  });
  beforeEach(async () => {
    await house.database.query("UPDATE schedules SET paused = true, next_at = NULL, wake_at = NULL");
    await clock("2026-11-26T00:00:30Z");
    person = await house.register();
    await house.deploy(person, manifest("agent"));
  });
  afterAll(() => house?.close());

  const { post, get } = caller(
    // The house is opened later than this is read.
    new Proxy({} as House, { get: (_target, name) => house[name as keyof House] }),
    () => person,
  );
  const create = async (body: object = {}): Promise<Body> =>
    (
      await post("/v1/schedules", {
        name: "minutely",
        deployment: "agent",
        cron: "* * * * *",
        input: "{{scheduled_at}}",
        ...body,
      })
    ).body;
  const fires = async (id: string): Promise<Body[]> => (await get(`/v1/schedules/${id}/fires?limit=100`)).data;
  const runs = async (id: string): Promise<Body[]> => (await get(`/v1/runs?schedule_id=${id}&limit=100`)).data;
  /** Until the schedule's next fire time lies ahead of the clock. */
  const settled = (id: string, next: string) =>
    until(`${id} fires next at ${next}`, async () => (await get(`/v1/schedules/${id}`)).next_runs[0] === next);
  const ended = (id: string) =>
    until("its runs have ended", async () => (await runs(id)).every((run) => run.finished_at !== null));

  test("make a run of each fire time, which says what it is of", async () => {
    const { id } = await create({ metadata: { user: "kim" }, input: "at {{scheduled_at}}, on {{ date }}" });
    for (const minute of ["01", "02", "03"]) {
      await clock(`2026-11-26T00:${minute}:00.500Z`);
      await until("it has a run", async () => (await runs(id)).length === Number(minute));
      await ended(id);
    }
    const made = await runs(id);
    expect(made.map(({ status }) => status)).toEqual(["completed", "completed", "completed"]);
    expect(made[0]).toMatchObject({
      input: "at 2026-11-26T00:03:00.000Z, on 2026-11-26",
      metadata: { user: "kim" },
      source: { type: "schedule", id },
    });
    expect((await fires(id)).map(({ scheduled_at, outcome, manual }) => [scheduled_at, outcome, manual])).toEqual([
      ["2026-11-26T00:03:00.000Z", "run", false],
      ["2026-11-26T00:02:00.000Z", "run", false],
      ["2026-11-26T00:01:00.000Z", "run", false],
    ]);
    expect(await brokenInvariants(house.database)).toEqual([]);
  });

  test("go on when the queue is emptied: what they fire next is in their rows", async () => {
    const { id } = await create({ cron: "0 * * * *" });
    for (const hour of [1, 2]) {
      if (backend === "postgres") await house.database.query("DELETE FROM bullmq.job");
      else {
        const redis = new Redis(inject("redisUrl") as string);
        const keys = await redis.keys(`test-${house.database.name}*`);
        expect(keys.length).toBeGreaterThan(0);
        await redis.del(...keys);
        redis.disconnect();
      }
      await clock(`2026-11-26T0${hour}:00:00Z`);
      await until("it has a run more", async () => (await runs(id)).length === hour);
      await ended(id);
    }
    expect((await runs(id)).map(({ status }) => status)).toEqual(["completed", "completed"]);
  });

  test("skip a fire time while a run goes on", async () => {
    const { id } = await create({ input: "#sim slow 60000" });
    await clock("2026-11-26T00:01:00Z");
    await until("it has a run", async () => (await runs(id)).length === 1);
    await clock("2026-11-26T00:02:00Z");
    await settled(id, "2026-11-26T00:03:00.000Z");
    expect((await fires(id)).map(({ outcome, code }) => [outcome, code])).toEqual([
      ["skipped", "overlap"],
      ["run", null],
    ]);
    await post(`/v1/runs/${(await runs(id))[0].id}/cancel`);
    await ended(id);
    await clock("2026-11-26T00:03:00Z");
    await until("it runs again", async () => (await runs(id)).length === 2);
    await post(`/v1/runs/${(await runs(id))[0].id}/cancel`);
  });

  test("queue fire times behind a run, in their order", async () => {
    const { id } = await create({ input: "#sim slow 60000 {{scheduled_at}}", overlap: "queue" });
    for (const minute of ["01", "02", "03"]) {
      await clock(`2026-11-26T00:${minute}:00Z`);
      await settled(id, `2026-11-26T00:0${Number(minute) + 1}:00.000Z`);
    }
    expect((await fires(id)).map(({ outcome }) => outcome)).toEqual(["waiting", "waiting", "run"]);
    for (const minute of ["01", "02", "03"]) {
      await until(`that of ${minute} runs`, async () => {
        const [newest] = await runs(id);
        return newest?.input.includes(`00:${minute}:00`) && newest.status === "running";
      });
      await post(`/v1/runs/${(await runs(id))[0].id}/cancel`);
    }
    await ended(id);
    expect((await fires(id)).map(({ outcome, run_id }) => [outcome, run_id !== null])).toEqual([
      ["run", true],
      ["run", true],
      ["run", true],
    ]);
  });

  test("cancel the run before", async () => {
    const { id } = await create({ input: "#sim slow 60000", overlap: "cancel_previous" });
    for (const minute of [1, 2]) {
      await clock(`2026-11-26T00:0${minute}:00Z`);
      await until("it has a run more", async () => (await runs(id)).length === minute);
      await until("that runs", async () => (await runs(id))[0].status === "running");
    }
    await until("the first was cancelled", async () => (await runs(id))[1].status === "cancelled");
    await post(`/v1/runs/${(await runs(id))[0].id}/cancel`);
    await ended(id);
  });

  test.each([
    ["reject", ["concurrency_exceeded", null], ["running"]],
    ["queue", [null, null], ["running", "cancelled"]],
  ])(
    "cancel the run before only with a run in its place, where a deployment has one at a time (onLimit: %s)",
    async (onLimit, codes, statuses) => {
      await house.deploy(person, manifest("agent", { deploy: `{ concurrency: 1, onLimit: ${onLimit} }` }));
      const { id } = await create({ input: "#sim slow 60000", overlap: "cancel_previous" });
      await clock("2026-11-26T00:01:00Z");
      await until("it runs", async () => (await runs(id))[0]?.status === "running");
      // Its worker is there, however far the clock is set on.
      await house.database.query("UPDATE runs SET lease_until = '2026-11-27' WHERE finished_at IS NULL");
      await clock("2026-11-26T00:02:00Z");
      await settled(id, "2026-11-26T00:03:00.000Z");
      expect((await fires(id)).map(({ code }) => code)).toEqual(codes);
      const now = async () => (await runs(id)).map(({ status }) => status).join();
      await until("each is as it is to be", async () => (await now()) === statuses.join());
      for (const run of await runs(id)) await post(`/v1/runs/${run.id}/cancel`);
      await ended(id);
    },
  );

  test.each([
    ["none", [], [["missed", 15]]],
    [
      "last",
      ["02:30"],
      [
        ["run", 1],
        ["missed", 14],
      ],
    ],
    ["all", ["02:30", "02:20", "02:10", "02:00", "01:50", "01:40"], [...Array(6).fill(["run", 1]), ["missed", 9]]],
  ])("after an outage catch up on %s of what was missed", async (policy, wanted, log) => {
    const { id } = await create({
      cron: "*/10 * * * *",
      overlap: "queue",
      missed: { catch_up: policy, within: "1h" },
    });
    await clock("2026-11-26T02:35:00Z");
    await settled(id, "2026-11-26T02:40:00.000Z");
    await until("its runs are there", async () => (await runs(id)).length === wanted.length);
    await ended(id);
    expect((await runs(id)).map(({ input }) => input.slice(11, 16))).toEqual(wanted);
    const entries = await fires(id);
    expect(entries.map(({ outcome, count }) => [outcome, count])).toEqual(log);
    expect(entries.at(-1)).toMatchObject({ code: "late", scheduled_at: "2026-11-26T00:10:00.000Z" });
  });

  test("write down a run that is refused, tell of it, and go on", async () => {
    const hook = { url: "http://weather.maru.internal/in", events: ["schedule.*"] };
    const webhook = (await post("/v1/webhooks", hook)).body.webhook.id;
    await house.api("PUT", "/v1/quota/limits/none", {
      key: person.key,
      body: { unit: "requests", amount: 1, per: "1h" },
    });
    const { id } = await create();
    for (const minute of [1, 2]) {
      await clock(`2026-11-26T00:0${minute}:00Z`);
      await settled(id, `2026-11-26T00:0${minute + 1}:00.000Z`);
      await ended(id);
    }
    expect(await fires(id)).toMatchObject([
      { outcome: "missed", code: "rate_limited", run_id: null, count: 1, scheduled_at: "2026-11-26T00:02:00.000Z" },
      { outcome: "run" },
    ]);
    const [told] = (await get(`/v1/webhooks/${webhook}/deliveries`)).data;
    expect(told.event).toMatchObject({
      type: "schedule.missed",
      data: { schedule_id: id, schedule: "minutely", deployment: "agent", code: "rate_limited", count: 1 },
    });
    await house.api("DELETE", "/v1/quota/limits/none", { key: person.key });
    await clock("2026-11-26T00:03:00Z");
    await until("it runs again", async () => (await runs(id)).length === 2);
    await ended(id);
  });

  test("write down a busy thread, and one that was deleted", async () => {
    const thread = (await post("/v1/threads", {})).body.id;
    const busy = await post("/v1/runs", { deployment: "agent", input: "#sim slow 60000", thread_id: thread });
    const { id } = await create({ thread_id: thread });
    await clock("2026-11-26T00:01:00Z");
    await settled(id, "2026-11-26T00:02:00.000Z");
    await post(`/v1/runs/${busy.body.id}/cancel`);
    await until("the thread is free", async () => (await get(`/v1/runs/${busy.body.id}`)).status === "cancelled");
    expect((await house.api("DELETE", `/v1/threads/${thread}`, { key: person.key })).status).toBe(204);
    await clock("2026-11-26T00:02:00Z");
    await settled(id, "2026-11-26T00:03:00.000Z");
    expect((await fires(id)).map(({ outcome, code }) => [outcome, code])).toEqual([
      ["missed", "not_found"],
      ["missed", "thread_busy"],
    ]);
  });

  test("write down that their deployment is paused, and run again when it goes on", async () => {
    const { id } = await create();
    await post("/v1/deployments/agent/pause", { note: "Too dear." });
    await clock("2026-11-26T00:01:00Z");
    await settled(id, "2026-11-26T00:02:00.000Z");
    expect(await fires(id)).toMatchObject([{ outcome: "missed", code: "deployment_paused" }]);
    expect((await fires(id))[0].detail).toContain("Too dear.");
    await post("/v1/deployments/agent/resume", {});
    await clock("2026-11-26T00:02:00Z");
    await until("it has a run", async () => (await runs(id)).length === 1);
    await ended(id);
  });

  test("count against the key that made them", async () => {
    const made = await post("/v1/api-keys", { name: "k", scopes: ["schedules:write", "runs:read"] });
    const body = { name: "of-key", deployment: "agent", cron: "* * * * *", input: "x" };
    const schedule = (await house.api("POST", "/v1/schedules", { key: made.body.key, body })).body;
    expect(schedule.api_key_id).toBe(made.body.api_key.id);
    await clock("2026-11-26T00:01:00Z");
    await until("it has a run", async () => (await runs(schedule.id)).length === 1);
    const [row] = await house.database.query<{ api_key_id: string }>("SELECT api_key_id FROM runs WHERE id = $1", [
      uuidOf("run", (await runs(schedule.id))[0].id),
    ]);
    expect(row?.api_key_id).toBe(uuidOf("apiKey", made.body.api_key.id));
    await ended(schedule.id);
  });

  test("fire at the instants that clocks being put back and forward leave", async () => {
    await clock("2026-10-31T12:00:00Z");
    const { id } = await create({ cron: "30 1 * * *", time_zone: "America/New_York" });
    // 01:30 comes at 05:30Z, and again at 06:30Z.
    await clock("2026-11-01T05:30:00Z");
    await until("it has a run", async () => (await runs(id)).length === 1);
    await clock("2026-11-01T06:30:00Z");
    await settled(id, "2026-11-02T06:30:00.000Z");
    expect(await runs(id)).toHaveLength(1);
    await clock("2027-03-13T12:00:00Z");
    const spring = await create({ name: "spring", cron: "30 2 * * *", time_zone: "America/New_York" });
    await clock("2027-03-14T07:00:00Z");
    await until("it has a run", async () => (await runs(spring.id)).length === 1);
    expect((await runs(spring.id))[0].input).toBe("2027-03-14T07:00:00.000Z");
    await ended(spring.id);
  });

  test("make no second run of a fire time that comes again, since the clock was set back", async () => {
    const { id } = await create();
    await clock("2026-11-26T00:01:00Z");
    await until("it has a run", async () => (await runs(id)).length === 1);
    await ended(id);
    await clock("2026-11-26T00:00:30Z");
    const again = await house.api("PATCH", `/v1/schedules/${id}`, { key: person.key, body: { time_zone: "UTC" } });
    expect(again.body.next_runs[0]).toBe("2026-11-26T00:01:00.000Z");
    await clock("2026-11-26T00:01:00Z");
    await settled(id, "2026-11-26T00:02:00.000Z");
    expect(await runs(id)).toHaveLength(1);
  });

  test("that are changed, paused or deleted do not fire what they were", async () => {
    const [changed, paused, deleted] = await Promise.all(["a", "b", "c"].map((name) => create({ name })));
    await house.api("PATCH", `/v1/schedules/${changed.id}`, { key: person.key, body: { cron: "0 * * * *" } });
    await house.api("PATCH", `/v1/schedules/${paused.id}`, { key: person.key, body: { paused: true } });
    await house.api("DELETE", `/v1/schedules/${deleted.id}`, { key: person.key });
    const witness = await create({ name: "witness" });
    await clock("2026-11-26T00:01:00Z");
    await until("another has a run", async () => (await runs(witness.id)).length === 1);
    await ended(witness.id);
    for (const { id } of [changed, paused, deleted]) expect(await runs(id)).toEqual([]);
    expect((await get(`/v1/schedules/${changed.id}`)).next_runs[0]).toBe("2026-11-26T01:00:00.000Z");
  });
});

test("workers that are killed and come back make one run of every fire time", async () => {
  const house = await openHouse("postgres", { worker: false });
  const processes: ChildProcess[] = [];
  const start = async () => {
    const config = { ...house.workerConfig, sweepMs: 50, leaseMs: 2_000 };
    const child = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config)], { stdio: "ignore" });
    processes.push(child);
    await once(child, "message");
    return child;
  };
  try {
    const person = await house.register();
    await house.deploy(person, manifest("agent"));
    const { post } = caller(house, () => person);
    const move = await movableClock(house.database);
    for (let index = 0; index < 5; index++)
      await post("/v1/schedules", {
        name: `s-${index}`,
        deployment: "agent",
        cron: "* * * * *",
        input: "hello",
        overlap: "queue",
        missed: { catch_up: "all", within: "1d" },
      });
    let alive = [await start(), await start()];
    for (let round = 0; round < 3; round++) {
      await move("2 minutes");
      // In the midst of what the clock has made due, wherever that may be.
      const rows = await house.database.query<{ n: number }>("SELECT count(*)::int AS n FROM schedule_fires");
      const before = rows[0]?.n ?? 0;
      await until("something fired", async () => {
        const [row] = await house.database.query<{ n: number }>("SELECT count(*)::int AS n FROM schedule_fires");
        return (row?.n ?? 0) > before;
      });
      alive[0]?.kill("SIGKILL");
      alive = [alive[1] as ChildProcess, await start()];
    }
    await move("31 seconds");
    await until("nothing is due, and nothing waits", async () => {
      const rows = await house.database.query(
        `SELECT 1 FROM schedules WHERE next_at <= maru_now() UNION ALL SELECT 1 FROM schedule_fires WHERE outcome = 'waiting'`,
      );
      return rows.length === 0;
    });
    const rows = await house.database.query<{ off: string }>(`
      SELECT s.name || ' ' || f.scheduled_at AS off FROM schedule_fires f JOIN schedules s ON s.id = f.schedule_id
       WHERE f.outcome <> 'run' OR NOT EXISTS (SELECT 1 FROM runs r WHERE r.id = f.run_id AND r.source_id = s.id)
      UNION ALL
      SELECT s.name || ' has ' || count(*) || ' fire times' FROM schedules s JOIN schedule_fires f ON f.schedule_id = s.id
       GROUP BY s.id, s.name, s.next_at HAVING count(*) * interval '1 minute' <> s.next_at - min(f.scheduled_at)
      UNION ALL
      SELECT 'a run that no fire time has made: ' || r.id FROM runs r WHERE NOT EXISTS (SELECT 1 FROM schedule_fires f WHERE f.run_id = r.id)`);
    expect(rows).toEqual([]);
    const [row] = await house.database.query<{ n: number }>("SELECT count(*)::int AS n FROM schedule_fires");
    expect(row?.n).toBeGreaterThanOrEqual(30);
  } finally {
    for (const child of processes) child.kill("SIGKILL");
    await house.close();
  }
}, 120_000);

describe("several workers", () => {
  test("make one run of a fire time between them, and another goes on where one has died", async () => {
    const { house, clock } = await stillHouse({ worker: false });
    const workers: Worker[] = [];
    try {
      await clock("2026-11-26T00:00:30Z");
      const person = await house.register();
      await house.deploy(person, manifest("agent"));
      const { post, get } = caller(house, () => person);
      const names = Array.from({ length: 20 }, (_, index) => `s-${index}`);
      const made = await Promise.all(
        names.map(async (name) => {
          const body = { name, deployment: "agent", cron: "* * * * *", input: name, overlap: "queue" };
          return (await post("/v1/schedules", body)).body.id as string;
        }),
      );
      // A worker took one of them, and died before it did anything.
      await clock("2026-11-26T00:01:00Z");
      await house.database.query(
        "UPDATE schedules SET take = take + 1, wake_at = maru_now() + interval '30 seconds' WHERE name = 's-0'",
      );
      for (let index = 0; index < 3; index++) {
        const worker = await createWorker({
          config: { ...house.workerConfig, queue: backendFor("postgres", house.database), sweepMs: 20 },
          logger: pino({ level: "silent" }),
          metrics: new Registry(),
        });
        workers.push(worker);
      }
      await Promise.all(workers.map((worker) => worker.start()));
      const count = async () =>
        Number(
          (
            await house.database.query<{ n: string }>("SELECT count(*) AS n FROM runs WHERE source_kind = 'schedule'")
          )[0]?.n,
        );
      await until("all but one have a run", async () => (await count()) === 19);
      await clock("2026-11-26T00:01:31Z");
      await until("that one, too", async () => (await count()) === 20);
      for (const minute of [2, 3, 4]) {
        await clock(`2026-11-26T00:0${minute}:00Z`);
        await until(`minute ${minute}`, async () => (await count()) === 20 * minute);
      }
      await until("all have ended", async () => {
        const [row] = await house.database.query<{ n: string }>(
          "SELECT count(*) AS n FROM runs WHERE finished_at IS NULL",
        );
        return Number(row?.n) === 0;
      });
      for (const id of made) {
        const { data } = await get(`/v1/schedules/${id}/fires`);
        expect(data.map((one: Body) => [one.scheduled_at.slice(11, 16), one.outcome])).toEqual([
          ["00:04", "run"],
          ["00:03", "run"],
          ["00:02", "run"],
          ["00:01", "run"],
        ]);
      }
      expect(await brokenInvariants(house.database)).toEqual([]);
    } finally {
      for (const worker of workers) await worker.stop(2_000);
      await house.close();
    }
  });
});
