import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { uuidOf } from "@maru/contract";
import { openStore, type Store } from "@maru/store";
import { createWorker, type Worker } from "@maru/worker";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { movableClock, openWebhookReceiver, verified, type WebhookReceiver } from "../setup/webhook-receiver.ts";

let receiver: WebhookReceiver;
let house: House;
let person: Person;

const subscribe = async (path: string, events: string[] = ["run.*"]) => {
  const body = { url: `http://hooks.maru.internal${path}`, events };
  const made = (await house.api("POST", "/v1/webhooks", { key: person.key, body })).body;
  return { id: made.webhook.id as string, secret: made.secret as string };
};
const log = async (id: string) =>
  (await house.api("GET", `/v1/webhooks/${id}/deliveries?limit=100`, { key: person.key })).body.data;
const send = async (id: string, what: string) =>
  (await house.api("POST", `/v1/webhooks/${id}/${what}`, { key: person.key })).body;
const remove = (id: string) => house.api("DELETE", `/v1/webhooks/${id}`, { key: person.key });
/** Until every delivery that is due has been tried, and its answer is recorded. */
const tried = () =>
  until("what is due has been tried", async () => {
    const rows = await house.database.query(
      "SELECT 1 FROM webhook_deliveries WHERE state = 'pending' AND (next_at <= maru_now() OR lease_until IS NOT NULL)",
    );
    return rows.length === 0;
  });

describe("receivers that fail", () => {
  let move: (interval: string) => Promise<void>;
  let store: Store;
  beforeAll(async () => {
    receiver = await openWebhookReceiver();
    house = await openHouse("postgres", { egressAllow: { "hooks.maru.internal": receiver.origin } });
    person = await house.register();
    await house.deploy(person, manifest("weather"));
    store = await openStore({ url: house.database.runtimeUrl, poolSize: 2 });
    move = await movableClock(house.database);
  });
  afterAll(async () => {
    await store?.close();
    await house?.close();
    await receiver?.close();
  });

  test("are tried again under the same id until they accept", async () => {
    const answers = [500, 429];
    receiver.answer("/twice", () => answers.shift() ?? 204);
    const { id, secret } = await subscribe("/twice");
    const sent = await send(id, "test");
    for (const wait of ["7 seconds", "37 seconds", "10 minutes"]) {
      await tried();
      await move(wait);
    }
    await tried();
    const messages = receiver.at("/twice");
    expect(messages.map((message) => message.id)).toEqual([sent.event.id, sent.event.id, sent.event.id]);
    for (const message of messages)
      expect(verified(secret, message)).toEqual({
        type: "webhook.test",
        timestamp: sent.event.timestamp,
        data: { webhook_id: id },
      });
    expect(await log(id)).toMatchObject([{ state: "delivered", attempts: 3, last_status: 204, last_error: null }]);
    await remove(id);
  });

  test("for an hour lose nothing", async () => {
    let up = false;
    receiver.answer("/hour", () => (up ? 200 : 503));
    const { id } = await subscribe("/hour");
    const runs: string[] = [];
    for (let minutes = 0; minutes < 60; minutes += 10) {
      runs.push((await house.run(person, "weather", `hello at ${minutes}`)).id);
      await tried();
      await move("10 minutes");
    }
    await tried();
    expect((await log(id)).map(({ state }: { state: string }) => state)).toEqual(runs.map(() => "pending"));
    up = true;
    const before = receiver.at("/hour").length;
    // The longest that any of them may now wait is an hour and a fifth.
    await move("72 minutes");
    await tried();
    const accepted = receiver.at("/hour").slice(before);
    expect(accepted.map((message) => message.body.data.run_id).sort()).toEqual([...runs].sort());
    expect(new Set(accepted.map((message) => message.id)).size).toBe(runs.length);
    expect((await log(id)).map(({ state }: { state: string }) => state)).toEqual(runs.map(() => "delivered"));
    await remove(id);
  });

  test("that are tried for three days are given up, and what was for them can be sent again", async () => {
    let up = false;
    receiver.answer("/dead", () => (up ? 200 : 500));
    const { id } = await subscribe("/dead");
    const sent = await send(id, "test");
    await tried();
    await move("71 hours");
    await tried();
    expect(await log(id)).toMatchObject([{ state: "pending", last_status: 500, last_error: "http_status" }]);
    await move("1 hour");
    await tried();
    const [dead] = await log(id);
    expect(dead).toMatchObject({ state: "dead", next_attempt_at: null, last_status: 500 });
    const count = receiver.at("/dead").length;
    await move("9 hours");
    await tried();
    expect(receiver.at("/dead")).toHaveLength(count);
    up = true;
    const again = await send(id, `deliveries/${dead.id}/redeliver`);
    expect(again.event).toEqual(sent.event);
    expect(again.id).not.toBe(dead.id);
    await tried();
    expect(receiver.at("/dead").at(-1)?.id).toBe(sent.event.id);
    expect((await log(id)).find((item: { id: string }) => item.id === again.id).state).toBe("delivered");
    await remove(id);
  });

  test("are tried at once when somebody asks for it", async () => {
    let up = false;
    receiver.answer("/now", () => (up ? 200 : 500));
    const { id } = await subscribe("/now");
    const sent = await send(id, "test");
    // After five tries the next is half an hour away.
    for (let tries = 0; tries < 4; tries++) {
      await tried();
      await move("1 hour");
    }
    await tried();
    const count = receiver.at("/now").length;
    up = true;
    expect((await send(id, `deliveries/${sent.id}/redeliver`)).id).toBe(sent.id);
    await tried();
    expect(await log(id)).toMatchObject([{ id: sent.id, state: "delivered", attempts: count + 1 }]);
    await remove(id);
  });

  test("after a rotation both secrets sign for a day, then the new one alone", async () => {
    const first = await subscribe("/rotated");
    const { id } = first;
    const rotated = await send(id, "rotate-secret");
    expect(rotated.secret).not.toBe(first.secret);
    await send(id, "test");
    await tried();
    const [during] = receiver.at("/rotated");
    if (during === undefined) throw new Error("nothing arrived");
    for (const secret of [first.secret, rotated.secret])
      expect(verified(secret, during)).toMatchObject({ type: "webhook.test" });
    await move("24 hours");
    await send(id, "test");
    await tried();
    const after = receiver.at("/rotated")[1];
    if (after === undefined) throw new Error("nothing arrived");
    expect(verified(rotated.secret, after)).toMatchObject({ type: "webhook.test" });
    expect(() => verified(first.secret, after)).toThrow();
    await remove(id);
  });

  test("what comes due at a disabled webhook is given up", async () => {
    receiver.answer("/off", () => 500);
    const { id } = await subscribe("/off");
    await send(id, "test");
    await tried();
    await house.api("PATCH", `/v1/webhooks/${id}`, { key: person.key, body: { enabled: false } });
    await move("10 minutes");
    await tried();
    const attempts = receiver.at("/off").length;
    expect(await log(id)).toMatchObject([{ state: "dead", attempts, last_error: "webhook_disabled" }]);
    await remove(id);
  });

  test("what ended thirty days ago is forgotten, a deleted webhook with it", async () => {
    receiver.answer("/old", () => 200);
    const { id } = await subscribe("/old");
    const gone = await subscribe("/old-gone");
    await send(id, "test");
    await send(gone.id, "test");
    await tried();
    await remove(gone.id);
    await move("29 days");
    while ((await store.webhookOutbox.forgetOld(100)) > 0);
    expect(await log(id)).toHaveLength(1);
    await move("2 days");
    while ((await store.webhookOutbox.forgetOld(100)) > 0);
    expect(await log(id)).toEqual([]);
    await move("31 days");
    while ((await store.webhookOutbox.forgetOld(100)) > 0);
    const rows = await house.database.query<{ id: string; events: number }>(
      `SELECT id, (SELECT count(*)::int FROM webhook_events) AS events FROM webhook_endpoints WHERE id = ANY ($1)`,
      [[id, gone.id].map((webhook) => uuidOf("webhook", webhook))],
    );
    expect(rows).toEqual([{ id: uuidOf("webhook", id), events: 0 }]);
  });
});

describe("a try whose lease ran out", () => {
  test("is taken by another, and its own late answer changes nothing", async () => {
    receiver = await openWebhookReceiver();
    house = await openHouse("postgres", { worker: false, egressAllow: { "hooks.maru.internal": receiver.origin } });
    const store = await openStore({ url: house.database.runtimeUrl, poolSize: 2 });
    try {
      person = await house.register();
      const move = await movableClock(house.database);
      const { id } = await subscribe("/late");
      await send(id, "test");
      const ask = { limit: 10, perEndpoint: 8, leaseMs: 30_000, inFlight: new Map() };
      const [first] = await store.webhookOutbox.due(ask);
      expect(await store.webhookOutbox.due(ask)).toEqual([]);
      await move("31 seconds");
      const [second] = await store.webhookOutbox.due(ask);
      if (first === undefined || second === undefined) throw new Error("nothing was due");
      expect([second.deliveryId, second.event, second.attempt]).toEqual([first.deliveryId, first.event, 2]);
      const arrived = { outcome: "delivered", status: 200, error: null } as const;
      const broken = { outcome: "failed", status: 500, error: "http_status" } as const;
      expect(await store.webhookOutbox.finish(first, arrived, 1_000)).toBeNull();
      expect(await store.webhookOutbox.finish(second, broken, 1_000)).toBe("pending");
      expect(await log(id)).toMatchObject([{ state: "pending", attempts: 2, last_status: 500 }]);
      // What one process has of an endpoint counts against what it may have.
      await move("2 seconds");
      for (let index = 0; index < 5; index++) await send(id, "test");
      const inFlight = new Map([[id, 6]]);
      expect(await store.webhookOutbox.due({ ...ask, inFlight })).toHaveLength(2);
    } finally {
      await store.close();
      await house.close();
      await receiver.close();
    }
  });

  test("is taken once, whoever else asks at the same moment", async () => {
    receiver = await openWebhookReceiver();
    house = await openHouse("postgres", { worker: false, egressAllow: { "hooks.maru.internal": receiver.origin } });
    const store = await openStore({ url: house.database.runtimeUrl, poolSize: 8 });
    try {
      person = await house.register();
      const { id } = await subscribe("/race");
      for (let index = 0; index < 40; index++) await send(id, "test");
      const ask = { limit: 10, perEndpoint: 40, leaseMs: 30_000, inFlight: new Map() };
      const taken: string[] = [];
      for (let round = 0; round < 20 && taken.length < 40; round++) {
        const answers = await Promise.all(Array.from({ length: 8 }, () => store.webhookOutbox.due(ask)));
        taken.push(...answers.flat().map(({ deliveryId }) => deliveryId));
      }
      expect(new Set(taken).size).toBe(40);
      expect(taken).toHaveLength(40);
    } finally {
      await store.close();
      await house.close();
      await receiver.close();
    }
  });
});

describeEachBackend("a worker that is killed with a webhook on its way", (backend) => {
  let doomed: ChildProcess | null = null;
  let next: Worker | null = null;
  beforeAll(async () => {
    receiver = await openWebhookReceiver();
    house = await openHouse(backend, { worker: false, egressAllow: { "hooks.maru.internal": receiver.origin } });
    person = await house.register();
  });
  afterAll(async () => {
    doomed?.kill("SIGKILL");
    await next?.stop(1_000);
    await house?.close();
    await receiver?.close();
  });

  test("loses nothing: another delivers it again, under the same id", async () => {
    const move = await movableClock(house.database);
    receiver.answer("/killed", () => "silent");
    const { id, secret } = await subscribe("/killed");
    const sent = await send(id, "test");
    // Longer than the test, however slow the machine: its end comes by the database's clock.
    const webhooks = { inFlight: 64, perEndpoint: 8, timeoutMs: 120_000, leaseMs: 240_000 };
    const config = { ...house.workerConfig, webhooks };
    doomed = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    await until("it is on its way", () => receiver.at("/killed").length > 0);
    doomed.kill("SIGKILL");
    await once(doomed, "exit");
    receiver.answer("/killed", () => 200);
    next = await createWorker({ config, logger: pino({ level: "silent" }), metrics: new Registry() });
    await next.start();
    await move("4 minutes");
    await until("it is delivered", async () => (await log(id))[0].state === "delivered");
    const messages = receiver.at("/killed");
    expect(messages.map((message) => message.id)).toEqual([sent.event.id, sent.event.id]);
    for (const message of messages) expect(verified(secret, message)).toMatchObject({ type: "webhook.test" });
    expect(await log(id)).toMatchObject([{ attempts: 2 }]);
  });
});
