import { uuidOf } from "@maru/contract";
import { openStore, type Store } from "@maru/store";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, OPERATOR_TOKEN, openHouse, type Person, until } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";

// Limits of every kind, by the database's clock, with nobody working: what is admitted, what is refused and until when.
describe("a limit", () => {
  let house: House;
  let store: Store;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres", { worker: false });
    store = await openStore({ url: house.database.runtimeUrl });
  });
  beforeEach(async () => {
    await clock("2027-01-10T00:00:00.000Z");
    person = await house.register();
    await house.deploy(person, manifest("agent", { model: "{ maxOutputTokens: 1000 }" }));
  });
  afterAll(async () => {
    await store?.close();
    await house?.close();
  });

  const clock = (instant: string) =>
    house.database.query(
      `CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT '${instant}'::timestamptz $$`,
    );
  const limit = (name: string, body: object) => house.api("PUT", `/v1/quota/limits/${name}`, { key: person.key, body });
  const run = (extra: object = {}, key = person.key) =>
    house.api("POST", "/v1/runs", { key, body: { deployment: "agent", input: "hello", ...extra } });
  const windowOf = async (name: string) =>
    (await house.api("GET", "/v1/quota", { key: person.key })).body.windows.filter(
      (window: { name: string }) => window.name === name,
    );
  const exact = async () =>
    expect((await house.api("GET", "/v1/quota/audit", { key: person.key })).body).toEqual({
      exact: true,
      findings: [],
    });
  const anotherKey = async () =>
    (
      await house.api("POST", "/v1/api-keys", {
        key: person.key,
        body: { name: "second", scopes: ["runs:write", "runs:read"] },
      })
    ).body;
  /** One model step of a claimed run: so many tokens in and out, and the run goes on or ends. */
  const step = async (
    runId: string,
    usage: { input: number; cached?: number; output: number; cost?: number },
    next: number,
  ) => {
    const claim = await store.journal.claim(person.workspaceId, runId, 60_000, 5);
    if ("ended" in claim) throw new Error("not claimed");
    const ends = next === 0;
    return store.journal.write(claim, {
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
            usage: { inputTokens: usage.input, cachedInputTokens: 0, outputTokens: usage.output, estimated: false },
          },
        },
      ],
      start: ends ? [] : [{ seq: 2, kind: "model", name: "k-exaone", effect: "model", input: null }],
      events: ends ? [{ type: "run.completed", data: {} }] : [],
      usage: {
        step: 1,
        model: "k-exaone",
        inputTokens: usage.input,
        cachedInputTokens: usage.cached ?? 0,
        outputTokens: usage.output,
        costMicros: usage.cost ?? 0,
        estimated: false,
        simulated: true,
      },
      reserveTokens: next,
      end: ends ? { status: "completed", output: "", reason: null, error: null, messages: [], tokens: 0 } : null,
    });
  };

  test("of any unit is held by an estimate and settled by what the model reported", async () => {
    for (const unit of ["input_tokens", "cached_input_tokens", "output_tokens", "cost_micros", "runs"])
      expect((await limit(`my-${unit}`, { unit, amount: 1_000_000 })).status).toBe(201);
    const { body } = await run();
    const [output] = await windowOf("my-output_tokens");
    expect([output.reserved, output.used, output.own, output.per, output.after]).toEqual([
      1_000,
      0,
      true,
      "period",
      "renews",
    ]);
    const [cost] = await windowOf("my-cost_micros");
    const [input] = await windowOf("my-input_tokens");
    // 0.2 and 0.8 dollars a million tokens, rounded up once.
    expect(cost.reserved).toBe(Math.ceil(input.reserved * 0.2 + 1_000 * 0.8));
    await step(body.id, { input: 70, cached: 20, output: 9, cost: 21 }, 0);
    for (const [name, used] of Object.entries({
      input_tokens: 70,
      cached_input_tokens: 20,
      output_tokens: 9,
      cost_micros: 21,
    }))
      expect(await windowOf(`my-${name}`)).toMatchObject([{ used, reserved: 0 }]);
    expect((await windowOf("tokens"))[0].used).toBe(79);
    expect([...(await windowOf("runs")), ...(await windowOf("my-runs"))].map(({ used }) => used)).toEqual([1, 1]);
    await exact();
  });

  test("for each key, deployment or end user is one's own; named, it is one's alone", async () => {
    await limit("each-key", { unit: "runs", amount: 1, subject: "api_key" });
    const other = await anotherKey();
    expect((await run()).status).toBe(202);
    const refused = await run();
    expect([refused.status, refused.body.code, refused.body.limit]).toEqual([429, "quota_exhausted", "each-key"]);
    expect((await run({}, other.key)).status).toBe(202);
    expect((await windowOf("each-key")).map((window: { subject_id: string }) => window.subject_id)).toContain(
      other.api_key.id,
    );
    await house.api("DELETE", "/v1/quota/limits/each-key", { key: person.key });
    await limit("one-user", { unit: "runs", amount: 1, subject: "end_user", subject_id: "kim" });
    expect((await run({ metadata: { user: "kim" } })).status).toBe(202);
    expect((await run({ metadata: { user: "kim" } })).body.limit).toBe("one-user");
    expect((await run({ metadata: { user: "lee" } })).status).toBe(202);
    expect((await run()).status).toBe(202);
    await house.deploy(person, manifest("second"));
    await limit("second-only", { unit: "runs", amount: 0, subject: "deployment", subject_id: "second" });
    expect((await run({ deployment: "second" })).body.limit).toBe("second-only");
    expect((await run()).status).toBe(202);
    await exact();
  });

  test("over a rolling span frees exactly when what was used leaves it, counted from admission", async () => {
    const question = { deployment: "agent", input: "hello" };
    const asked = await house.api("POST", "/v1/quota/check", { key: person.key, body: question });
    const [{ amount }] = asked.body.holds;
    await limit("hourly", { unit: "tokens", amount: amount + 399, per: "1h" });
    const first = await run();
    expect(first.status).toBe(202);
    await clock("2027-01-10T00:10:00.000Z");
    // Settled ten minutes later; it counts from when the run was admitted.
    await step(first.body.id, { input: 300, output: 100 }, 0);
    const refused = await run();
    expect([refused.body.code, refused.body.limit, refused.body.resets_at]).toEqual([
      "quota_exhausted",
      "hourly",
      "2027-01-10T01:00:00.000Z",
    ]);
    expect(await windowOf("hourly")).toMatchObject([
      { used: 400, reserved: 0, per: "1h", after: "rolls", ends_at: null, resets_at: "2027-01-10T01:00:00.000Z" },
    ]);
    await clock("2027-01-10T00:59:59.999Z");
    expect((await run()).status).toBe(429);
    await clock("2027-01-10T01:00:00.000Z");
    expect(await windowOf("hourly")).toMatchObject([{ used: 0 }]);
    expect((await run()).status).toBe(202);
    await exact();
  });

  test("of requests lets so many runs begin in any minute, and Retry-After is exact", async () => {
    await limit("rpm", { unit: "requests", amount: 2, per: "60s" });
    await run();
    await clock("2027-01-10T00:00:30.500Z");
    const second = await run();
    // A run that ended, or cost nothing, began all the same.
    await house.api("POST", `/v1/runs/${second.body.id}/cancel`, { key: person.key });
    await clock("2027-01-10T00:00:40.000Z");
    const refused = await run();
    expect([refused.status, refused.body.code, refused.body.limit, refused.body.retry_after_ms]).toEqual([
      429,
      "rate_limited",
      "rpm",
      20_000,
    ]);
    expect(refused.headers.get("retry-after")).toBe("20");
    await clock("2027-01-10T00:00:59.999Z");
    expect((await run()).body.retry_after_ms).toBe(1);
    await clock("2027-01-10T00:01:00.000Z");
    expect((await run()).status).toBe(202);
    expect((await run()).body.retry_after_ms).toBe(30_500);
    await exact();
  });

  test("of one run refuses what is larger, and lies over the agent's own", async () => {
    await limit("small-runs", { unit: "run_tokens", amount: 900 });
    const refused = await run();
    expect([refused.status, refused.body.code, refused.body.limit]).toEqual([403, "run_too_large", "small-runs"]);
    await limit("small-runs", { unit: "run_tokens", amount: 1_500 });
    const { body } = await run();
    const claim = await store.journal.claim(person.workspaceId, body.id, 60_000, 5);
    expect("spec" in claim && claim.spec.limits.tokens).toBe(1_500);
  });

  test("of runs in flight is said so, frees when one ends, and is held by none that waits for somebody", async () => {
    await limit("two", { unit: "concurrent_runs", amount: 2 });
    const [first] = [await run(), await run()];
    const refused = await run();
    expect([refused.status, refused.body.code, refused.body.limit]).toEqual([429, "concurrency_exceeded", "two"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(await windowOf("two")).toMatchObject([{ used: 0, reserved: 2, after: "frees", ends_at: null, per: null }]);
    await house.api("POST", `/v1/runs/${first?.body.id}/cancel`, { key: person.key });
    expect((await run()).status).toBe(202);
    await exact();
  });

  test("refuses all or nothing: what other limits would have held is not held", async () => {
    await limit("none", { unit: "output_tokens", amount: 10 });
    expect((await run()).body.limit).toBe("none");
    expect(await windowOf("tokens")).toMatchObject([{ used: 0, reserved: 0 }]);
    const check = await house.api("POST", "/v1/quota/check", {
      key: person.key,
      body: { deployment: "agent", input: "hello" },
    });
    expect(check.body.refusal).toMatchObject({ code: "run_too_large", status: 403, limit: "none", frees_at: null });
    await exact();
  });

  test("lowered beneath what is used says so, and admits nothing until there is room", async () => {
    await limit("mine", { unit: "tokens", amount: 50_000 });
    await run();
    const [before] = await windowOf("mine");
    const changed = await limit("mine", { unit: "tokens", amount: 10 });
    expect([changed.status, changed.body.amount]).toEqual([200, 10]);
    expect(await windowOf("mine")).toMatchObject([{ limit: 10, remaining: 0, overdraft: before.reserved - 10 }]);
    expect((await run()).body.limit).toBe("mine");
    await limit("mine", { unit: "tokens", amount: 50_000 });
    expect((await run()).status).toBe(202);
    await exact();
  });

  test("that is removed or of another kind leaves runs in flight to settle in what it had open", async () => {
    await limit("mine", { unit: "tokens", amount: 50_000 });
    const { body } = await run();
    await clock("2027-01-10T00:00:01.000Z");
    expect((await limit("mine", { unit: "runs", amount: 5 })).status).toBe(200);
    await step(body.id, { input: 5, output: 5 }, 0);
    expect(await windowOf("mine")).toMatchObject([{ unit: "runs", used: 0, reserved: 0 }]);
    expect((await house.api("DELETE", "/v1/quota/limits/mine", { key: person.key })).status).toBe(204);
    expect((await house.api("DELETE", "/v1/quota/limits/mine", { key: person.key })).status).toBe(404);
    expect((await house.api("GET", "/v1/quota/limits", { key: person.key })).body.data).toEqual([]);
    await exact();
  });

  test("is guarded against lost updates, and there are fifty at most", async () => {
    const made = await limit("mine", { unit: "tokens", amount: 5 });
    expect(made.headers.get("etag")).toBe('"1"');
    const put = (tag: string) =>
      house.api("PUT", "/v1/quota/limits/mine", {
        key: person.key,
        body: { unit: "tokens", amount: 6 },
        headers: { "if-match": tag },
      });
    expect((await put('"1"')).headers.get("etag")).toBe('"2"');
    expect((await put('"1"')).body.code).toBe("precondition_failed");
    expect((await put('"other"')).body.code).toBe("precondition_failed");
    for (let n = 1; n < 50; n++) expect((await limit(`l${n}`, { unit: "runs", amount: n })).status).toBe(201);
    expect((await limit("l50", { unit: "runs", amount: 1 })).body.code).toBe("too_many_limits");
    const stranger = await house.register();
    expect((await house.api("GET", "/v1/quota/limits", { key: stranger.key })).body.data).toEqual([]);
    expect((await house.api("DELETE", "/v1/quota/limits/mine", { key: stranger.key })).status).toBe(404);
  });

  test.each(["deploy.concurrency", "tokens"])("can't take the name %s, which another has", async (name) => {
    const refused = await limit(name, { unit: "tokens", amount: 1 });
    expect([refused.status, refused.body.code, refused.body.errors[0].pointer]).toEqual([
      400,
      "validation_failed",
      "path:name",
    ]);
  });

  test.each([
    ["a negative amount", { unit: "tokens", amount: -1 }, "/amount"],
    ["a fraction", { unit: "tokens", amount: 1.5 }, "/amount"],
    ["an amount beyond all counting", { unit: "tokens", amount: 1e18 }, "/amount"],
    ["a unit that is none", { unit: "gold", amount: 1 }, "/unit"],
    ["requests without a span", { unit: "requests", amount: 1 }, "/per"],
    ["requests over the period", { unit: "requests", amount: 1, per: "period" }, "/per"],
    ["a span for what counts at a time", { unit: "concurrent_runs", amount: 1, per: "1h" }, "/per"],
    ["a span beyond a year", { unit: "tokens", amount: 1, per: "9000h" }, "/per"],
    ["a span of nothing", { unit: "tokens", amount: 1, per: "0h" }, "/per"],
    ["a workspace with an id", { unit: "tokens", amount: 1, subject_id: "x" }, "/subject_id"],
    [
      "a deployment there is not",
      { unit: "tokens", amount: 1, subject: "deployment", subject_id: "no" },
      "/subject_id",
    ],
    ["a key there is not", { unit: "tokens", amount: 1, subject: "api_key", subject_id: "key_1" }, "/subject_id"],
    ["a field there is not", { unit: "tokens", amount: 1, every: "1h" }, "/every"],
  ])("with %s is refused, with the place that is wrong", async (_what, body, pointer) => {
    const refused = await limit("bad", body);
    expect(refused.status).toBe(400);
    expect(refused.body.errors[0].pointer).toBe(pointer);
  });

  describe("of a plan", () => {
    const asOperator = (method: string, path: string, body?: object) =>
      house.api(method, `/v1/admin${path}`, {
        key: OPERATOR_TOKEN,
        ...(body === undefined ? {} : { body }),
      });
    const onPlan = async (limits: object[], extra: object = {}) => {
      const id = `plan-${person.workspaceId.slice(-12).toLowerCase()}`;
      const made = await asOperator("POST", "/plans", {
        id,
        renew: "monthly",
        time_zone: "Asia/Seoul",
        through_day: 28,
        limits,
        ...extra,
      });
      expect(made.status).toBe(201);
      expect((await asOperator("POST", `/workspaces/${person.workspaceId}/plan`, { plan: id })).status).toBe(200);
      return id;
    };

    test("may be for each key, end user and span; a grant adds to one, once", async () => {
      await onPlan([
        { unit: "tokens", amount: 100_000 },
        { unit: "runs", amount: 3, name: "runs" },
        { unit: "runs", amount: 1, name: "runs-per-user", subject: "end_user" },
        { unit: "requests", amount: 10, per: "1m", name: "rpm" },
      ]);
      expect((await run({ metadata: { user: "kim" } })).status).toBe(202);
      expect((await run({ metadata: { user: "kim" } })).body.limit).toBe("runs-per-user");
      expect((await run()).status).toBe(202);
      expect((await run()).status).toBe(202);
      expect((await run()).body.limit).toBe("runs");
      const grant = { limit: "runs", amount: 1, key: "g" };
      const path = `/workspaces/${person.workspaceId}/grants`;
      expect((await asOperator("POST", path, grant)).body).toEqual({ granted: true, limit: 4 });
      expect((await asOperator("POST", path, grant)).body).toEqual({ granted: false, limit: 4 });
      expect((await asOperator("POST", path, { ...grant, amount: 2 })).body.code).toBe("idempotency_mismatch");
      expect((await asOperator("POST", path, { ...grant, key: "h", limit: "rpm" })).body.code).toBe("plan_conflict");
      expect((await run()).status).toBe(202);
      expect(await windowOf("runs")).toMatchObject([{ limit: 4, granted: 1, used: 0, reserved: 4 }]);
      await exact();
    });

    test("lets runs admitted before a window's end go on for its grace, in that window, and no longer", async () => {
      await onPlan([{ unit: "tokens", amount: 100_000 }], { grace_seconds: 3_600 });
      await clock("2027-01-28T14:59:59.999Z");
      const [early, late] = [(await run()).body.id, (await run()).body.id];
      await clock("2027-01-28T15:59:59.998Z");
      expect(await step(early, { input: 10, output: 1 }, 500)).toMatchObject({ ok: true, room: true });
      await clock("2027-01-28T16:00:00.000Z");
      expect(await step(late, { input: 10, output: 1 }, 500)).toMatchObject({ ok: true, room: false });
      const rows = await house.database.query<{ used: string; ends_at: Date }>(
        "SELECT used, ends_at FROM quota_windows WHERE limit_name = 'tokens' AND used > 0 AND grace_s = 3600",
      );
      expect(rows.map(({ used, ends_at }) => [Number(used), ends_at.toISOString()])).toEqual([
        [22, "2027-01-28T15:00:00.000Z"],
      ]);
      await exact();
    });

    test("is noticed at 80 %, at 100 % and three days before its end, once each, and said in a header", async () => {
      await onPlan([
        { unit: "tokens", amount: 10_000 },
        { unit: "runs", amount: 100 },
      ]);
      const first = await run();
      expect(first.headers.get("maru-quota-notice")).toBeNull();
      await step(first.body.id, { input: 7_999, output: 0 }, 0);
      expect((await windowOf("tokens"))[0].notices).toEqual([]);
      const second = await run();
      await step(second.body.id, { input: 1, output: 0 }, 0);
      expect((await windowOf("tokens"))[0].notices.map(({ kind }: { kind: string }) => kind)).toEqual(["used_80"]);
      const third = await run();
      expect(third.headers.get("maru-quota-notice")).toBe('"tokens";used=80;ends=@1801148400');
      await step(third.body.id, { input: 2_500, output: 0 }, 0);
      expect((await windowOf("tokens"))[0]).toMatchObject({
        overdraft: 500,
        notices: [{ kind: "used_80" }, { kind: "used_100" }],
      });
      await clock("2027-01-25T14:59:59.999Z");
      await store.quotas.noticeEnding();
      expect((await windowOf("runs"))[0].notices).toEqual([]);
      await clock("2027-01-25T15:00:00.000Z");
      await store.quotas.noticeEnding();
      expect(await store.quotas.noticeEnding()).toBe(0);
      expect((await windowOf("runs"))[0].notices).toEqual([{ kind: "ending", at: "2027-01-25T15:00:00.000Z" }]);
      await exact();
    });

    test("changes from an instant ahead, and what was done and is to come can be read", async () => {
      const id = await onPlan([{ unit: "runs", amount: 1 }]);
      expect((await run()).status).toBe(202);
      expect((await run()).status).toBe(429);
      const from = "2027-01-15T00:00:00.000Z";
      const workspace = `/workspaces/${person.workspaceId}`;
      await asOperator("POST", `${workspace}/plan`, { plan: "free", from, note: "paid" });
      const quota = (await house.api("GET", "/v1/quota", { key: person.key })).body;
      expect([quota.plan, quota.next_plan]).toEqual([id, { plan: "free", from }]);
      expect(
        (await asOperator("GET", `${workspace}/plans`)).body.data.map(({ plan }: { plan: string }) => plan),
      ).toEqual(["free", id, "free"]);
      await clock(from);
      expect((await run()).status).toBe(202);
      const actions = (await asOperator("GET", "/actions")).body.data;
      expect(actions).toContainEqual({
        action: "change_plan",
        arguments: {
          workspace: uuidOf("workspace", person.workspaceId),
          plan: "free",
          from: expect.stringContaining("2027-01-15"),
          note: "paid",
        },
        at: "2027-01-10T00:00:00.000Z",
      });
      expect((await asOperator("GET", "/plans")).body.data.map((plan: { id: string }) => plan.id)).toContain(id);
      await exact();
    });

    test("is a campaign's until its end is moved, which an ended one's can't be", async () => {
      const id = await onPlan([{ unit: "runs", amount: 5 }], {
        renew: "campaign",
        through_day: undefined,
        starts_at: "2027-01-01T00:00:00Z",
        ends_at: "2027-01-12T00:00:00Z",
      });
      await run();
      const extended = await asOperator("POST", `/plans/${id}/extend`, { ends_at: "2027-02-01T00:00:00Z" });
      expect(extended.body.terms.map(({ ends_at }: { ends_at: string }) => ends_at)).toEqual([
        "2027-01-12T00:00:00.000Z",
        "2027-02-01T00:00:00.000Z",
      ]);
      expect(await windowOf("runs")).toMatchObject([
        { reserved: 1, ends_at: "2027-02-01T00:00:00.000Z", after: "ends" },
      ]);
      // An extension takes nothing back.
      const shorter = await asOperator("POST", `/plans/${id}/extend`, { ends_at: "2027-01-20T00:00:00Z" });
      expect([shorter.status, shorter.body.code]).toEqual([409, "plan_conflict"]);
      await clock("2027-02-01T00:00:00.000Z");
      expect((await run()).body.code).toBe("free_tier_ended");
      const late = await asOperator("POST", `/plans/${id}/extend`, { ends_at: "2027-03-01T00:00:00Z" });
      expect([late.status, late.body.code]).toEqual([409, "plan_conflict"]);
      expect((await asOperator("POST", "/plans/nothing/extend", { ends_at: "2027-03-01T00:00:00Z" })).status).toBe(404);
    });

    test.each([
      [
        "ends before it starts",
        { renew: "campaign", starts_at: "2027-02-01T00:00:00Z", ends_at: "2027-01-01T00:00:00Z" },
        400,
      ],
      ["has no end", { renew: "campaign", starts_at: "2027-02-01T00:00:00Z" }, 400],
      ["is in no time zone", { time_zone: "Mars/Olympus" }, 400],
      ["has a day 32", { through_day: 32 }, 400],
      [
        "has two limits of one name",
        {
          limits: [
            { unit: "runs", amount: 1 },
            { unit: "runs", amount: 2 },
          ],
        },
        400,
      ],
      ["has no limit over its period", { limits: [{ unit: "concurrent_runs", amount: 1 }] }, 409],
      ["has a negative limit", { limits: [{ unit: "runs", amount: -1 }] }, 400],
      ["has the name of another", { id: "free" }, 409],
    ])("that %s is refused in words", async (_what, wrong, status) => {
      const reply = await asOperator("POST", "/plans", {
        id: "wrong",
        renew: "monthly",
        time_zone: "Asia/Seoul",
        limits: [{ unit: "runs", amount: 1 }],
        ...wrong,
      });
      expect(reply.status).toBe(status);
      expect(reply.body.detail.length).toBeGreaterThan(10);
    });

    test("is the operator's to change, and nobody else's", async () => {
      for (const key of [person.key, person.accessToken, null, "operator-token-of-the-tests-0123456788"])
        expect((await house.api("GET", "/v1/admin/plans", { key })).status).toBe(401);
      expect((await asOperator("GET", "/workspaces/ws_00000000000000000000000000/plans")).status).toBe(404);
      expect((await asOperator("POST", `/workspaces/${person.workspaceId}/plan`, { plan: "no" })).status).toBe(404);
      const past = { plan: "free", from: "2020-01-01T00:00:00Z" };
      expect((await asOperator("POST", `/workspaces/${person.workspaceId}/plan`, past)).status).toBe(409);
    });
  });

  test("gives back what a run that has ended still holds", async () => {
    const { body } = await run();
    await house.api("POST", `/v1/runs/${body.id}/cancel`, { key: person.key });
    // Nothing leaves such a reservation behind: one is made by hand.
    await house.database.query(
      `WITH w AS (UPDATE quota_windows SET reserved = reserved + 40 WHERE id = (SELECT window_id FROM quota_entries WHERE unit = 'tokens' AND run_id = $1 LIMIT 1) RETURNING *),
            r AS (SELECT id FROM runs WHERE status = 'cancelled' AND workspace_id = (SELECT workspace_id FROM w)),
            e AS (INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
                  SELECT w.workspace_id, r.id, 'tokens', 99, 'reserve', w.id, 40, 0, now() FROM w, r)
       INSERT INTO quota_reservations (workspace_id, run_id, unit, window_id, amount) SELECT w.workspace_id, r.id, 'tokens', w.id, 40 FROM w, r`,
      [uuidOf("run", body.id)],
    );
    expect(await windowOf("tokens")).toMatchObject([{ reserved: 40 }]);
    expect(await store.quotas.expireLeaked(10)).toBe(0);
    await clock("2027-01-10T00:02:00.000Z");
    expect(await store.quotas.expireLeaked(10)).toBe(1);
    expect(await windowOf("tokens")).toMatchObject([{ reserved: 0 }]);
    await exact();
  });
});

describeEachBackend("runs that wait for a limit of pace", (backend) => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse(backend);
    person = await house.register();
  });
  afterAll(() => house?.close());
  const start = (deployment: string, input: string) =>
    house.api("POST", "/v1/runs", { key: person.key, body: { deployment, input } });
  const held = async () =>
    Number(
      (
        await house.database.query<{ n: string }>(
          "SELECT COALESCE(max(reserved), 0) AS n FROM quota_windows WHERE unit = 'concurrent_runs'",
        )
      )[0]?.n,
    );

  test("are accepted, go a few at a time in their order, and all end", async () => {
    const deployed = await house.deploy(person, manifest("queued", { deploy: "{ concurrency: 3, onLimit: queue }" }));
    expect(deployed.body.deployment).toMatchObject({ concurrency: 3, on_limit: "queue" });
    const replies = await Promise.all(Array.from({ length: 20 }, (_, n) => start("queued", `#sim slow 100 ${n}`)));
    expect(replies.map(({ status }) => status)).toEqual(Array(20).fill(202));
    let most = 0;
    await until("all have ended", async () => {
      most = Math.max(most, await held());
      const rows = await house.database.query<{ n: string }>(
        "SELECT count(*) AS n FROM runs WHERE finished_at IS NULL",
      );
      return Number(rows[0]?.n) === 0;
    });
    expect(most).toBeLessThanOrEqual(3);
    expect(await house.database.query("SELECT 1 FROM runs WHERE status <> 'completed'")).toEqual([]);
    expect(await brokenInvariants(house.database)).toEqual([]);
  });

  test("are refused where the deployment says nothing of waiting", async () => {
    await house.deploy(person, manifest("strict", { deploy: "{ concurrency: 1 }" }));
    const first = await start("strict", "#sim slow 1500");
    const refused = await start("strict", "hello");
    expect([refused.status, refused.body.code, refused.body.limit]).toEqual([
      429,
      "concurrency_exceeded",
      "deploy.concurrency",
    ]);
    await until("it ends", async () => {
      const { body } = await house.api("GET", `/v1/runs/${first.body.id}`, { key: person.key });
      return body.status === "completed";
    });
    expect((await start("strict", "hello")).status).toBe(202);
    const changed = await house.deploy(person, manifest("strict", { deploy: "{ onLimit: queue }" }));
    expect(changed.body.changes).toEqual([
      { path: "/deploy/onLimit", op: "change", before: "reject", after: "queue" },
      { path: "/deploy/concurrency", op: "change", before: 1, after: null },
    ]);
    expect(changed.body.revision).toBe(1);
  });

  test("may be cancelled while they wait, and a run that waits for a person lets one go", async () => {
    const tools = "    - { name: ask_user, type: client, description: Asks the user }\n";
    await house.deploy(person, manifest("asks", { tools, deploy: "{ concurrency: 1, onLimit: queue }" }));
    const asking = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "asks", input: "#sim tool ask_user {}" },
      headers: { prefer: "wait=20" },
    });
    expect(asking.body.status).toBe("waiting");
    // It holds no turn: another goes at once.
    const slow = await start("asks", "#sim slow 2000");
    const third = await start("asks", "hello");
    expect((await house.api("POST", `/v1/runs/${third.body.id}/cancel`, { key: person.key })).body.status).toBe(
      "cancelled",
    );
    const [{ call_id }] = asking.body.required_action.tool_results;
    const answered = await house.api("POST", `/v1/runs/${asking.body.id}/tool-results`, {
      key: person.key,
      body: { tool_results: [{ call_id, output: "yes" }] },
    });
    expect(answered.body.status).toBe("queued");
    for (const id of [slow.body.id, asking.body.id])
      await until("both end", async () => {
        const { body } = await house.api("GET", `/v1/runs/${id}`, { key: person.key });
        return body.status === "completed";
      });
    expect(await held()).toBe(0);
    expect(await brokenInvariants(house.database)).toEqual([]);
    expect((await house.api("GET", "/v1/quota/audit", { key: person.key })).body.exact).toBe(true);
  });
});
