import { idOf, newId, uuidOf } from "@maru/contract";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", {
    worker: false,
    egressAllow: { "hooks.maru.internal": "http://127.0.0.1:9" },
  });
  person = await house.register();
});
afterAll(() => house?.close());

const URL_OK = "https://hooks.example.com/in?team=7";
const post = (body: object, key = person.key) => house.api("POST", "/v1/webhooks", { key, body });
const create = async (body: object = {}, key = person.key) =>
  (await post({ url: URL_OK, events: ["run.*"], ...body }, key)).body;

describe("a webhook", () => {
  test("is shown with its secret once, which is stored sealed", async () => {
    const reply = await post({ url: URL_OK, events: ["run.completed", "deployment.*"], description: "orders" });
    expect(reply.status).toBe(201);
    const { webhook, secret } = reply.body;
    expect(reply.headers.get("location")).toBe(`/v1/webhooks/${webhook.id}`);
    expect(webhook).toMatchObject({
      url: URL_OK,
      events: ["run.completed", "deployment.*"],
      description: "orders",
      enabled: true,
      disabled_reason: null,
      previous_secret_until: null,
    });
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/);
    const read = await house.api("GET", `/v1/webhooks/${webhook.id}`, { key: person.key });
    expect(read.body).toEqual(webhook);
    const [row] = await house.database.query<{ sealed_secret: Buffer }>("SELECT sealed_secret FROM webhook_endpoints");
    expect(row?.sealed_secret.includes(secret.slice(6))).toBe(false);
  });

  test("changes and goes only as its caller last saw it", async () => {
    const { webhook } = await create();
    const path = `/v1/webhooks/${webhook.id}`;
    const call = (method: string, etag: string, body?: object) =>
      house.api(method, path, { key: person.key, headers: { "if-match": etag }, ...(body ? { body } : {}) });
    const etag = (await house.api("GET", path, { key: person.key })).headers.get("etag") as string;
    const changed = await call("PATCH", etag, { enabled: false, events: ["quota.*"] });
    expect(changed.body).toMatchObject({ enabled: false, events: ["quota.*"], url: URL_OK });
    expect((await call("PATCH", etag, { enabled: true })).body.code).toBe("precondition_failed");
    expect((await call("DELETE", etag)).status).toBe(412);
    expect((await call("DELETE", changed.headers.get("etag") as string)).status).toBe(204);
    expect((await house.api("GET", path, { key: person.key })).status).toBe(404);
    const listed = (await house.api("GET", "/v1/webhooks", { key: person.key })).body.data;
    expect(listed.map(({ id }: { id: string }) => id)).not.toContain(webhook.id);
    const [row] = await house.database.query<{ n: number }>(
      "SELECT octet_length(sealed_secret) AS n FROM webhook_endpoints WHERE id = $1",
      [uuidOf("webhook", webhook.id)],
    );
    expect(row?.n).toBe(0);
  });

  test.each([
    "https://127.0.0.1/in",
    "https://[::1]/in",
    "https://169.254.169.254/latest",
    "https://10.0.0.1/in",
    "https://localhost/in",
    "http://hooks.example.com/in",
    "https://user:pass@hooks.example.com/in",
    "ftp://hooks.example.com/in",
    "https://hooks.maru.internal.local/in",
    "nowhere",
  ])("%s is no place for one, neither new nor later", async (url) => {
    const made = await post({ url, events: ["run.*"] });
    expect([made.status, made.body.code, made.body.errors[0].pointer]).toEqual([400, "url_not_allowed", "/url"]);
    const other = await house.register();
    const { webhook } = await create({}, other.key);
    const moved = await house.api("PATCH", `/v1/webhooks/${webhook.id}`, { key: other.key, body: { url } });
    expect([moved.status, moved.body.code]).toEqual([400, "url_not_allowed"]);
  });

  test("may be http where the operator allows the host", async () => {
    expect((await post({ url: "http://hooks.maru.internal/in", events: ["run.*"] })).status).toBe(201);
  });

  test("names events that there are", async () => {
    for (const events of [[], ["run.*", "run.*"], ["run.exploded"], ["*"], ["step.finished"]])
      expect([events, (await post({ url: URL_OK, events })).body.code]).toEqual([events, "validation_failed"]);
    expect((await post({ url: URL_OK, events: ["run.*"], secret: "mine" })).body.code).toBe("unknown_field");
  });

  test("can be had twenty times, however many ask at once", async () => {
    const other = await house.register();
    const replies = await Promise.all(
      Array.from({ length: 25 }, () => post({ url: URL_OK, events: ["run.*"] }, other.key)),
    );
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(20);
    expect(replies.filter(({ body }) => body.code === "limit_out_of_range")).toHaveLength(5);
    const id = replies.find(({ status }) => status === 201)?.body.webhook.id;
    await house.api("DELETE", `/v1/webhooks/${id}`, { key: other.key });
    expect((await post({ url: URL_OK, events: ["run.*"] }, other.key)).status).toBe(201);
  });

  test("needs a key that may manage webhooks", async () => {
    const { body } = await house.api("POST", "/v1/api-keys", {
      key: person.key,
      body: { name: "reader", scopes: ["runs:read"] },
    });
    const refused = await house.api("GET", "/v1/webhooks", { key: body.key });
    expect([refused.status, refused.body.code]).toEqual([403, "insufficient_scope"]);
  });

  test("belongs to its workspace alone, its log too", async () => {
    const { webhook } = await create();
    const path = `/v1/webhooks/${webhook.id}`;
    const sent = await house.api("POST", `${path}/test`, { key: person.key });
    const other = await house.register();
    const mine = (await create({}, other.key)).webhook;
    for (const [method, target, body] of [
      ["GET", path],
      ["PATCH", path, { enabled: false }],
      ["DELETE", path],
      ["POST", `${path}/rotate-secret`],
      ["POST", `${path}/test`],
      ["GET", `${path}/deliveries`],
      ["POST", `${path}/deliveries/${sent.body.id}/redeliver`],
      ["POST", `/v1/webhooks/${mine.id}/deliveries/${sent.body.id}/redeliver`],
    ] as [string, string, object?][]) {
      const reply = await house.api(method, target, { key: other.key, ...(body === undefined ? {} : { body }) });
      expect([method, target, reply.status, reply.body.code]).toEqual([method, target, 404, "not_found"]);
    }
    expect((await house.api("GET", path, { key: person.key })).body).toEqual(webhook);
    expect((await house.api("GET", `${path}/deliveries`, { key: person.key })).body.data).toEqual([sent.body]);
  });

  test("has a log that pages by cursor, newest first, and by state", async () => {
    const { webhook } = await create();
    const path = `/v1/webhooks/${webhook.id}`;
    const sent: string[] = [];
    for (let index = 0; index < 5; index++)
      sent.unshift((await house.api("POST", `${path}/test`, { key: person.key })).body.id);
    const ids = (page: { data: { id: string }[] }) => page.data.map(({ id }) => id);
    const first = (await house.api("GET", `${path}/deliveries?limit=3`, { key: person.key })).body;
    const second = (await house.api("GET", `${path}/deliveries?limit=3&after=${first.next}`, { key: person.key })).body;
    expect([...ids(first), ...ids(second)].sort()).toEqual([...sent].sort());
    expect([ids(first).length, second.next]).toEqual([3, null]);
    const dead = await house.api("GET", `${path}/deliveries?state=dead`, { key: person.key });
    expect(dead.body).toEqual({ data: [], next: null });
  });

  test("that is disabled is sent nothing, not even a test", async () => {
    const { webhook } = await create({ enabled: false });
    const reply = await house.api("POST", `/v1/webhooks/${webhook.id}/test`, { key: person.key });
    expect([reply.status, reply.body.code]).toEqual([409, "webhook_disabled"]);
  });
});

test("a function that looks across workspaces can tell each of its own", async () => {
  const other = await house.register();
  const hooks = [await create({ events: ["quota.*"] }), await create({ events: ["quota.*"] }, other.key)];
  const client = new pg.Client({ connectionString: house.database.ownerUrl });
  await client.connect();
  try {
    await client.query("SET ROLE maru_definer");
    const theirs = uuidOf("workspace", other.workspaceId);
    await client.query(`SELECT emit_webhook($1, 'quota.window_ending', '{"unit":"runs"}', maru_now())`, [theirs]);
  } finally {
    await client.end();
  }
  const logs = await Promise.all(
    [person, other].map(({ key }, index) =>
      house.api("GET", `/v1/webhooks/${hooks[index].webhook.id}/deliveries`, { key }),
    ),
  );
  expect(logs.map(({ body }) => body.data.length)).toEqual([0, 1]);
  expect(logs[1]?.body.data[0].event).toMatchObject({ type: "quota.window_ending", data: { unit: "runs" } });
});

test("ids made in the database are ids as the API makes them", async () => {
  const made = Array.from({ length: 50 }, () => uuidOf("run", newId("run")) as string);
  for (const edge of ["00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff"]) made.push(edge);
  const rows = await house.database.query<{ uuid: string; id: string }>(
    "SELECT u AS uuid, public_id('run', u) AS id FROM unnest($1::uuid[]) u",
    [made],
  );
  expect(rows.map(({ id }) => id)).toEqual(made.map((uuid) => idOf("run", uuid)));
  const [row] = await house.database.query<{ uuid: string }>(
    "SELECT time_ordered_id('2026-11-26T01:02:03.456Z') AS uuid",
  );
  expect(row?.uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/);
  expect(Number.parseInt((row?.uuid ?? "").replace("-", "").slice(0, 12), 16)).toBe(
    Date.parse("2026-11-26T01:02:03.456Z"),
  );
});
