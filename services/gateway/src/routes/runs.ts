import { type AgentSpec, type BodyOf, newId, Problem, type RequiredAction, type Routes } from "@maru/contract";
import { canonicalJson } from "@maru/domain";
import { estimateTokens } from "@maru/model";
import type { LiveBus } from "@maru/queue";
import type { Answers, NewRun, RunNotice, Store, StoredEvent } from "@maru/store";
import { prepareTools, UNCALLED } from "@maru/tools";
import type { FastifyReply, FastifyRequest } from "fastify";
import type { Caller } from "../auth/authenticate.ts";
import type { StreamTimes } from "../config.ts";
import { type Handlers, STREAMED, type Streamed } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { readShelf, type Serving } from "../models/shelf.ts";
import type { RunControl } from "../runs.ts";
import type { Heads } from "../streams/heads.ts";
import { renderEvent } from "../streams/render.ts";
import { sendEvents } from "../streams/sse.ts";
import { isTerminal, watchRun } from "../streams/watch.ts";
import { uuidPosition } from "./positions.ts";

export interface RunDeps {
  readonly store: Store;
  readonly control: RunControl;
  readonly bus: LiveBus;
  readonly heads: Heads;
  readonly pages: Pages;
  readonly serving: Serving;
  readonly times: StreamTimes;
  /** Aborts when the gateway stops: streams end, to be resumed elsewhere by their last id. */
  readonly closing: AbortSignal;
}

/**
 * Says in a header that windows are nearly used up or end soon, as structured fields (RFC 9651): the limit's name, the share that is
 * used in percent, and when the window ends in seconds since 1970.
 */
function quotaNotices(reply: FastifyReply, notices: readonly RunNotice[]): void {
  if (notices.length === 0) return;
  const items = notices.map(
    ({ name, used, limit, ends_at }) =>
      `"${name}";used=${Math.floor((used * 100) / Math.max(1, limit))};ends=@${Math.floor(Date.parse(ends_at) / 1_000)}`,
  );
  reply.header("maru-quota-notice", items.join(", "));
}

const MAX_WAIT_SECONDS = 60;
export const MESSAGE_TOKENS = 8;

export function runRoutes(deps: RunDeps) {
  const { store, control, bus, pages, serving, closing } = deps;
  const { wake } = control;
  const { simulated } = serving;
  const { runs } = store;

  const stream = async (
    reply: FastifyReply,
    workspaceId: string,
    runId: string,
    watch: ReturnType<typeof watchRun>["watch"],
    createdAt: string | null,
  ): Promise<Streamed> => {
    await sendEvents(reply, deps.times, closing, async function* (signal) {
      for await (const item of watch(signal, createdAt)) {
        if (item.kind === "live") yield { id: null, event: item.event.type, data: item.event };
        else {
          const event = await renderEvent(runId, item.event, () => runs.get(workspaceId, runId));
          yield { id: event.seq, event: event.type, data: event };
        }
      }
    });
    return STREAMED;
  };

  const answer = async (request: FastifyRequest, workspaceId: string, runId: string, answers: Answers) => {
    const { run, resumed } = await runs.answer(workspaceId, runId, answers);
    bus.publish(runId, { kind: "reload" });
    if (resumed !== null) wake(request, workspaceId, resumed);
    return { status: 200 as const, body: run };
  };

  /** The model a fork asks instead, with what its makers recommend. @throws Problem unknown_model */
  const modelOf = async (workspaceId: string, name: string, spec: AgentSpec): Promise<AgentSpec["model"]> => {
    const shelf = await readShelf(store.models, workspaceId, serving);
    const found = shelf.find(name);
    if (found === undefined || found.status === "unserved") {
      const able = shelf.models.filter(({ status }) => status !== "unserved").map(({ model }) => model.id);
      throw new Problem("unknown_model", `There is no model ${name} here: it has ${able.join(", ")}.`, {
        errors: [{ pointer: "/overrides/model", code: "unknown_model", detail: `must be one of ${able.join(", ")}` }],
      });
    }
    const { model } = found;
    const { control } = model.thinking;
    const thinking = control === "always" ? true : control === "never" ? false : spec.model.thinking;
    return {
      name,
      thinking,
      temperature: model.sampling.temperature,
      topP: model.sampling.topP,
      presencePenalty: model.sampling.presencePenalty,
      seed: spec.model.seed,
      maxOutputTokens: thinking ? model.maxOutputTokens.default : model.maxOutputTokens.nonThinking,
      ...(spec.model.fallbacks === undefined ? {} : { fallbacks: spec.model.fallbacks.filter((id) => id !== name) }),
    };
  };

  return {
    createRun: async ({ caller, body, request, reply, idempotency }): ReturnType<Handlers["createRun"]> => {
      const id = newId("run");
      const streaming = wantsEvents(request);
      const waitSeconds = preferredWait(request.headers.prefer);
      // Listening begins before the run exists, so nothing it says can be missed.
      let watcher =
        streaming || waitSeconds > 0
          ? watchRun(deps, { workspaceId: caller.workspaceId, runId: id, afterSeq: 0, live: streaming })
          : null;
      let created: Awaited<ReturnType<typeof runs.create>>;
      try {
        created = await runs.create(caller.workspaceId, { ...newRunOf(body, caller, simulated), id, idempotency });
      } catch (error) {
        watcher?.unsubscribe();
        throw error;
      }
      const { run, replayed, behind, parked } = created;
      quotaNotices(reply, created.notices);
      for (const interrupted of created.interrupted) bus.publish(interrupted, { kind: "cancel" });
      if (replayed) {
        watcher?.unsubscribe();
        watcher =
          watcher === null
            ? null
            : watchRun(deps, { workspaceId: caller.workspaceId, runId: run.id, afterSeq: 0, live: streaming });
        reply.header("idempotency-replayed", "true");
      } else if (!behind && !parked) wake(request, caller.workspaceId, { runId: run.id, epoch: 0 });
      reply.header("location", `/v1/runs/${run.id}`);
      if (watcher === null) return { status: 202, body: run };
      const createdAt = replayed ? null : run.created_at;
      if (streaming) return stream(reply, caller.workspaceId, run.id, watcher.watch, createdAt);
      const ended = await endsWithin(watcher.watch, createdAt, waitSeconds * 1_000, closing);
      const now = await runs.get(caller.workspaceId, run.id);
      return { status: ended ? 200 : 202, headers: { "preference-applied": `wait=${waitSeconds}` }, body: now };
    },

    listRuns: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        `runs ${query.status ?? ""} ${query.deployment ?? ""} ${query.thread_id ?? ""} ${query.parent_run_id ?? ""} ${query.schedule_id ?? ""} ${query.trigger_id ?? ""}`,
        caller.workspaceId,
        query,
        (limit, before) =>
          runs.list(
            caller.workspaceId,
            {
              ...(query.status === undefined ? {} : { status: query.status }),
              ...(query.deployment === undefined ? {} : { deployment: query.deployment }),
              ...(query.thread_id === undefined ? {} : { threadId: query.thread_id }),
              ...(query.parent_run_id === undefined ? {} : { parentRunId: query.parent_run_id }),
              ...sourceOf(query),
            },
            limit,
            before,
          ),
        uuidPosition("run"),
      ),
    }),

    getRun: async ({ caller, params }) => ({ status: 200, body: await runs.get(caller.workspaceId, params.run) }),

    listRunEvents: async ({ caller, params, query, request, reply }): ReturnType<Handlers["listRunEvents"]> => {
      const after = query.after_seq ?? lastEventId(request.headers["last-event-id"]);
      // Asked first, so that a run of another workspace is a plain 404 in either form.
      const page = await runs.eventsAfter(caller.workspaceId, params.run, after, query.limit ?? 100);
      if (page.payloadExpired) throw new Problem("payload_expired", "GET /v1/runs/{run} still says how the run ended.");
      if (wantsEvents(request)) {
        if (after > page.lastSeq) throw fromTheFuture(page.lastSeq, query.after_seq === undefined);
        // Nothing is left to say. A browser's EventSource would come back for ever; 204 tells it not to.
        if (page.ended && after === page.lastSeq) return { status: 204 };
        const { watch } = watchRun(deps, {
          workspaceId: caller.workspaceId,
          runId: params.run,
          afterSeq: after,
          live: true,
        });
        return stream(reply, caller.workspaceId, params.run, watch, null);
      }
      const data = [];
      for (const event of page.events)
        data.push(await renderEvent(params.run, event, () => runs.get(caller.workspaceId, params.run)));
      return { status: 200, body: { data, last_seq: page.lastSeq } };
    },

    listRunSteps: async ({ caller, params }) => ({
      status: 200,
      body: { data: await runs.steps(caller.workspaceId, params.run) },
    }),

    cancelRun: async ({ caller, params, request }) => {
      const run = await control.cancel(request, caller.workspaceId, params.run);
      return { status: run.finished_at === null ? 202 : 200, body: run };
    },

    submitToolResults: async ({ caller, params, body, request }) => {
      const { workspaceId } = caller;
      const { spec } = await runs.asked(workspaceId, params.run);
      for (const [index, { output }] of body.tool_results.entries()) {
        if (Buffer.byteLength(output) <= spec.limits.toolOutputBytes) continue;
        const detail = `may have ${spec.limits.toolOutputBytes} bytes (spec.limits.toolOutputBytes): shorten it and send it again`;
        throw new Problem("result_too_large", `A result of this agent ${detail}.`, {
          errors: [{ pointer: `/tool_results/${index}/output`, code: "result_too_large", detail }],
        });
      }
      unique(body.tool_results, "tool_results");
      const results = body.tool_results.map((result) => ({
        callId: result.call_id,
        output: result.output,
        isError: result.is_error ?? false,
      }));
      return answer(request, workspaceId, params.run, { by: answererOf(caller), results });
    },

    decideApprovals: async ({ caller, params, body, request }) => {
      const { workspaceId } = caller;
      const { spec, waiting } = await runs.asked(workspaceId, params.run);
      unique(body.approvals, "approvals");
      const tools = prepareTools(spec.tools, UNCALLED);
      const approvals = body.approvals.map(({ call_id: callId, decision, reason, arguments: args }, index) => {
        const pointer = `/approvals/${index}/arguments`;
        const refuse = (detail: string): never => {
          throw new Problem("validation_failed", detail, {
            errors: [{ pointer, code: "validation_failed", detail }],
          });
        };
        if (args !== undefined && decision === "reject") refuse("A rejected call is not made: leave arguments out.");
        const name = waiting.findLast(({ id }) => id === callId)?.name;
        const wrong = args === undefined || name === undefined ? null : tools.get(name)?.checkArguments(args);
        if (wrong) refuse(wrong);
        return {
          callId,
          decision,
          reason: reason ?? null,
          arguments: args === undefined ? null : canonicalJson(args),
        };
      });
      return answer(request, workspaceId, params.run, { by: answererOf(caller), approvals });
    },

    forkRun: async ({ caller, params, body, request, reply }) => {
      const { workspaceId } = caller;
      const { from_step: fromStep, overrides = {} } = body;
      const { spec } = await runs.asked(workspaceId, params.run);
      const source = await runs.get(workspaceId, params.run);
      if (source.payload_expired_at !== null)
        throw new Problem("payload_expired", "Its journal is gone; start a new run.");
      const model = overrides.model === undefined ? null : await modelOf(workspaceId, overrides.model, spec);
      const steps = (await runs.steps(workspaceId, params.run)).filter(({ seq }) => seq < fromStep);
      const results = overrides.tool_results ?? [];
      const said = steps.flatMap(({ reasoning, text, output }) => [reasoning ?? "", text ?? "", output ?? ""]);
      const texts = [
        source.input,
        overrides.instructions ?? spec.instructions,
        ...said,
        ...results.map(({ output }) => output),
      ];
      const run = await runs.fork(workspaceId, params.run, {
        id: newId("run"),
        fromStep,
        overrides: {
          ...(overrides.instructions === undefined ? {} : { instructions: overrides.instructions }),
          ...(model === null ? {} : { model }),
        },
        toolResults: results,
        tokens:
          texts.reduce((sum, text) => sum + estimateTokens(text) + MESSAGE_TOKENS, 0) +
          (model ?? spec.model).maxOutputTokens,
        metadata: body.metadata ?? {},
        simulated,
        apiKeyId: caller.apiKeyId,
      });
      wake(request, workspaceId, { runId: run.id, epoch: 0 });
      reply.header("location", `/v1/runs/${run.id}`);
      return { status: 202, body: run };
    },
  } satisfies Partial<Handlers>;
}

/** A run as it is asked for, under an id of its own. */
export const newRunOf = (
  body: BodyOf<Routes["createRun"]>,
  caller: Pick<Caller, "apiKeyId">,
  simulated: boolean,
): NewRun => ({
  id: newId("run"),
  deployment: body.deployment,
  input: body.input,
  inputTokens: estimateTokens(body.input) + MESSAGE_TOKENS,
  threadId: body.thread_id ?? null,
  revision: body.revision ?? null,
  onThreadBusy: body.on_thread_busy ?? null,
  metadata: body.metadata ?? {},
  simulated,
  apiKeyId: caller.apiKeyId,
  idempotency: null,
});

/** Whose runs are asked for. @throws Problem validation_failed when of two at once */
function sourceOf({ schedule_id: schedule, trigger_id: trigger }: { schedule_id?: string; trigger_id?: string }) {
  if (schedule !== undefined && trigger !== undefined) {
    const detail = "can't be asked for with schedule_id: a run has one source";
    throw new Problem("validation_failed", `trigger_id ${detail}.`, {
      errors: [{ pointer: "?trigger_id", code: "validation_failed", detail }],
    });
  }
  if (schedule !== undefined) return { source: { kind: "schedule", id: schedule } } as const;
  return trigger === undefined ? {} : ({ source: { kind: "trigger", id: trigger } } as const);
}

/** Who asks: the API key, or the person. */
export const answererOf = (caller: Caller): string => caller.apiKeyId ?? caller.user?.id ?? caller.workspaceId;

/** @throws Problem when a request answers one call twice */
function unique(answers: readonly { call_id: string }[], field: string): void {
  const index = answers.findIndex(({ call_id }, n) => answers.findIndex((other) => other.call_id === call_id) < n);
  if (index < 0) return;
  const detail = "answers a call this request answers already";
  throw new Problem("validation_failed", `/${field}/${index} ${detail}.`, {
    errors: [{ pointer: `/${field}/${index}/call_id`, code: "validation_failed", detail }],
  });
}

/** Whether the caller asked for a stream of events. @throws Problem not_acceptable */
function wantsEvents(request: FastifyRequest): boolean {
  return /\btext\/event-stream\b/i.test(request.headers.accept ?? "");
}

/** `Prefer: wait=N` (RFC 7240 §4.3) in seconds, at most 60; 0 when absent or not understood, as the RFC asks. */
function preferredWait(header: string | string[] | undefined): number {
  const match = /(?:^|[,;\s])wait\s*=\s*"?(\d{1,6})"?(?:$|[,;\s])/i.exec(String(header ?? ""));
  return match === null ? 0 : Math.min(MAX_WAIT_SECONDS, Number(match[1]));
}

function fromTheFuture(last: number, header: boolean): Problem {
  const detail = `must be the id of an event that was sent: the last one is ${last}`;
  const pointer = header ? "header:Last-Event-ID" : "?after_seq";
  return new Problem(
    header ? "invalid_header" : "validation_failed",
    `${header ? "Last-Event-ID" : "after_seq"} ${detail}.`,
    {
      errors: [{ pointer, code: header ? "invalid_header" : "validation_failed", detail }],
    },
  );
}

function lastEventId(header: string | string[] | undefined): number {
  if (header === undefined || header === "") return 0;
  if (typeof header !== "string" || !/^\d{1,9}$/.test(header)) {
    throw new Problem("invalid_header", "Last-Event-ID must be the id of an event of this run.", {
      errors: [
        {
          pointer: "header:Last-Event-ID",
          code: "invalid_header",
          detail: "must be a whole number from 0 to 999999999",
        },
      ],
    });
  }
  return Number(header);
}

/** Whether the run ends in time, or comes to wait for somebody who has to answer. */
async function endsWithin(
  watch: ReturnType<typeof watchRun>["watch"],
  createdAt: string | null,
  ms: number,
  closing: AbortSignal,
): Promise<boolean> {
  const late = AbortSignal.any([AbortSignal.timeout(ms), closing]);
  for await (const item of watch(late, createdAt)) {
    if (item.kind === "event" && (isTerminal(item.event.type) || asksSomebody(item.event))) return true;
  }
  return false;
}

/** Whether a run waits for an answer, not only for runs it started. */
function asksSomebody({ type, data }: StoredEvent): boolean {
  if (type !== "run.waiting") return false;
  const { tool_results: results, approvals } = data as Pick<RequiredAction, "tool_results" | "approvals">;
  return results.length + approvals.length > 0;
}
