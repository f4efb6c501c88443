import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { ChatCall } from "./call.ts";
import { modelList } from "./catalogue.ts";
import { answerChat, type Outcome } from "./chat.ts";
import { registerControl } from "./control-api.ts";
import { demoApi } from "./demo-api.ts";
import { type FaultName, isFaultName } from "./faults/faults.ts";
import type { JournalEntry } from "./journal.ts";
import { hostOf, type SimulatorOptions } from "./options.ts";
import type { Latency, Timing } from "./pacing.ts";
import { readScenario, type ScenarioRule, unknownFault } from "./scenario.ts";
import { sendAnswer } from "./sending.ts";
import { createServer } from "./server.ts";
import { createState, resetState } from "./state.ts";
import { tokenApi } from "./token-api.ts";
import { DIALECT_NAMES } from "./wire/dialect.ts";
import { DIALECTS, dialectNamed } from "./wire/dialects.ts";

export interface Address {
  /** 127.0.0.1 by default. */
  readonly host?: string;
  /** 0 takes a free one. */
  readonly port: number;
}

export interface Simulator {
  listen(address: Address): Promise<{ readonly url: string }>;
  /** Starts the control plane, which does over HTTP what the methods below do. */
  listenControl(address: Address): Promise<{ readonly url: string }>;
  /** Stops at once: calls still being answered are cut. */
  close(): Promise<void>;
  /** Latency of calls that start from now on. */
  readonly settings: Latency;
  /** Thinking time and scale of calls that start from now on. */
  readonly timing: Timing;
  /** Chat completion calls received so far, refused ones included. */
  calls(): number;
  /**
   * Every call that can have this fault has it, with `times` only the first so many tries of each request; null ends it.
   * @throws Error for a name that FAULTS does not have
   */
  setFault(name: FaultName | null, options?: { readonly times?: number }): void;
  fault(): { readonly name: FaultName; readonly times: number | null } | null;
  /** What the model says to requests that fit; the first rule that does decides. @throws Error for a wrong rule */
  setScenario(rules: readonly ScenarioRule[]): void;
  scenario(): readonly ScenarioRule[];
  /** `now` stops the clock at an instant, null starts it again; `scale` multiplies every time of a call. */
  setClock(clock: { readonly now?: Date | null; readonly scale?: number }): void;
  now(): Date;
  /** The newest calls with what they were answered, oldest first. */
  journal(): JournalEntry[];
  /** Forgets calls, counts, cached prompts, scenario and fault, and lets the clock go. Times and latency stay. */
  reset(): void;
}

/** An offline K-EXAONE endpoint with the wire of an OpenAI-compatible host; see the package's README. */
export function createSimulator(options: SimulatorOptions = {}): Simulator {
  const host = hostOf(options);
  const state = createState();
  const { thinkingMs = 0, scale = 1, ...rates } = options.timing ?? {};
  const settings: Latency = {
    callMs: 0,
    firstByteMs: 0,
    tokensPerSecond: 0,
    writeIntervalMs: 15,
    ...rates,
    ...options.latency,
  };
  const timing: Timing = { thinkingMs, scale };
  const clock = options.clock ?? { now: () => new Date() };
  const now = (): Date => state.instant ?? clock.now();
  const onError = options.onError ?? (() => {});
  const allowed = options.apiKeys === undefined ? null : new Set(options.apiKeys);
  const app = createServer(onError);
  let control: FastifyInstance | null = null;
  let calls = 0;

  const chat = (http: FastifyRequest, reply: FastifyReply): FastifyReply => {
    calls++;
    const text = typeof http.body === "string" ? http.body : "";
    const name = dialectOf(http) ?? host.dialect;
    const dialect = dialectNamed(name);
    const outcome =
      dialect === undefined
        ? unknownDialect(name)
        : answerCall({ ...callerOf(http), body: text, dialect }, allowed, (call) =>
            answerChat({ host, state, latency: settings, timing, now }, call),
          );
    const { answer, digest, fault } = outcome;
    const status = "status" in answer ? answer.status : 200;
    state.journal.note({ at: now().toISOString(), dialect: dialect?.name ?? null, text, digest, status, fault });
    return sendAnswer(reply, answer, settings.writeIntervalMs, host.chunkBytes);
  };

  for (const prefix of ["", "/serverless", "/d/:dialect", "/d/:dialect/serverless"]) {
    app.post(`${prefix}/v1/chat/completions`, chat);
    app.get(`${prefix}/v1/models`, async () => modelList(host.models, host.hostCap));
  }
  app.get("/health", async () => ({ status: "ok" }));
  app.register(tokenApi);
  app.register(demoApi);

  const simulator: Simulator = {
    settings,
    timing,
    calls: () => calls,
    async listen({ host: address = "127.0.0.1", port }) {
      return { url: await app.listen({ host: address, port }) };
    },
    async listenControl({ host: address = "127.0.0.1", port }) {
      control ??= createServer(onError);
      registerControl(control, simulator);
      return { url: await control.listen({ host: address, port }) };
    },
    async close() {
      await Promise.all([app.close(), control?.close()]);
    },
    setFault(name, { times = Number.POSITIVE_INFINITY } = {}) {
      if (name !== null && !isFaultName(name)) throw new Error(unknownFault(name));
      state.fault = name === null ? null : { name, times };
    },
    fault: () =>
      state.fault && { ...state.fault, times: Number.isFinite(state.fault.times) ? state.fault.times : null },
    setScenario(rules) {
      state.scenario = readScenario(rules);
    },
    scenario: () => state.scenario,
    setClock({ now: instant, scale: factor }) {
      if (instant !== undefined) state.instant = instant;
      if (factor !== undefined) timing.scale = factor;
    },
    now,
    journal: () => state.journal.entries(),
    reset() {
      calls = 0;
      resetState(state);
    },
  };
  return simulator;
}

/** Checks the key, then answers. */
function answerCall(call: ChatCall, allowed: ReadonlySet<string> | null, answer: (call: ChatCall) => Outcome): Outcome {
  if (allowed === null || allowed.has(call.key)) return answer(call);
  const body = call.dialect.errorBody(401, "Invalid or missing API key.");
  return { answer: { status: 401, body }, digest: null, fault: null };
}

function callerOf({ headers }: FastifyRequest): Pick<ChatCall, "key" | "team" | "fault"> {
  return {
    key: /^Bearer (.+)$/i.exec(headers.authorization ?? "")?.[1] ?? "",
    team: one(headers["x-friendli-team"]),
    fault: one(headers["x-sim-fault"]),
  };
}

/** The dialect the call asks for: by its mount, else by its header. */
function dialectOf({ params, headers }: FastifyRequest): string | null {
  return (params as { dialect?: string }).dialect ?? one(headers["x-sim-dialect"]);
}

function one(header: string | string[] | undefined): string | null {
  return (Array.isArray(header) ? header[0] : header) || null;
}

function unknownDialect(name: string): Outcome {
  const message = `no dialect is named ${name.slice(0, 100)}; known are ${DIALECT_NAMES.join(", ")}`;
  return { answer: { status: 400, body: DIALECTS.friendli.errorBody(400, message) }, digest: null, fault: null };
}
