import { setTimeout as sleep } from "node:timers/promises";
import type { Cluster } from "./cluster.ts";
import type { Random } from "./random.ts";

/** What is done to a cluster. */
export interface Faults {
  /** How often one worker is killed or stopped. */
  readonly everyMs: number;
  /** Shares of the load, 0 to 1, at which Postgres crashes. */
  readonly postgresCrashesAt: readonly number[];
  /** Shares of the load at which the Redis, if there is one, is emptied. */
  readonly flushesAt: readonly number[];
  /** Shares of the load at which a gateway is killed. */
  readonly gatewayKillsAt: readonly number[];
  /** Whether workers are hit until the last run has ended, or only until the last one was accepted. */
  readonly toTheEnd: boolean;
}

export interface Done {
  kills: number;
  stops: number;
  postgresCrashes: number;
  flushes: number;
  gatewayKills: number;
}

export interface Nemesis {
  readonly done: Readonly<Done>;
  /** Begins no more faults; resolves when all processes run again. */
  stop(): Promise<void>;
}

const KILL_SHARE = 0.6;
/** Whatever the seed: both kinds are had even where time is short. */
const FIRST = ["kill", "stop", "kill"] as const;
const LOOK_MS = 50;

/** Does the faults until it is told to stop. `progress` answers the share of the load that was accepted. */
export function startNemesis(cluster: Cluster, faults: Faults, progress: () => number, random: Random): Nemesis {
  const done: Done = { kills: 0, stops: 0, postgresCrashes: 0, flushes: 0, gatewayKills: 0 };
  const stops = new Set<Promise<void>>();
  let stopping = false;

  const hitWorker = (number: number) => {
    const kind = FIRST[number] ?? (random.next() < KILL_SHARE ? "kill" : "stop");
    // Longer than its lease: it wakes when its runs are another's.
    const pauseMs = cluster.leaseMs * (1.2 + random.next());
    const running = cluster.workers.filter((worker) => worker.running());
    // Somebody is left to take over: with every worker hit as soon as it serves, a run that loses five in a row is rightly given
    // up, and what is tried is only how fast this machine starts a process.
    if (running.length < 2) return false;
    const worker = random.pick(running);
    if (kind === "kill") {
      worker.kill();
      done.kills++;
    } else {
      const stop = worker.pause(pauseMs).finally(() => stops.delete(stop));
      stops.add(stop);
      done.stops++;
    }
    return true;
  };
  const workers = async () => {
    for (let number = 0; ; ) {
      for (let waited = 0; waited < faults.everyMs && !stopping; waited += LOOK_MS) await sleep(LOOK_MS);
      if (stopping) return;
      if (hitWorker(number)) number++;
    }
  };
  const scheduled = async (shares: readonly number[], fault: () => Promise<void>) => {
    for (const share of shares) {
      while (progress() < share && !stopping) await sleep(LOOK_MS);
      // Told to stop, it still does what is due: all was accepted by then, unless time was up.
      if (progress() < share) return;
      await fault();
    }
  };
  const { flush } = cluster;
  const loops = Promise.all([
    workers(),
    scheduled(faults.postgresCrashesAt, async () => {
      done.postgresCrashes++;
      await cluster.postgres.crash(random.between(0, 1_500));
    }),
    scheduled(faults.flushesAt, async () => {
      if (flush === null) return;
      await flush();
      done.flushes++;
    }),
    scheduled(faults.gatewayKillsAt, async () => {
      random.pick(cluster.gateways).kill();
      done.gatewayKills++;
    }),
  ]);
  loops.catch(() => {});

  return {
    done,
    async stop() {
      stopping = true;
      await loops;
      await Promise.all(stops);
      await Promise.all([...cluster.gateways, ...cluster.workers].map((process) => process.ready()));
    },
  };
}
