import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { resolve } from "node:path";
import {
  type AgentManifest,
  type Answering,
  type AskedCall,
  type Client,
  createClient,
  createTranscript,
  type DeployResult,
  NotFound,
  type RunEvent,
  type Step,
  TimeoutError,
} from "@maru/sdk";
import { freePort } from "@maru/store/embedded";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

const CLIENT_TOOLS = `    - name: look_up
      type: client
      description: Looks an order up
      parameters: { type: object, properties: { order: { type: string } }, required: [order] }
    - { name: ask_user, type: client, description: Asks the user }
    - { name: calculator, type: builtin, approval: always }
`;

let house: House;
let person: Person;
let client: Client;
const gateways: ChildProcess[] = [];
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
  client = createClient({ baseUrl: house.url, apiKey: person.key });
  const [first, ...others] = await client.deployments.deployAll(manifest("weather"));
  expect([first?.action, others]).toEqual(["create", []]);
  await client.deployments.deploy(manifest("shop", { tools: CLIENT_TOOLS }));
  await client.deployments.deploy(
    manifest("boss", {
      tools: "    - { name: ask_shop, type: agent, description: Asks the shop, deployment: shop }\n",
    }),
  );
});
beforeEach(() => {
  house.simulator.settings.tokensPerSecond = 0;
});
afterAll(async () => {
  for (const gateway of gateways) gateway.kill("SIGKILL");
  await house?.close();
});

/** A gateway in a process of its own, which a test may kill. */
async function startGateway(port: number): Promise<ChildProcess> {
  const config = { ...house.gatewayConfig, port };
  const child = fork(resolve("tests/setup/gateway-process.ts"), [JSON.stringify(config)], {
    stdio: ["ignore", "inherit", "inherit", "ipc"],
  });
  gateways.push(child);
  await once(child, "message");
  return child;
}
const kill = async (child: ChildProcess) => {
  child.kill("SIGKILL");
  await once(child, "exit");
};
const call = (tool: string, args: object) => `#sim tool ${tool} ${JSON.stringify(args)}`;

describe("deploying", () => {
  const agent = (name: string, instructions: string): AgentManifest => ({
    apiVersion: "maru/v1",
    kind: "Agent",
    metadata: { name },
    spec: { instructions },
  });
  const actions = (results: readonly DeployResult[]) =>
    results.map(({ action, deployment }) => `${action} ${deployment?.name}`);

  test("an object is answered by its result, a text by one or by several, as it has manifests", async () => {
    const one: DeployResult = await client.deployments.deploy(agent("one", "Helps."), { note: "the first" });
    expect(actions([one])).toEqual(["create one"]);
    expect((await client.deployments.releases("one").page()).data[0]?.note).toBe("the first");
    const text = await client.deployments.deploy(JSON.stringify(agent("one", "Helps.")));
    expect("action" in text && text.action).toBe("unchanged");
    const both = await client.deployments.deploy(`${manifest("two")}---\n${manifest("three")}`);
    expect("results" in both && actions(both.results)).toEqual(["create two", "create three"]);
  });

  test("several are deployed together and always answered as a list", async () => {
    const several = [agent("four", "1"), agent("one", "Helps.")];
    expect(actions(await client.deployments.deployAll(several, { dryRun: true }))).toEqual([
      "create undefined",
      "unchanged one",
    ]);
    expect(actions(await client.deployments.deployAll(several))).toEqual(["create four", "unchanged one"]);
    const wrong = [agent("five", "1"), { ...agent("six", "1"), spec: {} } as AgentManifest];
    await expect(client.deployments.deployAll(wrong)).rejects.toMatchObject({ problem: { errors: [{ document: 2 }] } });
    await expect(client.deployments.get("five")).rejects.toBeInstanceOf(NotFound);
  });
});

describe("a stream whose gateway is killed", () => {
  /** Reads a run with all that was said of it, and holds it to what the API says of it afterwards. */
  async function readAll(reader: Client, input: string, progress: (event: RunEvent) => void): Promise<void> {
    const events: RunEvent[] = [];
    const transcript = createTranscript();
    const finished: Step[] = [];
    for await (const event of reader.runs.stream({ deployment: "weather", input })) {
      events.push(event);
      transcript.add(event);
      if (event.type === "step.finished") finished.push(event.step);
      progress(event);
    }
    const durable = events.filter((event) => "seq" in event);
    const run = durable.at(-1)?.run_id ?? "";
    const listed = [];
    for await (const event of client.runs.events(run)) listed.push(event);
    expect(durable).toEqual(listed);
    expect(durable.at(-1)?.type).toBe("run.completed");
    for (const step of finished.filter(({ kind }) => kind === "model")) {
      expect(transcript.of(step.seq).text.trim()).toBe(step.text ?? "");
      expect(transcript.of(step.seq).reasoning.trim()).toBe((step.reasoning ?? "").trim());
    }
    expect(transcript.text.trim()).toBe((await client.runs.get(run)).output);
  }

  test("goes on when it is back on the same port: many readers, no event lost or twice, and all of the text", async () => {
    const port = await freePort();
    const first = await startGateway(port);
    const reader = createClient({ baseUrl: `http://127.0.0.1:${port}`, apiKey: person.key });
    house.simulator.settings.tokensPerSecond = 60;
    let deltas = 0;
    const reading = Array.from({ length: 20 }, (_, index) =>
      readAll(reader, `#sim steps ${1 + (index % 3)}\n#sim long ${60 + index}\n서울 날씨 ${index}`, (event) => {
        if (event.type === "delta") deltas++;
      }),
    );
    const all = Promise.all(reading);
    await Promise.race([all, until("texts are being written", () => deltas > 60)]);
    await kill(first);
    await startGateway(port);
    await all;
  }, 120_000);

  test("goes on at another gateway", async () => {
    const ports = [await freePort(), await freePort()];
    const [doomed] = [await startGateway(ports[0] as number), await startGateway(ports[1] as number)];
    // Stands for a balancer: the second is asked where the first does not answer.
    const reader = createClient({
      baseUrl: `http://127.0.0.1:${ports[0]}`,
      apiKey: person.key,
      fetch: (url, init) =>
        fetch(url, init).catch((error) => {
          if (init?.signal?.aborted) throw error;
          return fetch(String(url).replace(`:${ports[0]}`, `:${ports[1]}`), init);
        }),
    });
    house.simulator.settings.tokensPerSecond = 100;
    let deltas = 0;
    const reading = readAll(reader, "#sim steps 2\n#sim long 100\n서울 날씨", (event) => {
      if (event.type === "delta") deltas++;
    });
    await Promise.race([reading, until("a text is being written", () => deltas > 3)]);
    await kill(doomed as ChildProcess);
    await reading;
  }, 60_000);
});

describe("tools that are functions", () => {
  test("are called side by side, each once; what they answer, throw or are not is the model's to hear", async () => {
    const calls: string[] = [];
    let begun = 0;
    let bothThere = () => {};
    const both = new Promise<void>((done) => {
      bothThere = done;
    });
    const parallel = `#sim parallel look_up {"order":"A"} look_up {"order":"B"} look_up {"order":"bad"} ask_user {}`;
    const events: string[] = [];
    const { run, text } = await client.runs.run(
      {
        deployment: "shop",
        input: `where are they\n${parallel}`,
        tools: {
          async look_up({ order }: { order: string }, { callId, signal, runId }) {
            calls.push(`${order} ${callId} ${runId} ${signal.aborted}`);
            if (order === "bad") throw new Error("there is no such order");
            // Neither of the two answers before both were asked.
            if (++begun === 2) bothThere();
            await both;
            return order === "A" ? { order, status: "sent" } : "it is being packed";
          },
        },
      },
      { onEvent: ({ type }) => events.push(type) },
    );
    expect([run.status, text]).toEqual(["completed", run.output]);
    expect(text.length).toBeGreaterThan(0);
    expect(calls).toHaveLength(3);
    expect(calls.every((line) => line.endsWith(`${run.id} false`))).toBe(true);
    const answers = [];
    for await (const step of client.runs.steps(run.id))
      if (step.kind === "input") answers.push([step.arguments, step.state, step.output ?? step.error_message]);
    expect(answers.sort()).toEqual([
      ['{"order":"A"}', "done", '{"order":"A","status":"sent"}'],
      ['{"order":"B"}', "done", "it is being packed"],
      ['{"order":"bad"}', "error", "there is no such order"],
      ["{}", "error", "There is no tool ask_user here."],
    ]);
    expect(events).toContain("run.waiting");
    expect(events.at(-1)).toBe("run.completed");
  });

  test("say so when a result is not one that may be", async () => {
    const answerWith = async (result: unknown) => {
      const { run } = await client.runs.run({
        deployment: "shop",
        input: call("look_up", { order: "A" }),
        tools: { look_up: () => result },
      });
      const { data } = await client.runs.steps(run.id).page();
      const step = data.find(({ kind }) => kind === "input");
      return [run.status, step?.state, step?.output ?? step?.error_message];
    };
    expect(await answerWith("x".repeat(2_000_000))).toEqual([
      "completed",
      "error",
      expect.stringMatching(/^The result was not taken\. /),
    ]);
    expect(await answerWith(10n)).toEqual(["completed", "error", expect.stringContaining("BigInt")]);
    expect(await answerWith(undefined)).toEqual(["completed", "done", ""]);
  });

  test("have one beside them for all tools they do not know, which may stand alone", async () => {
    const asked: string[] = [];
    const answer = async (tools?: Answering["tools"]) => {
      const { run } = await client.runs.run({
        deployment: "shop",
        input: `#sim parallel look_up {"order":"A"} ask_user {}`,
        ...(tools === undefined ? {} : { tools }),
        onUnknownTool: (args, { name }) => {
          asked.push(`${name} ${JSON.stringify(args)}`);
          if (name === "ask_user") throw new Error("nobody is here");
          return "somewhere";
        },
      });
      const { data } = await client.runs.steps(run.id).page();
      const inputs = data.filter(({ kind }) => kind === "input");
      return [run.status, ...inputs.map(({ name, output, error_message: error }) => `${name}: ${output ?? error}`)];
    };
    expect(await answer({ look_up: () => "sent" })).toEqual(["completed", "look_up: sent", "ask_user: nobody is here"]);
    expect(asked).toEqual(["ask_user {}"]);
    expect(await answer()).toEqual(["completed", "look_up: somewhere", "ask_user: nobody is here"]);
    expect(asked.slice(1).sort()).toEqual(["ask_user {}", 'look_up {"order":"A"}']);
  });

  test("and whoever decides on calls: approved, approved otherwise, rejected, or left to somebody else", async () => {
    const decide = async (approve: NonNullable<Answering["approve"]>) => {
      const { run } = await client.runs.run({
        deployment: "shop",
        input: call("calculator", { expression: "2 + 3" }),
        approve,
      });
      const { data } = await client.runs.steps(run.id).page();
      const tool = data.find(({ kind }) => kind === "tool");
      return [run.status, tool?.state, tool?.output ?? tool?.error_code];
    };
    const questions: unknown[] = [];
    expect(
      await decide((asked) => {
        questions.push([asked.name, asked.arguments, asked.question]);
        return "approve";
      }),
    ).toEqual(["completed", "done", "5"]);
    expect(questions).toEqual([["calculator", { expression: "2 + 3" }, "approval"]]);
    expect(await decide(async () => ({ decision: "approve", arguments: { expression: "4 + 5" } }))).toEqual([
      "completed",
      "done",
      "9",
    ]);
    expect((await decide(() => ({ decision: "reject", reason: "not today" })))?.slice(0, 2)).toEqual([
      "completed",
      "error",
    ]);
    // Somebody else decides while this one watches.
    const elsewhere = decide((asked) => {
      void client.runs.decideApprovals(asked.runId, {
        approvals: [{ call_id: asked.callId, decision: "approve" }],
      });
      return undefined;
    });
    expect(await elsewhere).toEqual(["completed", "done", "5"]);
  });

  test("answer what a run of another agent asks", async () => {
    const asked: AskedCall[] = [];
    const { run } = await client.runs.run({
      deployment: "boss",
      input: call("ask_shop", { input: call("look_up", { order: "C" }) }),
      tools: {
        look_up: (_args, context) => {
          asked.push(context);
          return "on its way";
        },
      },
    });
    expect(run.status).toBe("completed");
    expect(asked.map(({ name, runId }) => [name, runId === run.id])).toEqual([["look_up", false]]);
    expect((await client.runs.list({ parent_run_id: run.id }).page()).data).toMatchObject([
      { id: asked[0]?.runId, status: "completed" },
    ]);
  });

  test("take up a run that waits already, and are not asked again what was answered", async () => {
    const waiting = await client.call("createRun", {
      body: {
        deployment: "shop",
        input: `${call("look_up", { order: "1" })}\n${call("look_up", { order: "2" })}`,
      },
      headers: { prefer: "wait=20" },
    });
    const [first] = waiting.required_action?.tool_results ?? [];
    await client.runs.submitToolResults(waiting.id, {
      tool_results: [{ call_id: first?.call_id ?? "", output: "one" }],
    });
    await until("it asks for the second", async () => {
      const { required_action: action } = await client.runs.get(waiting.id);
      return action?.tool_results[0]?.call_id !== undefined && action.tool_results[0].call_id !== first?.call_id;
    });
    const takeUp = async () => {
      const orders: string[] = [];
      const look_up = ({ order }: { order: string }) => {
        orders.push(order);
        return "two";
      };
      const { run } = await client.runs.run({ run: waiting.id, tools: { look_up } });
      return [run.status, orders];
    };
    expect(await takeUp()).toEqual(["completed", ["2"]]);
    // Now it has ended: its events still say what it once asked.
    expect(await takeUp()).toEqual(["completed", []]);
  });

  test("are called once, and what they answer arrives, though the gateway is killed meanwhile", async () => {
    const port = await freePort();
    const gateway = await startGateway(port);
    const other = createClient({ baseUrl: `http://127.0.0.1:${port}`, apiKey: person.key });
    let calls = 0;
    let back: Promise<unknown> = Promise.resolve();
    const { run } = await other.runs.run({
      deployment: "shop",
      input: call("look_up", { order: "A" }),
      tools: {
        look_up: async () => {
          calls++;
          await kill(gateway);
          back = startGateway(port);
          return "sent";
        },
      },
    });
    await back;
    expect([run.status, calls]).toEqual(["completed", 1]);
    expect((await client.runs.steps(run.id).page()).data.find(({ kind }) => kind === "input")?.output).toBe("sent");
  }, 120_000);

  test("hear that nobody waits for them any more", async () => {
    const heard = new Promise<unknown>((done, fail) => {
      const run = async () => {
        for await (const event of client.runs.stream({
          deployment: "shop",
          input: call("ask_user", {}),
          tools: {
            ask_user: (_args, { signal, runId }) =>
              new Promise((_, reject) => {
                signal.addEventListener("abort", () => {
                  done(signal.reason);
                  reject(signal.reason);
                });
                void client.runs.cancel(runId);
              }),
          },
        }))
          if ("run" in event) expect(event.run.status).toBe("cancelled");
      };
      run().catch(fail);
    });
    expect(await heard).toMatchObject({ name: "AbortError" });
  });

  test("a key that may not answer ends the stream with why", async () => {
    const { key } = await client.keys.create({ name: "reads", scopes: ["runs:read", "runs:write"] });
    const other = createClient({ baseUrl: house.url, apiKey: key });
    const running = other.runs.run({
      deployment: "shop",
      input: call("calculator", { expression: "1 + 1" }),
      approve: () => "approve",
    });
    await expect(running).rejects.toMatchObject({ code: "insufficient_scope", operation: "decideApprovals" });
  });
});

describe("waiting for a run", () => {
  test("gives it as it ended, whoever started it", async () => {
    expect(await client.runs.wait({ deployment: "weather", input: "서울 날씨" })).toMatchObject({
      status: "completed",
    });
    house.simulator.settings.tokensPerSecond = 200;
    const { id } = await client.runs.create({ deployment: "weather", input: "#sim long 100" });
    const [one, two] = await Promise.all([client.runs.wait(id), client.runs.wait(id, { timeoutMs: 60_000 })]);
    expect([one.status, two]).toEqual(["completed", one]);
    expect(await client.runs.wait(id)).toEqual(one);
  });

  test("is over when the time is, and the run goes on", async () => {
    const { id } = await client.runs.create({ deployment: "shop", input: call("ask_user", {}) });
    const error = await client.runs.wait(id, { timeoutMs: 300 }).catch((reason) => reason);
    expect(error).toBeInstanceOf(TimeoutError);
    expect(error.message).toContain(id);
    await until("it waits", async () => (await client.runs.get(id)).status === "waiting");
    const controller = new AbortController();
    const waiting = client.runs.wait(id, { signal: controller.signal });
    const reason = new Error("enough");
    controller.abort(reason);
    await expect(waiting).rejects.toBe(reason);
    expect(await client.runs.cancel(id)).toMatchObject({ status: "cancelled" });
  });
});

test("lists go over all pages of the API, and errors are its problems", async () => {
  const ids: string[] = [];
  for (let index = 0; index < 5; index++)
    ids.unshift((await client.threads.create({ metadata: { n: String(index) } })).id);
  const listed: string[] = [];
  for await (const { id } of client.threads.list({ limit: 2 })) listed.push(id);
  expect(listed).toEqual(ids);
  const error = await client.threads
    .get(ids[0]?.replace(/.$/, (last) => (last === "a" ? "b" : "a")) ?? "")
    .catch((reason) => reason);
  expect(error).toBeInstanceOf(NotFound);
  expect(error).toMatchObject({ code: "not_found", operation: "getThread", requestId: expect.stringMatching(/./) });
});
