import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

/** Tools are called here, so that a test can say when the worker dies: the second call never gets an answer. */
describeEachBackend("a worker that is killed", (backend) => {
  let house: House;
  let person: Person;
  const workers: ChildProcess[] = [];

  const startWorker = async () => {
    const config = { ...house.workerConfig, leaseMs: 1_500, sweepMs: 200, resendMs: 1_000 };
    const child = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    workers.push(child);
    await once(child, "message");
    return child;
  };

  beforeAll(async () => {
    house = await openHouse(backend, { worker: false });
    person = await house.register();
    await house.deploy(person, manifest("weather"));
  });
  afterAll(async () => {
    for (const child of workers) child.kill("SIGKILL");
    await house?.close();
  });

  const get = async (id: string) => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
  const steps = async (id: string) => (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data;

  test("loses no run: another one carries on after the last finished step, which is not executed again", async () => {
    const first = await startWorker();
    // The second model call is answered by half, and then by nothing.
    house.simulator.setScenario([{ when: { step: 1 }, say: { fault: "stall-mid-stream" } }]);
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "weather", input: "#sim steps 2\n서울 날씨" },
    });
    await until("the first model step and its tool are done, and the second is asked for", async () => {
      const done = (await steps(body.id)).filter(({ state }: { state: string }) => state === "done").length;
      return done >= 2 && house.simulator.calls() >= 2;
    });
    first.kill("SIGKILL");
    await once(first, "exit");
    const before = await steps(body.id);
    house.simulator.setScenario([]);
    const calls = house.simulator.calls();
    expect((await get(body.id)).status).toBe("running");

    await startWorker();
    await until("the run ends", async () => (await get(body.id)).finished_at !== null);
    const after = await steps(body.id);
    const run = await get(body.id);
    expect(run.status).toBe("completed");
    // What was recorded is as it was, to the instant.
    const finished = before.filter(({ state }: { state: string }) => state === "done");
    expect(after.slice(0, finished.length)).toEqual(finished);
    const modelSteps = after.filter(({ kind }: { kind: string }) => kind === "model").length;
    const modelStepsBefore = finished.filter(({ kind }: { kind: string }) => kind === "model").length;
    expect(house.simulator.calls() - calls).toBe(modelSteps - modelStepsBefore);
    expect(after.some(({ attempt }: { attempt: number }) => attempt === 2)).toBe(true);
    // Charged once for each step, held nothing.
    const [tokens] = (await house.api("GET", "/v1/quota", { key: person.key })).body.windows;
    expect([tokens.used, tokens.reserved]).toEqual([run.usage.total_tokens, 0]);
  });

  test("asked to stop, it hands its run back, and the next one goes on at once", async () => {
    for (const child of workers) child.kill("SIGKILL");
    house.simulator.settings.firstByteMs = 60_000;
    const config = { ...house.workerConfig, drainMs: 100, leaseMs: 600_000, sweepMs: 200 };
    const child = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    workers.push(child);
    await once(child, "message");
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "weather", input: "hello" },
    });
    await until("the run runs", async () => (await get(body.id)).status === "running");
    child.kill("SIGTERM");
    const [code] = await once(child, "exit");
    expect(code).toBe(0);
    expect((await get(body.id)).status).toBe("queued");
    house.simulator.settings.firstByteMs = 0;
    await startWorker();
    await until("the run ends", async () => (await get(body.id)).status === "completed");
  });

  test("a run that keeps losing its worker is given up with a reason", async () => {
    for (const child of workers) child.kill("SIGKILL");
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "weather", input: "hello" },
    });
    await house.database.query(
      "UPDATE runs SET status = 'running', epoch = 7, attempts = 4, lease_until = now() - interval '1 minute' WHERE input = 'hello' AND status = 'queued'",
    );
    await startWorker();
    await until("the run ends", async () => (await get(body.id)).finished_at !== null);
    expect(await get(body.id)).toMatchObject({ status: "failed", error: { code: "worker_lost" } });
  });

  test("a worker whose claim was taken over changes nothing any more", async () => {
    const { openStore } = await import("@maru/store");
    for (const child of workers) child.kill("SIGKILL");
    const store = await openStore({ url: house.database.runtimeUrl });
    try {
      const { body } = await house.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "weather", input: "mine" },
      });
      const claim = await store.journal.claim(person.workspaceId, body.id, 60_000, 5);
      if ("ended" in claim) throw new Error("not claimed");
      expect(await store.journal.claim(person.workspaceId, body.id, 60_000, 5)).toEqual({ ended: false });
      await house.database.query("UPDATE runs SET epoch = epoch + 1 WHERE input = 'mine'");
      const before = await steps(body.id);
      const write = await store.journal.write(claim, {
        done: [],
        start: [],
        events: [{ type: "run.completed", data: {} }],
        usage: null,
        reserveTokens: 0,
        end: { status: "completed", output: "stale", reason: null, error: null, messages: [], tokens: 0 },
      });
      expect(write).toEqual({ ok: false });
      expect(await store.journal.release(claim)).toBe(false);
      expect((await store.journal.renew([claim], 1_000)).size).toBe(0);
      expect([(await get(body.id)).status, await steps(body.id)]).toEqual(["running", before]);
    } finally {
      await store.close();
    }
  });
});
