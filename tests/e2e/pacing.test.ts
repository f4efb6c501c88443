import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { simulatedHost } from "@maru/model";
import { createSimulator, type Simulator } from "@maru/simulator";
import { createWorker, type Worker } from "@maru/worker";
import { pino } from "pino";
import { Registry } from "prom-client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, until } from "../setup/house.ts";

const IN_FLIGHT = 2;
const RUNS = 12;

describeEachBackend("calls of one key, over two workers", (backend) => {
  let house: House;
  let simulator: Simulator;
  let counting: Server;
  const workers: Worker[] = [];
  let open = 0;
  let most = 0;
  let refuse = 0;

  beforeAll(async () => {
    simulator = createSimulator({ latency: { callMs: 30 } });
    const { url } = await simulator.listen({ port: 0 });
    // Counts the calls a host has open at once; on demand it refuses some as overloaded hosts do.
    counting = createServer((request, response) => {
      if (refuse > 0 && request.method === "POST") {
        refuse--;
        response.writeHead(429, { "retry-after": "1", "content-type": "application/json" });
        return response.end('{"error":{"message":"Too many requests"}}');
      }
      most = Math.max(most, ++open);
      response.once("close", () => open--);
      const onward = httpRequest(url + request.url, { method: request.method, headers: request.headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 500, answer.headers);
        answer.pipe(response);
      });
      request.pipe(onward);
    });
    await new Promise<void>((done) => counting.listen(0, "127.0.0.1", done));
    house = await openHouse(backend, { worker: false });
    const host = `http://127.0.0.1:${(counting.address() as AddressInfo).port}`;
    for (const node of ["one", "two"]) {
      const worker = await createWorker({
        config: { ...house.workerConfig, node, hosts: [{ ...simulatedHost(host), inFlight: IN_FLIGHT }] },
        logger: pino({ level: "silent" }),
        metrics: new Registry(),
      });
      await worker.start();
      workers.push(worker);
    }
    // The workers' looks at the host's list of models are not calls.
    await until("the host's models were looked at", () => open === 0);
  });
  afterAll(async () => {
    await Promise.all(workers.map((worker) => worker.stop()));
    await house?.close();
    await simulator?.close();
    counting?.closeAllConnections();
    await new Promise((done) => counting?.close(done));
  });

  test("never more at once than the key allows, and none fails for having waited", async () => {
    const person = await house.register();
    await house.deploy(person, manifest("paced"));
    most = 0;
    const runs = await Promise.all(Array.from({ length: RUNS }, (_, n) => house.run(person, "paced", `hello ${n}`)));
    expect(runs.map(({ status }) => status)).toEqual(Array(RUNS).fill("completed"));
    expect(most).toBeLessThanOrEqual(IN_FLIGHT);
    expect(most).toBeGreaterThan(0);
  });

  test("a host that asks for a pause gets one, and its runs end well", async () => {
    const person = await house.register();
    await house.deploy(person, manifest("paused"));
    refuse = 2;
    const runs = await Promise.all([1, 2, 3].map((n) => house.run(person, "paused", `hello ${n}`)));
    expect(runs.map(({ status }) => status)).toEqual(Array(3).fill("completed"));
    expect(refuse).toBe(0);
  });
});
