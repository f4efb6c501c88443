import { setTimeout } from "node:timers/promises";
import type { AgentSpec, ModelDelta } from "@maru/contract";
import { type EnginePorts, executeRun, type ModelRoute } from "@maru/engine";
import {
  classifyAnswer,
  createEstimator,
  createModelClient,
  type DialectName,
  describeModelError,
  findModel,
  priceMicros,
} from "@maru/model";
import type { Claim, JournalWrite, ModelOutput, StoredStep } from "@maru/store";
import { createArgumentCheck, type PreparedTool, parseArguments } from "@maru/tools";

/** Hosts as the simulator plays them, and the dialect a client speaks to each. */
export const HOSTS = {
  friendli: "friendli",
  vllm: "vllm",
  "vllm-legacy": "vllm",
  sglang: "sglang",
  openai: "vllm",
} as const satisfies Record<string, DialectName>;
export type HostName = keyof typeof HOSTS;

export interface Cell {
  readonly host: HostName;
  readonly stream: boolean;
  readonly thinking: boolean;
}
export const CELLS: readonly Cell[] = (Object.keys(HOSTS) as HostName[]).flatMap((host) =>
  [true, false].flatMap((stream) => [true, false].map((thinking) => ({ host, stream, thinking }))),
);

/** All that came of a run. */
export interface Played {
  /** `completed`, `failed CODE`, `incomplete REASON`. */
  readonly end: string;
  readonly output: string | null;
  readonly modelCalls: number;
  /** Arguments of the calls that ran, in order. */
  readonly ran: readonly Readonly<Record<string, unknown>>[];
  readonly deltas: readonly ModelDelta[];
  readonly steps: readonly StoredStep[];
  readonly usage: readonly NonNullable<JournalWrite["usage"]>[];
}

/** Time runs faster here, for the client and for the simulator: pauses and limits keep their proportions. */
export const TIMES_FASTER = 10;
/** Silence after which a host is given up: less than its slow first byte, more than a busy machine needs. */
const SILENCE_MS = 20_000;
const clock = {
  now: () => performance.timeOrigin + performance.now() * TIMES_FASTER,
  sleep: (ms: number, signal: AbortSignal) => setTimeout(ms / TIMES_FASTER, undefined, { signal }),
};
const WEATHER = {
  type: "object",
  properties: { city: { type: "string" } },
  required: ["city"],
  additionalProperties: false,
} as const;

/**
 * One run of the real engine over the real client against a host of the simulator: the journal is kept in memory, and the
 * one tool counts its calls.
 */
export async function play(baseUrl: string, { host, stream, thinking }: Cell, instructions: string): Promise<Played> {
  const client = createModelClient({
    baseUrl: `${baseUrl}/d/${host}/v1`,
    apiKey: "test",
    simulated: true,
    dialect: HOSTS[host],
    stream,
    maxRetries: 1,
    clock,
    firstByteMs: SILENCE_MS,
    idleMs: SILENCE_MS,
  });
  const model = findModel("k-exaone");
  if (model === undefined) throw new Error("the catalogue has no k-exaone");
  const estimator = createEstimator();
  const deltas: ModelDelta[] = [];
  const ran: Record<string, unknown>[] = [];
  const usage: NonNullable<JournalWrite["usage"]>[] = [];
  let modelCalls = 0;
  let end: JournalWrite["end"] = null;
  const steps: StoredStep[] = [opened(1, "model", model.id, null)];

  const route: ModelRoute = {
    model,
    simulated: true,
    complete: (request, options) => {
      modelCalls++;
      return client.complete(request, { ...options, promptTokens: estimator.request(request) });
    },
  };
  const weather: PreparedTool = {
    declaration: { name: "get_weather", description: "Current weather of a city", parameters: WEATHER },
    effect: "at_most_once",
    checkArguments: createArgumentCheck(WEATHER),
    call: async (args) => {
      ran.push(args as Record<string, unknown>);
      const output = JSON.stringify({ city: (args as { city: string }).city, condition: "맑음", temperature_c: 21 });
      return { output, isError: false, code: null, truncated: false };
    },
  };
  const ports: EnginePorts = {
    model: {
      resolve: async () => [route],
      classify: classifyAnswer,
      estimateRequest: (request) => estimator.request(request),
      estimateText: (of, text) => estimator.text(of, text),
      overflowed: (request) => estimator.overflowed(request),
      price: priceMicros,
      describeError: describeModelError,
    },
    tools: {
      prepare: () => ({
        declarations: [weather.declaration],
        names: ["get_weather"],
        get: (name) => (name === "get_weather" ? weather : undefined),
      }),
      checker: createArgumentCheck,
      parseArguments,
      secrets: async () => new Map(),
    },
    artifacts: { keep: async () => "full" },
    children: { start: async () => ({ kind: "refused", code: "unknown_agent", message: "There are no others." }) },
    journal: {
      write: async (_claim, entry) => {
        for (const done of entry.done) {
          const index = steps.findIndex(({ seq }) => seq === done.seq);
          steps[index] = { ...steps[index], state: done.state, output: done.output } as StoredStep;
        }
        for (const { seq, kind, name, input } of entry.start) steps.push(opened(seq, kind, name, input));
        if (entry.usage !== null) usage.push(entry.usage);
        end = entry.end ?? end;
        return {
          ok: true,
          room: true,
          cancelRequested: false,
          events: entry.events.map((event, index) => ({ ...event, seq: index + 1, at: new Date(0).toISOString() })),
        };
      },
    },
    live: {
      delta: (_run, _step, kind, text) => deltas.push({ kind, text } as ModelDelta),
      progress: () => {},
      committed: () => {},
    },
    clock: {
      now: () => performance.now(),
      date: () => new Date(),
      after: () => () => {},
    },
  };
  const claim: Claim = {
    workspaceId: "wsp_1",
    runId: "run_1",
    epoch: 1,
    spec: specOf(instructions, thinking),
    revisionKey: "1",
    input: "서울 날씨 알려줘",
    threadId: null,
    endUser: null,
    child: false,
    startedAt: new Date(0),
    waitedMs: 0,
    now: new Date(0),
    steps,
    threadMessages: [],
    threadSummary: null,
    threadFrom: 1,
    events: [],
  };
  try {
    await executeRun(claim, ports, new AbortController().signal);
  } finally {
    client.close();
  }
  const last = end as JournalWrite["end"];
  if (last === null) throw new Error("the run did not end");
  return {
    end: [last.status, last.error?.code ?? last.reason].filter(Boolean).join(" "),
    output: last.output,
    modelCalls,
    ran,
    deltas,
    steps,
    usage,
  };
}

const specOf = (instructions: string, thinking: boolean): AgentSpec => ({
  name: "a",
  labels: {},
  description: "",
  model: {
    name: "k-exaone",
    thinking,
    temperature: 1,
    topP: 0.95,
    presencePenalty: 0,
    seed: null,
    maxOutputTokens: 1_000,
  },
  instructions,
  tools: [],
  limits: {
    steps: 12,
    tokens: 1_000_000,
    durationMs: 60_000,
    parallelTools: 4,
    toolOutputBytes: 4_096,
    identicalCalls: 3,
  },
  memory: { thread: { strategy: "trim", maxTokens: 10_000 } },
});

const opened = (seq: number, kind: StoredStep["kind"], name: string, input: unknown): StoredStep =>
  ({
    seq,
    kind,
    state: "started",
    name,
    effect: kind === "model" ? "model" : "at_most_once",
    input,
    output: null,
    epoch: 1,
    attempt: 1,
    startedAt: new Date(0).toISOString(),
    finishedAt: null,
  }) as unknown as StoredStep;

/** Marks of a chat template: nothing a user may ever see. */
const TEMPLATE = /<\/?think>|<\/?tool_call>|<\|[a-z_]+\|>|\[\|[a-z]+\|\]|<tool_result>/;

/** What must hold of every run, whatever its host did; empty when it does. */
export function broken(played: Played, reportsUsage: boolean): string[] {
  const wrong: string[] = [];
  const shown = played.deltas
    .filter(({ kind }) => kind === "text")
    .map(({ text }) => text)
    .join("");
  if (TEMPLATE.test(played.output ?? "") || TEMPLATE.test(shown)) wrong.push("template text shown to the user");
  const called = played.steps.filter((step) => step.kind === "tool");
  if (played.ran.length > called.length) wrong.push("a call ran more often than it was made");
  if (new Set(called.map(({ seq }) => seq)).size !== called.length) wrong.push("a step was opened twice");
  const asked = played.steps.flatMap((step) =>
    step.kind === "model" && step.state === "done" ? ((step.output as ModelOutput | null)?.toolCalls ?? []) : [],
  );
  if (called.length > asked.length) wrong.push("a call ran that no finished answer made");
  if (played.ran.some(({ city }) => typeof city !== "string" || city === ""))
    wrong.push("a call ran with half its arguments");
  const answered = played.steps.filter((step) => step.kind === "model" && step.state === "done").length;
  if (played.usage.length < answered) wrong.push("an answer without usage");
  if (played.usage.some(({ inputTokens }) => inputTokens <= 0)) wrong.push("usage without input tokens");
  if (!reportsUsage && played.usage.some(({ estimated }) => !estimated))
    wrong.push("usage made up, but not called estimated");
  return wrong;
}
