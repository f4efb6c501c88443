import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

const TOOLS = `    - name: get_weather
      type: http
      description: Current weather of a city
      parameters: { type: object, properties: { city: { type: string } }, required: [city] }
      request: { url: "http://weather.test.internal/weather?city={city}" }
`;

describeEachBackend("a fork", (backend) => {
  let house: House;
  let person: Person;
  let weather: Server;
  const asked: string[] = [];
  beforeAll(async () => {
    weather = createServer((request, response) => {
      asked.push(String(request.url));
      response.setHeader("content-type", "application/json").end('{"temperature_c":21}');
    });
    await new Promise<void>((done) => weather.listen(0, "127.0.0.1", done));
    house = await openHouse(backend, {
      egressAllow: { "weather.test.internal": `http://127.0.0.1:${(weather.address() as AddressInfo).port}` },
    });
    person = await house.register();
    expect((await house.deploy(person, manifest("weather", { tools: TOOLS }))).status).toBe(201);
  });
  afterAll(async () => {
    await house?.close();
    weather?.closeAllConnections();
    await new Promise((done) => weather?.close(done));
  });

  const get = async (id: string) => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
  const steps = async (id: string) => (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data;
  const fork = (id: string, body: object, key = person.key) => house.api("POST", `/v1/runs/${id}/fork`, { key, body });
  const ended = async (id: string) => {
    await until("the run ends", async () => (await get(id)).finished_at !== null);
    return get(id);
  };
  const used = async () => (await house.api("GET", "/v1/quota", { key: person.key })).body.windows[0].used as number;
  /** model, two tools, model */
  const source = () =>
    house.run(person, "weather", '#sim parallel get_weather {"city":"Seoul"} get_weather {"city":"Busan"}\nHow is it?');

  test("reuses the steps before the one it is made at, free of charge, and does the rest anew", async () => {
    const run = await source();
    const before = { asked: asked.length, used: await used(), steps: await steps(run.id) };
    const made = await fork(run.id, { from_step: 4, metadata: { why: "again" } });
    expect([made.status, made.body.forked_from, made.body.metadata]).toEqual([
      202,
      { run_id: run.id, step: 4 },
      { why: "again" },
    ]);
    expect(made.headers.get("location")).toBe(`/v1/runs/${made.body.id}`);
    const end = await ended(made.body.id);
    expect(end).toMatchObject({ status: "completed", output: run.output, usage: { model_calls: 1, tool_calls: 0 } });
    const now = await steps(end.id);
    expect(now.map(({ reused }: { reused: boolean }) => reused)).toEqual([true, true, true, false]);
    for (const [index, step] of now.slice(0, 3).entries()) {
      const { cost_micros: _, ...source } = before.steps[index];
      expect(step).toEqual({ ...source, epoch: 0, reused: true });
    }
    // The same journal and the same instructions ask the model the same.
    expect(now[3].input_digest).toBe(before.steps[3].input_digest);
    expect(now[3].input_digest).toMatch(/^[0-9a-f]{64}$/);
    // No tool was called again, and only the new step is charged.
    expect(asked.length).toBe(before.asked);
    expect((await used()) - before.used).toBe(end.usage.total_tokens);
    expect(end.usage.total_tokens).toBe(now[3].input_tokens + now[3].output_tokens);
    expect((await get(run.id)).output).toBe(run.output);
  });

  test("made at a tool step, calls that tool and those after it again", async () => {
    const run = await source();
    const before = asked.length;
    const end = await ended((await fork(run.id, { from_step: 3 })).body.id);
    expect(end.status).toBe("completed");
    expect(asked.slice(before)).toEqual(["/weather?city=Busan"]);
    expect(
      (await steps(end.id)).map(({ kind, reused }: { kind: string; reused: boolean }) => `${kind} ${reused}`),
    ).toEqual(["model true", "tool true", "tool false", "model false"]);
  });

  test("goes by other instructions, another model and other results", async () => {
    const run = await source();
    const { body } = await fork(run.id, {
      from_step: 4,
      overrides: {
        instructions: "Answer in one word.",
        model: "k-exaone-32b-none",
        tool_results: [{ step: 2, output: '{"temperature_c":-40}' }],
      },
    });
    expect([body.status, body.code]).toEqual([400, "unknown_model"]);
    const models = (await house.api("GET", "/v1/models", { key: person.key })).body.data;
    const other = models.find(
      (model: { id: string; availability: { status: string } }) =>
        model.id !== "k-exaone" && model.availability.status === "available",
    );
    const overrides = {
      instructions: "Answer in one word.",
      tool_results: [{ step: 2, output: '{"temperature_c":-40}' }],
      ...(other === undefined ? {} : { model: other.id }),
    };
    const end = await ended((await fork(run.id, { from_step: 4, overrides })).body.id);
    expect(end.status).toBe("completed");
    expect(end.output).toContain("-40");
    if (other !== undefined) expect([end.model, (await steps(end.id))[3].model]).toEqual([other.id, other.id]);
    const request = JSON.stringify(house.simulator.journal().at(-1));
    expect(request).toContain("Answer in one word.");
    expect((await steps(end.id))[3].input_digest).not.toBe((await steps(run.id))[3].input_digest);
    // A fork of the fork keeps its changes.
    const again = await ended((await fork(end.id, { from_step: 4 })).body.id);
    expect(again.output).toBe(end.output);
  });

  test("from its first step, is the run once more", async () => {
    const run = await source();
    const end = await ended((await fork(run.id, { from_step: 1 })).body.id);
    expect([end.status, end.output]).toEqual(["completed", run.output]);
    expect((await steps(end.id)).every(({ reused }: { reused: boolean }) => !reused)).toBe(true);
  });

  test("of a run in a thread, goes by what was said before it, whatever was said since, and adds nothing", async () => {
    const thread = (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id;
    await house.run(person, "weather", "My name is Hana.", { thread_id: thread });
    const run = await house.run(person, "weather", "What is my name?", { thread_id: thread });
    await house.run(person, "weather", "Call me Duri now.", { thread_id: thread });
    const messages = async () =>
      (await house.api("GET", `/v1/threads/${thread}/messages`, { key: person.key })).body.data.length;
    const before = await messages();
    const end = await ended((await fork(run.id, { from_step: 1 })).body.id);
    expect([end.status, end.thread_id, await messages()]).toEqual(["completed", null, before]);
    expect((await steps(end.id))[0].input_digest).toBe((await steps(run.id))[0].input_digest);
    await house.api("DELETE", `/v1/threads/${thread}`, { key: person.key });
    const gone = await fork(run.id, { from_step: 1 });
    expect([gone.status, gone.body.code]).toEqual([404, "not_found"]);
    expect(gone.body.detail).toContain("thread");
  });

  test("is refused where there is nothing to fork, in words", async () => {
    const run = await source();
    const code = async (reply: ReturnType<typeof fork>) => {
      const { status, body } = await reply;
      return [status, body.code];
    };
    const stranger = await house.register();
    expect(await code(fork(run.id, { from_step: 2 }, stranger.key))).toEqual([404, "not_found"]);
    expect(await code(fork("run_01h455vb4pex5vsknk084sn02q", { from_step: 2 }))).toEqual([404, "not_found"]);
    expect(await code(fork(run.id, { from_step: 5 }))).toEqual([404, "not_found"]);
    expect((await fork(run.id, { from_step: 99 })).body.detail).toContain("last is 4");
    expect(await code(fork(run.id, { from_step: 0 }))).toEqual([400, "validation_failed"]);
    expect(await code(fork(run.id, {}))).toEqual([400, "validation_failed"]);
    expect(await code(fork(run.id, { from_step: 2, overrides: { temperature: 1 } }))).toEqual([400, "unknown_field"]);
    const late = { from_step: 2, overrides: { tool_results: [{ step: 3, output: "x" }] } };
    expect(await code(fork(run.id, late))).toEqual([404, "not_found"]);
    const model = { from_step: 4, overrides: { tool_results: [{ step: 1, output: "x" }] } };
    expect(await code(fork(run.id, model))).toEqual([404, "not_found"]);
    const slow = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "weather", input: "#sim slow 20000" },
    });
    await until("it runs", async () => (await get(slow.body.id)).status === "running");
    expect((await fork(slow.body.id, { from_step: 1 })).status).toBe(202);
    expect(await code(fork(slow.body.id, { from_step: 2 }))).toEqual([404, "not_found"]);
    await house.api("POST", `/v1/runs/${slow.body.id}/cancel`, { key: person.key });
  });
});
