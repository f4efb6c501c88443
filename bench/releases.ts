import { idOf } from "@maru/contract";
import { openStore } from "@maru/store";
import pg from "pg";
import { load, median, percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const DEPLOYS = 300;
const RUNS = 1_500;
const ROUNDS = 3;
const CALLERS = 16;

/**
 * How long a deploy takes over the API (parsed, checked, stored), beside one INSERT of the same text over the same pool; and what
 * finding a run's revision costs its creation: all traffic to one, a split, a split with a thread that has messages.
 */
export async function releasesBench(bench: Bench): Promise<void> {
  const pool = new pg.Pool({ connectionString: bench.ownerUrl, max: 10 });
  const manifest = (n: number) => `apiVersion: maru/v1
kind: Agent
metadata: { name: deployed }
spec:
  instructions: You are assistant number ${n}.
  tools: [{ name: calculator, type: builtin }, { name: current_time, type: builtin }]
`;
  const post = async (text: string) => {
    const response = await fetch(`${bench.url}/v1/deployments`, {
      method: "POST",
      headers: { authorization: `Bearer ${bench.key}`, "content-type": "application/yaml" },
      body: text,
    });
    if (!response.ok) throw new Error(await response.text());
    await response.arrayBuffer();
  };
  let n = 0;
  await pool.query("CREATE TABLE bare_texts (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, text text)");
  const jobs = {
    "a bare INSERT": async () => void (await pool.query("INSERT INTO bare_texts (text) VALUES ($1)", [manifest(n++)])),
    "unchanged manifest": () => post(manifest(-1)),
    "new revision": () => post(manifest(n++)),
  };
  await post(manifest(-1));
  console.log(`\nDeploys (one at a time; median of ${ROUNDS} rounds of ${DEPLOYS})`);
  console.log("                        p50       p95  of the INSERT");
  const found: Record<string, [number[], number[]]> = {};
  for (let round = 0; round < ROUNDS; round++)
    for (const [name, job] of Object.entries(jobs)) {
      if (name === "unchanged manifest") await post(manifest(-1));
      const { times } = await load(DEPLOYS, 1, job);
      found[name] ??= [[], []];
      found[name][0].push(percentile(times, 0.5));
      found[name][1].push(percentile(times, 0.95));
    }
  const base = median(found["a bare INSERT"]?.[0] ?? []);
  for (const [name, [p50, p95]] of Object.entries(found))
    console.log(
      `  ${name.padEnd(18)} ${`${median(p50).toFixed(2)} ms`.padStart(9)} ${`${median(p95).toFixed(2)} ms`.padStart(9)} ${(median(p50) / base).toFixed(1).padStart(8)}`,
    );
  await creationBench(bench, pool, manifest);
  await pool.end();
}

async function creationBench(bench: Bench, pool: pg.Pool, manifest: (n: number) => string): Promise<void> {
  const store = await openStore({ url: bench.workerConfig.databaseUrl, poolSize: 10 });
  const call = async (path: string, method: string, body: unknown, type = "application/json") => {
    const response = await fetch(`${bench.url}${path}`, {
      method,
      headers: { authorization: `Bearer ${bench.key}`, "content-type": type },
      body: typeof body === "string" ? body : JSON.stringify(body),
    });
    if (!response.ok) throw new Error(await response.text());
    return (await response.json()) as { id: string; revision: number };
  };
  const text = (name: string, n: number) => manifest(n).replace("name: deployed", `name: ${name}`);
  for (const name of ["whole", "split"])
    for (const version of [1, 2]) await call("/v1/deployments", "POST", text(name, version), "application/yaml");
  const split = [
    { revision: 1, percent: 50 },
    { revision: 2, percent: 50 },
  ];
  await call("/v1/deployments/split/traffic", "PUT", { split });
  const { rows } = await pool.query<{ workspace_id: string }>(
    "SELECT workspace_id FROM deployments WHERE name = 'split'",
  );
  const workspaceId = idOf("workspace", rows[0]?.workspace_id as string);
  const create = (deployment: string) => async () => {
    await store.runs.create(workspaceId, {
      id: store.runs.newId(),
      deployment,
      input: "hello",
      inputTokens: 5,
      threadId: null,
      revision: null,
      onThreadBusy: null,
      metadata: {},
      simulated: true,
      apiKeyId: null,
      idempotency: null,
    });
  };
  console.log(`\nRuns created a second, ${CALLERS} at a time (median of ${ROUNDS} rounds of ${RUNS})`);
  const rates: Record<string, number[]> = { whole: [], split: [] };
  for (const name of ["whole", "split"]) await load(200, CALLERS, create(name));
  for (let round = 0; round < ROUNDS; round++)
    for (const name of ["whole", "split"]) rates[name]?.push((await load(RUNS, CALLERS, create(name))).perSecond);
  const [whole, parts] = [median(rates.whole ?? []), median(rates.split ?? [])];
  console.log(
    `  all to one revision ${Math.round(whole)}/s, split between two ${Math.round(parts)}/s, ratio ${(parts / whole).toFixed(2)}`,
  );
  await store.close();
}
