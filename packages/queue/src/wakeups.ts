import { openQueue, openWorker, type QueueBackend, within } from "./backend.ts";

/** A hint that says “look at this run”. The row is the truth: a lost wake-up is sent again, a double one finds nothing. */
export interface WakeUp {
  readonly workspaceId: string;
  readonly runId: string;
}

const QUEUE = "runs";
/** After this a wake-up counts as not sent. It may still arrive: a double one finds nothing to do. */
const SEND_MS = 1_000;
const PAUSE_MS = 3_000;

/** Sends wake-ups. */
export function createWakeUps(backend: QueueBackend) {
  const { queue, close } = openQueue<WakeUp>(QUEUE, backend);
  return {
    /**
     * Sends one; rejects when the queue does not take it within a second. The job id makes repeats of the same wake-up one job while it waits. A recovered run goes to the front:
     * behind the backlog of new runs its recovery was seen to wait for minutes.
     */
    async send(wakeUp: WakeUp, about: { epoch: number; recovered: boolean }): Promise<void> {
      const job = queue.add(
        "run",
        { workspaceId: wakeUp.workspaceId, runId: wakeUp.runId },
        {
          jobId: `${wakeUp.runId}-${about.epoch}${about.recovered ? "-recovered" : ""}`,
          ...(about.recovered ? { lifo: true } : {}),
        },
      );
      job.catch(() => {});
      await within(SEND_MS, job);
    },
    /** Jobs waiting and being worked on. */
    async depth(): Promise<{ waiting: number; active: number }> {
      const counts = await queue.getJobCounts("waiting", "active");
      return { waiting: counts.waiting ?? 0, active: counts.active ?? 0 };
    },
    close,
  };
}
export type WakeUps = ReturnType<typeof createWakeUps>;

/** Receives wake-ups, at most `concurrency` at a time. `close()` waits for those under way. */
export function receiveWakeUps(backend: QueueBackend, concurrency: number, handle: (wakeUp: WakeUp) => Promise<void>) {
  const { worker, close } = openWorker<WakeUp>(QUEUE, backend, async (job) => handle(job.data), concurrency);
  return {
    ready: () => worker.waitUntilReady(),
    /** Takes no more; those under way go on. */
    pause: () => within(PAUSE_MS, worker.pause(true)).catch(() => {}),
    close,
  };
}
