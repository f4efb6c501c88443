import {
  type AgentSpec,
  type IncompleteReason,
  idOf,
  newId,
  type OnThreadBusy,
  Problem,
  type QuotaSubject,
  type QuotaUnit,
  type RequiredAction,
  type Run,
  type RunError,
  type RunStatus,
  type Step,
  type ToolCall,
  uuidOf,
} from "@maru/contract";
import { asProblem, type Database, instant, instantOrNull, only, sqlDetail } from "./database.ts";
import { type NextRun, nextRun } from "./journal.ts";
import type { Quotas } from "./quota.ts";
import { windowOpener } from "./quota-window.ts";
import { type StoredStep, stepObject } from "./steps.ts";

export interface NewRun {
  /** The id the run will have, so that a caller can listen for its events before it exists. */
  readonly id: string;
  readonly deployment: string;
  readonly input: string;
  /** Estimated tokens of the input alone; instructions and tools are counted once, at deploy. */
  readonly inputTokens: number;
  readonly threadId: string | null;
  /** Of the agent. Null = as the traffic goes. */
  readonly revision: number | null;
  /** Null = as the deployment says. */
  readonly onThreadBusy: OnThreadBusy | null;
  readonly metadata: Readonly<Record<string, string>>;
  readonly simulated: boolean;
  readonly apiKeyId: string | null;
  readonly idempotency: { readonly key: string; readonly requestHash: Buffer } | null;
}

export interface RunNotice {
  readonly name: string;
  readonly used: number;
  readonly limit: number;
  readonly ends_at: string;
}

export interface Created {
  readonly run: Run;
  readonly replayed: boolean;
  /** It waits its turn in its thread. */
  readonly behind: boolean;
  /** It waits for a limit of pace. */
  readonly parked: boolean;
  /** Runs it cancelled that are still with a worker. */
  readonly interrupted: readonly string[];
  /** Windows the run is in that are nearly used up, or end soon. */
  readonly notices: readonly RunNotice[];
}

/** Answers to what a run waits for. */
export interface Answers {
  /** Who answers: the id of an API key or a user. */
  readonly by: string;
  readonly results?: readonly { readonly callId: string; readonly output: string; readonly isError: boolean }[];
  readonly approvals?: readonly {
    readonly callId: string;
    readonly decision: "approve" | "reject";
    readonly reason: string | null;
    /** JSON of the arguments to approve the call with. */
    readonly arguments: string | null;
  }[];
}

export interface NewFork {
  readonly id: string;
  readonly fromStep: number;
  /** Fields of the spec that are other than in the revision. */
  readonly overrides: { readonly instructions?: string; readonly model?: AgentSpec["model"] };
  readonly toolResults: readonly { readonly step: number; readonly output: string }[];
  /** Tokens its first model step may take. */
  readonly tokens: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly simulated: boolean;
  readonly apiKeyId: string | null;
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
  readonly parentRunId?: string;
  readonly source?: { readonly kind: "schedule" | "trigger"; readonly id: string };
}

/** Runs as the API sees them. What workers do to a run is in `journal.ts`. */
export function createRuns(db: Database, quotas: Quotas) {
  const insert = async (workspaceId: string, run: NewRun): Promise<Created> => {
    const rows = await db.call<{ r: CreatedRow }>("SELECT create_run($1) AS r", [newRunRow(workspaceId, run)]);
    const { r } = only(rows);
    return {
      run: runObject(r.run),
      replayed: r.replayed,
      behind: r.behind ?? false,
      parked: r.parked ?? false,
      notices: r.notices ?? [],
      interrupted: (r.interrupted ?? []).map((id) => idOf("run", id)),
    };
  };

  const withWindow = windowOpener(quotas);

  return {
    /**
     * Whether a run would be accepted now, and what it would hold.
     * @throws Problem as `create` would
     */
    async check(workspaceId: string, run: NewRun): Promise<Checked> {
      const attempt = async () =>
        only(await db.call<{ r: Checked }>("SELECT check_run($1) AS r", [newRunRow(workspaceId, run)])).r;
      return withWindow(workspaceId, attempt, runRefusals(run));
    },

    /**
     * Accepts a run: its row, its first event and its reservation in one transaction. With an idempotency key that was
     * used before answers that run.
     * @throws Problem not_found, thread_busy, idempotency_mismatch, quota_exhausted, free_tier_ended
     */
    async create(workspaceId: string, run: NewRun): Promise<Created> {
      return withWindow(workspaceId, () => insert(workspaceId, run), runRefusals(run));
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
      const rows = await db.call<{ r: RunRow[] }>("SELECT list_runs($1, $2, $3, $4, $5, $6, $7, $8) AS r", [
        uuidOf("workspace", workspaceId),
        filter.status ?? null,
        filter.deployment ?? null,
        filter.threadId === undefined ? null : uuidOf("thread", filter.threadId),
        filter.parentRunId === undefined ? null : uuidOf("run", filter.parentRunId),
        filter.source === undefined ? null : uuidOf(filter.source.kind, filter.source.id),
        before,
        limit,
      ]);
      return only(rows).r.map(runObject);
    },

    /** The journal of a run, in order. */
    async steps(workspaceId: string, id: string): Promise<Step[]> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const runId = uuidOf("run", id) as string;
      const client = db.forWorkspace(workspace);
      if ((await client.run.count({ where: { workspaceId: workspace, id: runId } })) === 0) {
        throw new Problem("not_found", `There is no run ${id}.`);
      }
      const where = { workspaceId: workspace, runId };
      const rows = await client.runStep.findMany({ where, orderBy: { seq: "asc" } });
      const charged = await client.usageRecord.findMany({ where, select: { step: true, costMicros: true } });
      const costs = new Map(charged.map(({ step, costMicros }) => [step, Number(costMicros)]));
      return rows.map((row) => {
        const cost = costs.get(row.seq);
        return { ...stepObject(row as unknown as StoredStep), ...(cost === undefined ? {} : { cost_micros: cost }) };
      });
    },

    /**
     * Asks a run to stop. One that is with no worker has ended when this answers; one that had ended is as it was.
     * @throws Problem not_found
     */
    async cancel(workspaceId: string, id: string): Promise<{ run: Run; next: NextRun | null }> {
      const rows = await db.call<{ r: { run: RunRow; next: NextRow | null } | null }>(
        "SELECT cancel_run($1, $2) AS r",
        [uuidOf("workspace", workspaceId), uuidOf("run", id)],
      );
      const { r } = only(rows);
      if (r === null) throw new Problem("not_found", `There is no run ${id}.`);
      return { run: runObject(r.run), next: r.next === null ? null : nextRun(r.next) };
    },

    /**
     * What an answer is judged by: the agent's spec as the run has it, and the calls that are waited for.
     * @throws Problem not_found
     */
    async asked(workspaceId: string, id: string): Promise<{ spec: AgentSpec; waiting: readonly ToolCall[] }> {
      const rows = await db.call<{ r: { spec: AgentSpec; waiting: ToolCall[] } | null }>(
        "SELECT asked_of_run($1, $2) AS r",
        [uuidOf("workspace", workspaceId), uuidOf("run", id)],
      );
      const { r } = only(rows);
      if (r === null) throw new Problem("not_found", `There is no run ${id}.`);
      return r;
    },

    /**
     * Answers calls a run waits for, all or none. `resumed`: nothing is left to wait for, so the run is queued again.
     * @throws Problem not_found, not_answerable, already_answered, run_finished, wait_expired
     */
    async answer(workspaceId: string, id: string, answers: Answers): Promise<{ run: Run; resumed: NextRun | null }> {
      try {
        const rows = await db.call<{ r: AnswerRow | null }>("SELECT answer_run($1) AS r", [
          {
            workspace_id: uuidOf("workspace", workspaceId),
            run_id: uuidOf("run", id),
            by: answers.by,
            results: (answers.results ?? []).map(({ callId, output, isError }) => ({
              call_id: callId,
              output,
              is_error: isError,
            })),
            approvals: (answers.approvals ?? []).map(({ callId, ...decision }) => ({ call_id: callId, ...decision })),
          },
        ]);
        const { r } = only(rows);
        if (r === null) throw new Problem("not_found", `There is no run ${id}.`);
        if ("expired" in r) throw new Problem("wait_expired", "Start a new run, or fork this one where it waited.");
        return { run: runObject(r.run), resumed: r.resumed ? { runId: id, epoch: r.epoch } : null };
      } catch (error) {
        const call = () => `The call ${sqlDetail(error).call_id}`;
        return asProblem(error, {
          MA001: () => new Problem("not_found", `${call()} is none of this run's.`),
          MA002: () =>
            new Problem(
              "not_answerable",
              `${call()} is not one of those in required_action.${answers.results === undefined ? "approvals" : "tool_results"}.`,
            ),
          MA003: () => new Problem("already_answered", `${call()} was answered otherwise; the first answer stands.`),
          MA004: () =>
            sqlDetail(error).status === "expired"
              ? new Problem("wait_expired", "Start a new run, or fork this one where it waited.")
              : new Problem("run_finished", `The run is ${sqlDetail(error).status}.`),
        });
      }
    },

    /**
     * Starts a run that goes by another's journal up to a step.
     * @throws Problem not_found, step_not_finished, payload_expired, quota_exhausted, free_tier_ended
     */
    async fork(workspaceId: string, from: string, fork: NewFork): Promise<Run> {
      const outputs = Object.fromEntries(fork.toolResults.map(({ step, output }) => [step, output]));
      const insert = async () => {
        const rows = await db.call<{ r: RunRow }>("SELECT fork_run($1) AS r", [
          {
            workspace_id: uuidOf("workspace", workspaceId),
            run_id: uuidOf("run", fork.id),
            from: uuidOf("run", from),
            from_step: fork.fromStep,
            api_key_id: fork.apiKeyId === null ? null : uuidOf("apiKey", fork.apiKeyId),
            tokens: fork.tokens,
            overrides: fork.overrides,
            model: fork.overrides.model?.name ?? null,
            outputs,
            metadata: fork.metadata,
            simulated: fork.simulated,
          },
        ]);
        return runObject(only(rows).r);
      };
      return withWindow(workspaceId, insert, (error) => ({
        MF001: () => new Problem("not_found", `There is no run ${from}.`),
        MF002: () =>
          new Problem(
            "not_found",
            `The run has no step ${fork.fromStep} to fork from: its last is ${sqlDetail(error).last}.`,
            {
              errors: [
                { pointer: "/from_step", code: "not_found", detail: "must be the number of a model or tool step" },
              ],
            },
          ),
        MF003: () => new Problem("step_not_finished", "Fork from an earlier step, or wait."),
        MF004: () => new Problem("payload_expired", "Its journal is gone; start a new run."),
        MF005: () =>
          new Problem("not_found", "The thread this run belonged to was deleted, and what was said in it is gone."),
        MF006: () =>
          new Problem("not_found", `Step ${sqlDetail(error).step} is no tool result before step ${fork.fromStep}.`, {
            errors: [
              {
                pointer: "/overrides/tool_results",
                code: "not_found",
                detail: "must name tool steps before from_step",
              },
            ],
          }),
      }));
    },

    /** Last sequence number of each run that has events after the given ones. */
    async heads(ids: readonly string[]): Promise<Map<string, number>> {
      const rows = await db.call<{ run_id: string; last_seq: number }>("SELECT * FROM run_heads($1)", [
        ids.map((id) => uuidOf("run", id)),
      ]);
      return new Map(rows.map((row) => [idOf("run", row.run_id), row.last_seq]));
    },

    /** Removes the payload of up to `limit` runs that ended before an instant; answers how many. */
    async expirePayloads(before: Date, limit: number): Promise<number> {
      const rows = await db.call<{ n: number }>("SELECT expire_payloads($1, $2) AS n", [before, limit]);
      return only(rows).n;
    },

    /** Durable events after `afterSeq`, at most `limit`, with the run's status and its last sequence number now. */
    async eventsAfter(workspaceId: string, id: string, afterSeq: number, limit: number) {
      const rows = await db.call<{ r: EventsRow | null }>("SELECT run_events_after($1, $2, $3, $4) AS r", [
        uuidOf("workspace", workspaceId),
        uuidOf("run", id),
        afterSeq,
        limit,
      ]);
      const { r } = only(rows);
      if (r === null) throw new Problem("not_found", `There is no run ${id}.`);
      return {
        ended: r.ended,
        payloadExpired: r.payload_expired,
        lastSeq: r.last_seq,
        events: r.events.map((event) => ({ ...event, at: instant(event.at) })),
      };
    },

    newId: () => newId("run"),
  };
}
export type Runs = ReturnType<typeof createRuns>;

/** What the errors of `create_run` mean to who asked for the run. */
export const runRefusals = (run: Pick<NewRun, "deployment" | "threadId" | "revision">) => (error: unknown) => ({
  MR001: () => new Problem("not_found", `There is no deployment named ${run.deployment}.`),
  MR002: () => new Problem("not_found", `There is no thread ${run.threadId}.`),
  MR003: () =>
    new Problem(
      "thread_busy",
      "Wait for the thread's run to end, cancel it, or send on_thread_busy: enqueue or interrupt.",
    ),
  MR004: () => new Problem("idempotency_mismatch", "Use a new key for a new request."),
  MQ003: () =>
    new Problem("queue_full", "A thousand runs of the deployment wait: wait for some to end.", {
      retryAfterMs: 1_000,
    }),
  MR006: () => {
    const { reason } = sqlDetail(error) as { reason: string | null };
    return new Problem("deployment_paused", `${reason === null ? "" : `${reason} `}Resume it, or try again later.`);
  },
  MR007: () => new Problem("not_found", `The agent of ${run.deployment} has no revision ${run.revision}.`),
  MR005: () => new Problem("thread_full", "A hundred runs wait their turn in it: wait for some to end."),
});

interface EventsRow {
  readonly ended: boolean;
  readonly payload_expired: boolean;
  readonly last_seq: number;
  readonly events: readonly StoredEvent[];
}
/** What `create_run` and those who call it read. */
export const newRunRow = (workspaceId: string, run: NewRun) => ({
  workspace_id: uuidOf("workspace", workspaceId),
  run_id: uuidOf("run", run.id),
  deployment: run.deployment,
  revision: run.revision,
  input: run.input,
  input_tokens: run.inputTokens,
  thread_id: run.threadId === null ? null : uuidOf("thread", run.threadId),
  on_thread_busy: run.onThreadBusy,
  metadata: run.metadata,
  simulated: run.simulated,
  api_key_id: run.apiKeyId === null ? null : uuidOf("apiKey", run.apiKeyId),
  idempotency_key: run.idempotency?.key ?? null,
  request_hash: run.idempotency?.requestHash.toString("hex") ?? null,
});
export interface Checked {
  /** It would wait its turn in its thread. */
  readonly behind: boolean;
  /** It would wait for a limit of pace. */
  readonly parked: boolean;
  readonly holds: readonly {
    readonly limit: string;
    readonly subject: QuotaSubject;
    readonly unit: QuotaUnit;
    readonly amount: number;
    readonly remaining: number;
  }[];
}
export interface CreatedRow {
  readonly run: RunRow;
  readonly replayed: boolean;
  readonly behind?: boolean;
  readonly parked?: boolean;
  readonly notices?: readonly RunNotice[];
  readonly interrupted?: readonly string[];
}
type AnswerRow =
  | { readonly expired: true }
  | { readonly run: RunRow; readonly resumed: true; readonly epoch: number }
  | { readonly run: RunRow; readonly resumed: false };
type NextRow = Parameters<typeof nextRun>[0];

/** A run as the SQL function `run_object` answers it. */
export interface RunRow {
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
  readonly required_action: RequiredAction | null;
  readonly forked_from: string | null;
  readonly fork_step: number | null;
  readonly payload_expired_at: string | null;
  readonly parent_run: string | null;
  readonly parent_step: number | null;
  readonly source_kind: "schedule" | "trigger" | null;
  readonly source_id: string | null;
  readonly below_runs: number;
  readonly below_tokens: number;
  readonly below_cost_micros: number;
}

export function runObject(row: RunRow): Run {
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
    required_action:
      row.required_action === null
        ? null
        : { ...row.required_action, expires_at: instant(row.required_action.expires_at) },
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
    forked_from:
      row.forked_from === null ? null : { run_id: idOf("run", row.forked_from), step: row.fork_step as number },
    parent: row.parent_run === null ? null : { run_id: idOf("run", row.parent_run), step: row.parent_step as number },
    source:
      row.source_kind === null ? null : { type: row.source_kind, id: idOf(row.source_kind, row.source_id as string) },
    descendants: { runs: row.below_runs, total_tokens: row.below_tokens, cost_micros: row.below_cost_micros },
    created_at: instant(row.created_at),
    started_at: instantOrNull(row.started_at),
    finished_at: instantOrNull(row.finished_at),
    payload_expired_at: instantOrNull(row.payload_expired_at),
  };
}
