import { type EnginePorts, executeRun, type RunOutcome, Stop, type StopKind } from "@maru/engine";
import type { LiveBus } from "@maru/queue";
import type { Claim, NextRun, Store } from "@maru/store";
import type { Logger } from "pino";
import type { createChildRuns } from "./children.ts";
import type { Live } from "./live.ts";

export interface HoldDeps {
  readonly store: Store;
  readonly bus: LiveBus;
  readonly live: Live;
  readonly ports: EnginePorts;
  readonly leaseMs: number;
  readonly maxLostWorkers: number;
  /** Sends the wake-up of a run whose turn has come. */
  readonly wake: (workspaceId: string, next: NextRun) => void;
  readonly children: Pick<ReturnType<typeof createChildRuns>, "collect" | "settle">;
  readonly logger: Logger;
  readonly now: () => number;
}

interface Held {
  readonly claim: Claim;
  readonly stop: (kind: StopKind) => void;
  /** By the monotonic clock: when the lease was last known to be ours. */
  renewedAt: number;
}

/** The runs this process holds: claimed, executed under a lease that is renewed, let go at the end. */
export function createHold(deps: HoldDeps) {
  const { store, bus, live, ports, leaseMs, logger, now } = deps;
  const held = new Map<string, Held>();
  let beat: NodeJS.Timeout | null = null;
  let draining = false;

  /** What is not told now is told by the sweep. */
  const swept = (error: unknown) => logger.warn({ err: error }, "a run's relatives not told; the sweep will");
  const settled = (workspaceId: string, runId: string) => deps.children.settle(workspaceId, runId).catch(swept);

  /** Renews every lease in one statement. What is not answered for is not ours any more. */
  const renew = async () => {
    if (held.size === 0) return;
    const sent = now();
    const asked = [...held.values()];
    try {
      const still = await store.journal.renew(
        asked.map(({ claim }) => claim),
        leaseMs,
      );
      for (const item of asked) {
        const answer = still.get(item.claim.runId);
        if (answer === undefined) item.stop("lost");
        else {
          item.renewedAt = sent;
          if (answer.cancel) item.stop("cancel");
        }
      }
    } catch (error) {
      logger.warn({ err: error }, "leases not renewed");
      // A worker that can't renew must stop before its lease can run out under it.
      for (const item of asked) if (now() - item.renewedAt > leaseMs * 0.8) item.stop("lost");
    }
  };

  const execute = async (claim: Claim): Promise<RunOutcome | null> => {
    const controller = new AbortController();
    const stop = (kind: StopKind) => controller.abort(new Stop(kind));
    const mine: Held = { claim, stop, renewedAt: now() };
    held.set(claim.runId, mine);
    // A process that was stopped for a while may not know yet that its lease ran out.
    const surelyHeld = () => now() - mine.renewedAt < leaseMs * 0.8;
    const unsubscribe = bus.subscribe(claim.runId, (message) => {
      if (message.kind === "cancel") stop("cancel");
      if (message.kind === "join") live.snapshot(claim.runId);
    });
    try {
      live.port.committed(claim, claim.events);
      const outcome = await executeRun(claim, ports, controller.signal, surelyHeld);
      const family = claim.child || claim.spec.tools.some(({ type }) => type === "agent");
      if (outcome === "handed_back") await store.journal.release(claim);
      else if (outcome === "ended" && family) await settled(claim.workspaceId, claim.runId);
      else if (outcome === "waiting" && family)
        await deps.children.collect(claim.workspaceId, claim.runId).catch(swept);
      else if (outcome === "lost")
        logger.warn({ runId: claim.runId, epoch: claim.epoch }, "claim lost; another worker has the run");
      return outcome;
    } catch (error) {
      // A failure of ours (the database away, a bug), not of the run: its lease runs out and another attempt is made.
      logger.error({ err: error, runId: claim.runId }, "run not carried on; its lease will run out");
      return null;
    } finally {
      unsubscribe();
      held.delete(claim.runId);
      live.forget(claim.runId);
    }
  };

  return {
    /** Claims and executes, or finds that there is nothing to do. */
    async take(workspaceId: string, runId: string): Promise<void> {
      // Again when the run was to wait and its answers were there already.
      let outcome: RunOutcome | null = "answered";
      while (outcome === "answered") {
        if (draining || held.has(runId)) return;
        const claim = await store.journal.claim(workspaceId, runId, leaseMs, deps.maxLostWorkers);
        if ("ended" in claim) {
          if (claim.ended) {
            bus.publish(runId, { kind: "reload" });
            await settled(workspaceId, runId);
          }
          if (claim.next !== undefined) deps.wake(workspaceId, claim.next);
          return;
        }
        outcome = await execute(claim);
      }
    },
    start(): void {
      beat = setInterval(() => void renew(), Math.max(50, Math.floor(leaseMs / 3)));
    },
    inFlight: () => held.size,
    /** Lets runs finish for a while, then hands the rest back with their journals as they are. */
    async drain(ms: number): Promise<void> {
      draining = true;
      const deadline = now() + ms;
      while (held.size > 0 && now() < deadline) await new Promise((done) => setTimeout(done, 25));
      for (const item of held.values()) item.stop("drain");
      const patience = now() + 5_000;
      while (held.size > 0 && now() < patience) await new Promise((done) => setTimeout(done, 10));
      if (beat !== null) clearInterval(beat);
    },
  };
}
