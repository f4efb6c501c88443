import { MEMORY_LIMITS, newId, uuidOf } from "@maru/contract";
import { openStore, type Store } from "@maru/store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type CallOptions, type House, openHouse, type Person, until } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";

let house: House;
let person: Person;
let store: Store;
beforeAll(async () => {
  house = await openHouse("postgres", { workerConfig: { keepMs: 3_600_000 } });
  person = await house.register();
  store = await openStore({ url: house.database.runtimeUrl });
  await house.database.query("CREATE TABLE test_clock (ahead interval NOT NULL)");
  await house.database.query("GRANT SELECT ON test_clock TO PUBLIC");
  await house.database.query("INSERT INTO test_clock VALUES ('0')");
  await house.database.query(
    "CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT date_trunc('milliseconds', clock_timestamp() + ahead) FROM public.test_clock $$",
  );
});
afterAll(async () => {
  if (house !== undefined) expect(await brokenInvariants(house.database)).toEqual([]);
  await store?.close();
  await house?.close();
});

const later = (seconds: number) =>
  house.database.query("UPDATE test_clock SET ahead = ahead + $1 * interval '1 second'", [seconds]);
/** The clock of before, which other tests go by; calls counted in the time that was not would hold callers up. */
const today = () => house.database.query("WITH c AS (UPDATE test_clock SET ahead = '0') DELETE FROM rate_limits");
const call = (method: string, path: string, options: CallOptions = {}) =>
  house.api(method, `/v1/memory${path}`, { key: person.key, ...options });
const put = (path: string, body: object, options: CallOptions = {}) =>
  call("PUT", `/items/${path}`, { body, ...options });
const keysOf = (body: { data: { key: string }[] }) => body.data.map(({ key }) => key);
const of = (agent: string) => `scope=agent&agent=${agent}`;

describe("an item over REST", () => {
  test("is set, read, changed, listed and deleted", async () => {
    const created = await put(`city?${of("crud")}`, { value: { name: "서울", b: 1, a: [1.5, null, true] } });
    expect(created.status).toBe(201);
    expect(created.body).toMatchObject({ key: "city", version: 1, run_id: null, expires_at: null, dimensions: null });
    expect(created.body.value).toEqual({ name: "서울", b: 1, a: [1.5, null, true] });
    const changed = await put(`city?${of("crud")}`, { value: "부산", embedding: [1, 2] });
    expect([changed.status, changed.body.version, changed.body.created_at]).toEqual([200, 2, created.body.created_at]);
    const read = await call("GET", `/items/city?${of("crud")}`);
    expect(read.body).toEqual(changed.body);
    expect(read.body).toMatchObject({ value: "부산", dimensions: 2, bytes: 4 + 8 + 8 });
    for (const value of [null, 0, "", false, []])
      expect((await put(`any?${of("crud")}`, { value })).body.value).toEqual(value);
    expect(keysOf((await call("GET", `/items?${of("crud")}`)).body)).toEqual(["any", "city"]);
    expect((await call("DELETE", `/items/city?${of("crud")}`)).status).toBe(204);
    expect((await call("GET", `/items/city?${of("crud")}`)).body.code).toBe("not_found");
    expect((await call("DELETE", `/items/city?${of("crud")}`)).status).toBe(404);
  });

  test("belongs to its namespace: the same key elsewhere is another item", async () => {
    const thread = (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id;
    const places = [
      "scope=workspace",
      "scope=agent&agent=a",
      "scope=agent&agent=b",
      `scope=thread&agent=a&subject=${thread}`,
      "scope=user&agent=a&subject=kim",
      `scope=user&agent=a&subject=${encodeURIComponent("김 철수/%00?&".replace("%00", ""))}`,
      "scope=user&agent=b&subject=kim",
      `scope=user&agent=a&subject=${thread}`,
    ];
    for (const [index, place] of places.entries())
      expect((await put(`same?${place}`, { value: index })).status).toBe(201);
    for (const [index, place] of places.entries())
      expect((await call("GET", `/items/same?${place}`)).body.value).toBe(index);
    expect((await call("GET", "/items/same?scope=user&agent=a&subject=lee")).status).toBe(404);
    const other = await house.register();
    expect((await call("GET", "/items/same?scope=workspace", { key: other.key })).status).toBe(404);
  });

  test("is listed in pages, by prefix, in the keys' order", async () => {
    for (const key of ["b", "a.2", "a.10", "B", "가", "나", "a.1", "aa", "_x"])
      await put(`${encodeURIComponent(key)}?${of("pages")}`, { value: 1 });
    const all: string[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const { body } = await call("GET", `/items?${of("pages")}&limit=2${next === "" ? "" : `&after=${next}`}`);
      all.push(...keysOf(body));
      next = body.next;
    }
    expect(all).toEqual(["B", "_x", "a.1", "a.10", "a.2", "aa", "b", "가", "나"]);
    expect(keysOf((await call("GET", `/items?${of("pages")}&prefix=a.`)).body)).toEqual(["a.1", "a.10", "a.2"]);
    expect(keysOf((await call("GET", `/items?${of("pages")}&prefix=${encodeURIComponent("%_")}`)).body)).toEqual([]);
    const { next } = (await call("GET", `/items?${of("pages")}&prefix=a&limit=1`)).body;
    expect(keysOf((await call("GET", `/items?${of("pages")}&prefix=a&limit=2&after=${next}`)).body)).toEqual([
      "a.10",
      "a.2",
    ]);
    expect((await call("GET", `/items?${of("pages")}&after=${next}`)).body.code).toBe("invalid_cursor");
    expect((await call("GET", `/items?${of("crud")}&prefix=a&after=${next}`)).body.code).toBe("invalid_cursor");
  });

  test("has one key, composed or not", async () => {
    await put(`${encodeURIComponent("도시".normalize("NFD"))}?${of("nfd")}`, { value: 1 });
    expect((await put(`${encodeURIComponent("도시")}?${of("nfd")}`, { value: 2 })).status).toBe(200);
    expect(
      keysOf((await call("GET", `/items?${of("nfd")}&prefix=${encodeURIComponent("도".normalize("NFD"))}`)).body),
    ).toEqual(["도시"]);
  });

  test("changes only as its caller last saw it, also when it was deleted and set anew", async () => {
    const path = `tagged?${of("tags")}`;
    expect((await put(path, { value: 0 }, { headers: { "if-match": '"1:1"' } })).status).toBe(412);
    expect((await call("GET", `/items?${of("tags")}`)).body.data).toEqual([]);
    const headers = { "if-match": (await put(path, { value: 1 })).headers.get("etag") as string };
    expect((await call("GET", `/items/${path}`)).headers.get("etag")).toBe(headers["if-match"]);
    const second = await put(path, { value: 2 }, { headers });
    expect(second.status).toBe(200);
    expect((await put(path, { value: 3 }, { headers })).body.code).toBe("precondition_failed");
    expect((await call("DELETE", `/items/${path}`, { headers })).status).toBe(412);
    expect((await call("GET", `/items/${path}`)).body.value).toBe(2);
    const now = { "if-match": second.headers.get("etag") as string };
    expect((await call("DELETE", `/items/${path}`, { headers: now })).status).toBe(204);
    await later(1);
    await put(path, { value: 4 });
    expect((await put(path, { value: 5 }, { headers })).status).toBe(412);
    await today();
  });

  test("of many who write over the version they saw, one does", async () => {
    const path = `counter?${of("races")}`;
    let etag = (await put(path, { value: 0 })).headers.get("etag") as string;
    for (let round = 1; round <= 3; round++) {
      const replies = await Promise.all(
        Array.from({ length: 10 }, () => put(path, { value: round }, { headers: { "if-match": etag } })),
      );
      expect(replies.map(({ status }) => status).sort()).toEqual([200, ...Array.from({ length: 9 }, () => 412)]);
      etag = replies.find(({ status }) => status === 200)?.headers.get("etag") as string;
    }
    expect((await call("GET", `/items/${path}`)).body).toMatchObject({ value: 3, version: 4 });
  });
});

describe("an item with a ttl", () => {
  test("is gone at once when its time is over, and begins anew when it is set again", async () => {
    const place = of("expires");
    await put(`short?${place}`, { value: "서울 이야기", ttl: 60 });
    await put(`long?${place}`, { value: "서울 이야기", ttl: 3_600 });
    await put(`kept?${place}`, { value: "서울 이야기", ttl: 60 });
    await put(`kept?${place}`, { value: "서울 이야기" });
    const first = await call("GET", `/items/short?${place}`);
    expect(Date.parse(first.body.expires_at) - Date.parse(first.body.updated_at)).toBe(60_000);
    await later(61);
    expect((await call("GET", `/items/short?${place}`)).status).toBe(404);
    expect((await call("DELETE", `/items/short?${place}`)).status).toBe(404);
    expect(keysOf((await call("GET", `/items?${place}`)).body)).toEqual(["kept", "long"]);
    expect(keysOf((await call("POST", `/search?${place}`, { body: { query: "서울" } })).body).sort()).toEqual([
      "kept",
      "long",
    ]);
    expect((await call("GET", `/usage?${place}`)).body.items).toBe(2);
    expect((await call("GET", `?${place}`)).body.data).toMatchObject([{ items: 2 }]);
    const headers = { "if-match": first.headers.get("etag") as string };
    expect((await put(`short?${place}`, { value: 1 }, { headers })).status).toBe(412);
    const again = await put(`short?${place}`, { value: 1 });
    expect([again.status, again.body.version]).toEqual([201, 1]);
    await today();
  });

  test("is removed by the worker, with its bytes, and a namespace with nothing left too", async () => {
    const rows = async () =>
      (
        await house.database.query<{ n: number }>(
          "SELECT count(*)::int AS n FROM memory_items i JOIN memory_namespaces n ON n.id = i.namespace_id WHERE n.agent LIKE 'swept%'",
        )
      )[0]?.n;
    for (const agent of ["swept-a", "swept-b"])
      for (const n of [1, 2, 3])
        await put(`k${n}?${of(agent)}`, { value: "x".repeat(100), ttl: agent === "swept-a" || n < 3 ? 60 : 600 });
    expect(await rows()).toBe(6);
    expect(await store.memory.forgetExpired(10)).toBe(0);
    const before = (await call("GET", `/usage?${of("swept-b")}`)).body;
    await later(61);
    const sweeper = await openSweeper();
    await until("expired items are removed", async () => (await rows()) === 1);
    await sweeper();
    const after = (await call("GET", `/usage?${of("swept-b")}`)).body;
    expect([after.items, before.workspace_bytes - after.workspace_bytes]).toEqual([1, 5 * 104]);
    expect(await house.database.query("SELECT 1 FROM memory_namespaces WHERE agent = 'swept-a'")).toEqual([]);
    expect(await brokenInvariants(house.database)).toEqual([]);
    await today();
  });

  test("makes room for another before the worker comes", async () => {
    const place = of("makes-room");
    for (let n = 0; n < 60; n++) await put(`k${n}?${place}`, { value: "x".repeat(16_000), ttl: 60 });
    const full = () => put(`more?${place}`, { value: "x".repeat(15_000) });
    for (let n = 0; n < 5; n++) await put(`l${n}?${place}`, { value: "x".repeat(15_900) });
    expect((await full()).body.code).toBe("memory_full");
    await later(61);
    expect((await full()).status).toBe(201);
    expect((await call("GET", `/usage?${place}`)).body.items).toBe(6);
    await today();
    await call("DELETE", `?${place}`);
  });
});

describe("quotas", () => {
  test("of items hold exactly under 100 writers at once", async () => {
    const place = { scope: "agent", agent: "crowd", subject: null } as const;
    for (let n = 0; n < 940; n++) await store.memory.put(person.workspaceId, place, `seed${n}`, { value: n });
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) => put(`new${n}?${of("crowd")}`, { value: n })),
    );
    const refused = replies.filter(({ status }) => status !== 201);
    expect(refused).toHaveLength(40);
    for (const { status, body } of refused)
      expect([status, body.code, body.limit]).toEqual([409, "memory_full", "items"]);
    expect(refused[0]?.body.detail).toMatch(/1000 items: delete some/);
    const usage = (await call("GET", `/usage?${of("crowd")}`)).body;
    expect([usage.items, usage.limits.items]).toEqual([1_000, 1_000]);
    // A full namespace still lets its items be changed, and makes room when one goes.
    expect((await put(`seed1?${of("crowd")}`, { value: "another" })).status).toBe(200);
    await call("DELETE", `/items/seed1?${of("crowd")}`);
    expect((await put(`last?${of("crowd")}`, { value: 1 })).status).toBe(201);
    expect(await brokenInvariants(house.database)).toEqual([]);
  });

  test("of bytes hold exactly under 100 writers at once, and what is full may shrink", async () => {
    const place = of("fat");
    const replies = await Promise.all(
      Array.from({ length: 100 }, (_, n) =>
        put(`k${String(n).padStart(3, "0")}?${place}`, { value: "x".repeat(15_994) }),
      ),
    );
    // 4 of the key, 2 of the quotes: 16,000 each.
    const stored = replies.filter(({ status }) => status === 201);
    expect(stored).toHaveLength(Math.floor(MEMORY_LIMITS.bytes / 16_000));
    for (const { body } of replies.filter(({ status }) => status !== 201))
      expect([body.code, body.limit]).toEqual(["memory_full", "bytes"]);
    expect((await call("GET", `/usage?${place}`)).body.bytes).toBe(stored.length * 16_000);
    const key = stored[0]?.body.key;
    expect((await put(`${key}?${place}`, { value: "x".repeat(16_300) })).status).toBe(200);
    await house.database.query("UPDATE memory_namespaces SET bytes = bytes + 100000 WHERE agent = 'fat'");
    await house.database.query("UPDATE memory_usage SET bytes = bytes + 100000");
    expect((await put(`${key}?${place}`, { value: "x".repeat(16_301) })).body.limit).toBe("bytes");
    expect((await put(`${key}?${place}`, { value: "x".repeat(16_299) })).status).toBe(200);
    await house.database.query("UPDATE memory_namespaces SET bytes = bytes - 100000 WHERE agent = 'fat'");
    await house.database.query("UPDATE memory_usage SET bytes = bytes - 100000");
    await call("DELETE", `?${place}`);
  });

  test("of the workspace hold exactly under writers of many namespaces", async () => {
    const other = await house.register();
    await put("first?scope=workspace", { value: 1 }, { key: other.key });
    const ws = uuidOf("workspace", other.workspaceId);
    const add = (bytes: number) =>
      house.database.query("UPDATE memory_usage SET bytes = bytes + $2 WHERE workspace_id = $1", [ws, bytes]);
    const filler = MEMORY_LIMITS.workspaceBytes - 6 - 10 * 1_000;
    await add(filler);
    const replies = await Promise.all(
      Array.from({ length: 40 }, (_, n) =>
        put(`key?scope=user&agent=a&subject=u${n}`, { value: "x".repeat(995) }, { key: other.key }),
      ),
    );
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(10);
    for (const { status, body } of replies.filter(({ status }) => status !== 201))
      expect([status, body.code, body.limit]).toEqual([409, "memory_full", "workspace_bytes"]);
    // Nothing is left of what was refused, not even its namespace.
    expect((await call("GET", "?scope=user&limit=100", { key: other.key })).body.data).toHaveLength(10);
    await add(-filler);
    expect(await brokenInvariants(house.database)).toEqual([]);
  });

  test("hold while items are written, deleted, expired and erased at the same time", async () => {
    const places = ["mix-a", "mix-b"].map(of);
    await Promise.all(
      Array.from({ length: 200 }, (_, n) => {
        const place = places[n % 2] as string;
        const key = `k${n % 7}`;
        if (n % 25 === 24) return call("DELETE", `?${place}`);
        if (n % 5 === 4) return call("DELETE", `/items/${key}?${place}`);
        return put(`${key}?${place}`, { value: "x".repeat(n), ...(n % 3 === 0 ? { ttl: 1 } : {}) });
      }),
    );
    expect(await brokenInvariants(house.database)).toEqual([]);
  });
});

describe("erasure", () => {
  test("removes a namespace, or all that agents keep of an end user, and nothing else", async () => {
    const user = encodeURIComponent("lee@example.com");
    for (const agent of ["one", "two"])
      for (const subject of [user, "somebody-else"])
        for (const key of ["a", "b"])
          await put(`${key}?scope=user&agent=${agent}&subject=${subject}`, { value: "12345" });
    expect((await call("DELETE", `?scope=user&agent=one&subject=${user}`)).body).toEqual({
      namespaces: 1,
      items: 2,
      bytes: 16,
    });
    expect((await call("GET", `?subject=${user}`)).body.data).toMatchObject([
      { scope: "user", agent: "two", subject: "lee@example.com", items: 2, bytes: 16 },
    ]);
    await put(`a?scope=user&agent=one&subject=${user}`, { value: 1 });
    expect((await call("DELETE", `?scope=user&subject=${user}`)).body).toEqual({ namespaces: 2, items: 3, bytes: 18 });
    expect((await call("DELETE", `?scope=user&subject=${user}`)).body).toEqual({ namespaces: 0, items: 0, bytes: 0 });
    expect((await call("GET", "?scope=user&subject=somebody-else")).body.data).toHaveLength(2);
    await put("shared?scope=workspace", { value: 1 });
    expect((await call("DELETE", "?scope=workspace")).body.namespaces).toBe(1);
    expect((await call("GET", "?scope=user&subject=somebody-else")).body.data).toHaveLength(2);
    expect(
      await house.database.query(
        "SELECT 1 FROM memory_items i JOIN memory_namespaces n ON n.id = i.namespace_id WHERE n.subject = 'lee@example.com'",
      ),
    ).toEqual([]);
  });

  test("of a thread comes with the thread's own", async () => {
    const thread = (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id;
    const before = (await call("GET", "/usage?scope=workspace")).body.workspace_bytes;
    for (const agent of ["one", "two"])
      await put(`k?scope=thread&agent=${agent}&subject=${thread}`, { value: "12345" });
    expect((await call("GET", "/usage?scope=workspace")).body.workspace_bytes).toBe(before + 16);
    expect((await house.api("DELETE", `/v1/threads/${thread}`, { key: person.key })).status).toBe(204);
    expect((await call("GET", `?scope=thread&subject=${thread}`)).body.data).toEqual([]);
    expect((await call("GET", "/usage?scope=workspace")).body.workspace_bytes).toBe(before);
    expect((await put(`k?scope=thread&agent=one&subject=${thread}`, { value: 1 })).body.code).toBe("not_found");
  });

  test("namespaces are listed in pages, by scope, agent and subject", async () => {
    const other = await house.register();
    const options = { key: other.key };
    for (const [agent, subject] of [
      ["a", "x"],
      ["a", "y"],
      ["b", "x"],
    ])
      await put(`k?scope=user&agent=${agent}&subject=${subject}`, { value: 1 }, options);
    await put("k?scope=workspace", { value: 1 }, options);
    await put("k?scope=agent&agent=a", { value: 1 }, options);
    const all: string[] = [];
    for (let next: string | null = ""; next !== null; ) {
      const { body } = await call("GET", `?limit=2${next === "" ? "" : `&after=${next}`}`, options);
      all.push(...body.data.map((n: Record<string, string | null>) => `${n.scope} ${n.agent} ${n.subject}`));
      next = body.next;
    }
    expect(all).toEqual(["agent a null", "user a x", "user a y", "user b x", "workspace null null"]);
    expect((await call("GET", "?agent=a", options)).body.data).toHaveLength(3);
    expect((await call("GET", "?subject=x", options)).body.data).toHaveLength(2);
  });
});

describe("bad input", () => {
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
    [
      "a subject with NUL",
      "PUT",
      "/items/k?scope=user&agent=a&subject=a%00b",
      ok,
      400,
      "validation_failed",
      "?subject",
    ],
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
    [
      "a key of an emoji",
      "PUT",
      `/items/${encodeURIComponent("🙂")}?${place}`,
      ok,
      400,
      "validation_failed",
      "path:key",
    ],
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
    [
      "16 KiB and a byte",
      "PUT",
      `/items/k?${place}`,
      { body: { value: "x".repeat(16_384 - 2) } },
      413,
      "body_too_large",
    ],
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
});

/** A worker whose housekeeping comes soon; answers how to stop it. */
async function openSweeper(): Promise<() => Promise<void>> {
  const { createWorker } = await import("@maru/worker");
  const { pino } = await import("pino");
  const { Registry } = await import("prom-client");
  const worker = await createWorker({
    config: { ...house.workerConfig, keepMs: 100, node: "sweeper" },
    logger: pino({ level: "silent" }),
    metrics: new Registry(),
  });
  await worker.start();
  return () => worker.stop(1_000);
}
