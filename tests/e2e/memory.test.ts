import { MEMORY_LIMITS, uuidOf } from "@maru/contract";
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

  test("is listed in pages whatever the length of keys and end users", async () => {
    const keys = ["가", "힣"].map((letter) => letter.repeat(128));
    const users = ["가", "🙂"].map((letter) => letter.repeat(letter.length === 1 ? 512 : 256));
    for (const user of users)
      for (const key of keys)
        await put(`${encodeURIComponent(key)}?scope=user&agent=long&subject=${encodeURIComponent(user)}`, { value: 1 });
    const both = async (path: string) => {
      const first = (await call("GET", `${path}&limit=1`)).body;
      const second = (await call("GET", `${path}&limit=1&after=${first.next}`)).body;
      expect(second.next).toBeNull();
      return [first.data[0], second.data[0]];
    };
    const place = `scope=user&agent=long&subject=${encodeURIComponent(users[0] as string)}`;
    expect((await both(`/items?${place}`)).map(({ key }) => key)).toEqual(keys);
    expect((await both("?agent=long")).map(({ subject }) => subject)).toEqual(users);
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
    await put(`seed1?${of("crowd")}`, { value: 1 });
    const size = (await call("GET", `/usage?${of("crowd")}`)).body.bytes;
    await house.database.query(
      `WITH more AS (INSERT INTO memory_items (workspace_id, namespace_id, key, value, words, bytes, version, created_at, updated_at)
         SELECT workspace_id, id, 'seed' || n, '1', ' seed ', $1, 1, now(), now()
           FROM memory_namespaces, generate_series(2, 940) n WHERE agent = 'crowd' RETURNING workspace_id),
       space AS (UPDATE memory_namespaces SET items = 940, bytes = 940 * $1 WHERE agent = 'crowd')
       UPDATE memory_usage SET bytes = bytes + 939 * $1 WHERE workspace_id IN (SELECT workspace_id FROM more)`,
      [size],
    );
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
