import { openStore } from "@maru/store";
import pg from "pg";
import { load, median } from "./load.ts";
import type { Bench } from "./setup.ts";

const COUNT = 2_000;
const CONCURRENCY = 32;
const ROUNDS = 3;
const WORKSPACES = 200;

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
        id: store.runs.newId(),
        deployment: "bench",
        input: "hello",
        inputTokens: 5,
        threadId: null,
        onThreadBusy: null,
        metadata: {},
        simulated: true,
        apiKeyId: null,
        idempotency: null,
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
  await pool.end();
  await store.close();
}

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
