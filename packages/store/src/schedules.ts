import {
  type CatchUp,
  idOf,
  newId,
  type Overlap,
  Problem,
  type Run,
  SCHEDULE_LIMITS,
  type ScheduleFire,
  uuidOf,
} from "@maru/contract";
import { asProblem, type Database, instant, only } from "./database.ts";
import { type NextRun, nextRun } from "./journal.ts";
import type { Quotas } from "./quota.ts";
import { windowOpener } from "./quota-window.ts";
import { type CreatedRow, type NewRun, newRunRow, runObject, runRefusals } from "./runs.ts";

export interface ScheduleFields {
  readonly name: string;
  readonly deployment: string;
  readonly cron: string;
  readonly timeZone: string;
  readonly input: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly threadId: string | null;
  readonly overlap: Overlap;
  readonly catchUp: CatchUp;
  readonly withinMs: number;
  readonly jitterMs: number;
  readonly paused: boolean;
}
/** When it fires next, and when a worker is to look: null while it is paused. */
export interface ScheduleMove {
  readonly nextAt: Date | null;
  readonly wakeAt: Date | null;
}
export interface StoredSchedule extends ScheduleFields, ScheduleMove {
  readonly id: string;
  readonly apiKeyId: string | null;
  readonly createdAt: string;
  readonly updatedAt: string;
  /** Grows with every change a caller makes. */
  readonly generation: number;
}

/** A schedule as a worker holds it, until its lease ends. `take` is the fencing token, `now` the database's clock. */
export interface DueSchedule {
  readonly workspaceId: string;
  readonly scheduleId: string;
  readonly take: number;
  readonly now: Date;
}
export interface WaitingFire {
  readonly workspaceId: string;
  readonly scheduleId: string;
  readonly fireId: string;
}

/** What became of a step of a schedule. Null instead: somebody else has done it, or the schedule was changed. */
export type Fired =
  | { readonly outcome: "skipped" | "missed" | "waiting" | null }
  | {
      readonly outcome: "run";
      /** It waits its turn in its thread or for a limit of pace. */
      readonly held: boolean;
      /** Runs that were cancelled for it: those not ended are with a worker. */
      readonly cancelled: readonly { readonly runId: string; readonly ended: boolean; readonly next: NextRun | null }[];
    };
/** What a fire time leads to: a run, or the refusal of one. */
export type Firing =
  | { readonly run: NewRun }
  | { readonly refused: { readonly code: string; readonly detail: string | null } };

/** Schedules: what workspaces say of them, and what workers do by them. */
export function createSchedules(db: Database, quotas: Quotas) {
  const withWindow = windowOpener(quotas);
  const scope = (workspaceId: string, id: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, schedule: uuidOf("schedule", id) as string, client: db.forWorkspace(workspace) };
  };
  const missing = (id: string) => new Problem("not_found", `There is no schedule ${id}.`);
  const changed = () => new Problem("precondition_failed", "The schedule was changed: read it again and repeat.");
  const taken = (name: string) =>
    new Problem("name_taken", `The workspace has a schedule named ${name} already.`, {
      errors: [{ pointer: "/name", code: "name_taken", detail: "must be of no other schedule" }],
    });

  const find = async (workspaceId: string, id: string): Promise<StoredSchedule | null> => {
    const { workspace, schedule, client } = scope(workspaceId, id);
    const row = await client.schedule.findFirst({ where: { workspaceId: workspace, id: schedule } });
    return row === null ? null : stored(row);
  };
  /** @throws Problem not_found */
  const get = async (workspaceId: string, id: string): Promise<StoredSchedule> => {
    const found = await find(workspaceId, id);
    if (found === null) throw missing(id);
    return found;
  };

  /** What the functions that make runs of schedules read of one. */
  const firingRow = (workspaceId: string, scheduleId: string, firing: Firing | null) => ({
    ...(firing !== null && "run" in firing ? newRunRow(workspaceId, firing.run) : {}),
    workspace_id: uuidOf("workspace", workspaceId),
    source_kind: "schedule",
    source_id: uuidOf("schedule", scheduleId),
    schedule_id: uuidOf("schedule", scheduleId),
    refused: firing !== null && "refused" in firing ? firing.refused : null,
  });
  const fire = async (workspaceId: string, sql: string, row: object, firing: Firing | null): Promise<Fired | null> => {
    const attempt = async () => only(await db.aside<{ r: FiredRow | null }>(sql, [row])).r;
    const problems = firing !== null && "run" in firing ? runRefusals(firing.run) : () => ({});
    const r = await withWindow(workspaceId, attempt, problems);
    if (r === null || r.outcome !== "run") return r as Fired | null;
    return {
      outcome: "run",
      held: r.behind || r.parked,
      cancelled: [
        ...r.cancelled.map(({ run, ended, next }) => ({
          runId: idOf("run", run),
          ended,
          next: next === null ? null : nextRun(next),
        })),
        ...r.interrupted.map((run) => ({ runId: idOf("run", run), ended: false, next: null })),
      ],
    };
  };

  return {
    get,

    /** The database's clock, by which schedules go. */
    async now(): Promise<Date> {
      return only(await db.aside<{ now: Date }>("SELECT maru_now() AS now", [])).now;
    },

    /** `move` is told the new schedule's id. @throws Problem limit_out_of_range, name_taken */
    async add(
      workspaceId: string,
      fields: ScheduleFields,
      apiKeyId: string | null,
      move: (id: string) => ScheduleMove,
    ): Promise<StoredSchedule> {
      const id = newId("schedule");
      const { nextAt, wakeAt } = move(id);
      const { workspace, schedule } = scope(workspaceId, id);
      try {
        await db.call("SELECT add_schedule($1)", [
          {
            workspace_id: workspace,
            id: schedule,
            name: fields.name,
            deployment: fields.deployment,
            cron: fields.cron,
            time_zone: fields.timeZone,
            input: fields.input,
            metadata: fields.metadata,
            thread_id: fields.threadId === null ? null : uuidOf("thread", fields.threadId),
            api_key_id: apiKeyId === null ? null : uuidOf("apiKey", apiKeyId),
            overlap: fields.overlap,
            catch_up: fields.catchUp,
            within_ms: fields.withinMs,
            jitter_ms: fields.jitterMs,
            paused: fields.paused,
            next_at: nextAt,
            wake_at: wakeAt,
            max: SCHEDULE_LIMITS.perWorkspace,
          },
        ]);
      } catch (error) {
        asProblem(error, {
          MT001: () =>
            new Problem(
              "limit_out_of_range",
              `A workspace may have ${SCHEDULE_LIMITS.perWorkspace} schedules: delete one first.`,
            ),
          MT002: () => taken(fields.name),
        });
      }
      return get(workspaceId, id);
    },

    async list(workspaceId: string, limit: number, before: string | null): Promise<StoredSchedule[]> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const rows = await db.forWorkspace(workspace).schedule.findMany({
        where: { workspaceId: workspace, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
      });
      return rows.map(stored);
    },

    /**
     * Changes a schedule as it was when `before` was read. `move`: when it fires next, where that is another time; else it is left to
     * the worker that may be at it now.
     * @throws Problem name_taken, precondition_failed (it was changed or deleted since)
     */
    async change(
      workspaceId: string,
      before: StoredSchedule,
      fields: ScheduleFields,
      move: ScheduleMove | null,
    ): Promise<StoredSchedule> {
      const { workspace, schedule, client } = scope(workspaceId, before.id);
      const { threadId, metadata, ...rest } = fields;
      try {
        const { count } = await client.schedule.updateMany({
          where: { workspaceId: workspace, id: schedule, generation: before.generation },
          data: {
            ...rest,
            metadata: { ...metadata },
            threadId: threadId === null ? null : (uuidOf("thread", threadId) as string),
            ...(move ?? {}),
            generation: before.generation + 1,
            updatedAt: new Date(),
          },
        });
        if (count === 0) throw changed();
      } catch (error) {
        if (error instanceof Error && "code" in error && error.code === "P2002") throw taken(fields.name);
        throw error;
      }
      return get(workspaceId, before.id);
    },

    /** @throws Problem precondition_failed (it was changed or deleted since it was read) */
    async remove(workspaceId: string, before: StoredSchedule): Promise<void> {
      const { workspace, schedule, client } = scope(workspaceId, before.id);
      const { count } = await client.schedule.deleteMany({
        where: { workspaceId: workspace, id: schedule, generation: before.generation },
      });
      if (count === 0) throw changed();
    },

    /** Newest first. @throws Problem not_found */
    async fires(workspaceId: string, id: string, limit: number, before: string | null): Promise<ScheduleFire[]> {
      await get(workspaceId, id);
      const { workspace, schedule, client } = scope(workspaceId, id);
      const rows = await client.scheduleFire.findMany({
        where: { workspaceId: workspace, scheduleId: schedule, ...(before === null ? {} : { id: { lt: before } }) },
        orderBy: { id: "desc" },
        take: limit,
      });
      return rows.map((row) => ({
        id: idOf("scheduleFire", row.id),
        scheduled_at: instant(row.scheduledAt),
        manual: row.manual,
        outcome: row.outcome as ScheduleFire["outcome"],
        count: row.count,
        run_id: row.runId === null ? null : idOf("run", row.runId),
        code: row.code,
        detail: row.detail,
        created_at: instant(row.createdAt),
      }));
    },

    /** A run that somebody asked for. @throws Problem as `runs.create` would */
    async runNow(
      workspaceId: string,
      scheduleId: string,
      run: NewRun,
      at: Date,
    ): Promise<{ run: Run; held: boolean; interrupted: readonly string[] }> {
      const row = { ...firingRow(workspaceId, scheduleId, { run }), scheduled_at: at };
      const r = await withWindow(
        workspaceId,
        async () => only(await db.call<{ r: CreatedRow | null }>("SELECT run_schedule($1) AS r", [row])).r,
        runRefusals(run),
      );
      if (r === null) throw missing(scheduleId);
      return {
        run: runObject(r.run),
        held: (r.behind ?? false) || (r.parked ?? false),
        interrupted: (r.interrupted ?? []).map((id) => idOf("run", id)),
      };
    },

    /** Of all workspaces: takes schedules that are due. */
    async due(limit: number, leaseMs: number): Promise<DueSchedule[]> {
      const rows = await db.aside<{ workspace_id: string; schedule_id: string; take: number; now: Date }>(
        "SELECT * FROM due_schedules($1, $2)",
        [limit, leaseMs],
      );
      return rows.map((row) => ({
        workspaceId: idOf("workspace", row.workspace_id),
        scheduleId: idOf("schedule", row.schedule_id),
        take: row.take,
        now: row.now,
      }));
    },

    /** Milliseconds until the next is due, of all workspaces; null when none is. */
    async nextInMs(): Promise<number | null> {
      return only(await db.aside<{ ms: number | null }>("SELECT next_schedule_in() AS ms", [])).ms;
    },

    /** As it is now; null when it was deleted. */
    find,

    /**
     * One step: writes down what was missed, makes the run of a fire time, or writes down why there is none, and moves on.
     * @throws Problem as `runs.create` would; then nothing has changed, and the same step is to be made with the refusal
     */
    fire(
      due: DueSchedule,
      schedule: StoredSchedule,
      step: ScheduleMove & {
        readonly missed: { readonly first: Date; readonly count: number } | null;
        readonly firing: (Firing & { readonly at: Date }) | null;
      },
    ): Promise<Fired | null> {
      const { firing, missed } = step;
      const row = {
        ...firingRow(due.workspaceId, due.scheduleId, firing),
        take: due.take,
        generation: schedule.generation,
        next_at: schedule.nextAt,
        scheduled_at: firing?.at ?? null,
        then_next: step.nextAt,
        then_wake: step.wakeAt,
        missed: missed === null ? null : { at: missed.first, count: missed.count },
      };
      return fire(due.workspaceId, "SELECT fire_schedule($1) AS r", row, firing);
    },

    /** Of all workspaces: the first of each schedule's fire times that waits for nothing any more. */
    async waiting(limit: number): Promise<WaitingFire[]> {
      const rows = await db.aside<{ workspace_id: string; schedule_id: string; fire_id: string }>(
        "SELECT * FROM waiting_fires($1)",
        [limit],
      );
      return rows.map((row) => ({
        workspaceId: idOf("workspace", row.workspace_id),
        scheduleId: idOf("schedule", row.schedule_id),
        fireId: idOf("scheduleFire", row.fire_id),
      }));
    },

    /** When a fire time that waits was to be; null when it waits no more. */
    async waitingSince({ workspaceId, fireId }: WaitingFire): Promise<Date | null> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const row = await db.forWorkspace(workspace).scheduleFire.findFirst({
        where: { workspaceId: workspace, id: uuidOf("scheduleFire", fireId) as string, outcome: "waiting" },
        select: { scheduledAt: true },
      });
      return row?.scheduledAt ?? null;
    },

    /** The run of a fire time that waited. @throws Problem as `runs.create` would; then nothing has changed */
    fireWaiting({ workspaceId, scheduleId, fireId }: WaitingFire, firing: Firing): Promise<Fired | null> {
      const row = { ...firingRow(workspaceId, scheduleId, firing), fire_id: uuidOf("scheduleFire", fireId) };
      return fire(workspaceId, "SELECT fire_waiting($1) AS r", row, firing);
    },
  };
}
export type Schedules = ReturnType<typeof createSchedules>;

type FiredRow =
  | { readonly outcome: "skipped" | "missed" | "waiting" | null }
  | {
      readonly outcome: "run";
      readonly behind: boolean;
      readonly parked: boolean;
      readonly interrupted: readonly string[];
      readonly cancelled: readonly {
        readonly run: string;
        readonly ended: boolean;
        readonly next: Parameters<typeof nextRun>[0] | null;
      }[];
    };

const stored = (row: {
  id: string;
  name: string;
  deployment: string;
  cron: string;
  timeZone: string;
  input: string;
  metadata: unknown;
  threadId: string | null;
  apiKeyId: string | null;
  overlap: string;
  catchUp: string;
  withinMs: number;
  jitterMs: number;
  paused: boolean;
  nextAt: Date | null;
  wakeAt: Date | null;
  generation: number;
  createdAt: Date;
  updatedAt: Date;
}): StoredSchedule => ({
  id: idOf("schedule", row.id),
  name: row.name,
  deployment: row.deployment,
  cron: row.cron,
  timeZone: row.timeZone,
  input: row.input,
  metadata: row.metadata as Record<string, string>,
  threadId: row.threadId === null ? null : idOf("thread", row.threadId),
  apiKeyId: row.apiKeyId === null ? null : idOf("apiKey", row.apiKeyId),
  overlap: row.overlap as Overlap,
  catchUp: row.catchUp as CatchUp,
  withinMs: row.withinMs,
  jitterMs: row.jitterMs,
  paused: row.paused,
  nextAt: row.nextAt,
  wakeAt: row.wakeAt,
  generation: row.generation,
  createdAt: instant(row.createdAt),
  updatedAt: instant(row.updatedAt),
});
