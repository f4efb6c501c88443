import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, inject, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, openHouse, type Person, until } from "../setup/house.ts";
import { readLimits } from "../setup/rate-headers.ts";
import { startRedis } from "../setup/redis-server.ts";

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly body: { code?: string; limit?: string; retry_after_ms?: number };
}
const ask = async (url: string, key: string): Promise<Answer> => {
  const response = await fetch(new URL("/v1/auth/me", url), { headers: { authorization: `Bearer ${key}` } });
  return { status: response.status, headers: response.headers, body: (await response.json()) as Answer["body"] };
};
const passed = (answers: readonly Answer[]) => answers.filter(({ status }) => status === 200).length;
const statuses = (answers: readonly Answer[]) => [...new Set(answers.map(({ status }) => status))].sort();

/** A key with a limit of calls of its own, made by the signed-in person. */
async function limitedKey(house: House, person: Person, rateLimit: { per_minute: number; burst: number }) {
  const { body } = await house.api("POST", "/v1/api-keys", {
    key: person.accessToken,
    body: { name: "limited", scopes: ["runs:read"], rate_limit: rateLimit },
  });
  return body.key as string;
}

describeEachBackend("rate limits over two gateways", (backend) => {
  let house: House;
  let urls: string[];
  /** A call a minute: nothing comes back while the test runs. */
  const WORKSPACE = { perMinute: 1, burst: 45 };
  beforeAll(async () => {
    house = await openHouse(backend, {
      worker: false,
      rateLimit: { perMinute: 1, burst: 30 },
      workspaceRateLimit: WORKSPACE,
    });
    urls = [house.url, await house.anotherGateway()];
  });
  afterAll(() => house?.close());
  const asks = (key: string, count: number) =>
    Promise.all(Array.from({ length: count }, (_, index) => ask(urls[index % 2] as string, key)));

  test("of many calls at once exactly the key's burst passes; the refused ones say what refused them and for how long", async () => {
    const person = await house.register();
    const answers = await asks(await limitedKey(house, person, { per_minute: 1, burst: 12 }), 60);
    expect(passed(answers)).toBe(12);
    for (const { status, headers, body } of answers.filter((answer) => answer.status !== 200)) {
      expect([status, body.code, body.limit]).toEqual([429, "rate_limited", "key"]);
      const waitMs = body.retry_after_ms as number;
      expect(waitMs).toBeGreaterThan(0);
      expect(waitMs).toBeLessThanOrEqual(60_000);
      expect(Number(headers.get("retry-after"))).toBe(Math.ceil(waitMs / 1_000));
      const { limits } = readLimits(headers);
      expect(limits.key).toEqual({ r: 0, t: Math.ceil(waitMs / 1_000) });
    }
  });

  test("keys share their workspace's limit, no other workspace's, and a refused call takes nothing from it", async () => {
    const [person, other] = [await house.register(), await house.register()];
    const narrow = await limitedKey(house, person, { per_minute: 1, burst: 5 });
    expect(passed(await asks(narrow, 40))).toBe(5);
    // Two keys were made and five calls passed.
    const used = 2 + 5;
    const wide = await asks(person.key, 30 + 5);
    expect(passed(wide)).toBe(30);
    const second = await limitedKey(house, person, { per_minute: 1, burst: 40 });
    const last = await asks(second, 30);
    expect(passed(last)).toBe(WORKSPACE.burst - used - 30 - 1);
    const refused = last.find(({ status }) => status === 429);
    expect(refused?.body.limit).toBe("workspace");
    expect(readLimits(refused?.headers as Headers).limits).toMatchObject({
      key: { r: 40 - passed(last) },
      workspace: { r: 0 },
    });
    expect(passed(await asks(other.key, 10))).toBe(10);
  });

  test("a person's calls are limited over all gateways too", async () => {
    const person = await house.register();
    const answers = await asks(person.accessToken, 50);
    // One call made the key.
    expect(passed(answers)).toBe(29);
    expect(answers.find(({ status }) => status === 429)?.body.limit).toBe("user");
  });
});

describe("when the store of limits is away", () => {
  const LIMIT = { per_minute: 4, burst: 40 };
  const burst = (house: House, key: string) => Promise.all(Array.from({ length: 80 }, () => ask(house.url, key)));
  const quota = async (house: House, key: string) => readLimits((await ask(house.url, key)).headers).policies.key?.q;

  test("on Postgres callers are limited to a quarter, see no error, and have their limits back by themselves", async () => {
    const house = await openHouse("postgres", { worker: false, ownRates: true });
    try {
      const person = await house.register();
      const [first, second] = [await limitedKey(house, person, LIMIT), await limitedKey(house, person, LIMIT)];
      await until("the limits are shared", async () => (await quota(house, second)) === 40);
      await house.database.query("ALTER TABLE rate_limits RENAME TO rate_limits_away");
      const answers = await burst(house, first);
      expect([passed(answers), ...statuses(answers)]).toEqual([10, 200, 429]);
      await house.database.query("ALTER TABLE rate_limits_away RENAME TO rate_limits");
      await until("the limits are shared again", async () => (await quota(house, second)) === 40);
    } finally {
      await house.close();
    }
  });

  test.skipIf(inject("redisUrl") === null)("on Redis, killed and started again, the same", async () => {
    const folder = mkdtempSync(join(tmpdir(), "maru-rates-"));
    let redis = await startRedis(folder);
    if (redis === null) return;
    const { url } = redis;
    const house = await openHouse("redis", { worker: false, ownRates: true, queue: { kind: "redis", url } });
    try {
      const person = await house.register();
      const [first, second] = [await limitedKey(house, person, LIMIT), await limitedKey(house, person, LIMIT)];
      await until("the limits are shared", async () => (await quota(house, second)) === 40);
      await redis.stop();
      const answers = await burst(house, first);
      expect([passed(answers), ...statuses(answers)]).toEqual([10, 200, 429]);
      redis = await startRedis(folder, Number(new URL(url).port));
      await until("the limits are shared again", async () => (await quota(house, second)) === 40);
    } finally {
      await house.close();
      await redis?.stop();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("on a clock of our own", () => {
  let house: House;
  let clock = Date.parse("2026-11-26T00:00:00Z");
  const setClock = (ms: number) => {
    clock = ms;
    const instant = new Date(clock).toISOString();
    return house.database.query(
      `CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT '${instant}'::timestamptz $$`,
    );
  };
  beforeAll(async () => {
    house = await openHouse("postgres", { worker: false });
  });
  afterAll(() => house?.close());

  test("a call after exactly retry_after_ms passes, one a millisecond before does not; so after Retry-After", async () => {
    await setClock(clock);
    const key = await limitedKey(house, await house.register(), { per_minute: 17, burst: 3 });
    for (let call = 0; call < 3; call++) expect((await ask(house.url, key)).status).toBe(200);
    await setClock(clock + 700);
    const refused = await ask(house.url, key);
    // A call every 3,529.412 ms, rounded up to a whole one.
    expect([refused.status, refused.body.retry_after_ms]).toEqual([429, 2_830]);
    expect(refused.headers.get("retry-after")).toBe("3");
    await setClock(clock + 2_829);
    expect(await ask(house.url, key)).toMatchObject({ status: 429, body: { retry_after_ms: 1 } });
    await setClock(clock + 1);
    expect((await ask(house.url, key)).status).toBe(200);
    const again = await ask(house.url, key);
    await setClock(clock + 1_000 * Number(again.headers.get("retry-after")));
    expect((await ask(house.url, key)).status).toBe(200);
  });
});
