import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeApi, json, openFakeApi, problem } from "../test/fake-api.ts";
import { OPERATIONS } from "./generated.ts";
import {
  type Client,
  Conflict,
  ConnectionError,
  createClient,
  Forbidden,
  InvalidRequest,
  MaruError,
  NotFound,
  QuotaExhausted,
  RateLimited,
  ServiceError,
  TimeoutError,
  Unauthorized,
} from "./index.ts";
import { retryAfterMs } from "./retry.ts";

let api: FakeApi;
let client: Client;
beforeAll(async () => {
  api = await openFakeApi();
  client = createClient({ baseUrl: api.url, apiKey: "maru_key" });
});
afterAll(() => api?.close());

const caught = async (promise: Promise<unknown>): Promise<Error> => {
  try {
    await promise;
  } catch (error) {
    return error as Error;
  }
  throw new Error("nothing was thrown");
};

test("every operation of the API has a place, and a call of it is that operation", async () => {
  api.answers((response) => json(response, 200, { data: [], last_seq: 0 }));
  const groups = client as unknown as Record<string, Record<string, (...args: unknown[]) => unknown>>;
  for (const [operation, { method, path, group, name, ...traits }] of Object.entries(OPERATIONS)) {
    const names = [...path.matchAll(/\{([^}]+)\}/g)];
    const call = groups[group]?.[name]?.(
      ...names.map((_, index) => `p${index}`),
      ...("body" in traits ? [{ a: 1 }] : []),
    );
    if ("list" in traits) await (call as { page(): Promise<unknown> }).page();
    else await call;
    let index = 0;
    const { method: sent, url, body } = api.seen.at(-1) ?? {};
    expect([operation, sent, url]).toEqual([operation, method, path.replace(/\{[^}]+\}/g, () => `p${index++}`)]);
    expect(body).toBe("body" in traits ? '{"a":1}' : "");
  }
  expect(api.seen).toHaveLength(Object.keys(OPERATIONS).length);
});

test("a call carries who asks, where, what and how", async () => {
  api.answers((response) => json(response, 200, { ok: true }));
  let asked = 0;
  const other = createClient({
    baseUrl: `${api.url}/behind/`,
    apiKey: async () => `token-${++asked}`,
    headers: { "x-team": "a" },
  });
  await other.secrets.get("A/B", { agent: "shop" });
  await other.deployments.deploy("kind: Agent", { dryRun: true, ifMatch: '"3"', idempotencyKey: "k-1" });
  await other.threads.create();
  await other.call("getRun", { params: { run: "run_1" }, headers: { "x-team": "b" } });
  expect(api.seen.map(({ method, url }) => `${method} ${url}`)).toEqual([
    "GET /behind/v1/secrets/A%2FB?agent=shop",
    "POST /behind/v1/deployments?dry_run=true",
    "POST /behind/v1/threads",
    "GET /behind/v1/runs/run_1",
  ]);
  const [get, deploy, thread, run] = api.seen;
  expect(get?.headers).toMatchObject({ authorization: "Bearer token-1", "x-team": "a" });
  expect(get?.headers["content-type"]).toBeUndefined();
  expect(deploy?.headers).toMatchObject({
    authorization: "Bearer token-2",
    "content-type": "application/yaml",
    "if-match": '"3"',
    "idempotency-key": "k-1",
  });
  expect([deploy?.body, thread?.body]).toEqual(["kind: Agent", "{}"]);
  expect(thread?.headers["content-type"]).toBe("application/json");
  expect(run?.headers["x-team"]).toBe("b");
});

test("an id that is not there is said before anything is sent", async () => {
  api.answers((response) => json(response, 200, {}));
  expect(await caught(client.runs.get(""))).toEqual(new TypeError("getRun needs run"));
  expect(api.seen).toEqual([]);
});

const PASSING: [string, (response: Parameters<typeof problem>[0]) => void][] = [
  ["a cut connection", (response) => response.destroy()],
  [
    "a reply cut in its middle",
    (response) => {
      response.writeHead(200, { "content-length": "100" });
      response.write("{", () => response.destroy());
    },
  ],
  ["408", (response) => problem(response, 408, "request_timeout")],
  ["429", (response) => problem(response, 429, "rate_limited", { retry_after_ms: 1 })],
  ["a proxy's 429", (response) => json(response, 429, "slow down", { "retry-after": "0" })],
  ["500", (response) => problem(response, 500, "internal")],
  ["a proxy's 502", (response) => json(response, 502, "bad gateway")],
  ["503", (response) => problem(response, 503, "unavailable", {}, { "retry-after": "0" })],
  ["504", (response) => json(response, 504, undefined)],
  ["a first call with the key that is not done", (response) => problem(response, 409, "idempotency_in_progress")],
];

test.each(PASSING)("after %s a call that may be repeated is, by the same key", async (_name, fail) => {
  const answers = () =>
    api.answers((response, _seen, index) => (index < 2 ? fail(response) : json(response, 200, { id: "x" })));
  answers();
  expect(await client.runs.get("run_1")).toEqual({ id: "x" });
  expect(api.seen).toHaveLength(3);
  answers();
  expect(await client.runs.create({ deployment: "a", input: "b" })).toEqual({ id: "x" });
  const keys = api.seen.map(({ headers }) => headers["idempotency-key"]);
  expect(keys[0]).toMatch(/^[0-9a-f]{32}$/);
  expect(keys).toEqual([keys[0], keys[0], keys[0]]);
  await client.runs.create({ deployment: "a", input: "b" });
  expect(api.seen.at(-1)?.headers["idempotency-key"]).not.toBe(keys[0]);
});

test("what may have had an effect and has no key is not repeated", async () => {
  api.answers((response) => problem(response, 503, "unavailable", {}, { "retry-after": "0" }));
  for (const call of [
    () => client.quota.check({ deployment: "a", input: "b" }),
    () => client.webhooks.update("w", { enabled: false }),
    () => client.auth.register({ email: "a@example.com", password: "p" }),
    // A key where none is honoured protects nothing.
    () => client.call("checkQuota", { body: { deployment: "a", input: "b" }, idempotencyKey: "k" }),
  ]) {
    api.seen.length = 0;
    expect(await caught(call())).toBeInstanceOf(ServiceError);
    expect(api.seen).toHaveLength(1);
  }
});

test("attempts end, at the number that was asked for", async () => {
  api.answers((response) => problem(response, 503, "unavailable", {}, { "retry-after": "0" }));
  expect(await caught(client.runs.get("run_1"))).toMatchObject({ code: "unavailable", retryAfterMs: 0 });
  expect(api.seen).toHaveLength(3);
  api.seen.length = 0;
  await caught(client.runs.get("run_1", { retries: 0 }));
  expect(api.seen).toHaveLength(1);
  api.seen.length = 0;
  await caught(createClient({ baseUrl: api.url, retries: 4 }).runs.get("run_1"));
  expect(api.seen).toHaveLength(5);
});

test("a wait that the reply asks for is waited, and one that is too long is not begun", async () => {
  api.answers((response, _seen, index) =>
    index === 0
      ? problem(response, 429, "rate_limited", { retry_after_ms: 400 }, { "retry-after": "1" })
      : json(response, 200, {}),
  );
  await client.quota.get();
  const [first, second] = api.seen;
  expect((second?.atMs ?? 0) - (first?.atMs ?? 0)).toBeGreaterThanOrEqual(395);
  api.answers((response) => problem(response, 429, "rate_limited", { limit: "key" }, { "retry-after": "60" }));
  const error = await caught(client.quota.get());
  expect(error).toBeInstanceOf(RateLimited);
  expect(error).toMatchObject({ retryAfterMs: 60_000, limit: "key" });
  expect(api.seen).toHaveLength(1);
});

test("Retry-After is read in both its forms", () => {
  const at = (value: string) => retryAfterMs(new Headers({ "retry-after": value }), Date.parse("2026-11-20T00:00:00Z"));
  expect([at("7"), at("Fri, 20 Nov 2026 00:00:09 GMT"), at("Fri, 20 Nov 2020 00:00:00 GMT"), at("soon")]).toEqual([
    7_000,
    9_000,
    0,
    null,
  ]);
});

test("quota that is used up is an answer, not a reason to ask again", async () => {
  api.answers((response) =>
    problem(
      response,
      429,
      "quota_exhausted",
      { limit: "tokens", resets_at: "2026-11-28T15:00:00.000Z" },
      { "retry-after": "1" },
    ),
  );
  const error = await caught(client.runs.create({ deployment: "a", input: "b" }));
  expect(error).toBeInstanceOf(QuotaExhausted);
  expect(error).toMatchObject({ limit: "tokens", freesAt: new Date("2026-11-28T15:00:00Z"), endedAt: null });
  expect(api.seen).toHaveLength(1);
  api.answers((response) => problem(response, 402, "free_tier_ended", { ends_at: "2026-11-28T15:00:00.000Z" }));
  expect(await caught(client.runs.create({ deployment: "a", input: "b" }))).toMatchObject({
    name: "QuotaExhausted",
    freesAt: null,
    endedAt: new Date("2026-11-28T15:00:00Z"),
  });
});

test.each([
  [400, "validation_failed", InvalidRequest],
  [413, "body_too_large", InvalidRequest],
  [401, "token_expired", Unauthorized],
  [403, "insufficient_scope", Forbidden],
  [403, "run_too_large", QuotaExhausted],
  [404, "not_found", NotFound],
  [409, "thread_busy", Conflict],
  [410, "payload_expired", Conflict],
  [412, "precondition_failed", Conflict],
  [429, "too_many_attempts", RateLimited],
  [500, "internal", ServiceError],
] as const)("a problem of %i %s is an error that says what it is of", async (status, code, Kind) => {
  api.answers((response) =>
    problem(response, status, code, { detail: "Look.", errors: [{ pointer: "/a", code: "b", detail: "c" }] }),
  );
  const error = await caught(client.runs.get("run_1", { retries: 0 }));
  expect(error).toBeInstanceOf(Kind);
  expect(error).toBeInstanceOf(MaruError);
  expect(error).toMatchObject({
    name: Kind.name,
    code,
    status,
    operation: "getRun",
    requestId: "req-1",
    message: "It did not work: Look. [getRun, request req-1]",
    problem: { errors: [{ pointer: "/a" }] },
  });
});

test("what is none of Maru's is not taken for its word", async () => {
  api.answers((response) => json(response, 403, "<html>blocked</html>"));
  const refused = await caught(client.runs.get("run_1"));
  expect(refused).toBeInstanceOf(ConnectionError);
  expect(refused).toMatchObject({ status: 403, operation: "getRun" });
  expect(api.seen).toHaveLength(1);
  api.answers((response) => {
    response.writeHead(200);
    response.end("<html>sign in to the network</html>");
  });
  expect(await caught(client.runs.get("run_1"))).toMatchObject({ name: "ConnectionError", status: 200 });
});

test("a reply of 503 that is no problem is the reply", async () => {
  api.answers((response) => json(response, 503, { status: "not_ready", checks: {} }));
  expect(await client.operations.ready()).toEqual({ status: "not_ready", checks: {} });
  expect(api.seen).toHaveLength(1);
});

test("a call ends at once when its caller wants it to: while it waits for a reply, and for another attempt", async () => {
  const reason = new Error("changed my mind");
  const aborted = new AbortController();
  api.answers(() => aborted.abort(reason));
  expect(await caught(client.runs.get("run_1", { signal: aborted.signal }))).toBe(reason);
  expect(api.seen).toHaveLength(1);

  const controller = new AbortController();
  api.answers((response) => problem(response, 503, "unavailable", {}, { "retry-after": "25" }));
  const waiting = createClient({
    baseUrl: api.url,
    fetch: async (url, init) => {
      const response = await fetch(url, init);
      const text = await response.text();
      // The reply has been read by then.
      setTimeout(() => controller.abort(reason), 100);
      return new Response(text, response);
    },
  });
  expect(await caught(waiting.runs.get("run_1", { signal: controller.signal }))).toBe(reason);
  expect(api.seen).toHaveLength(1);

  api.seen.length = 0;
  expect(await caught(client.runs.get("run_1", { signal: AbortSignal.abort(reason) }))).toBe(reason);
  expect(api.seen).toEqual([]);
}, 15_000);

test("silence ends in an error that says so; what Prefer asks for is no silence", async () => {
  api.answers(() => {});
  const error = await caught(client.webhooks.update("w", { enabled: true }, { timeoutMs: 50 }));
  expect(error).toBeInstanceOf(TimeoutError);
  expect(error).toMatchObject({ operation: "updateWebhook", message: "No reply came within 50 ms [updateWebhook]" });
  expect(api.seen).toHaveLength(1);
  api.answers((response, _seen, index) => (index === 0 ? undefined : json(response, 200, { id: "x" })));
  expect(await client.runs.get("run_1", { timeoutMs: 50 })).toEqual({ id: "x" });
  api.answers((response) => setTimeout(() => json(response, 200, { id: "x" }), 300));
  const waited = { body: { deployment: "a", input: "b" }, headers: { prefer: "wait=1" }, timeoutMs: 50, retries: 0 };
  expect(await client.call("createRun", waited)).toEqual({ id: "x" });
});

test("a list is read page after page, only as far as somebody reads", async () => {
  const PAGES: Record<string, object> = {
    "": { data: [{ id: "1" }, { id: "2" }], next: "c1" },
    c1: { data: [], next: "c 2" },
    "c 2": { data: [{ id: "3" }], next: null },
  };
  api.answers((response, { url }) => json(response, 200, PAGES[new URL(url, api.url).searchParams.get("after") ?? ""]));
  const ids: string[] = [];
  for await (const { id } of client.runs.list({ status: "failed", limit: 2 })) ids.push(id);
  expect(ids).toEqual(["1", "2", "3"]);
  expect(api.seen.map(({ url }) => url)).toEqual([
    "/v1/runs?status=failed&limit=2",
    "/v1/runs?status=failed&limit=2&after=c1",
    "/v1/runs?status=failed&limit=2&after=c+2",
  ]);
  api.seen.length = 0;
  for await (const { id } of client.runs.list()) if (id === "2") break;
  expect(api.seen).toHaveLength(1);
  expect(await client.runs.list({ after: "c 2" }).page()).toEqual(PAGES["c 2"]);
  // A list that comes whole is one too.
  api.answers((response) => json(response, 200, { data: [{ seq: 1 }] }));
  const steps: number[] = [];
  for await (const { seq } of client.runs.steps("run_1")) steps.push(seq);
  expect([steps, api.seen.length]).toEqual([[1], 1]);
});

test("a run's events are read by their numbers", async () => {
  const all = Array.from({ length: 5 }, (_, index) => ({ seq: index + 1 }));
  api.answers((response, { url }) => {
    const query = new URL(url, api.url).searchParams;
    const after = Number(query.get("after_seq") ?? 0);
    json(response, 200, { data: all.slice(after, after + Number(query.get("limit"))), last_seq: 5 });
  });
  const seen: number[] = [];
  for await (const { seq } of client.runs.events("run_1", { limit: 2, after_seq: 1 })) seen.push(seq);
  expect(seen).toEqual([2, 3, 4, 5]);
  expect(api.seen).toHaveLength(2);
});

test("bytes and headers are there for who wants them", async () => {
  api.answers((response) => {
    response.writeHead(200, { "content-type": "image/png", etag: '"1"' });
    response.end(Buffer.from([0, 255, 1]));
  });
  const response = await client.artifacts.get("art_1");
  expect([...new Uint8Array(await response.arrayBuffer())]).toEqual([0, 255, 1]);
  expect((await client.request("getRun", { params: { run: "run_1" } })).headers.get("etag")).toBe('"1"');
});
