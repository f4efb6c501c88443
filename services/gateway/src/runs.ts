import type { Run } from "@maru/contract";
import type { LiveBus, WakeUps } from "@maru/queue";
import type { NextRun, Store } from "@maru/store";
import type { FastifyRequest } from "fastify";

export interface RunControlDeps {
  readonly store: Store;
  readonly wakeUps: WakeUps;
  readonly bus: LiveBus;
}

/** A run that has just been made. */
export interface BegunRun {
  readonly runId: string;
  /** It waits its turn in its thread or for a limit of pace: nobody is to be woken. */
  readonly held: boolean;
  /** Runs it cancelled that are still with a worker. */
  readonly interrupted: readonly string[];
}

/** What is done to runs from outside, whichever resource is asked to do it. */
export function createRunControl({ store, wakeUps, bus }: RunControlDeps) {
  /** The row is the truth and the wake-up only a hint: when it can't be sent, the sweeper sends it later. */
  const wake = (request: FastifyRequest, workspaceId: string, { runId, epoch }: NextRun) =>
    void wakeUps
      .send({ workspaceId, runId }, { epoch, recovered: false })
      .catch((error) => request.log.warn({ err: error, runId }, "wake-up not sent; the sweeper will"));

  return {
    wake,
    /** Tells who has to know of a new run. */
    begun(request: FastifyRequest, workspaceId: string, { runId, held, interrupted }: BegunRun): void {
      for (const other of interrupted) bus.publish(other, { kind: "cancel" });
      if (!held) wake(request, workspaceId, { runId, epoch: 0 });
    },
    /** Asks a run, and with it all runs below it, to stop. @throws Problem not_found */
    async cancel(request: FastifyRequest, workspaceId: string, id: string): Promise<Run> {
      const { run, next } = await store.runs.cancel(workspaceId, id);
      const ended = run.finished_at !== null;
      // A running one hears of it here at once, and from its next lease renewal in any case.
      bus.publish(id, ended ? { kind: "reload" } : { kind: "cancel" });
      if (next !== null) wake(request, workspaceId, next);
      if (ended)
        for (const child of await store.children.cancelBelow(workspaceId, id))
          bus.publish(child.runId, { kind: child.ended ? "reload" : "cancel" });
      return run;
    },
  };
}
export type RunControl = ReturnType<typeof createRunControl>;
