import { newId } from "@maru/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type CallOptions, type House, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
});
afterAll(() => house?.close());

const call = (method: string, path: string, options: CallOptions = {}) =>
  house.api(method, `/v1/memory${path}`, { key: person.key, ...options });
const put = (path: string, body: object) => call("PUT", `/items/${path}`, { body });
const of = (agent: string) => `scope=agent&agent=${agent}`;
const deep = (levels: number) => JSON.parse("[".repeat(levels) + "]".repeat(levels));
const raw = (text: string): CallOptions => ({ raw: { type: "application/json", text } });
const place = "scope=agent&agent=bad";
const ok = { body: { value: 1 } };

test.each<[string, string, string, CallOptions, number, string, string?]>([
  ["no scope", "PUT", "/items/k", ok, 400, "validation_failed", "?scope"],
  ["a scope there is not", "PUT", "/items/k?scope=team", ok, 400, "validation_failed", "?scope"],
  ["no agent", "PUT", "/items/k?scope=agent", ok, 400, "validation_failed", "?agent"],
  ["no agent of a user's", "PUT", "/items/k?scope=user&subject=kim", ok, 400, "validation_failed", "?agent"],
  ["no subject", "PUT", "/items/k?scope=user&agent=a", ok, 400, "validation_failed", "?subject"],
  ["an empty subject", "PUT", "/items/k?scope=user&agent=a&subject=", ok, 400, "validation_failed", "?subject"],
  ["a subject with NUL", "PUT", "/items/k?scope=user&agent=a&subject=a%00b", ok, 400, "validation_failed", "?subject"],
  [
    "a long subject",
    "PUT",
    `/items/k?scope=user&agent=a&subject=${"u".repeat(513)}`,
    ok,
    400,
    "validation_failed",
    "?subject",
  ],
  ["an agent too many", "PUT", "/items/k?scope=workspace&agent=a", ok, 400, "validation_failed", "?agent"],
  ["a subject too many", "PUT", "/items/k?scope=agent&agent=a&subject=b", ok, 400, "validation_failed", "?subject"],
  [
    "a thread that can't be",
    "PUT",
    "/items/k?scope=thread&agent=a&subject=kim",
    ok,
    400,
    "validation_failed",
    "?subject",
  ],
  ["a thread there is not", "PUT", `/items/k?scope=thread&agent=a&subject=${newId("thread")}`, ok, 404, "not_found"],
  ["an agent that can't be", "PUT", "/items/k?scope=agent&agent=No%20One", ok, 400, "validation_failed", "?agent"],
  ["an unknown place", "PUT", `/items/k?${place}&team=b`, ok, 400, "unknown_field", "?team"],
  ["a key with a slash", "PUT", `/items/a%2Fb?${place}`, ok, 400, "validation_failed", "path:key"],
  ["a key with a space", "PUT", `/items/a%20b?${place}`, ok, 400, "validation_failed", "path:key"],
  ["a key that begins with a dot", "PUT", `/items/.a?${place}`, ok, 400, "validation_failed", "path:key"],
  ["a key with NUL", "PUT", `/items/a%00b?${place}`, ok, 400, "validation_failed", "path:key"],
  ["a key with a line end", "PUT", `/items/a%0A?${place}`, ok, 400, "validation_failed", "path:key"],
  ["a key of an emoji", "PUT", `/items/${encodeURIComponent("🙂")}?${place}`, ok, 400, "validation_failed", "path:key"],
  ["a key of half an emoji", "PUT", `/items/%ED%A0%BD?${place}`, ok, 404, "not_found"],
  ["a long key", "PUT", `/items/${"k".repeat(129)}?${place}`, ok, 400, "validation_failed", "path:key"],
  ["an endless key", "PUT", `/items/${"k".repeat(2_000)}?${place}`, ok, 404, "not_found"],
  ["such a key that is read", "GET", `/items/a%20b?${place}`, {}, 404, "not_found"],
  ["no value", "PUT", `/items/k?${place}`, { body: {} }, 400, "validation_failed", "/value"],
  ["no body", "PUT", `/items/k?${place}`, raw(""), 400, "empty_body"],
  ["no JSON", "PUT", `/items/k?${place}`, raw("{"), 400, "invalid_json"],
  ["an unknown field", "PUT", `/items/k?${place}`, { body: { value: 1, text: "a" } }, 400, "unknown_field", "/text"],
  ["NUL in a text", "PUT", `/items/k?${place}`, { body: { value: "a\0b" } }, 400, "invalid_string", "/value"],
  [
    "NUL in a name deep inside",
    "PUT",
    `/items/k?${place}`,
    { body: { value: [{ "a\0": 1 }] } },
    400,
    "invalid_string",
    "/value/0/a\0",
  ],
  ["half a surrogate pair", "PUT", `/items/k?${place}`, raw('{"value": "\\ud800"}'), 400, "invalid_string", "/value"],
  ["a forbidden name", "PUT", `/items/k?${place}`, raw('{"value": {"__proto__": 1}}'), 400, "forbidden_key"],
  ["depth", "PUT", `/items/k?${place}`, { body: { value: deep(64) } }, 400, "body_too_deep"],
  ["16 KiB and a byte", "PUT", `/items/k?${place}`, { body: { value: "x".repeat(16_384 - 2) } }, 413, "body_too_large"],
  ["the same in Korean", "PUT", `/items/k?${place}`, { body: { value: "가".repeat(5_461) } }, 413, "body_too_large"],
  [
    "the same by an embedding",
    "PUT",
    `/items/k?${place}`,
    { body: { value: 1, embedding: Array(4_096).fill(1) } },
    413,
    "body_too_large",
  ],
  ["a ttl of nothing", "PUT", `/items/k?${place}`, { body: { value: 1, ttl: 0 } }, 400, "validation_failed", "/ttl"],
  ["half a second", "PUT", `/items/k?${place}`, { body: { value: 1, ttl: 0.5 } }, 400, "validation_failed", "/ttl"],
  [
    "a ttl of centuries",
    "PUT",
    `/items/k?${place}`,
    { body: { value: 1, ttl: 1e10 } },
    400,
    "validation_failed",
    "/ttl",
  ],
  ["a ttl in words", "PUT", `/items/k?${place}`, { body: { value: 1, ttl: "1h" } }, 400, "validation_failed", "/ttl"],
  [
    "an empty embedding",
    "PUT",
    `/items/k?${place}`,
    { body: { value: 1, embedding: [] } },
    400,
    "validation_failed",
    "/embedding",
  ],
  [
    "an embedding of nothing",
    "PUT",
    `/items/k?${place}`,
    { body: { value: 1, embedding: [0, 0] } },
    400,
    "validation_failed",
    "/embedding",
  ],
  [
    "an embedding with infinity",
    "PUT",
    `/items/k?${place}`,
    raw('{"value": 1, "embedding": [1e999]}'),
    400,
    "validation_failed",
  ],
  [
    "an embedding of texts",
    "PUT",
    `/items/k?${place}`,
    { body: { value: 1, embedding: ["1"] } },
    400,
    "validation_failed",
    "/embedding/0",
  ],
  ["If-Match of no tag", "PUT", `/items/k?${place}`, { ...ok, headers: { "if-match": "1" } }, 400, "invalid_header"],
  [
    "If-Match of another kind",
    "PUT",
    `/items/k?${place}`,
    { ...ok, headers: { "if-match": '"nothing"' } },
    412,
    "precondition_failed",
  ],
  ["a search for nothing", "POST", `/search?${place}`, { body: {} }, 400, "validation_failed"],
  [
    "a search with a limit only",
    "POST",
    `/search?${place}`,
    { body: { limit: 1 } },
    400,
    "validation_failed",
    "/query",
  ],
  ["an empty query", "POST", `/search?${place}`, { body: { query: "" } }, 400, "validation_failed", "/query"],
  [
    "a long query",
    "POST",
    `/search?${place}`,
    { body: { query: "a".repeat(1_001) } },
    400,
    "validation_failed",
    "/query",
  ],
  ["a query with NUL", "POST", `/search?${place}`, { body: { query: "a\0" } }, 400, "invalid_string", "/query"],
  ["51 results", "POST", `/search?${place}`, { body: { query: "a", limit: 51 } }, 400, "validation_failed", "/limit"],
  [
    "an embedding of nothing to search by",
    "POST",
    `/search?${place}`,
    { body: { embedding: [0] } },
    400,
    "validation_failed",
    "/embedding",
  ],
  ["a cursor of nobody", "GET", `/items?${place}&after=abc.def`, {}, 400, "invalid_cursor", "?after"],
  ["a cursor of nobody", "GET", "?after=abc.def", {}, 400, "invalid_cursor", "?after"],
  ["a prefix with NUL", "GET", `/items?${place}&prefix=a%00`, {}, 400, "validation_failed", "?prefix"],
  ["a whole scope to erase", "DELETE", "?scope=user", {}, 400, "validation_failed", "?subject"],
  ["a whole agent to erase by user", "DELETE", "?scope=user&agent=a", {}, 400, "validation_failed", "?subject"],
  ["no agent to erase", "DELETE", "?scope=agent", {}, 400, "validation_failed", "?agent"],
  ["everything to erase", "DELETE", "", {}, 400, "validation_failed", "?scope"],
  ["usage of no place", "GET", "/usage", {}, 400, "validation_failed", "?scope"],
])("%s: refused", async (_what, method, path, options, status, code, pointer) => {
  const reply = await call(method, path, options);
  expect([reply.status, reply.body.code]).toEqual([status, code]);
  if (pointer !== undefined)
    expect(reply.body.errors.map((error: { pointer: string }) => error.pointer)).toContain(pointer);
  expect((await call("GET", `/items?${place}`)).body.data).toEqual([]);
});

test("what is just small enough is taken", async () => {
  expect((await put(`k?${of("edge")}`, { value: "x".repeat(16_384 - 3) })).status).toBe(201);
  expect((await put(`k?${of("edge")}`, { value: "", embedding: Array(4_095).fill(-1e300) })).status).toBe(200);
  expect((await put(`k?${of("edge")}`, { value: deep(62) })).status).toBe(200);
  expect((await put(`${encodeURIComponent("가".repeat(128))}?${of("edge")}`, { value: 1 })).status).toBe(201);
});

test("scopes of keys are asked for", async () => {
  const keyWith = async (scope: string) =>
    (await house.api("POST", "/v1/api-keys", { key: person.key, body: { name: scope, scopes: [scope] } })).body.key;
  const [reads, writes, neither] = [
    await keyWith("memory:read"),
    await keyWith("memory:write"),
    await keyWith("runs:write"),
  ];
  const calls: [string, string, object?][] = [
    ["GET", ""],
    ["GET", "/usage?scope=workspace"],
    ["GET", "/items?scope=workspace"],
    ["GET", "/items/scoped?scope=workspace"],
    ["POST", "/search?scope=workspace", { query: "a" }],
    ["PUT", "/items/scoped?scope=workspace", { value: 1 }],
    ["DELETE", "/items/scoped?scope=workspace"],
    ["DELETE", "?scope=workspace"],
  ];
  for (const [method, path, body] of calls) {
    const by = async (key: string) =>
      (await call(method, path, { key, ...(body === undefined ? {} : { body }) })).status;
    const isRead = method === "GET" || method === "POST";
    expect([method, path, (await by(reads)) === 403, (await by(writes)) === 403, await by(neither)]).toEqual([
      method,
      path,
      !isRead,
      isRead,
      403,
    ]);
  }
});
