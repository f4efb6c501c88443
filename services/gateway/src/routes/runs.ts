import { newId, Problem, type Run } from "@maru/contract";
import { estimateTokens } from "@maru/model";
import type { LiveBus, WakeUps } from "@maru/queue";
import type { Store } from "@maru/store";
import type { FastifyReply, FastifyRequest } from "fastify";
import { type Handlers, STREAMED, type Streamed } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { renderEvent } from "../streams/render.ts";
import { sendEvents } from "../streams/sse.ts";
import { isTerminal, watchRun } from "../streams/watch.ts";
import { uuidPosition } from "./positions.ts";

export interface RunDeps {
  readonly store: Store;
  readonly wakeUps: WakeUps;
  readonly bus: LiveBus;
  readonly pages: Pages;
  readonly simulated: boolean;
  /** Aborts when the gateway stops: streams end, to be resumed elsewhere by their last id. */
  readonly closing: AbortSignal;
}

const MAX_WAIT_SECONDS = 60;
const MESSAGE_TOKENS = 8;

export function runRoutes(deps: RunDeps) {
  const { store, wakeUps, bus, pages, simulated, closing } = deps;
  const { runs } = store;

  const stream = async (
    reply: FastifyReply,
    workspaceId: string,
    runId: string,
    watch: ReturnType<typeof watchRun>["watch"],
    createdAt: string | null,
  ): Promise<Streamed> => {
    await sendEvents(reply, closing, async function* (signal) {
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
      let created: { run: Run; replayed: boolean };
      try {
        created = await runs.create(caller.workspaceId, {
          id,
          deployment: body.deployment,
          input: body.input,
          inputTokens: estimateTokens(body.input) + MESSAGE_TOKENS,
          threadId: body.thread_id ?? null,
          metadata: body.metadata ?? {},
          simulated,
          apiKeyId: caller.apiKeyId,
          idempotency,
        });
      } catch (error) {
        watcher?.unsubscribe();
        throw error;
      }
      const { run, replayed } = created;
      if (replayed) {
        watcher?.unsubscribe();
        watcher =
          watcher === null
            ? null
            : watchRun(deps, { workspaceId: caller.workspaceId, runId: run.id, afterSeq: 0, live: streaming });
        reply.header("idempotency-replayed", "true");
      } else {
        // The row is the truth and the wake-up only a hint: when it can't be sent, the sweeper sends it later.
        void wakeUps
          .send({ workspaceId: caller.workspaceId, runId: run.id }, { epoch: 0, recovered: false })
          .catch((error) => {
            request.log.warn({ err: error, runId: run.id }, "wake-up not sent; the sweeper will");
          });
      }
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
        `runs ${query.status ?? ""} ${query.deployment ?? ""} ${query.thread_id ?? ""}`,
        caller.workspaceId,
        query,
        (limit, before) =>
          runs.list(
            caller.workspaceId,
            {
              ...(query.status === undefined ? {} : { status: query.status }),
              ...(query.deployment === undefined ? {} : { deployment: query.deployment }),
              ...(query.thread_id === undefined ? {} : { threadId: query.thread_id }),
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
      if (wantsEvents(request)) {
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

    cancelRun: async ({ caller, params }) => {
      const run = await runs.cancel(caller.workspaceId, params.run);
      // A running one hears of it here at once, and from its next lease renewal in any case.
      bus.publish(params.run, run.status === "cancelled" ? { kind: "reload" } : { kind: "cancel" });
      return { status: 202, body: run };
    },
  } satisfies Partial<Handlers>;
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

/** Whether the run ends in time. */
async function endsWithin(
  watch: ReturnType<typeof watchRun>["watch"],
  createdAt: string | null,
  ms: number,
  closing: AbortSignal,
): Promise<boolean> {
  const late = AbortSignal.any([AbortSignal.timeout(ms), closing]);
  for await (const item of watch(late, createdAt)) {
    if (item.kind === "event" && isTerminal(item.event.type)) return true;
  }
  return false;
}
