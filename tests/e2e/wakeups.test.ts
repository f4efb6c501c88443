import { receiveWakeUps } from "@maru/queue";
import { freePort } from "@maru/store/embedded";
import { createWorker, type Worker, type WorkerConfig } from "@maru/worker";
import { Redis } from "ioredis";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, afterEach, beforeAll, expect, inject, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

describeEachBackend("a wake-up that is lost", (backend) => {
  let house: House;
  let person: Person;
  const workers: Worker[] = [];
  beforeAll(async () => {
    house = await openHouse(backend, { worker: false });
    person = await house.register();
    await house.deploy(person, manifest("weather"));
  });
  afterEach(async () => {
    for (const worker of workers.splice(0)) await worker.stop(1_000);
  });
  afterAll(() => house?.close());

  const startWorker = async (change: Partial<WorkerConfig> = {}) => {
    const worker = await createWorker({
      config: { ...house.workerConfig, sweepMs: 100, resendMs: 300, ...change },
      logger: pino({ level: "silent" }),
      metrics: new Registry(),
    });
    workers.push(worker);
    await worker.start();
  };
  const create = async () =>
    (await house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "weather", input: "서울 날씨" } })).body
      .id as string;
  const completed = (ids: readonly string[]) =>
    until("the runs complete", async () => {
      const { data } = (await house.api("GET", "/v1/runs?status=completed&limit=100", { key: person.key })).body;
      const done = new Set(data.map(({ id }: { id: string }) => id));
      return ids.every((id) => done.has(id));
    });

  test("is sent again: an emptied queue loses no run", async () => {
    const ids = await Promise.all(Array.from({ length: 10 }, create));
    if (backend === "postgres") await house.database.query("DELETE FROM bullmq.job");
    else {
      const redis = new Redis(inject("redisUrl") as string);
      const keys = await redis.keys(`test-${house.database.name}*`);
      expect(keys.length).toBeGreaterThan(0);
      await redis.del(...keys);
      redis.disconnect();
    }
    await startWorker();
    await completed(ids);
  });

  test("is not waited for: a worker that died with the job in its hands holds up no run", async () => {
    let letGo = () => {};
    const held = new Promise<void>((done) => {
      letGo = done;
    });
    let taken = 0;
    const dead = receiveWakeUps(house.workerConfig.queue, 10, () => {
      taken++;
      return held;
    });
    await dead.ready();
    const ids = await Promise.all(Array.from({ length: 5 }, create));
    await until("the jobs are taken", () => taken === 5);
    try {
      await startWorker();
      await completed(ids);
    } finally {
      letGo();
      await dead.close();
    }
  });

  test("is not needed: with no queue to be reached the worker takes the runs itself", async () => {
    const ids = await Promise.all(Array.from({ length: 5 }, create));
    const port = await freePort();
    await startWorker({ queue: { kind: "redis", url: `redis://127.0.0.1:${port}`, prefix: "nobody" } });
    await completed(ids);
  });
});
