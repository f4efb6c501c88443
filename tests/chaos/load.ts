import { setTimeout as sleep } from "node:timers/promises";
import { AGENTS, type AgentName, manifestOf } from "./agents.ts";
import type { Api } from "./api.ts";
import { type PlannedRun, TENANTS, tenantOfThread, threadsOf } from "./plan.ts";
import type { CrashablePostgres } from "./postgres.ts";

export interface Load {
  /** Ids a key was answered with. More than one is a fault. */
  readonly idsByKey: ReadonlyMap<string, ReadonlySet<string>>;
  /** Share of the runs that were accepted, 0 to 1. */
  accepted(): number;
  /** Resolves when every run was accepted, or time was up. */
  readonly allAccepted: Promise<void>;
}

const LANES = 16;
const LOOK_MS = 100;
/** One run in so many is asked for once more after it was accepted. */
const ASK_AGAIN = 10;

/** Workspaces with every agent deployed: their API keys. */
export async function openTenants(api: Api): Promise<string[]> {
  const keys: string[] = [];
  for (let tenant = 0; tenant < TENANTS; tenant++) {
    const account = { email: `tenant${tenant}@example.com`, password: "chaos chaos chaos" };
    const { tokens } = await api.post("/v1/auth/register", { body: account });
    const scopes = ["agents:write", "runs:write", "runs:read"];
    const { key } = await api.post("/v1/api-keys", { key: tokens.access_token, body: { name: "chaos", scopes } });
    for (const name of Object.keys(AGENTS) as AgentName[])
      await api.post("/v1/deployments", { key, body: manifestOf(name) });
    keys.push(key);
  }
  return keys;
}

export async function openThreads(api: Api, keys: readonly string[], runs: number): Promise<string[]> {
  const ids: string[] = [];
  for (let thread = 0; thread < threadsOf(runs); thread++) {
    const key = keys[tenantOfThread(thread)] as string;
    ids.push((await api.post("/v1/threads", { key, idempotencyKey: `thread-${thread}`, body: {} })).id);
  }
  return ids;
}

/** Asks for the planned runs: not faster than evenly over `leastMs`, and never with more than `inFlight` of them open. */
export function startLoad(options: {
  api: Api;
  runs: readonly PlannedRun[];
  keys: readonly string[];
  threads: readonly string[];
  postgres: CrashablePostgres;
  inFlight: number;
  leastMs: number;
  /** Ends the asking, whatever was accepted by then. */
  deadline: AbortSignal;
}): Load {
  const { api, runs, keys, threads, postgres, deadline } = options;
  const idsByKey = new Map<string, Set<string>>();
  const began = Date.now();
  let next = 0;
  let ended = 0;

  const create = async (run: PlannedRun) => {
    const key = keys[run.tenant] as string;
    const thread = run.thread === null ? {} : { thread_id: threads[run.thread] };
    const body = { deployment: run.agent, input: run.input, ...thread };
    const { id } = await api.post("/v1/runs", { key, idempotencyKey: run.key, body });
    idsByKey.set(run.key, (idsByKey.get(run.key) ?? new Set()).add(id));
  };
  const lane = async () => {
    for (let index = next++; index < runs.length; index = next++) {
      const run = runs[index] as PlannedRun;
      await sleep(Math.max(0, began + (index * options.leastMs) / runs.length - Date.now()));
      while (index - ended >= options.inFlight && !deadline.aborted) await sleep(LOOK_MS / 2);
      if (deadline.aborted) return;
      await create(run);
      if (index % ASK_AGAIN === 0) await create(run);
    }
  };
  let asking = true;
  const watch = async () => {
    while (asking) {
      const sql = "SELECT count(*)::int AS count FROM runs WHERE finished_at IS NOT NULL";
      ended = (await postgres.query<{ count: number }>(sql))[0]?.count ?? 0;
      await sleep(LOOK_MS);
    }
  };
  const untilDeadline = async () => {
    await lane().catch((error: unknown) => {
      if (!deadline.aborted) throw error;
    });
  };
  const lanes = Promise.all(Array.from({ length: Math.min(LANES, runs.length) }, untilDeadline));
  const allAccepted = Promise.all([watch(), lanes.finally(() => (asking = false))]).then(() => {});
  // It is awaited later; until then a rejection must not count as unhandled.
  allAccepted.catch(() => {});
  return { idsByKey, accepted: () => idsByKey.size / runs.length, allAccepted };
}
