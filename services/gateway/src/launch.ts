import type { LiveBus, WakeUps } from "@maru/queue";
import type { FastifyRequest } from "fastify";

/** A run that has just been made. */
export interface Launched {
  readonly runId: string;
  /** It waits its turn in its thread or for a limit of pace: nobody is to be woken. */
  readonly held: boolean;
  /** Runs it cancelled that are still with a worker. */
  readonly interrupted: readonly string[];
}
export type Launch = (request: FastifyRequest, workspaceId: string, launched: Launched) => void;

/** Tells who has to know of a new run. The row is the truth and the wake-up only a hint: unsent, the sweeper finds the run. */
export const createLaunch =
  ({ wakeUps, bus }: { wakeUps: Pick<WakeUps, "send">; bus: Pick<LiveBus, "publish"> }): Launch =>
  (request, workspaceId, { runId, held, interrupted }) => {
    for (const other of interrupted) bus.publish(other, { kind: "cancel" });
    if (held) return;
    void wakeUps
      .send({ workspaceId, runId }, { epoch: 0, recovered: false })
      .catch((error) => request.log.warn({ err: error, runId }, "wake-up not sent; the sweeper will"));
  };
