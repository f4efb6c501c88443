import type { AgentSpec, CatalogueModel, ModelAnswer, ModelRequest, ToolCall } from "@maru/contract";
import type { Claim, JournalWrite, StoredStep } from "@maru/store";
import type { PreparedTool, ToolSet } from "@maru/tools";
import { describe, expect, test } from "vitest";
import { type EnginePorts, executeRun, Stop } from "./index.ts";

const catalogue = { id: "m", upstreamModel: "up/m", tools: { native: true, parallel: true } } as CatalogueModel;
const spec = (limits: Partial<AgentSpec["limits"]> = {}): AgentSpec => ({
  name: "a",
  labels: {},
  description: "",
  model: { name: "m", thinking: false, temperature: 1, topP: 1, presencePenalty: 0, seed: null, maxOutputTokens: 100 },
  instructions: "be good",
  tools: [],
  limits: {
    steps: 20,
    tokens: 100_000,
    durationMs: 60_000,
    parallelTools: 2,
    toolOutputBytes: 1_000,
    identicalCalls: 3,
    ...limits,
  },
  memory: { thread: { strategy: "trim", maxTokens: 1_000 } },
});
const usage = { inputTokens: 10, cachedInputTokens: 0, outputTokens: 5, estimated: false };
const says = (text: string): ModelAnswer => ({
  reasoning: "",
  text,
  toolCalls: [],
  finishReason: "stop",
  usage,
  model: "up/m",
});
const calls = (...names: string[]): ModelAnswer => ({
  ...says(""),
  toolCalls: names.map((name, index): ToolCall => ({ id: `c${index}`, name, arguments: `{"n":${index}}` })),
  finishReason: "tool_calls",
});
const step = (fields: object): StoredStep =>
  ({
    state: "done",
    attempt: 1,
    epoch: 1,
    startedAt: "2026-01-01T00:00:00Z",
    finishedAt: null,
    input: null,
    output: null,
    ...fields,
  }) as unknown as StoredStep;

/** The engine over ports that remember: what was written, asked and called, in order. */
function world(
  answers: (ModelAnswer | Error)[],
  options: {
    claim?: Partial<Claim>;
    tools?: Record<string, (n: number) => Promise<string>>;
    effect?: PreparedTool["effect"];
    lostAfter?: number;
  } = {},
) {
  const writes: JournalWrite[] = [];
  const requests: ModelRequest[] = [];
  const called: string[] = [];
  let running = 0;
  let widest = 0;
  const prepared = new Map<string, PreparedTool>(
    Object.entries(options.tools ?? {}).map(([name, run]) => [
      name,
      {
        declaration: { name, description: name, parameters: {} },
        effect: options.effect ?? "safe",
        checkArguments: () => null,
        call: async (args) => {
          called.push(name);
          widest = Math.max(widest, ++running);
          const output = await run(Number(args.n));
          running--;
          return { output, isError: false, code: null, truncated: false };
        },
      },
    ]),
  );
  const set: ToolSet = { declarations: [], names: [...prepared.keys()], get: (name) => prepared.get(name) };
  const ports: EnginePorts = {
    model: {
      find: () => catalogue,
      complete: async (request) => {
        requests.push(request);
        const answer = answers.shift();
        if (answer === undefined) throw new Error("no more answers");
        if (answer instanceof Error) throw answer;
        return answer;
      },
      classify: (answer) => (answer.toolCalls.length > 0 ? "tools" : answer.text === "" ? "empty" : "final"),
      estimateRequest: () => 20,
      estimateText: (text) => text.length,
      price: () => 1,
      describeError: (error) => ({ code: "model_failed", message: String(error) }),
    },
    tools: {
      prepare: () => set,
      parseArguments: (text) => ({ ok: true, value: JSON.parse(text) as Record<string, unknown> }),
    },
    journal: {
      write: async (_claim, entry) => {
        writes.push(entry);
        if (writes.length > (options.lostAfter ?? Number.POSITIVE_INFINITY)) return { ok: false };
        return {
          ok: true,
          room: true,
          cancelRequested: false,
          events: entry.events.map((event, index) => ({ ...event, seq: index + 1, at: "2026-01-01T00:00:00Z" })),
        };
      },
    },
    live: { delta: () => {}, committed: () => {} },
    clock: { now: () => 0, date: () => new Date("2026-01-01T00:00:00Z"), after: () => () => {} },
  };
  const claim: Claim = {
    workspaceId: "wsp_1",
    runId: "run_1",
    epoch: 1,
    spec: spec(),
    revisionKey: "r",
    input: "hello",
    threadId: null,
    startedAt: new Date(0),
    now: new Date(0),
    steps: [step({ seq: 1, kind: "model", state: "started", name: "m", effect: "model" })],
    threadMessages: [],
    events: [],
    ...options.claim,
  };
  const run = (signal = new AbortController().signal) => executeRun(claim, ports, signal);
  return { run, writes, requests, called, widest: () => widest, end: () => writes.at(-1)?.end };
}

describe("the loop", () => {
  test("one write a finished step, and the intents of the next steps are in it", async () => {
    const it = world([calls("a"), says("done")], { tools: { a: async () => "1" } });
    expect(await it.run()).toBe("ended");
    expect(
      it.writes.map(({ done, start, end }) => [
        done.map(({ seq }) => seq),
        start.map(({ seq, kind }) => `${seq} ${kind}`),
        end?.status ?? null,
      ]),
    ).toEqual([
      [[1], ["2 tool"], null],
      [[2], ["3 model"], null],
      [[3], [], "completed"],
    ]);
    expect(it.end()).toMatchObject({ status: "completed", output: "done" });
  });

  test("results stand in the order of the calls, whichever came back first, and no more run at once than allowed", async () => {
    const release: (() => void)[] = [];
    const slow = (n: number) => new Promise<string>((done) => (release[n] = () => done(`r${n}`)));
    const it = world([calls("a", "b", "c"), says("done")], { tools: { a: slow, b: slow, c: async (n) => `r${n}` } });
    const ended = it.run();
    while (release.filter(Boolean).length < 2) await new Promise((done) => setImmediate(done));
    release[1]?.();
    while (it.called.length < 3) await new Promise((done) => setImmediate(done));
    release[0]?.();
    expect(await ended).toBe("ended");
    expect(it.widest()).toBe(2);
    expect(it.requests[1]?.messages.filter(({ role }) => role === "tool").map(({ content }) => content)).toEqual([
      "r0",
      "r1",
      "r2",
    ]);
  });

  test("a tool that is not there is a result with the names of those that are", async () => {
    const it = world([calls("nope"), says("done")], { tools: { a: async () => "" } });
    await it.run();
    expect(it.writes[1]?.done[0]).toMatchObject({
      state: "error",
      output: { code: "unknown_tool", output: expect.stringContaining("a") },
    });
  });

  test("an empty answer is asked for once more, then fails", async () => {
    const once = world([says(""), says("now")]);
    await once.run();
    expect(once.end()).toMatchObject({ status: "completed", output: "now" });
    const twice = world([says(""), says("")]);
    await twice.run();
    expect(twice.end()).toMatchObject({ status: "failed", error: { code: "empty" } });
  });

  test("text that cannot be stored is made storable before it is written", async () => {
    const it = world([says("a\0b\ud800")]);
    await it.run();
    expect(it.end()?.output).toBe("ab\ufffd");
  });
});

describe("carrying on after a crash", () => {
  const journal = (effect: string, state = "started") => [
    step({ seq: 1, kind: "model", name: "m", effect: "model", output: calls("a") }),
    step({
      seq: 2,
      kind: "tool",
      state,
      name: "a",
      effect,
      input: { id: "c0", name: "a", arguments: '{"n":0}' },
      output: state === "done" ? { output: "old", isError: false, code: null } : null,
    }),
    ...(state === "done" ? [step({ seq: 3, kind: "model", state: "started", name: "m", effect: "model" })] : []),
  ];

  test("a finished step is not executed again: its result is read from the journal", async () => {
    const it = world([says("done")], {
      claim: { epoch: 2, steps: journal("safe", "done") },
      tools: { a: async () => "new" },
    });
    await it.run();
    expect(it.called).toEqual([]);
    expect(it.requests[0]?.messages.at(-1)).toMatchObject({ role: "tool", content: "old" });
  });

  test("an open call of a tool that may repeat is sent again", async () => {
    const it = world([says("done")], {
      claim: { epoch: 2, steps: journal("idempotent") },
      tools: { a: async () => "new" },
    });
    await it.run();
    expect(it.called).toEqual(["a"]);
  });

  test("an open call that must not be sent twice is not: its outcome is unknown, and the model is told", async () => {
    const it = world([says("done")], {
      claim: { epoch: 2, steps: journal("at_most_once") },
      tools: { a: async () => "new" },
      effect: "at_most_once",
    });
    await it.run();
    expect(it.called).toEqual([]);
    expect(it.writes[0]?.done[0]).toMatchObject({ seq: 2, state: "unknown", output: { code: "outcome_unknown" } });
    expect(it.requests[0]?.messages.at(-1)?.content).toContain("unknown");
  });

  test("a worker whose write is refused stops at once and writes nothing more", async () => {
    const it = world([calls("a"), says("never")], { tools: { a: async () => "1" }, lostAfter: 1 });
    expect(await it.run()).toBe("lost");
    expect([it.writes.length, it.requests.length]).toEqual([2, 1]);
  });
});

describe("being stopped", () => {
  const stopped = async (kind: "cancel" | "drain" | "lost") => {
    const controller = new AbortController();
    const it = world([]);
    controller.abort(new Stop(kind));
    return { outcome: await it.run(controller.signal), writes: it.writes };
  };

  test("a cancel ends the run with its open step closed; a drain and a loss write nothing", async () => {
    const cancel = await stopped("cancel");
    expect([cancel.outcome, cancel.writes[0]?.end?.status, cancel.writes[0]?.done.map(({ state }) => state)]).toEqual([
      "ended",
      "cancelled",
      ["error"],
    ]);
    expect(await stopped("drain")).toEqual({ outcome: "handed_back", writes: [] });
    expect(await stopped("lost")).toEqual({ outcome: "lost", writes: [] });
  });
});
