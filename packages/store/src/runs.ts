import {
  type IncompleteReason,
  idOf,
  newId,
  Problem,
  type Run,
  type RunError,
  type RunStatus,
  type Step,
  uuidOf,
} from "@maru/contract";
import { asProblem, type Database, instant, instantOrNull, only, sqlDetail, sqlState } from "./database.ts";
import type { Quotas } from "./quota.ts";
import { type StoredStep, stepObject } from "./steps.ts";

export interface NewRun {
  /** The id the run will have, so that a caller can listen for its events before it exists. */
  readonly id: string;
  readonly deployment: string;
  readonly input: string;
  /** Estimated tokens of the input alone; instructions and tools are counted once, at deploy. */
  readonly inputTokens: number;
  readonly threadId: string | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly simulated: boolean;
  readonly apiKeyId: string | null;
  readonly idempotency: { readonly key: string; readonly requestHash: Buffer } | null;
}

export interface StoredEvent {
  readonly seq: number;
  readonly type: string;
  readonly data: Record<string, unknown>;
  readonly at: string;
}

export interface RunFilter {
  readonly status?: RunStatus;
  readonly deployment?: string;
  readonly threadId?: string;
}

/** Runs as the API sees them. What workers do to a run is in `journal.ts`. */
export function createRuns(db: Database, quotas: Quotas) {
  const insert = async (workspaceId: string, run: NewRun): Promise<{ run: Run; replayed: boolean }> => {
    const rows = await db.call<{ r: { run: RunRow; replayed: boolean } }>("SELECT create_run($1) AS r", [
      {
        workspace_id: uuidOf("workspace", workspaceId),
        run_id: uuidOf("run", run.id),
        deployment: run.deployment,
        input: run.input,
        input_tokens: run.inputTokens,
        thread_id: run.threadId === null ? null : uuidOf("thread", run.threadId),
        metadata: run.metadata,
        simulated: run.simulated,
        api_key_id: run.apiKeyId === null ? null : uuidOf("apiKey", run.apiKeyId),
        idempotency_key: run.idempotency?.key ?? null,
        request_hash: run.idempotency?.requestHash.toString("hex") ?? null,
      },
    ]);
    const { run: row, replayed } = only(rows).r;
    return { run: runObject(row), replayed };
  };

  return {
    /**
     * Accepts a run: its row, its first event and its reservation in one transaction. With an idempotency key that was
     * used before answers that run.
     * @throws Problem not_found, thread_busy, idempotency_mismatch, quota_exhausted, free_tier_ended
     */
    async create(workspaceId: string, run: NewRun): Promise<{ run: Run; replayed: boolean }> {
      for (let attempt = 1; ; attempt++) {
        try {
          return await insert(workspaceId, run);
        } catch (error) {
          // The first run of a window finds none: open it by the calendar rule and ask again.
          if (sqlState(error) === "MQ001" && attempt === 1) {
            await quotas.openWindow(workspaceId, new Date(String(sqlDetail(error).now)));
            continue;
          }
          return asProblem(error, {
            MR001: () => new Problem("not_found", `There is no deployment named ${run.deployment}.`),
            MR002: () => new Problem("not_found", `There is no thread ${run.threadId}.`),
            MR003: () => new Problem("thread_busy", "Wait for the thread's run to end, or cancel it."),
            MR004: () => new Problem("idempotency_mismatch", "Use a new key for a new request."),
            MQ002: () => quotas.exhausted(sqlDetail(error)),
          });
        }
      }
    },

    async get(workspaceId: string, id: string): Promise<Run> {
      const rows = await db.call<{ r: RunRow | null }>("SELECT get_run($1, $2) AS r", [
        uuidOf("workspace", workspaceId),
        uuidOf("run", id),
      ]);
      const row = only(rows).r;
      if (row === null) throw new Problem("not_found", `There is no run ${id}.`);
      return runObject(row);
    },

    /** Runs newest first; `before` is the id the page before ended with. */
    async list(workspaceId: string, filter: RunFilter, limit: number, before: string | null): Promise<Run[]> {
      const rows = await db.forWorkspace(uuidOf("workspace", workspaceId) as string).run.findMany({
        where: {
          workspaceId: uuidOf("workspace", workspaceId) as string,
          ...(filter.status === undefined ? {} : { status: filter.status }),
          ...(filter.deployment === undefined ? {} : { deployment: { name: filter.deployment } }),
          ...(filter.threadId === undefined ? {} : { threadId: uuidOf("thread", filter.threadId) }),
          ...(before === null ? {} : { id: { lt: before } }),
        },
        orderBy: { id: "desc" },
        take: limit,
        include: { deployment: { select: { name: true, agent: { select: { name: true } } } } },
      });
      return rows.map((r) =>
        runObject({
          id: r.id,
          status: r.status as RunStatus,
          deployment: r.deployment.name,
          agent: r.deployment.agent.name,
          revision: r.revision,
          model: r.model,
          simulated: r.simulated,
          thread_id: r.threadId,
          input: r.input,
          output: r.output,
          incomplete_reason: r.incompleteReason as IncompleteReason | null,
          error: r.error as RunError | null,
          metadata: r.metadata as Record<string, string>,
          input_tokens: r.inputTokens,
          cached_input_tokens: r.cachedInputTokens,
          output_tokens: r.outputTokens,
          model_calls: r.modelCalls,
          tool_calls: r.toolCalls,
          cost_micros: Number(r.costMicros),
          usage_estimated: r.usageEstimated,
          created_at: r.createdAt,
          started_at: r.startedAt,
          finished_at: r.finishedAt,
        }),
      );
    },

    /** The journal of a run, in order. */
    async steps(workspaceId: string, id: string): Promise<Step[]> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const runId = uuidOf("run", id) as string;
      const client = db.forWorkspace(workspace);
      if ((await client.run.count({ where: { workspaceId: workspace, id: runId } })) === 0) {
        throw new Problem("not_found", `There is no run ${id}.`);
      }
      const rows = await client.runStep.findMany({ where: { workspaceId: workspace, runId }, orderBy: { seq: "asc" } });
      return rows.map((row) => stepObject(row as unknown as StoredStep));
    },

    /**
     * Asks a run to stop; a queued one has ended when this answers.
     * @throws Problem not_found, run_finished
     */
    async cancel(workspaceId: string, id: string): Promise<Run> {
      const rows = await db.call<{ r: { finished: boolean; run: RunRow } | null }>("SELECT cancel_run($1, $2) AS r", [
        uuidOf("workspace", workspaceId),
        uuidOf("run", id),
      ]);
      const { r } = only(rows);
      if (r === null) throw new Problem("not_found", `There is no run ${id}.`);
      if (r.finished) throw new Problem("run_finished", `The run is ${r.run.status}.`);
      return runObject(r.run);
    },

    /** Durable events after `afterSeq`, at most `limit`, with the run's status and its last sequence number now. */
    async eventsAfter(workspaceId: string, id: string, afterSeq: number, limit: number) {
      const rows = await db.call<{ r: { status: RunStatus; last_seq: number; events: StoredEvent[] } | null }>(
        "SELECT run_events_after($1, $2, $3, $4) AS r",
        [uuidOf("workspace", workspaceId), uuidOf("run", id), afterSeq, limit],
      );
      const { r } = only(rows);
      if (r === null) throw new Problem("not_found", `There is no run ${id}.`);
      return {
        status: r.status,
        lastSeq: r.last_seq,
        events: r.events.map((event) => ({ ...event, at: instant(event.at) })),
      };
    },

    newId: () => newId("run"),
  };
}
export type Runs = ReturnType<typeof createRuns>;

/** A run as the SQL function `run_object` answers it. */
interface RunRow {
  readonly id: string;
  readonly status: RunStatus;
  readonly deployment: string;
  readonly agent: string;
  readonly revision: number;
  readonly model: string;
  readonly simulated: boolean;
  readonly thread_id: string | null;
  readonly input: string;
  readonly output: string | null;
  readonly incomplete_reason: IncompleteReason | null;
  readonly error: RunError | null;
  readonly metadata: Record<string, string>;
  readonly input_tokens: number;
  readonly cached_input_tokens: number;
  readonly output_tokens: number;
  readonly model_calls: number;
  readonly tool_calls: number;
  readonly cost_micros: number;
  readonly usage_estimated: boolean;
  readonly created_at: string | Date;
  readonly started_at: string | Date | null;
  readonly finished_at: string | Date | null;
}

function runObject(row: RunRow): Run {
  return {
    id: idOf("run", row.id),
    status: row.status,
    deployment: row.deployment,
    agent: row.agent,
    revision: row.revision,
    model: row.model,
    simulated: row.simulated,
    thread_id: row.thread_id === null ? null : idOf("thread", row.thread_id),
    input: row.input,
    output: row.output,
    incomplete_reason: row.incomplete_reason,
    error: row.error,
    usage: {
      input_tokens: row.input_tokens,
      cached_input_tokens: row.cached_input_tokens,
      output_tokens: row.output_tokens,
      total_tokens: row.input_tokens + row.output_tokens,
      model_calls: row.model_calls,
      tool_calls: row.tool_calls,
      cost_micros: row.cost_micros,
      estimated: row.usage_estimated,
    },
    metadata: row.metadata,
    created_at: instant(row.created_at),
    started_at: instantOrNull(row.started_at),
    finished_at: instantOrNull(row.finished_at),
  };
}
