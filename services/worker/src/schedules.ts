import { newId, Problem } from "@maru/contract";
import { dueAt, fireStep, type SchedulePolicy, scheduledInput } from "@maru/domain";
import type { LiveBus } from "@maru/queue";
import type { DueSchedule, Fired, Firing, NewRun, NextRun, Schedules, StoredSchedule, WaitingFire } from "@maru/store";
import type { Logger } from "pino";
import { Counter, type Registry } from "prom-client";

export interface SchedulerDeps {
  readonly schedules: Schedules;
  readonly bus: Pick<LiveBus, "publish">;
  /** Sends the wake-up of a run. */
  readonly wake: (workspaceId: string, next: NextRun) => void;
  /** Cancels what a run that was cancelled has started. */
  readonly cancelBelow: (workspaceId: string, runId: string) => Promise<void>;
  readonly estimateTokens: (text: string) => number;
  /** Whether the installation's models are a simulator's. */
  readonly simulated: boolean;
  /** How often is looked for what is due, at least. */
  readonly sweepMs: number;
  readonly logger: Logger;
  readonly metrics: Registry;
}

/** Schedules taken at a time, and how many of them are at work at once: many fire on the hour. */
const BATCH = 50;
const LANES = 4;
/** A step is a transaction of some milliseconds. A worker that dies in one keeps its schedules for as long as this. */
const LEASE_MS = 30_000;
/** Not sooner again: what is due may be in the hands of another worker. */
const SOON_MS = 20;

/**
 * Makes the runs of schedules. Every worker looks: each sweep, and when the next is due. What a schedule fires next is in its row, so
 * it does not matter who looks, or how many do.
 */
export function createScheduler(deps: SchedulerDeps) {
  const { schedules, bus, logger } = deps;
  const fires = new Counter({
    name: "maru_schedule_fires_total",
    help: "Fire times of schedules by what came of them",
    labelNames: ["outcome"],
    registers: [deps.metrics],
  });
  let stopping = false;
  let timer: NodeJS.Timeout | null = null;
  let sweeping: Promise<void> = Promise.resolve();

  const runOf = (schedule: StoredSchedule, at: Date): NewRun => {
    const input = scheduledInput(schedule, at);
    return {
      id: newId("run"),
      deployment: schedule.deployment,
      input,
      inputTokens: deps.estimateTokens(input),
      threadId: schedule.threadId,
      revision: null,
      onThreadBusy: { skip: null, queue: "enqueue" as const, cancel_previous: "interrupt" as const }[schedule.overlap],
      metadata: schedule.metadata,
      simulated: deps.simulated,
      apiKeyId: schedule.apiKeyId,
      idempotency: null,
    };
  };

  const follow = (workspaceId: string, runId: string, fired: Fired | null): void => {
    if (fired === null || fired.outcome === null) return;
    fires.inc({ outcome: fired.outcome });
    if (fired.outcome !== "run") return;
    if (!fired.held) deps.wake(workspaceId, { runId, epoch: 0 });
    for (const { runId: other, ended, next } of fired.cancelled) {
      bus.publish(other, { kind: ended ? "reload" : "cancel" });
      if (next !== null) deps.wake(workspaceId, next);
      if (ended)
        void deps
          .cancelBelow(workspaceId, other)
          .catch((error) => logger.warn({ err: error }, "a cancelled run's children not told; the sweep will"));
    }
  };

  /** Does `make` with the run of a fire time, or where that is refused with the refusal, and tells who has to know. */
  const orRefused = async (
    workspaceId: string,
    schedule: StoredSchedule,
    at: Date,
    make: (firing: Firing) => Promise<Fired | null>,
  ): Promise<void> => {
    try {
      const run = runOf(schedule, at);
      follow(workspaceId, run.id, await make({ run }));
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      const fired = await make({ refused: { code: error.code, detail: error.detail ?? null } });
      if (fired !== null && fired.outcome !== null) fires.inc({ outcome: fired.outcome });
    }
  };

  const step = async (due: DueSchedule): Promise<void> => {
    const { workspaceId } = due;
    const schedule = await schedules.find(workspaceId, due.scheduleId);
    if (schedule === null || schedule.nextAt === null) return;
    const policy: SchedulePolicy = { ...schedule, key: schedule.id };
    const { missed, fire, next } = fireStep(policy, schedule.nextAt, due.now);
    const move = { nextAt: next, wakeAt: next === null ? null : dueAt(policy, next), missed };
    if (fire === null) {
      const moved = await schedules.fire(due, schedule, { ...move, firing: null });
      if (moved !== null && missed !== null) fires.inc({ outcome: "missed" }, missed.count);
      return;
    }
    await orRefused(workspaceId, schedule, fire, (firing) =>
      schedules.fire(due, schedule, { ...move, firing: { ...firing, at: fire } }),
    );
  };

  const release = async (waiting: WaitingFire): Promise<void> => {
    const { workspaceId } = waiting;
    const [schedule, at] = await Promise.all([
      schedules.find(workspaceId, waiting.scheduleId),
      schedules.waitingSince(waiting),
    ]);
    if (schedule === null || at === null) return;
    await orRefused(workspaceId, schedule, at, (firing) => schedules.fireWaiting(waiting, firing));
  };

  /** What fails is done again when its lease is over. */
  const each = async <T extends { scheduleId: string }>(items: readonly T[], act: (item: T) => Promise<void>) => {
    const queue = items.values();
    const lane = async () => {
      for (const item of queue)
        await act(item).catch((error) =>
          logger.warn({ err: error, scheduleId: item.scheduleId }, "schedule not acted on; it is looked at again"),
        );
    };
    await Promise.all(Array.from({ length: LANES }, lane));
  };

  const sweep = async (): Promise<void> => {
    // A quarter more or less, so that workers do not look all at once.
    let inMs = deps.sweepMs * (0.75 + Math.random() / 2);
    try {
      let due: DueSchedule[];
      do {
        due = await schedules.due(BATCH, LEASE_MS);
        await each(due, step);
      } while (due.length > 0 && !stopping);
      await each(await schedules.waiting(BATCH), release);
      inMs = Math.min(inMs, Math.max(SOON_MS, (await schedules.nextInMs()) ?? inMs));
    } catch (error) {
      logger.warn({ err: error }, "schedules not looked for; they are looked for again");
    }
    if (!stopping) timer = setTimeout(look, Math.ceil(inMs));
  };
  const look = (): void => {
    sweeping = sweep();
  };

  return {
    start: look,
    /** Takes no more; what it has taken is done. */
    async stop(): Promise<void> {
      stopping = true;
      if (timer !== null) clearTimeout(timer);
      await sweeping;
    },
  };
}
