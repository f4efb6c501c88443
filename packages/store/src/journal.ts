import {
  type AgentSpec,
  type IncompleteReason,
  idOf,
  type Message,
  newId,
  type RunError,
  type ToolCall,
  uuidOf,
} from "@maru/contract";
import { type Database, hadNoEffect, instant, only } from "./database.ts";
import type { StoredEvent } from "./runs.ts";
import type { ApprovalAsked, ChildCall, Decision, ModelOutput, StoredStep, ToolOutput } from "./steps.ts";

/** A run as its worker holds it. `epoch` is the fencing token: every write shows it, and a higher one in the row wins. */
export interface Claim {
  readonly workspaceId: string;
  readonly runId: string;
  readonly epoch: number;
  readonly spec: AgentSpec;
  /** Identifies the immutable revision, for caches. */
  readonly revisionKey: string;
  readonly input: string;
  readonly threadId: string | null;
  /** `metadata.user`: whom the run is for. */
  readonly endUser: string | null;
  /** Another run waits for its end. */
  readonly child: boolean;
  readonly startedAt: Date;
  /** Milliseconds since then in which the run waited for somebody: no time of its own. */
  readonly waitedMs: number;
  /** Database clock at the claim. */
  readonly now: Date;
  readonly steps: readonly StoredStep[];
  /** From `threadFrom` on. */
  readonly threadMessages: readonly Message[];
  /** Stands for the thread's messages before those, where the agent asked for summaries and there is one. */
  readonly threadSummary: string | null;
  /** Number of the first of `threadMessages` in its thread. */
  readonly threadFrom: number;
  /** What the claim itself added to the run's events. */
  readonly events: readonly StoredEvent[];
}

export interface StepDone {
  readonly seq: number;
  readonly state: "done" | "error" | "unknown";
  readonly output: ModelOutput | ToolOutput | Decision;
  /** SHA-256 of what the step was given, hex, where it was not known before. */
  readonly digest?: string;
}
export interface StepIntent {
  readonly seq: number;
  readonly kind: StoredStep["kind"];
  /** `waiting`: open, and not begun. Not there = `started`. */
  readonly state?: "started" | "waiting";
  readonly name: string;
  readonly effect: StoredStep["effect"];
  readonly input: ToolCall | ChildCall | ApprovalAsked | null;
  readonly digest?: string;
}
export interface JournalWrite {
  readonly done: readonly StepDone[];
  readonly start: readonly StepIntent[];
  /** Waiting steps that begin now. */
  readonly begin?: readonly { readonly seq: number; readonly attempt: number }[];
  /** Begun steps that have to wait: it is unknown what came of them. */
  readonly halt?: readonly number[];
  /** Tokens to hold for the model step that is opened, where none settles in this write; `step` is the one before it. */
  readonly hold?: { readonly step: number; readonly tokens: number };
  /** The run gives its worker back until somebody answers, for at most `ms`. `step`: the last model step. */
  readonly wait?: { readonly ms: number; readonly step: number };
  /** At the end: steps that still wait are closed too, but for what was answered meanwhile. */
  readonly closeWaiting?: true;
  readonly events: readonly { readonly type: string; readonly data: Record<string, unknown> }[];
  readonly usage: {
    readonly step: number;
    readonly model: string;
    readonly inputTokens: number;
    readonly cachedInputTokens: number;
    readonly outputTokens: number;
    readonly costMicros: number;
    readonly estimated: boolean;
    /** Whether a simulator answered: then the run says so. */
    readonly simulated: boolean;
  } | null;
  /** Tokens to hold for the model step that comes next; 0 when none does. Only read together with `usage`. */
  readonly reserveTokens: number;
  readonly end: {
    readonly status: "completed" | "incomplete" | "failed" | "cancelled";
    readonly output: string | null;
    readonly reason: IncompleteReason | null;
    readonly error: RunError | null;
    /** What the run adds to its thread. */
    readonly messages: readonly Message[];
    readonly tokens: number;
    /** Replaces the thread's summary: it stands for the messages before number `upto`. */
    readonly summary?: { readonly text: string; readonly upto: number };
  } | null;
}
export type WriteResult =
  | { readonly ok: false }
  | {
      readonly ok: true;
      readonly events: readonly StoredEvent[];
      /** False when the quota had no room for `reserveTokens`. */
      readonly room: boolean;
      readonly cancelRequested: boolean;
      /** After `wait`: false when everybody had answered meanwhile, and the run is queued again. */
      readonly waiting?: boolean;
      /** A run of the same thread that may go now. */
      readonly next?: NextRun;
    };
/** A run whose turn in its thread has come. */
export interface NextRun {
  readonly runId: string;
  readonly epoch: number;
}

/**
 * What workers do to runs. Writes of concurrent runs are committed together (group commit): while one batch is on its
 * way the next gathers, so at low load a write waits for nothing and at high load many share one transaction. A write is
 * acknowledged only after its commit.
 */
export function createJournal(db: Database, options: { maxBatch: number } = { maxBatch: 64 }) {
  let pending: { op: Operation; resolve: (result: WriteResult) => void; reject: (error: unknown) => void }[] = [];
  let writing = 0;
  // Two batches in flight keep the database busy while one is being encoded; more would only shrink the batches.
  const MAX_WRITING = 2;

  const send = async (): Promise<void> => {
    const batch = pending.slice(0, options.maxBatch);
    pending = pending.slice(options.maxBatch);
    writing++;
    try {
      batch.sort((a, b) => (a.op.w + a.op.r < b.op.w + b.op.r ? -1 : 1));
      try {
        settle(batch, await write(batch.map(({ op }) => op)));
      } catch (error) {
        if (batch.length === 1 || !hadNoEffect(error)) throw error;
        // One bad operation must not fail its neighbours: repeat them one by one, each with its own verdict.
        for (const item of batch) {
          await write([item.op]).then(
            (answer) => settle([item], answer),
            (reason) => item.reject(reason),
          );
        }
      }
    } catch (error) {
      for (const item of batch) item.reject(error);
    } finally {
      writing--;
      if (pending.length > 0) void send();
    }
  };

  const write = async (ops: readonly Operation[]) => {
    const rows = await db.call<{ r: BatchAnswer }>("SELECT write_journal($1) AS r", [JSON.stringify(ops)]);
    return only(rows).r;
  };

  const settle = (batch: readonly { op: Operation; resolve: (result: WriteResult) => void }[], answer: BatchAnswer) => {
    const at = instant(answer.at);
    for (const [index, { op, resolve }] of batch.entries()) {
      const result = answer.results[index];
      if (result?.ok !== true) {
        resolve({ ok: false });
        continue;
      }
      const events = op.events.map((event, n) => ({ seq: result.first_event + n, ...event, at }));
      if (result.action !== undefined)
        events.push({ seq: result.first_event + events.length, type: "run.waiting", data: result.action, at });
      resolve({
        ok: true,
        room: result.room,
        cancelRequested: result.cancel,
        events,
        ...(result.waiting === undefined ? {} : { waiting: result.waiting }),
        ...(result.next === undefined ? {} : { next: nextRun(result.next) }),
      });
    }
  };

  return {
    /**
     * Takes the run, or answers why there is nothing to take: `ended` when the claim itself ended it (cancelled,
     * expired, too many workers lost), `next` the run of its thread that may go now.
     */
    async claim(
      workspaceId: string,
      runId: string,
      leaseMs: number,
      maxLost: number,
    ): Promise<Claim | { ended: boolean; next?: NextRun }> {
      const rows = await db.call<{ r: ClaimRow }>("SELECT claim_run($1, $2, $3, $4) AS r", [
        uuidOf("workspace", workspaceId),
        uuidOf("run", runId),
        leaseMs,
        maxLost,
      ]);
      const { r } = only(rows);
      if (!r.claimed) return { ended: r.ended ?? false, ...(r.next ? { next: nextRun(r.next) } : {}) };
      return {
        workspaceId,
        runId,
        epoch: r.epoch,
        spec: r.spec,
        revisionKey: r.revision,
        input: r.input,
        threadId: r.thread_id === null ? null : idOf("thread", r.thread_id),
        endUser: r.end_user,
        child: r.child,
        startedAt: new Date(r.started_at),
        waitedMs: r.waited_ms,
        now: new Date(r.now),
        steps: r.steps.map(
          ({ started_at, finished_at, ...step }) =>
            ({ ...step, startedAt: started_at, finishedAt: finished_at }) as StoredStep,
        ),
        threadMessages: r.messages.map(threadMessage),
        threadSummary: r.summary,
        threadFrom: r.summary_upto,
        events: claimEvents(r),
      };
    },

    /** Appends to the run's journal, or answers `ok: false` when another worker has the run by now. */
    write(
      claim: Pick<Claim, "workspaceId" | "runId" | "epoch" | "threadId">,
      entry: JournalWrite,
    ): Promise<WriteResult> {
      return new Promise((resolve, reject) => {
        pending.push({ op: operation(claim, entry), resolve, reject });
        if (writing < MAX_WRITING) void send();
      });
    },

    /** Renews the leases of all runs this worker holds; answers the held ones and which of them were asked to stop. */
    async renew(
      held: readonly Pick<Claim, "workspaceId" | "runId" | "epoch">[],
      leaseMs: number,
    ): Promise<Map<string, { cancel: boolean }>> {
      const rows = await db.call<{ run_id: string; cancel: boolean }>("SELECT * FROM renew_leases($1, $2)", [
        JSON.stringify(
          held.map(({ workspaceId, runId, epoch }) => ({
            w: uuidOf("workspace", workspaceId),
            r: uuidOf("run", runId),
            e: epoch,
          })),
        ),
        leaseMs,
      ]);
      return new Map(rows.map((row) => [idOf("run", row.run_id), { cancel: row.cancel }]));
    },

    /** Hands a run back to the queue with its journal as it is. */
    async release({ workspaceId, runId, epoch }: Pick<Claim, "workspaceId" | "runId" | "epoch">): Promise<boolean> {
      const rows = await db.call<{ r: boolean }>("SELECT release_run($1, $2, $3) AS r", [
        uuidOf("workspace", workspaceId),
        uuidOf("run", runId),
        epoch,
      ]);
      return only(rows).r;
    },

    /** Runs whose wake-up must be sent (again), each marked as sent: at most `limit`. */
    async due(limit: number, resendMs: number) {
      const rows = await db.aside<{ workspace_id: string; run_id: string; epoch: number; recovered: boolean }>(
        "SELECT * FROM due_runs($1, $2)",
        [limit, resendMs],
      );
      return rows.map((row) => ({
        workspaceId: idOf("workspace", row.workspace_id),
        runId: idOf("run", row.run_id),
        epoch: row.epoch,
        recovered: row.recovered,
      }));
    },
  };
}
export type Journal = ReturnType<typeof createJournal>;

/** The events `claim_run` wrote: the run is taken, and on its first claim its first model step begins. */
function claimEvents(row: Extract<ClaimRow, { claimed: true }>): StoredEvent[] {
  const at = instant(row.now);
  const running = { seq: row.first_event, type: "run.running", data: { attempt: row.epoch }, at };
  if (row.last_event === row.first_event) return [running];
  return [
    running,
    { seq: row.last_event, type: "step.started", data: { step: 1, kind: "model", name: row.model }, at },
  ];
}

interface Operation {
  readonly w: string;
  readonly r: string;
  readonly e: number;
  readonly events: JournalWrite["events"];
  readonly [field: string]: unknown;
}

function operation(
  { workspaceId, runId, epoch, threadId }: Pick<Claim, "workspaceId" | "runId" | "epoch" | "threadId">,
  entry: JournalWrite,
): Operation {
  const { usage, end } = entry;
  return {
    w: uuidOf("workspace", workspaceId) as string,
    r: uuidOf("run", runId) as string,
    e: epoch,
    done: entry.done,
    start: entry.start,
    events: entry.events,
    reserve: entry.reserveTokens,
    ...(entry.begin === undefined ? {} : { begin: entry.begin }),
    ...(entry.halt === undefined ? {} : { halt: entry.halt }),
    ...(entry.hold === undefined ? {} : { hold: entry.hold }),
    ...(entry.wait === undefined ? {} : { wait: entry.wait }),
    ...(entry.closeWaiting === undefined ? {} : { close: true }),
    ...(end === null || threadId === null ? {} : { t: uuidOf("thread", threadId) }),
    tools: entry.done.filter(({ output }) => "isError" in output).length,
    ...(usage === null
      ? {}
      : {
          usage: {
            id: uuidOf("usageRecord", newId("usageRecord")),
            step: usage.step,
            model: usage.model,
            input: usage.inputTokens,
            cached: usage.cachedInputTokens,
            output: usage.outputTokens,
            cost: usage.costMicros,
            estimated: usage.estimated,
            simulated: usage.simulated,
          },
        }),
    ...(end === null
      ? {}
      : {
          end: {
            status: end.status,
            output: end.output,
            reason: end.reason,
            error: end.error,
            tokens: end.tokens,
            summary: end.summary ?? null,
            messages: end.messages.map((message) => ({
              role: message.role,
              content: message.content,
              ...(message.role === "assistant" && message.toolCalls !== undefined
                ? { tool_calls: message.toolCalls }
                : {}),
              ...(message.role === "tool" ? { tool_call_id: message.toolCallId, name: message.name } : {}),
            })),
          },
        }),
  };
}

interface BatchAnswer {
  readonly at: string;
  readonly results: readonly {
    ok: boolean;
    first_event: number;
    room: boolean;
    cancel: boolean;
    waiting?: boolean;
    action?: Record<string, unknown>;
    next?: NextRow;
  }[];
}
interface NextRow {
  readonly run: string;
  readonly epoch: number;
}
export const nextRun = ({ run, epoch }: NextRow): NextRun => ({ runId: idOf("run", run), epoch });
type ClaimRow =
  | { claimed: false; ended?: boolean; next?: NextRow | null }
  | {
      claimed: true;
      epoch: number;
      model: string;
      spec: AgentSpec;
      revision: string;
      input: string;
      thread_id: string | null;
      end_user: string | null;
      child: boolean;
      started_at: string;
      waited_ms: number;
      now: string;
      first_event: number;
      last_event: number;
      steps: { started_at: string; finished_at: string | null; [field: string]: unknown }[];
      messages: ThreadRow[];
      summary: string | null;
      summary_upto: number;
    };
interface ThreadRow {
  readonly role: "user" | "assistant" | "tool";
  readonly content: string;
  readonly tool_calls: ToolCall[] | null;
  readonly tool_call_id: string | null;
  readonly name: string | null;
}

function threadMessage(row: ThreadRow): Message {
  if (row.role === "tool")
    return { role: "tool", toolCallId: row.tool_call_id ?? "", name: row.name ?? "", content: row.content };
  if (row.role === "user") return { role: "user", content: row.content };
  return { role: "assistant", content: row.content, ...(row.tool_calls === null ? {} : { toolCalls: row.tool_calls }) };
}
