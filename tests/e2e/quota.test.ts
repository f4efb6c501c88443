import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
beforeAll(async () => {
  house = await openHouse("postgres");
});
afterAll(() => house?.close());

/** A person on a plan of their own. */
async function onPlan(plan: { renew?: string; tokens?: number; runs?: number; throughDay?: number }): Promise<Person> {
  const person = await house.register();
  const id = `plan-${person.workspaceId}`;
  await house.database.query(
    "INSERT INTO plans (id, renew, time_zone, through_day) VALUES ($1, $2, 'Asia/Seoul', $3)",
    [id, plan.renew ?? "monthly", plan.throughDay ?? 28],
  );
  await house.database.query(
    "INSERT INTO plan_limits (plan_id, unit, amount, name) VALUES ($1, 'tokens', $2, 'tokens'), ($1, 'runs', $3, 'runs')",
    [id, plan.tokens ?? 10_000_000, plan.runs ?? 10_000],
  );
  await house.database.query(
    "UPDATE workspaces SET plan_id = $1 WHERE id = (SELECT workspace_id FROM sessions s JOIN users u ON u.id = s.user_id WHERE u.email = $2 LIMIT 1)",
    [id, person.email],
  );
  await house.deploy(person, manifest("agent", { model: "{ maxOutputTokens: 1000 }" }));
  return person;
}
const ask = (person: Person) =>
  house.api("POST", "/v1/runs", {
    key: person.key,
    body: { deployment: "agent", input: "hello" },
    headers: { prefer: "wait=20" },
  });
const DEADLOCKS = "SELECT deadlocks AS n FROM pg_stat_database WHERE datname = current_database()";
const windows = async (person: Person) => (await house.api("GET", "/v1/quota", { key: person.key })).body.windows;

describe("admission", () => {
  test("of a hundred callers at once exactly as many get in as there is room for", async () => {
    const person = await onPlan({ runs: 7 });
    const replies = await Promise.all(
      Array.from({ length: 100 }, () =>
        house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "agent", input: "hello" } }),
      ),
    );
    expect(replies.filter(({ status }) => status === 202)).toHaveLength(7);
    const refusal = replies.find(({ status }) => status === 429);
    expect(refusal?.body).toMatchObject({ code: "quota_exhausted", limit: "runs" });
    expect(Date.parse(refusal?.body.resets_at)).toBeGreaterThan(Date.now());
    expect(Number(refusal?.headers.get("retry-after"))).toBeGreaterThan(0);
  });

  test("the first runs of a window, asked for at once, all get in", async () => {
    const [before] = await house.database.query<{ n: string }>(DEADLOCKS);
    for (let round = 0; round < 5; round++) {
      const person = await onPlan({});
      const replies = await Promise.all(
        Array.from({ length: 40 }, () =>
          house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "agent", input: "hello" } }),
        ),
      );
      expect(replies.map(({ status }) => status)).toEqual(Array(40).fill(202));
    }
    // Not by being tried again after a deadlock: all take the windows in one order.
    await house.database.query("SELECT pg_stat_force_next_flush()");
    const [after] = await house.database.query<{ n: string }>(DEADLOCKS);
    expect(after?.n).toBe(before?.n);
  });

  test("a refused run leaves nothing behind", async () => {
    const person = await onPlan({ tokens: 100 });
    expect((await ask(person)).body.code).toBe("run_too_large");
    expect((await house.api("GET", "/v1/runs", { key: person.key })).body.data).toEqual([]);
    expect(
      (await windows(person)).map(({ used, reserved }: { used: number; reserved: number }) => [used, reserved]),
    ).toEqual([
      [0, 0],
      [0, 0],
    ]);
  });

  test("an ended tier says so and when, and is told apart from an exhausted one", async () => {
    const person = await onPlan({ renew: "none" });
    await house.database.query("UPDATE workspaces SET created_at = '2026-01-10T00:00:00Z' WHERE plan_id = $1", [
      `plan-${person.workspaceId}`,
    ]);
    const refusal = await ask(person);
    expect([refusal.status, refusal.body.code, refusal.body.ends_at]).toEqual([
      402,
      "free_tier_ended",
      "2026-01-28T15:00:00.000Z",
    ]);
    expect(await windows(person)).toEqual([]);
  });
});

describe("the ledger", () => {
  test("a run holds its estimate while it runs and gives back what it did not use", async () => {
    const person = await onPlan({});
    const created = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "agent", input: "#sim slow 1500" },
    });
    const [during] = await windows(person);
    expect(during.reserved).toBeGreaterThan(1_000);
    expect(during.used).toBe(0);
    const { body } = await house.api("GET", `/v1/runs/${created.body.id}/events`, {
      key: person.key,
      headers: { accept: "text/event-stream" },
    });
    expect(body).toContain("run.completed");
    const [after] = await windows(person);
    const run = (await house.api("GET", `/v1/runs/${created.body.id}`, { key: person.key })).body;
    expect([after.used, after.reserved]).toEqual([run.usage.total_tokens, 0]);
  });

  test("a run that needs more than is left ends incomplete with its work kept", async () => {
    const person = await onPlan({ tokens: 1_900 });
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "agent", input: "서울 날씨" },
      headers: { prefer: "wait=20" },
    });
    expect([body.status, body.incomplete_reason]).toEqual(["incomplete", "quota"]);
    const [tokens, runs] = await windows(person);
    expect([tokens.used, tokens.reserved, runs.used]).toEqual([body.usage.total_tokens, 0, 1]);
    const steps = (await house.api("GET", `/v1/runs/${body.id}/steps`, { key: person.key })).body.data;
    expect(steps.map(({ state, error_code }: { state: string; error_code?: string }) => [state, error_code])).toEqual([
      ["done", undefined],
      ["error", "quota_exhausted"],
    ]);
  });

  test("a run cancelled before any work costs nothing", async () => {
    const idle = await openHouse("postgres", { worker: false });
    try {
      const person = await idle.register();
      await idle.deploy(person, manifest("agent"));
      const { body } = await idle.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "agent", input: "hello" },
      });
      expect((await idle.api("POST", `/v1/runs/${body.id}/cancel`, { key: person.key })).body.status).toBe("cancelled");
      const quota = (await idle.api("GET", "/v1/quota", { key: person.key })).body;
      expect(quota.windows.map(({ used, reserved }: { used: number; reserved: number }) => [used, reserved])).toEqual([
        [0, 0],
        [0, 0],
      ]);
    } finally {
      await idle.close();
    }
  });

  test("every window's balance is the sum of its entries", async () => {
    const rows = await house.database.query(`
      SELECT w.unit FROM quota_windows w LEFT JOIN LATERAL (
        SELECT COALESCE(sum(used_delta), 0) AS used, COALESCE(sum(reserved_delta), 0) AS reserved FROM quota_entries e
         WHERE e.workspace_id = w.workspace_id AND e.window_id = w.id) s ON true
       WHERE (w.used, w.reserved) IS DISTINCT FROM (s.used, s.reserved)`);
    expect(rows).toEqual([]);
  });
});

test("the window ends when the 29th begins in Seoul, by the database's clock", async () => {
  const idle = await openHouse("postgres", { worker: false });
  try {
    const person = await idle.register();
    await idle.deploy(person, manifest("agent"));
    const run = () => idle.api("POST", "/v1/runs", { key: person.key, body: { deployment: "agent", input: "hello" } });
    const set = (instant: string) =>
      idle.database.query(
        `CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT '${instant}'::timestamptz $$`,
      );
    await set("2027-01-28T14:59:59.999Z");
    await run();
    const before = (await idle.api("GET", "/v1/quota", { key: person.key })).body.windows[1];
    await set("2027-01-28T15:00:00.000Z");
    await run();
    const after = (await idle.api("GET", "/v1/quota", { key: person.key })).body.windows[1];
    expect([before.ends_at, before.last_day, before.reserved]).toEqual(["2027-01-28T15:00:00.000Z", "2027-01-28", 1]);
    expect([after.started_at, after.last_day, after.reserved]).toEqual(["2027-01-28T15:00:00.000Z", "2027-02-28", 1]);
  } finally {
    await idle.close();
  }
});
