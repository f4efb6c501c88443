import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, readEvents, until } from "../setup/house.ts";

const calls = (deployment: string, more = "") =>
  `    - { name: ask_${deployment}, type: agent, description: Asks ${deployment}, deployment: ${deployment}${more} }\n`;
const say = (tool: string, input: string) => `#sim tool ${tool} ${JSON.stringify({ input })}`;

describeEachBackend("an agent that calls agents", (backend) => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse(backend);
    person = await house.register();
    const deploy = async (name: string, tools: string, limits?: string) => {
      const reply = await house.deploy(person, manifest(name, { tools, ...(limits === undefined ? {} : { limits }) }));
      expect([name, reply.status, reply.body]).toMatchObject([name, 201, { action: "create" }]);
    };
    await deploy(
      "worker",
      "    - { name: calculator, type: builtin }\n    - { name: ask_user, type: client, description: Asks }\n",
    );
    await deploy("middle", calls("worker"));
    await deploy("boss", calls("worker") + calls("middle"), "{ tokens: 60000 }");
    await deploy("hasty", calls("worker"), "{ wait: 1s }");
    await deploy("careful", calls("worker", ", approval: always"));
    await deploy(
      "typed",
      "    - { name: compute, type: agent, description: Computes, deployment: worker, parameters: { type: object, properties: { n: { type: integer } }, required: [n] } }\n",
    );
  });
  afterAll(() => house?.close());

  const api = async (path: string) => (await house.api("GET", path, { key: person.key })).body;
  const steps = async (id: string) => (await api(`/v1/runs/${id}/steps`)).data;
  const start = async (deployment: string, input: string, extra: object = {}) =>
    (await house.api("POST", "/v1/runs", { key: person.key, body: { deployment, input, ...extra } })).body.id as string;
  const children = async (id: string) => (await api(`/v1/runs?parent_run_id=${id}`)).data;
  const comesTo = async (id: string, status: string) => {
    let run = { status: "" };
    await until(`${id} is ${status}`, async () => {
      run = await api(`/v1/runs/${id}`);
      return run.status === status;
    });
    // biome-ignore lint/suspicious/noExplicitAny: replies are checked against the OpenAPI document
    return run as any;
  };

  test("gets the other's answer as the call's result; the child is linked, and what it used adds up", async () => {
    const run = await house.run(person, "boss", say("ask_worker", '#sim tool calculator {"expression": "6 * 7"}'), {
      metadata: { user: "u1" },
    });
    expect(run.status).toBe("completed");
    const [child] = await children(run.id);
    expect(child).toMatchObject({
      status: "completed",
      deployment: "worker",
      parent: { run_id: run.id, step: 2 },
      metadata: { user: "u1" },
    });
    const step = (await steps(run.id)).find(({ kind }: { kind: string }) => kind === "run");
    expect(step).toMatchObject({ seq: 2, state: "done", child_run_id: child.id, output: child.output });
    expect(child.output).toContain("42");
    expect(run.descendants).toEqual({
      runs: 1,
      total_tokens: child.usage.total_tokens,
      cost_micros: child.usage.cost_micros,
    });
    expect(run.usage.tool_calls).toBe(1);
    expect(run.parent).toBeNull();
  });

  test("the events tell of the child, of the wait and of its result, in this order", async () => {
    const run = await house.run(person, "boss", say("ask_worker", "hello"));
    const events = (await api(`/v1/runs/${run.id}/events`)).data;
    const [child] = await children(run.id);
    expect(events.map(({ type }: { type: string }) => type)).toEqual([
      "run.queued",
      "run.running",
      "step.started",
      "step.finished",
      "step.started",
      "run.waiting",
      "step.finished",
      "run.queued",
      "run.running",
      "step.started",
      "step.finished",
      "run.completed",
    ]);
    expect(events[4]).toMatchObject({ kind: "run", name: "ask_worker", child_run_id: child.id });
    expect(events[5].required_action).toMatchObject({
      tool_results: [],
      approvals: [],
      runs: [{ run_id: child.id, step: 2, name: "ask_worker" }],
    });
  });

  test("parameters of its own make the child's input JSON", async () => {
    const run = await house.run(person, "typed", '#sim tool compute {"n": 5}');
    expect((await children(run.id))[0].input).toBe('{"n":5}');
  });

  test("calls side by side are runs side by side, each with its share of the budget", async () => {
    const three = ["a", "b", "c"].map((word) => `ask_worker ${JSON.stringify({ input: word })}`).join(" ");
    const run = await house.run(person, "boss", `#sim parallel ${three}`);
    expect(run.status).toBe("completed");
    const found = await children(run.id);
    expect(found.map(({ input }: { input: string }) => input).sort()).toEqual(["a", "b", "c"]);
    const caps = await house.database.query(
      "SELECT token_cap FROM runs WHERE parent_run IS NOT NULL AND input IN ('a', 'b', 'c')",
    );
    expect(caps.every(({ token_cap }) => Number(token_cap) > 1_000 && Number(token_cap) < 20_000)).toBe(true);
    expect(run.descendants.runs).toBe(3);
    expect(run.descendants.total_tokens).toBe(
      found.reduce((sum: number, { usage }: { usage: { total_tokens: number } }) => sum + usage.total_tokens, 0),
    );
  });

  test("a child that asks somebody holds its parents, and nobody else", async () => {
    const id = await start("boss", say("ask_middle", say("ask_worker", "#sim tool ask_user {}")));
    const boss = await comesTo(id, "waiting");
    const [middle] = await children(id);
    await comesTo(middle.id, "waiting");
    const [worker] = await children(middle.id);
    const asks = await comesTo(worker.id, "waiting");
    expect(boss.required_action.runs[0].run_id).toBe(middle.id);
    const [question] = asks.required_action.tool_results;
    const answered = await house.api("POST", `/v1/runs/${worker.id}/tool-results`, {
      key: person.key,
      body: { tool_results: [{ call_id: question.call_id, output: "blue" }] },
    });
    expect(answered.status).toBe(200);
    const run = await comesTo(id, "completed");
    expect(run.descendants.runs).toBe(2);
  });

  test("cancelling goes down to the last one", async () => {
    const id = await start("boss", say("ask_middle", say("ask_worker", "#sim tool ask_user {}")));
    await comesTo(id, "waiting");
    const [middle] = await children(id);
    await comesTo(middle.id, "waiting");
    const [worker] = await children(middle.id);
    await comesTo(worker.id, "waiting");
    await house.api("POST", `/v1/runs/${id}/cancel`, { key: person.key });
    for (const run of [id, middle.id, worker.id]) await comesTo(run, "cancelled");
  });

  test("who waits longer than its agent may expires, and what it started is cancelled", async () => {
    const id = await start("hasty", say("ask_worker", "#sim tool ask_user {}"));
    await comesTo(id, "expired");
    const [child] = await children(id);
    await comesTo(child.id, "cancelled");
    expect((await steps(id))[1]).toMatchObject({ kind: "run", state: "error", error_code: "aborted" });
  });

  test("a child that is cancelled alone is a result in words", async () => {
    const id = await start("boss", say("ask_worker", "#sim tool ask_user {}"));
    await comesTo(id, "waiting");
    const [child] = await children(id);
    await comesTo(child.id, "waiting");
    await house.api("POST", `/v1/runs/${child.id}/cancel`, { key: person.key });
    await comesTo(id, "completed");
    expect((await steps(id))[1]).toMatchObject({ state: "error", error_code: "agent_cancelled" });
  });

  test("an approved call starts one run, with the arguments it was approved with; a rejected one starts none", async () => {
    const id = await start("careful", say("ask_worker", "first"));
    const waiting = await comesTo(id, "waiting");
    expect(waiting.required_action.runs).toEqual([]);
    const decide = (run: { id: string; required_action: { approvals: { call_id: string }[] } }, answer: object) =>
      house.api("POST", `/v1/runs/${run.id}/approvals`, {
        key: person.key,
        body: { approvals: [{ call_id: run.required_action.approvals[0]?.call_id, ...answer }] },
      });
    await decide(waiting, { decision: "approve", arguments: { input: "second" } });
    await comesTo(id, "completed");
    expect((await children(id)).map(({ input }: { input: string }) => input)).toEqual(["second"]);

    const other = await start("careful", say("ask_worker", "first"));
    await decide(await comesTo(other, "waiting"), { decision: "reject", reason: "no" });
    await comesTo(other, "completed");
    expect(await children(other)).toEqual([]);
  });

  test("a stream that joins while the child works hears of its result", async () => {
    const id = await start("boss", say("ask_worker", "hello"));
    const response = await fetch(`${house.url}/v1/runs/${id}/events`, {
      headers: { authorization: `Bearer ${person.key}`, accept: "text/event-stream" },
    });
    const events = await readEvents(response);
    expect(events.at(-1)?.event).toBe("run.completed");
    expect(events.filter(({ event }) => event === "run.waiting")).toHaveLength(1);
  });
});

describe("agents at deploy and beyond their limits", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres");
    person = await house.register();
  });
  afterAll(() => house?.close());
  const deploy = (name: string, tools: string) => house.deploy(person, manifest(name, { tools }));

  test("an agent that is not there, and a circle however long, are refused with the way it would go", async () => {
    expect((await deploy("a", calls("b"))).body).toMatchObject({
      status: 400,
      code: "unknown_agent",
      errors: [
        {
          pointer: "/spec/tools/0/deployment",
          detail: "There is no deployment named b: deploy it first, or with this one.",
        },
      ],
    });
    expect((await deploy("a", calls("a"))).body).toMatchObject({
      code: "agent_cycle",
      errors: [{ detail: "This agent would call itself: a → a." }],
    });
    expect((await deploy("c", "    - { name: calculator, type: builtin }\n")).status).toBe(201);
    expect((await deploy("b", calls("c"))).status).toBe(201);
    expect((await deploy("a", calls("b"))).status).toBe(201);
    expect((await deploy("c", calls("a"))).body).toMatchObject({
      code: "agent_cycle",
      errors: [{ detail: "This agent would call itself: c → a → b → c." }],
    });
  });

  test("a circle that was closed behind a check's back is refused when it is called, and so is too deep a call", async () => {
    // Six agents in a line, then the last one's spec is made to call the first.
    await deploy("d6", "    - { name: calculator, type: builtin }\n");
    for (let n = 5; n >= 0; n--) expect((await deploy(`d${n}`, calls(`d${n + 1}`))).status).toBe(201);
    const nested = (from: number, to: number): string =>
      from === to ? "hello" : say(`ask_d${from + 1}`, nested(from + 1, to));
    const run = await house.run(person, "d0", nested(0, 6));
    expect(run.status).toBe("completed");
    const codes = await house.database.query(
      "SELECT output->>'code' AS code FROM run_steps WHERE kind = 'run' AND output->>'code' IS NOT NULL",
    );
    expect(codes).toEqual([{ code: "agent_depth" }]);

    await house.database.query(
      `UPDATE revisions SET spec = jsonb_set(spec, '{tools}', jsonb_build_array(jsonb_build_object('type', 'agent', 'name', 'ask_d0', 'description', 'd', 'deployment', 'd0')))
        WHERE agent_id = (SELECT id FROM agents WHERE name = 'd1')`,
    );
    const circle = await house.run(person, "d0", say("ask_d1", say("ask_d0", "hello")));
    expect(circle.status).toBe("completed");
    const [child] = (await house.api("GET", `/v1/runs?parent_run_id=${circle.id}`, { key: person.key })).body.data;
    const step = (await house.api("GET", `/v1/runs/${child.id}/steps`, { key: person.key })).body.data[1];
    expect(step).toMatchObject({ kind: "run", state: "error", error_code: "agent_cycle" });
  });

  test("an agent that has spent its budget asks nobody", async () => {
    await deploy("helper", "    - { name: calculator, type: builtin }\n");
    const reply = await house.deploy(person, manifest("poor", { tools: calls("helper"), limits: "{ tokens: 1500 }" }));
    expect(reply.status).toBe(201);
    const run = await house.run(person, "poor", say("ask_helper", "hello"));
    const steps = (await house.api("GET", `/v1/runs/${run.id}/steps`, { key: person.key })).body.data;
    expect(steps[1]).toMatchObject({ kind: "run", error_code: "budget_exhausted" });
  });
});

describe("a worker that dies", () => {
  let house: House;
  let person: Person;
  const workers: ChildProcess[] = [];
  beforeAll(async () => {
    house = await openHouse("postgres", { worker: false });
    person = await house.register();
    await house.deploy(person, manifest("worker"));
    await house.deploy(person, manifest("boss", { tools: calls("worker") }));
  });
  afterAll(async () => {
    for (const child of workers) child.kill("SIGKILL");
    await house?.close();
  });
  const startWorker = async () => {
    const config = { ...house.workerConfig, leaseMs: 1_500, sweepMs: 200, resendMs: 1_000 };
    const child = fork(resolve("tests/setup/worker-process.ts"), [JSON.stringify(config)], {
      stdio: ["ignore", "inherit", "inherit", "ipc"],
    });
    workers.push(child);
    await once(child, "message");
    return child;
  };

  test("while children work leaves each run with one child, and every parent with its result", async () => {
    const first = await startWorker();
    house.simulator.settings.firstByteMs = 300;
    const ids: string[] = [];
    for (let n = 0; n < 6; n++) {
      const { body } = await house.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "boss", input: say("ask_worker", `hello ${n}`) },
      });
      ids.push(body.id);
    }
    await until("some children are there", async () => {
      const [row] = await house.database.query("SELECT count(*)::int AS n FROM runs WHERE parent_run IS NOT NULL");
      return Number(row?.n) >= 3;
    });
    first.kill("SIGKILL");
    await once(first, "exit");
    house.simulator.settings.firstByteMs = 0;
    await startWorker();
    for (const id of ids) {
      await until(`${id} has ended`, async () => {
        const { body } = await house.api("GET", `/v1/runs/${id}`, { key: person.key });
        return body.finished_at !== null;
      });
      const { body } = await house.api("GET", `/v1/runs/${id}`, { key: person.key });
      expect([body.status, body.descendants.runs]).toEqual(["completed", 1]);
    }
    const rows = await house.database.query(
      "SELECT parent_run, count(*)::int AS n FROM runs WHERE parent_run IS NOT NULL GROUP BY 1",
    );
    expect(rows.map(({ n }) => n)).toEqual(ids.map(() => 1));
  });
});
