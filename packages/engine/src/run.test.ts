import type {
  AgentSpec,
  CatalogueModel,
  Message,
  ModelAnswer,
  ModelRequest,
  TokenUsage,
  ToolCall,
} from "@maru/contract";
import { classifyAnswer } from "@maru/model";
import type { Claim, JournalWrite, StoredStep } from "@maru/store";
import { type PreparedTool, parseArguments, type ToolSet } from "@maru/tools";
import { describe, expect, test } from "vitest";
import { type EnginePorts, executeRun, type ModelRoute, Stop } from "./index.ts";

class HostError extends Error {
  readonly code: string;
  readonly usage: TokenUsage | undefined;
  constructor(code: string, usage?: TokenUsage, message = code) {
    super(message);
    this.code = code;
    this.usage = usage;
  }
}

const named = (id: string): CatalogueModel =>
  ({
    id,
    upstreamModel: `up/${id}`,
    tools: { native: true, parallel: true },
    contextTokens: 10_000,
    maxOutputTokens: { default: 100, max: 400 },
    sampling: { temperature: 0.7, topP: 0.8, presencePenalty: 0 },
  }) as CatalogueModel;
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
    /** Answers of the fallback named n; without one there is no such model. */
    fallback?: (ModelAnswer | Error)[];
    /** What is heard live before each answer. */
    heard?: string;
    tools?: Record<string, (n: number) => Promise<string>>;
    effect?: PreparedTool["effect"];
    /** More of each tool, by name. */
    more?: Record<string, Partial<PreparedTool>>;
    lostAfter?: number;
  } = {},
) {
  const writes: JournalWrite[] = [];
  const requests: ModelRequest[] = [];
  const patience: boolean[] = [];
  const overflows: number[] = [];
  const called: string[] = [];
  const begun: boolean[] = [];
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
        ...options.more?.[name],
      },
    ]),
  );
  const route = (model: CatalogueModel, replies: (ModelAnswer | Error)[]): ModelRoute => ({
    model,
    simulated: model.id === "n",
    complete: async (request, { onDelta, impatient }) => {
      requests.push(request);
      patience.push(!impatient);
      if (options.heard !== undefined) onDelta({ kind: "text", text: options.heard });
      const answer = replies.shift();
      if (answer === undefined) throw new Error("no more answers");
      if (answer instanceof Error) throw answer;
      return answer;
    },
  });
  const set: ToolSet = { declarations: [], names: [...prepared.keys()], get: (name) => prepared.get(name) };
  const ports: EnginePorts = {
    model: {
      resolve: async (_workspace, names) =>
        names.map((name) =>
          name === "m"
            ? route(named("m"), answers)
            : name === "n" && options.fallback !== undefined
              ? route(named("n"), options.fallback)
              : null,
        ),
      classify: classifyAnswer,
      estimateRequest: (request) => request.messages.reduce((sum, { content }) => sum + content.length, 0),
      estimateText: (_model, text) => text.length,
      overflowed: () => overflows.push(1),
      price: () => 1,
      describeError: (error) =>
        error instanceof HostError
          ? { code: error.code, message: error.message, ...(error.usage === undefined ? {} : { usage: error.usage }) }
          : { code: "model_failed", message: String(error) },
    },
    tools: {
      prepare: () => set,
      checker: () => (value) => ((value as { ok?: unknown }).ok === true ? null : "ok must be true"),
      parseArguments,
      secrets: async () => new Map(),
    },
    artifacts: { keep: async () => "full" },
    children: {
      start: async (_claim, { mayBegin }) => {
        begun.push(mayBegin);
        return { kind: "refused", code: "unknown_agent", message: "There are no others." };
      },
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
    live: { delta: () => {}, progress: () => {}, committed: () => {} },
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
    endUser: null,
    child: false,
    startedAt: new Date(0),
    waitedMs: 0,
    now: new Date(0),
    steps: [step({ seq: 1, kind: "model", state: "started", name: "m", effect: "model" })],
    threadMessages: [],
    threadSummary: null,
    threadFrom: 1,
    events: [],
    ...options.claim,
  };
  const run = (signal = new AbortController().signal) => executeRun(claim, ports, signal);
  return {
    run,
    writes,
    requests,
    patience,
    overflows,
    called,
    begun,
    widest: () => widest,
    end: () => writes.at(-1)?.end,
  };
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

  test("A6: a tool that is not there is a result with the names of those that are", async () => {
    const it = world([calls("nope"), says("done")], { tools: { a: async () => "" } });
    await it.run();
    expect(it.writes[1]?.done[0]).toMatchObject({
      state: "error",
      output: { code: "unknown_tool", output: expect.stringContaining("a") },
    });
  });

  test("A7: a call repeated with the same result again and again ends the run; with another result it goes on", async () => {
    const same = world(
      Array.from({ length: 9 }, () => calls("a")),
      { tools: { a: async () => "1" } },
    );
    await same.run();
    expect(same.called).toHaveLength(3);
    expect(same.end()).toMatchObject({ status: "incomplete", reason: "repeated_call" });
    let times = 0;
    const changing = world([...Array.from({ length: 6 }, () => calls("a")), says("done")], {
      tools: { a: async () => String(times++) },
    });
    await changing.run();
    expect(changing.end()).toMatchObject({ status: "completed", output: "done" });
  });

  test("an empty answer is asked for once more, then fails", async () => {
    const once = world([says(""), says("now")]);
    await once.run();
    expect(once.end()).toMatchObject({ status: "completed", output: "now" });
    const twice = world([says(""), says("")]);
    await twice.run();
    expect(twice.end()).toMatchObject({ status: "failed", error: { code: "empty_answer" } });
  });

  test("text that cannot be stored is made storable before it is written", async () => {
    const it = world([says("a\0b\ud800")]);
    await it.run();
    expect(it.end()?.output).toBe("ab\ufffd");
  });
});

describe("answers that are not whole", () => {
  const cutCall = (): ModelAnswer => ({
    ...says(""),
    toolCalls: [{ id: "c", name: "a", arguments: '{"n":' }],
    finishReason: "length",
  });
  const allThinking = (): ModelAnswer => ({ ...says(""), reasoning: "hm", finishReason: "length" });

  test("a call that was cut off is never run: asked once more with twice the room, then incomplete", async () => {
    const once = world([cutCall(), says("done")], { tools: { a: async () => "1" } });
    await once.run();
    expect(once.called).toEqual([]);
    expect(once.requests.map(({ maxOutputTokens }) => maxOutputTokens)).toEqual([100, 200]);
    expect(once.writes[0]?.done[0]).toMatchObject({ state: "error", output: { error: { code: "truncated_call" } } });
    expect(once.end()).toMatchObject({ status: "completed", output: "done" });
    const twice = world([cutCall(), cutCall()], { tools: { a: async () => "1" } });
    await twice.run();
    expect(twice.called).toEqual([]);
    expect(twice.end()).toMatchObject({ status: "incomplete", reason: "output_truncated" });
  });

  test("an answer that was all thinking is asked for once more without thinking", async () => {
    const it = world([allThinking(), says("done")], {
      claim: { spec: { ...spec(), model: { ...spec().model, thinking: true } } },
    });
    await it.run();
    expect(it.requests.map(({ thinking, maxOutputTokens }) => [thinking, maxOutputTokens])).toEqual([
      [true, 100],
      [false, 200],
    ]);
    expect(it.end()).toMatchObject({ status: "completed", output: "done" });
  });

  test("text that was cut off ends the run incomplete, with the text", async () => {
    const it = world([{ ...says("half"), finishReason: "length" }]);
    await it.run();
    expect(it.end()).toMatchObject({ status: "incomplete", reason: "output_truncated", output: "half" });
  });

  test("every answer is charged, the useless ones too", async () => {
    const it = world([says(""), says("now")]);
    await it.run();
    expect(it.writes.map((entry) => entry.usage?.inputTokens)).toEqual([10, 10]);
  });
});

describe("routing", () => {
  const withFallback = (): Partial<Claim> => ({
    spec: { ...spec(), model: { ...spec().model, fallbacks: ["n"] } },
  });

  test.each([
    "model_not_found",
    "model_unauthorized",
    "upstream_rate_limited",
    "upstream_unavailable",
    "stream_interrupted",
    "model_timeout",
  ])("%s of the first is answered by the fallback, and the step says so", async (code) => {
    const it = world([new HostError(code)], { claim: withFallback(), fallback: [says("from n")] });
    await it.run();
    expect(it.patience).toEqual([false, true]);
    expect(it.end()).toMatchObject({ status: "completed", output: "from n" });
    expect(it.writes[0]?.done[0]?.output).toMatchObject({ answeredBy: "n", tried: [{ model: "m", code }] });
    expect(it.requests[1]).toMatchObject({ model: { id: "n" }, temperature: 0.7 });
    expect(it.writes[0]?.usage).toMatchObject({ model: "n", simulated: true });
  });

  test.each(["model_bad_request", "content_filtered", "model_failed"])(
    "%s is the request's own fault: no fallback is asked",
    async (code) => {
      const it = world([new HostError(code)], { claim: withFallback(), fallback: [says("never")] });
      await it.run();
      expect(it.requests).toHaveLength(1);
      expect(it.end()).toMatchObject({ status: "failed", error: { code } });
    },
  );

  test("what a host says is made storable before it is written", async () => {
    const it = world([new HostError("model_bad_request", undefined, "no\0\ud800")]);
    await it.run();
    expect(it.end()?.error?.message).toBe("no\ufffd");
  });

  test("a model that is not there is passed over; when none is left, the run fails by name", async () => {
    const there = world([says("m")], { claim: withFallback() });
    await there.run();
    expect(there.end()).toMatchObject({ status: "completed", output: "m" });
    const gone = world([new HostError("upstream_unavailable")], { claim: withFallback() });
    await gone.run();
    expect(gone.end()).toMatchObject({ status: "failed", error: { code: "model_not_found" } });
  });

  test("what attempts used for nothing is charged with the step", async () => {
    const it = world([new HostError("stream_interrupted", usage)], { claim: withFallback(), fallback: [says("n")] });
    await it.run();
    expect(it.writes[0]?.usage).toMatchObject({ inputTokens: 20, outputTokens: 10 });
  });

  test("R11: a stream that broke after text was seen keeps it in its own step; a new step replaces it, once", async () => {
    const it = world([new HostError("stream_interrupted"), says("whole")], { heard: "ha" });
    await it.run();
    expect(it.writes[0]?.done[0]).toMatchObject({ state: "error", output: { text: "ha" } });
    expect(it.end()).toMatchObject({ status: "completed", output: "whole" });
    const twice = world([new HostError("stream_interrupted"), new HostError("stream_interrupted")], { heard: "ha" });
    await twice.run();
    expect(twice.end()).toMatchObject({ status: "failed", error: { code: "stream_interrupted" } });
  });
});

describe("context", () => {
  const exchanges = Array.from({ length: 4 }, (_, index): Message[] => [
    { role: "user", content: `question ${index} ${"x".repeat(90)}` },
    { role: "assistant", content: "", toolCalls: [{ id: "c", name: "a", arguments: "{}" }] },
    { role: "tool", toolCallId: "c", name: "a", content: "y".repeat(100) },
    { role: "assistant", content: `answer ${index}` },
  ]).flat();
  const orphans = (messages: readonly Message[]) =>
    messages.filter(
      (message, index) =>
        message.role === "tool" && !(messages[index - 1]?.role === "assistant" || messages[index - 1]?.role === "tool"),
    );

  test("a prompt the host calls too long is shortened once, by whole exchanges, and asked again", async () => {
    const it = world([new HostError("context_overflow"), says("done")], { claim: { threadMessages: exchanges } });
    await it.run();
    const [first, second] = it.requests.map(({ messages }) => messages);
    expect(it.overflows).toEqual([1]);
    expect(second?.length).toBeLessThan(first?.length ?? 0);
    expect(second?.[1]?.role).toBe("user");
    expect(orphans(second ?? [])).toEqual([]);
    expect(it.end()).toMatchObject({ status: "completed" });
    expect(it.writes[0]?.done[0]?.output).toMatchObject({ tried: [{ code: "context_overflow" }] });
  });

  test("a second overflow fails the run by its name", async () => {
    const it = world([new HostError("context_overflow"), new HostError("context_overflow")]);
    await it.run();
    expect(it.requests).toHaveLength(2);
    expect(it.end()).toMatchObject({ status: "failed", error: { code: "context_overflow" } });
  });
});

describe("summaries of long threads", () => {
  const said = (index: number): Message[] => [
    { role: "user", content: `question ${index} ${"x".repeat(190)}` },
    { role: "assistant", content: `answer ${index} ${"y".repeat(190)}` },
  ];
  const long = (): Partial<Claim> => ({
    threadId: "thr_1",
    threadFrom: 7,
    threadMessages: [1, 2, 3, 4].flatMap(said),
    spec: { ...spec(), memory: { thread: { strategy: "summarise", maxTokens: 1_000 } } },
  });

  test("the older part becomes a summary, by a step of its own, which the thread keeps", async () => {
    const it = world([says("They spoke of x."), says("done")], { claim: long() });
    await it.run();
    expect(it.requests[0]).toMatchObject({ tools: [], messages: [{ role: "system" }, { role: "user" }] });
    expect(it.requests[0]?.messages[1]?.content).toContain("question 1");
    const [system, summary, , ...rest] = it.requests[1]?.messages ?? [];
    expect([system?.role, summary?.content]).toEqual(["system", expect.stringContaining("They spoke of x.")]);
    expect(rest.map(({ content }) => content.slice(0, 10))).toEqual(["question 4", "answer 4 y", "hello"]);
    expect(it.writes[0]?.done[0]).toMatchObject({ state: "done", output: { summarised: 6 } });
    expect(it.end()).toMatchObject({
      output: "done",
      summary: { text: "They spoke of x.", upto: 13 },
      messages: [
        { role: "user", content: "hello" },
        { role: "assistant", content: "done" },
      ],
    });
    expect(it.writes.map((entry) => entry.usage?.inputTokens)).toEqual([10, 10]);
  });

  test("a summary that is there is read, and taken into the next one", async () => {
    const short = world([says("done")], {
      claim: { ...long(), threadMessages: said(9), threadSummary: "Before." },
    });
    await short.run();
    expect(short.requests).toHaveLength(1);
    expect(short.requests[0]?.messages[1]?.content).toContain("Before.");
    const again = world([says("New."), says("done")], { claim: { ...long(), threadSummary: "Before." } });
    await again.run();
    expect(again.requests[0]?.messages[1]?.content).toContain("Before.");
  });

  test("a summary that fails costs the run nothing but the thread's older part", async () => {
    const it = world([new HostError("upstream_unavailable"), says("done")], { claim: long() });
    await it.run();
    expect(it.writes[0]?.done[0]).toMatchObject({ state: "error", output: { error: { code: "summary_failed" } } });
    expect(it.requests[1]?.messages.length).toBeLessThan(10);
    expect(it.end()).toMatchObject({ status: "completed", output: "done" });
    expect(it.end()?.summary).toBeUndefined();
  });

  test("after a crash the summary in the journal is used, not made again", async () => {
    const claim = long();
    const it = world([says("done")], {
      claim: {
        ...claim,
        steps: [
          step({ seq: 1, kind: "model", name: "m", effect: "model", output: { ...says("Kept."), summarised: 6 } }),
          step({ seq: 2, kind: "model", state: "started", name: "m", effect: "model" }),
        ],
      },
    });
    await it.run();
    expect(it.requests).toHaveLength(1);
    expect(it.requests[0]?.messages[1]?.content).toContain("Kept.");
  });
});

describe("structured answers", () => {
  const structured = (): Partial<Claim> => ({ spec: { ...spec(), output: { schema: { type: "object" } } } });
  const submits = (text: string): ModelAnswer => ({
    ...calls("submit_result"),
    toolCalls: [{ id: "s", name: "submit_result", arguments: text }],
  });

  test("what is handed in by the tool is the output, as canonical JSON", async () => {
    const it = world([submits('{ "z": 1, "ok": true }')], { claim: structured() });
    await it.run();
    expect(it.requests[0]?.tools.map(({ name }) => name)).toEqual(["submit_result"]);
    expect(it.end()).toMatchObject({ status: "completed", output: '{"ok":true,"z":1}' });
  });

  test("a wrong one is put right once, with the validator's message before the model", async () => {
    const it = world([submits('{"ok":false}'), submits('{"ok":true}')], { claim: structured() });
    await it.run();
    expect(it.requests[1]?.messages.at(-1)).toMatchObject({
      role: "tool",
      content: expect.stringContaining("ok must"),
    });
    expect(it.end()).toMatchObject({ status: "completed", output: '{"ok":true}' });
  });

  test("a second wrong one is output_invalid", async () => {
    const it = world([submits('{"ok":false}'), submits("{not json")], { claim: structured() });
    await it.run();
    expect(it.requests).toHaveLength(2);
    expect(it.end()).toMatchObject({ status: "failed", error: { code: "output_invalid" } });
  });

  test("an answer in words is asked for as a call, by name; words that are the JSON itself count", async () => {
    const words = world([says("It is ok."), submits('{"ok":true}')], { claim: structured() });
    await words.run();
    expect(words.requests[1]).toMatchObject({ toolChoice: { named: "submit_result" } });
    expect(words.end()).toMatchObject({ status: "completed", output: '{"ok":true}' });
    const json = world([says('```json\n{"ok": true}\n```')], { claim: structured() });
    await json.run();
    expect(json.end()).toMatchObject({ status: "completed", output: '{"ok":true}' });
    const stubborn = world([says("words"), says("more words")], { claim: structured() });
    await stubborn.run();
    expect(stubborn.end()).toMatchObject({ status: "failed", error: { code: "output_invalid" } });
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

describe("a policy that changes while calls wait their turn", () => {
  const openCall = (kind: "tool" | "run", epoch: number) => [
    step({ seq: 1, kind: "model", name: "m", effect: "model", output: { ...calls("a"), usage } }),
    step({
      seq: 2,
      kind,
      state: "started",
      name: "a",
      effect: "safe",
      epoch,
      input: { id: "c0", name: "a", arguments: "{}", ...(kind === "run" ? { run: "run_2", tokens: 50_000 } : {}) },
    }),
  ];

  test("does not let a call pass whose approval nobody was asked for", async () => {
    let denied = true;
    const a = { denied: async () => denied, needsApproval: () => true };
    const it = world([calls("b", "a"), says("done")], {
      tools: {
        a: async () => "made",
        b: async () => {
          denied = false;
          return "b";
        },
      },
      more: { a },
      claim: { spec: spec({ parallelTools: 1 }) },
    });
    expect(await it.run()).toBe("ended");
    expect(it.called).toEqual(["b"]);
    expect(it.writes.flatMap(({ done }) => done).find(({ seq }) => seq === 3)).toMatchObject({
      state: "error",
      output: { code: "policy_denied" },
    });
  });

  test("nor one that a worker before had begun", async () => {
    for (const kind of ["tool", "run"] as const) {
      const it = world([says("done")], {
        tools: { a: async () => "made" },
        more: {
          a: {
            needsApproval: () => true,
            ...(kind === "run" ? { agent: { deployment: "a", inputOf: () => "" } } : {}),
          },
        },
        claim: { epoch: 2, steps: openCall(kind, 1) },
      });
      expect(await it.run()).toBe("ended");
      expect([it.called, it.begun]).toEqual([[], []]);
    }
  });

  test.each([
    [false, true],
    [true, false],
  ])(
    "another agent is begun only where it is allowed, also by the worker after (denied: %s)",
    async (denied, mayBegin) => {
      for (const epoch of [1, 2]) {
        const it = world([says("done")], {
          tools: { a: async () => "made" },
          more: { a: { denied: async () => denied, agent: { deployment: "a", inputOf: () => "" } } },
          claim: { epoch, steps: openCall("run", 1) },
        });
        expect(await it.run()).toBe("ended");
        expect(it.begun).toEqual([mayBegin]);
      }
    },
  );
});
