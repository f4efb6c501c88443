import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { openToolServer, type ToolServer } from "../setup/tool-server.ts";

const TOOLS = `    - { name: put, type: http, description: Puts, effect: idempotent, request: { method: POST, url: "http://tools.maru.internal/put" } }
`;

describeEachBackend("a worker that was stopped and wakes up late", (backend) => {
  let house: House;
  let person: Person;
  let tools: ToolServer;
  const workers: ChildProcess[] = [];
  beforeAll(async () => {
    tools = await openToolServer();
    house = await openHouse(backend, { worker: false, egressAllow: { "tools.maru.internal": tools.origin } });
    person = await house.register();
    await house.deploy(person, manifest("zombie", { tools: TOOLS }));
  });
  afterAll(async () => {
    for (const child of workers) child.kill("SIGKILL");
    await house?.close();
    await tools?.close();
  });
  const startWorker = async () => {
    const config = { ...house.workerConfig, leaseMs: 900, sweepMs: 100, resendMs: 500 };
    const child = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    workers.push(child);
    await once(child, "message");
    return child;
  };
  const get = async (id: string) => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
  const everything = async (id: string) => [
    await get(id),
    (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body,
    (await house.api("GET", `/v1/runs/${id}/events`, { key: person.key })).body,
    (await house.api("GET", "/v1/quota", { key: person.key })).body.windows,
    await house.database.query("SELECT * FROM quota_entries ORDER BY run_id, unit, step, kind"),
  ];

  test("changes nothing any more: its run went on elsewhere", async () => {
    const zombie = await startWorker();
    const release = tools.hold();
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "zombie", input: "#sim tool put {}\ngo" },
    });
    await until("its call is out", () => tools.arrivals.length === 1);
    zombie.kill("SIGSTOP");
    const next = await startWorker();
    await until("another worker makes the call", () => tools.arrivals.length === 2);
    release();
    await until("the run ends", async () => (await get(body.id)).finished_at !== null);
    const before = await everything(body.id);
    expect(before[0]).toMatchObject({ status: "completed" });
    // The same call, by its key, and the later one can be told by its epoch.
    expect(new Set(tools.arrivals.map(({ key }) => key))).toEqual(new Set([`${body.id}-2`]));
    expect(tools.arrivals.map(({ epoch }) => epoch)).toEqual([1, 2]);

    // It wakes with the answer of its own call waiting in the socket, writes, and is refused.
    zombie.kill("SIGCONT");
    next.kill("SIGTERM");
    await once(next, "exit");
    // It is well again: it takes the next run, which can only come after it was done with the old one.
    const later = await house.run(person, "zombie", "hello");
    expect(later.status).toBe("completed");
    const now = await everything(body.id);
    expect(now.slice(0, 3)).toEqual(before.slice(0, 3));
    expect(tools.arrivals.length).toBe(2);
  });

  test("a run that takes its workers down is left alone for ever longer, and given up with a reason", async () => {
    for (const child of workers) child.kill("SIGKILL");
    const { openStore } = await import("@maru/store");
    const store = await openStore({ url: house.database.runtimeUrl });
    try {
      const { body } = await house.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "zombie", input: "poison" },
      });
      const claim = () => store.journal.claim(person.workspaceId, body.id, 1, 5);
      const lapse = (seconds: number) =>
        house.database.query(
          "UPDATE runs SET lease_until = now() - $1 * interval '1 second' WHERE input = 'poison' AND status = 'running'",
          [seconds],
        );
      const due = async () => (await store.journal.due(100, 0)).some(({ runId }) => runId === body.id);
      expect(await claim()).toMatchObject({ epoch: 1 });
      // Lost once: at once again. Twice: a second later. Three times: two, four …
      for (const [losses, seconds] of [
        [0, 0],
        [1, 1],
        [2, 2],
        [3, 4],
      ] as const) {
        if (seconds > 0) {
          await lapse(seconds - 0.5);
          expect([losses, await due(), await claim()]).toEqual([losses, false, { ended: false }]);
        }
        await lapse(seconds + 0.5);
        expect([losses, await due()]).toEqual([losses, true]);
        expect(await claim()).toMatchObject({ epoch: losses + 2 });
      }
      await lapse(600);
      expect(await claim()).toEqual({ ended: true });
      expect(await get(body.id)).toMatchObject({ status: "failed", error: { code: "worker_lost" } });
      const steps = (await house.api("GET", `/v1/runs/${body.id}/steps`, { key: person.key })).body.data;
      expect(steps).toMatchObject([{ state: "error", error_code: "aborted" }]);
    } finally {
      await store.close();
    }
  });
});
