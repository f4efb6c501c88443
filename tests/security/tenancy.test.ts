import { openStore } from "@maru/store";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
let a: Person;
let b: Person;
beforeAll(async () => {
  house = await openHouse("postgres");
  a = await house.register();
  b = await house.register();
});
afterAll(() => house?.close());

/** Tables that belong to no workspace, on purpose. */
const SHARED = [
  "_prisma_migrations",
  "models",
  "operator_actions",
  "plan_limits",
  "plan_terms",
  "plans",
  "rate_limits",
  "upstream_keys",
  "upstream_leases",
  "users",
];

describe("the catalogue", () => {
  test("every table is a tenant table under forced row security, or one of the shared ones", async () => {
    const rows = await house.database.query<{ name: string; forced: boolean; policies: number }>(`
      SELECT c.relname AS name, c.relrowsecurity AND c.relforcerowsecurity AS forced,
             (SELECT count(*)::int FROM pg_policy p WHERE p.polrelid = c.oid AND p.polname = 'tenant') AS policies
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = 'public' AND c.relkind = 'r'`);
    expect(
      rows
        .filter(({ forced, policies }) => !forced || policies !== 1)
        .map(({ name }) => name)
        .sort(),
    ).toEqual(SHARED);
    expect(rows.length).toBeGreaterThan(15);
  });

  test("no function may be called by just any role of the server", async () => {
    const rows = await house.database.query<{ name: string }>(`
      SELECT p.oid::regprocedure::text AS name FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
       WHERE n.nspname = 'public' AND has_function_privilege('public', p.oid, 'EXECUTE')`);
    expect(rows).toEqual([]);
  });

  test("every foreign key between tenant tables carries the workspace", async () => {
    const rows = await house.database.query<{ name: string; columns: string[]; target: string }>(`
      SELECT k.conrelid::regclass || '.' || k.conname AS name, k.confrelid::regclass::text AS target,
             (SELECT array_agg(a.attname::text) FROM pg_attribute a WHERE a.attrelid = k.conrelid AND a.attnum = ANY (k.conkey)) AS columns
        FROM pg_constraint k WHERE k.contype = 'f' AND k.connamespace = 'public'::regnamespace`);
    const loose = rows.filter(({ columns, target }) => !columns.includes("workspace_id") && !SHARED.includes(target));
    expect(loose).toEqual([]);
    expect(rows.length).toBeGreaterThan(15);
  });

  test("the runtime role owns nothing, bypasses nothing, and cannot change the ledger", async () => {
    const client = new pg.Client({ connectionString: house.database.runtimeUrl });
    await client.connect();
    try {
      const { rows } = await client.query(
        "SELECT rolsuper, rolbypassrls, rolcreaterole, rolcreatedb FROM pg_roles WHERE rolname = current_user",
      );
      expect(rows).toEqual([{ rolsuper: false, rolbypassrls: false, rolcreaterole: false, rolcreatedb: false }]);
      expect((await client.query("SELECT 1 FROM pg_class WHERE relowner = current_user::regrole")).rowCount).toBe(0);
      for (const sql of [
        "UPDATE quota_entries SET used_delta = 0",
        "DELETE FROM quota_entries",
        "DELETE FROM usage_records",
        "ALTER TABLE runs DISABLE ROW LEVEL SECURITY",
        "SET ROLE maru_definer",
      ]) {
        await expect(client.query(sql)).rejects.toMatchObject({ code: "42501" });
      }
    } finally {
      await client.end();
    }
  });

  test("a store refuses to serve as a role that row security would not hold", async () => {
    await expect(openStore({ url: house.database.ownerUrl })).rejects.toThrow(/superuser or may bypass row security/);
  });
});

describe("the second lock", () => {
  test("without a workspace every tenant table is empty and refuses rows", async () => {
    await house.deploy(a, manifest("weather"));
    const clock = { name: "daily", deployment: "weather", cron: "@daily", input: "x" };
    const schedule = (await house.api("POST", "/v1/schedules", { key: a.key, body: clock })).body;
    await house.api("POST", `/v1/schedules/${schedule.id}/run`, { key: a.key });
    const inbound = { name: "in", deployment: "weather", input: "x" };
    const { trigger, secret } = (await house.api("POST", "/v1/triggers", { key: a.key, body: inbound })).body;
    await house.api("POST", trigger.path, { body: {}, headers: { "x-maru-token": secret } });
    const hook = { url: "http://weather.maru.internal/in", events: ["run.*"] };
    await house.api("POST", "/v1/webhooks", { key: a.key, body: hook });
    await house.run(a, "weather", "서울 날씨");
    await house.api("PUT", "/v1/memory/items/ours?scope=workspace", { key: a.key, body: { value: "서울" } });
    expect((await house.database.query("SELECT 1 FROM webhook_deliveries")).length).toBeGreaterThan(0);
    const client = new pg.Client({ connectionString: house.database.runtimeUrl });
    await client.connect();
    try {
      for (const table of [
        "workspaces",
        "memberships",
        "api_keys",
        "agents",
        "revisions",
        "deployments",
        "runs",
        "run_steps",
        "run_events",
        "quota_windows",
        "quota_entries",
        "usage_records",
        "webhook_endpoints",
        "webhook_events",
        "webhook_deliveries",
        "schedules",
        "schedule_fires",
        "triggers",
        "trigger_deliveries",
        "memory_namespaces",
        "memory_items",
        "memory_usage",
      ]) {
        expect([table, (await client.query(`SELECT * FROM ${table}`)).rowCount]).toEqual([table, 0]);
      }
      await expect(
        client.query("INSERT INTO threads (workspace_id, id) SELECT gen_random_uuid(), gen_random_uuid()"),
      ).rejects.toMatchObject({ code: "42501" });
    } finally {
      await client.end();
    }
  });

  test("inside one workspace a statement that forgot its filter still sees that workspace only", async () => {
    await house.deploy(b, manifest("theirs"));
    const [row] = await house.database.query<{ a: string }>(
      "SELECT workspace_id AS a FROM agents WHERE name = 'weather'",
    );
    const client = new pg.Client({ connectionString: house.database.runtimeUrl });
    await client.connect();
    try {
      await client.query("BEGIN");
      await client.query("SELECT enter_workspace($1)", [row?.a]);
      expect((await client.query("SELECT name FROM agents")).rows).toEqual([{ name: "weather" }]);
      await client.query("COMMIT");
      // The setting ended with its transaction: the next user of the connection starts with none.
      expect((await client.query("SELECT name FROM agents")).rowCount).toBe(0);
    } finally {
      await client.end();
    }
  });

  test("mixed tenants over a small pool never see each other's rows", async () => {
    const store = await openStore({ url: house.database.runtimeUrl, poolSize: 2 });
    try {
      const people = [a, b];
      const names = await Promise.all(
        Array.from({ length: 200 }, async (_, index) => {
          const person = people[index % 2] as Person;
          const agents = await store.deployments.listAgents(person.workspaceId, 10, null);
          return [index % 2, agents.map(({ name }) => name).join()];
        }),
      );
      expect(new Set(names.map(String))).toEqual(new Set(["0,weather", "1,theirs"]));
    } finally {
      await store.close();
    }
  });
});

test("another workspace's ids are not found, as if they did not exist, and nothing changes", async () => {
  const run = await house.run(a, "weather", "부산 날씨");
  const thread = (await house.api("POST", "/v1/threads", { key: a.key, body: {} })).body;
  const key = (await house.api("POST", "/v1/api-keys", { key: a.key, body: { name: "mine", scopes: ["runs:read"] } }))
    .body.api_key;
  const memories = [
    "scope=workspace",
    "scope=agent&agent=weather",
    `scope=thread&agent=weather&subject=${thread.id}`,
    "scope=user&agent=weather&subject=kim",
  ];
  for (const place of memories)
    expect(
      (await house.api("PUT", `/v1/memory/items/ours?${place}`, { key: a.key, body: { value: "서울" } })).status,
    ).toBeLessThan(300);
  const paths: [string, string, object?][] = [
    ...memories.flatMap((place): [string, string, object?][] => [
      ["GET", `/v1/memory/items/ours?${place}`],
      ["DELETE", `/v1/memory/items/ours?${place}`],
    ]),
    // A namespace of another's thread can't be made.
    ["PUT", `/v1/memory/items/ours?${memories[2]}`, { value: 1 }],
    ["GET", `/v1/runs/${run.id}`],
    ["GET", `/v1/runs/${run.id}/events`],
    ["GET", `/v1/runs/${run.id}/steps`],
    ["POST", `/v1/runs/${run.id}/cancel`],
    ["GET", `/v1/threads/${thread.id}`],
    ["GET", `/v1/threads/${thread.id}/messages`],
    ["DELETE", `/v1/threads/${thread.id}`],
    ["GET", `/v1/api-keys/${key.id}`],
    ["DELETE", `/v1/api-keys/${key.id}`],
    ["GET", "/v1/deployments/weather"],
    ["GET", "/v1/agents/weather"],
    ["GET", "/v1/agents/weather/revisions"],
    ["GET", "/v1/agents/weather/revisions/1"],
    ["POST", "/v1/runs", { deployment: "weather", input: "hi" }],
    ["POST", "/v1/runs", { deployment: "theirs", input: "hi", thread_id: thread.id }],
  ];
  for (const [method, path, body] of paths) {
    const found = await house.api(method, path, { key: b.key, ...(body === undefined ? {} : { body }) });
    expect([method, path, found.status, found.body.code]).toEqual([method, path, 404, "not_found"]);
  }
  for (const place of memories) {
    const asB = async (method: string, path: string, body?: object) =>
      (await house.api(method, `/v1/memory${path}?${place}`, { key: b.key, ...(body === undefined ? {} : { body }) }))
        .body;
    expect((await asB("GET", "/items")).data).toEqual([]);
    expect((await asB("POST", "/search", { query: "서울" })).data).toEqual([]);
    expect(await asB("GET", "/usage")).toMatchObject({ items: 0, bytes: 0, workspace_bytes: 0 });
    expect(await asB("DELETE", "")).toEqual({ namespaces: 0, items: 0, bytes: 0 });
    expect((await house.api("GET", `/v1/memory/items/ours?${place}`, { key: a.key })).body.value).toBe("서울");
  }
  for (const path of ["/v1/runs", "/v1/threads", "/v1/memory", `/v1/usage/records?run_id=${run.id}`]) {
    expect((await house.api("GET", path, { key: b.key })).body.data).toEqual([]);
  }
  expect((await house.api("GET", `/v1/threads/${thread.id}`, { key: a.key })).status).toBe(200);
  expect((await house.api("GET", `/v1/api-keys/${key.id}`, { key: a.key })).body.revoked_at).toBeNull();
});
