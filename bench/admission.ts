import { openStore, type Store } from "@maru/store";
import pg from "pg";
import { load, median } from "./load.ts";
import type { Bench } from "./setup.ts";

const COUNT = 2_000;
const CONCURRENCY = 32;
const ROUNDS = 3;
const WORKSPACES = 1_000;
/** Runs from creation to end, for the share that quota has of them. */
const RUNS = 400;

/**
 * Admissions a second (run, first event and reservations in one statement) for one hot workspace and over many, beside a bare
 * conditional UPDATE of one row and of many, on the same database with as many connections.
 */
export async function admissionBench(bench: Bench): Promise<void> {
  const store = await openStore({ url: bench.workerConfig.databaseUrl, poolSize: 10 });
  const pool = new pg.Pool({ connectionString: bench.ownerUrl, max: 10 });
  const ids = await seedWorkspaces(pool, WORKSPACES);
  await pool.query("CREATE TABLE bare (id int PRIMARY KEY, used bigint NOT NULL DEFAULT 0, amount bigint NOT NULL)");
  await pool.query(`INSERT INTO bare SELECT n, 0, 1000000000000 FROM generate_series(0, ${WORKSPACES}) n`);

  const admit = (many: boolean) => {
    let next = 0;
    return async () => {
      await store.runs.create(ids[many ? next++ % ids.length : 0] as string, {
        ...NEW_RUN,
        id: store.runs.newId(),
      });
    };
  };
  const bare = (many: boolean) => {
    let next = 0;
    return async () => {
      await pool.query({
        name: "bare",
        text: "UPDATE bare SET used = used + 7 WHERE id = $1 AND used + 7 <= amount RETURNING used",
        values: [many ? next++ % WORKSPACES : 0],
      });
    };
  };
  console.log(
    `\nAdmissions a second, ${CONCURRENCY} callers on 10 connections (median of ${ROUNDS} rounds of ${COUNT})`,
  );
  console.log("                     bare UPDATE  Maru's admission  ratio");
  for (const many of [false, true]) {
    const rates: [number[], number[]] = [[], []];
    await load(200, CONCURRENCY, admit(many));
    for (let round = 0; round < ROUNDS; round++) {
      rates[0].push((await load(COUNT, CONCURRENCY, bare(many))).perSecond);
      rates[1].push((await load(COUNT, CONCURRENCY, admit(many))).perSecond);
    }
    const [base, maru] = rates.map(median) as [number, number];
    const name = many ? `${WORKSPACES} workspaces` : "one hot workspace";
    console.log(
      `  ${name.padEnd(18)} ${`${Math.round(base)}/s`.padStart(11)} ${`${Math.round(maru)}/s`.padStart(17)} ${(maru / base).toFixed(2).padStart(6)}`,
    );
  }
  await shareBench(store, pool, ids[1] as string);
  await pool.end();
  await store.close();
}

/**
 * What of a run's way through the database (created, claimed, two model steps, ended) is quota: the same way with the ledger's
 * functions doing nothing, in turns, on the same database.
 */
async function shareBench(store: Store, pool: pg.Pool, workspaceId: string): Promise<void> {
  const model = { kind: "model", name: "k-exaone", effect: "model", input: null } as const;
  const usage = { model: "k-exaone", inputTokens: 50, cachedInputTokens: 0, outputTokens: 9, costMicros: 1 };
  const output = {
    reasoning: "",
    text: "",
    toolCalls: [],
    finishReason: "stop",
    model: "m",
    usage: { inputTokens: 50, cachedInputTokens: 0, outputTokens: 9, estimated: false },
  };
  const one = async () => {
    const id = store.runs.newId();
    await store.runs.create(workspaceId, { ...NEW_RUN, id });
    const claim = await store.journal.claim(workspaceId, id, 60_000, 5);
    if ("ended" in claim) throw new Error("not claimed");
    for (const step of [1, 2]) {
      const last = step === 2;
      await store.journal.write(claim, {
        done: [{ seq: step, state: "done", output }],
        start: last ? [] : [{ seq: 2, ...model }],
        events: [{ type: last ? "run.completed" : "step.finished", data: {} }],
        usage: { step, ...usage, estimated: false, simulated: true },
        reserveTokens: last ? 0 : 5_000,
        end: last ? { status: "completed", output: "", reason: null, error: null, messages: [], tokens: 0 } : null,
      });
    }
  };
  const { rows } = await pool.query<{ definition: string }>(
    "SELECT pg_get_functiondef(p.oid) AS definition FROM pg_proc p WHERE p.proname IN ('quota_reserve', 'quota_settle_step', 'quota_close')",
  );
  const real = rows.map(({ definition }) => definition);
  const nothing = real.map((definition) => {
    const head = definition.slice(0, definition.indexOf("AS $function$"));
    const type = /RETURNS (\w+)/.exec(head)?.[1] ?? "void";
    const answer = { record: "NULL::bigint, '[]'::jsonb", boolean: "true" }[type] ?? "";
    return `${head.replace(/LANGUAGE \w+/, "LANGUAGE sql").replace(" STABLE", "")} AS $$ SELECT ${answer} $$`;
  });
  const use = async (definitions: readonly string[]) => {
    for (const definition of definitions) await pool.query(definition);
  };
  const times: [number[], number[]] = [[], []];
  for (const concurrency of [1, 16]) {
    times[0] = [];
    times[1] = [];
    await load(50, concurrency, one);
    for (let round = 0; round < ROUNDS; round++)
      for (const [index, definitions] of [real, nothing].entries()) {
        await use(definitions);
        times[index as 0 | 1].push(1_000 / (await load(RUNS, concurrency, one)).perSecond);
      }
    await use(real);
    const [whole, without] = times.map(median) as [number, number];
    console.log(
      `  a run at ${String(concurrency).padStart(2)}: ${whole.toFixed(2)} ms with the ledger, ${without.toFixed(2)} without: quota is ${Math.round((1 - without / whole) * 100)} % of it`,
    );
  }
}

const NEW_RUN = {
  deployment: "bench",
  input: "hello",
  inputTokens: 5,
  threadId: null,
  revision: null,
  onThreadBusy: null,
  metadata: {},
  simulated: true,
  apiKeyId: null,
  idempotency: null,
} as const;

/** Workspaces with the bench's deployment each; answers their ids. */
async function seedWorkspaces(pool: pg.Pool, count: number): Promise<string[]> {
  const { idOf } = await import("@maru/contract");
  const { rows } = await pool.query<{ id: string }>(
    `WITH w AS (INSERT INTO workspaces (id, name, plan_id) SELECT gen_random_uuid(), 'bench ' || n, 'free' FROM generate_series(1, $1::int) n RETURNING id),
          a AS (INSERT INTO agents (workspace_id, id, name, latest_revision) SELECT w.id, gen_random_uuid(), 'bench', 1 FROM w RETURNING workspace_id, id),
          s AS (SELECT spec, reserve_tokens, digest FROM revisions LIMIT 1),
          r AS (INSERT INTO revisions (workspace_id, agent_id, number, digest, spec, reserve_tokens) SELECT a.workspace_id, a.id, 1, s.digest, s.spec, s.reserve_tokens FROM a, s RETURNING 1),
          d AS (INSERT INTO deployments (workspace_id, id, name, agent_id, revision) SELECT workspace_id, gen_random_uuid(), 'bench', id, 1 FROM a RETURNING 1)
     SELECT id FROM w`,
    [count],
  );
  return rows.map(({ id }) => idOf("workspace", id));
}
