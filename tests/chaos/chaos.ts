import { setTimeout as sleep } from "node:timers/promises";
import { TOOL_HOST } from "./agents.ts";
import { createApi, type Replies } from "./api.ts";
import { checkHistory, type HistoryFindings } from "./check-history.ts";
import { checkLedger } from "./check-ledger.ts";
import { checkTools, type ToolFindings } from "./check-tools.ts";
import { type ClusterOptions, startCluster } from "./cluster.ts";
import { openTenants, openThreads, startLoad } from "./load.ts";
import { type Done, type Faults, startNemesis } from "./nemesis.ts";
import { planRuns } from "./plan.ts";
import { seeded } from "./random.ts";
import { startToolServer } from "./tool-server.ts";
import { watchHistory } from "./watch.ts";

export interface ChaosOptions {
  readonly backend: ClusterOptions["backend"];
  readonly seed: number;
  readonly runs: number;
  /** Most runs that are open at once. */
  readonly inFlight: number;
  /** The load takes at least so long: faults need time to fall into it. */
  readonly loadMs: number;
  /** When the load and its recovery must be over; what is open then is stuck. */
  readonly deadlineMs: number;
  readonly modelCallMs: number;
  readonly maxToolDelayMs: number;
  readonly faults: Faults;
  readonly keepLogs: boolean;
}

export interface ChaosResult {
  /** That were accepted. */
  readonly runs: number;
  readonly done: Done;
  readonly history: HistoryFindings;
  readonly tools: ToolFindings;
  /** What is wrong with the ledger; empty when it is exact. */
  readonly ledger: readonly string[];
  /** Processes that ended though nobody killed them. */
  readonly ownDeaths: number;
  readonly replies: Replies;
  /** From the first request to the end of the last run. */
  readonly seconds: number;
}

const LOOK_MS = 200;

/** Loads a cluster of its own, does the faults to it, and checks what is left when nothing runs any more. */
export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const { seed, runs } = options;
  const server = await startToolServer({ maxDelayMs: options.maxToolDelayMs, random: seeded(seed + 1) });
  const { backend, modelCallMs, keepLogs } = options;
  const cluster = await startCluster({ backend, toolHost: TOOL_HOST, toolUrl: server.url, modelCallMs, keepLogs });
  try {
    const { postgres } = cluster;
    await watchHistory(postgres);
    const deadline = AbortSignal.timeout(options.deadlineMs);
    const api = createApi(cluster.gatewayUrls, deadline);
    const keys = await openTenants(api);
    const threads = await openThreads(api, keys, runs);
    const began = Date.now();
    const planned = planRuns(runs, seeded(seed));
    const { inFlight, loadMs } = options;
    const load = startLoad({ api, runs: planned, keys, threads, postgres, inFlight, leastMs: loadMs, deadline });
    const nemesis = startNemesis(cluster, options.faults, load.accepted, seeded(seed + 2));
    /** Waits until no run is open; answers when that was so, or time was up. */
    const allEnded = async () => {
      const sql = "SELECT 1 FROM runs WHERE finished_at IS NULL LIMIT 1";
      while ((await postgres.query(sql)).length > 0 && !deadline.aborted) await sleep(LOOK_MS);
      return Date.now();
    };
    try {
      await load.allAccepted;
      if (options.faults.toTheEnd) await allEnded();
    } finally {
      await nemesis.stop();
    }
    const ended = await allEnded();
    return {
      runs: load.idsByKey.size,
      done: nemesis.done,
      history: await checkHistory(postgres, load.idsByKey),
      tools: await checkTools(postgres, server),
      ledger: await checkLedger(postgres),
      ownDeaths: cluster.ownDeaths(),
      replies: api.replies,
      seconds: (ended - began) / 1_000,
    };
  } finally {
    await cluster.close();
    await server.close();
  }
}
