import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type House, openHouse, type Person } from "../setup/house.ts";
import { readLimits } from "../setup/rate-headers.ts";

/** A call a minute: nothing comes back while a test runs. */
const RATE = { perMinute: 1, burst: 60 };

describe("what replies say of the limits", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres", { worker: false, rateLimit: RATE });
    person = await house.register();
  });
  afterAll(() => house?.close());

  const get = (path: string, headers: Record<string, string> = {}, method = "GET") =>
    fetch(new URL(path, house.url), { method, headers });
  const bearer = () => ({ authorization: `Bearer ${person.key}` });

  test("a caller's replies list the key's policy and the workspace's, and where each stands", async () => {
    const first = await get("/v1/auth/me", bearer());
    expect(readLimits(first.headers)).toEqual({
      policies: { key: { q: 60, w: 3_600 }, workspace: { q: 300, w: 3_600 } },
      // Registering made a key: one call of the person's.
      limits: { key: { r: 59, t: 60 }, workspace: { r: 298, t: expect.any(Number) } },
    });
    const second = readLimits((await get("/v1/auth/me", bearer())).headers).limits;
    expect([second.key?.r, second.workspace?.r]).toEqual([58, 297]);
    const signedIn = await get("/v1/auth/me", { authorization: `Bearer ${person.accessToken}` });
    expect(Object.keys(readLimits(signedIn.headers).policies)).toEqual(["user", "workspace"]);
  });

  test.each<[string, number, string, () => Promise<Response>]>([
    [
      "a resource that does not exist",
      404,
      "key workspace",
      () => get("/v1/runs/run_00000000000000000000000000", bearer()),
    ],
    [
      "a body that does not fit",
      400,
      "key workspace",
      () => get("/v1/threads", { ...bearer(), "content-type": "application/json" }, "POST"),
    ],
    ["a call a key may not make", 403, "key workspace", () => get("/v1/auth/logout", bearer(), "POST")],
    ["nobody's call", 401, "default", () => get("/v1/auth/me")],
    ["a key that is none", 401, "default", () => get("/v1/auth/me", { authorization: "Bearer maru_nothing" })],
    ["a type nobody has", 406, "default", () => get("/v1/auth/me", { ...bearer(), accept: "image/png" })],
    ["a path that does not exist", 404, "default", () => get("/v1/nothing")],
    ["a path that can't be read", 404, "default", () => get("/v1/%ZZ")],
    ["a method that does not exist", 405, "default", () => get("/v1/auth/me", {}, "DELETE")],
    ["an operator's call without their token", 401, "default", () => get("/v1/admin/plans", bearer())],
    ["a public call", 200, "default", () => get("/.well-known/jwks.json")],
    ["a health check", 200, "default", () => get("/healthz")],
    ["a document", 200, "default", () => get("/openapi.json")],
  ])("%s (%i) too", async (_what, status, names, call) => {
    const response = await call();
    await response.text();
    expect(response.status).toBe(status);
    const { policies, limits } = readLimits(response.headers);
    expect([Object.keys(policies).join(" "), Object.keys(limits).join(" ")]).toEqual([names, names]);
  });

  test("an event stream says it before its first event", async () => {
    await house.deploy(
      person,
      "apiVersion: maru/v1\nkind: Agent\nmetadata: { name: plain }\nspec: { instructions: Hi. }\n",
    );
    const run = await house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "plain", input: "hello" } });
    const reading = new AbortController();
    const stream = await fetch(new URL(`/v1/runs/${run.body.id}/events`, house.url), {
      headers: { ...bearer(), accept: "text/event-stream" },
      signal: reading.signal,
    });
    expect([stream.status, Object.keys(readLimits(stream.headers).limits)]).toEqual([200, ["key", "workspace"]]);
    reading.abort();
  });

  test("a refused call's Retry-After is no earlier than any reset it tells", async () => {
    const { body } = await house.api("POST", "/v1/api-keys", {
      key: person.accessToken,
      body: { name: "narrow", scopes: ["runs:read"], rate_limit: { per_minute: 1, burst: 1 } },
    });
    const call = () => get("/v1/auth/me", { authorization: `Bearer ${body.key}` });
    await call();
    const refused = await call();
    expect(refused.status).toBe(429);
    const { limits } = readLimits(refused.headers);
    const resets = Object.values(limits).flatMap(({ t }) => (t === undefined ? [] : [t]));
    expect(limits).toMatchObject({ key: { r: 0 }, workspace: { r: expect.any(Number) } });
    expect(resets).toHaveLength(1);
    expect(Number(refused.headers.get("retry-after"))).toBe(resets[0]);
  });
});

describe("who is limited as whom", () => {
  let house: House;
  beforeEach(async () => {
    house = await openHouse("postgres", { worker: false, rateLimit: { perMinute: 1, burst: 8 } });
  });
  afterEach(() => house?.close());

  test("calls without credentials that hold are limited by address, whatever they ask for; a key that holds is not kept out with them", async () => {
    const person = await house.register();
    // Registering was one of the address's calls.
    const tries = ["/v1/auth/me", "/v1/nothing", "/.well-known/jwks.json", "/v1/auth/me", "/v1/nothing", "/v1/runs"];
    const statuses = [];
    for (const path of [...tries, "/v1/auth/me", "/v1/auth/me", "/v1/nothing"]) {
      const response = await fetch(new URL(path, house.url), { headers: { authorization: "Bearer maru_nothing" } });
      statuses.push(response.status);
      const { code, limit } = (await response.json()) as { code?: string; limit?: string };
      if (response.status === 429) expect([code, limit]).toEqual(["rate_limited", "default"]);
    }
    expect(statuses).toEqual([401, 404, 200, 401, 404, 401, 401, 429, 429]);
    expect((await house.api("GET", "/v1/auth/me", { key: person.key })).status).toBe(200);
    expect((await house.api("GET", "/healthz")).status).toBe(200);
  });

  test("a call that its scopes do not allow counts for the key", async () => {
    const { key } = await house.register();
    const logout = () => house.api("POST", "/v1/auth/logout", { key });
    for (let call = 0; call < 8; call++) expect((await logout()).status).toBe(403);
    expect((await logout()).body).toMatchObject({ code: "rate_limited", limit: "key" });
  });
});

describe("a key's own limit", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres", {
      worker: false,
      rateLimit: { perMinute: 600, burst: 100 },
      workspaceRateLimit: { perMinute: 900, burst: 200 },
    });
    person = await house.register();
  });
  afterAll(() => house?.close());
  const create = (rateLimit: unknown, key = person.accessToken) =>
    house.api("POST", "/v1/api-keys", {
      key,
      body: { name: "limited", scopes: ["keys:manage"], ...(rateLimit === undefined ? {} : { rate_limit: rateLimit }) },
    });

  test("is shown in the key; one without has none of its own", async () => {
    const limited = await create({ per_minute: 900, burst: 200 });
    expect([limited.status, limited.body.api_key.rate_limit]).toEqual([201, { per_minute: 900, burst: 200 }]);
    const read = await house.api("GET", `/v1/api-keys/${limited.body.api_key.id}`, { key: person.accessToken });
    expect(read.body).toEqual({ ...limited.body.api_key, last_used_at: null });
    expect((await create(undefined)).body.api_key.rate_limit).toBeNull();
    expect((await create(null)).body.api_key.rate_limit).toBeNull();
    const me = await house.api("GET", "/v1/api-keys", { key: limited.body.key });
    expect(readLimits(me.headers).policies).toEqual({ key: { q: 200, w: 14 }, workspace: { q: 200, w: 14 } });
  });

  test.each([
    ["more a minute than the workspace", { per_minute: 901, burst: 1 }, "limit_out_of_range", "/rate_limit/per_minute"],
    ["more at once than the workspace", { per_minute: 1, burst: 201 }, "limit_out_of_range", "/rate_limit/burst"],
    ["none", { per_minute: 0, burst: 1 }, "validation_failed", "/rate_limit"],
    ["less than none", { per_minute: 1, burst: -1 }, "validation_failed", "/rate_limit"],
    ["a part of a call", { per_minute: 1.5, burst: 1 }, "validation_failed", "/rate_limit"],
    ["half a limit", { per_minute: 5 }, "validation_failed", "/rate_limit"],
    ["text", { per_minute: "5", burst: 1 }, "validation_failed", "/rate_limit"],
  ])("of %s is refused", async (_what, rateLimit, code, pointer) => {
    const { status, body } = await create(rateLimit);
    expect([status, body.code]).toEqual([400, code]);
    expect(body.errors[0].pointer.startsWith(pointer)).toBe(true);
  });

  test("is a bound for the keys it makes, and theirs when they name none", async () => {
    const { body } = await create({ per_minute: 30, burst: 20 });
    expect((await create({ per_minute: 31, burst: 20 }, body.key)).body.code).toBe("limit_out_of_range");
    expect((await create({ per_minute: 30, burst: 5 }, body.key)).body.api_key.rate_limit).toEqual({
      per_minute: 30,
      burst: 5,
    });
    expect((await create(undefined, body.key)).body.api_key.rate_limit).toEqual({ per_minute: 30, burst: 20 });
  });
});
