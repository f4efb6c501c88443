import { MEMORY_LIMITS } from "@maru/contract";
import type { MemoryPlace } from "@maru/domain";
import { openStore } from "@maru/store";
import pg from "pg";
import { load, median, percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const ROUNDS = 7;
const WORDS =
  "서울에서 부산까지 고객은 배송을 환불은 회의가 생일이 여행을 좋아한다 order refund meeting window seat deadline".split(
    " ",
  );
/** About what an agent notes: thirty words. */
const note = (n: number) =>
  Array.from({ length: 30 }, (_, index) => WORDS[(n * 7 + index * (1 + (n % 5))) % WORDS.length]).join(" ");

const job = (ask: () => Promise<unknown>) => async () => void (await ask());

/**
 * Memory beside the bare statement: a put beside an upsert of one row in a table of its own, a get beside a SELECT by primary
 * key, a search over a full namespace beside an ILIKE over the same texts. Both sides from this process, over pools
 * of one size. Then searches at the bounds of what a namespace may hold.
 */
export async function memoryBench(bench: Bench): Promise<void> {
  const store = await openStore({ url: bench.workerConfig.databaseUrl, poolSize: 10 });
  const bare = new pg.Pool({ connectionString: bench.ownerUrl, max: 10 });
  const { workspace } = (await (
    await fetch(`${bench.url}/v1/auth/me`, { headers: { authorization: `Bearer ${bench.key}` } })
  ).json()) as { workspace: { id: string } };
  const place = (agent: string): MemoryPlace => ({ scope: "agent", agent, subject: null });
  const run = (text: string, values: unknown[]) => bare.query({ name: text.slice(0, 60), text, values });
  try {
    await bare.query("CREATE TABLE bare (place int, key text, value jsonb, PRIMARY KEY (place, key))");
    const full = place("full");
    for (let n = 0; n < MEMORY_LIMITS.items; n++) {
      await store.memory.put(workspace.id, full, `k${n}`, { value: note(n) });
      await run("INSERT INTO bare VALUES (0, $1, $2)", [`k${n}`, JSON.stringify(note(n))]);
    }
    let count = 0;
    const upsert = "INSERT INTO bare VALUES ($1, $2, $3) ON CONFLICT (place, key) DO UPDATE SET value = excluded.value";
    const pairs: [string, number, number, () => Promise<unknown>, () => Promise<unknown>][] = [];
    for (const concurrency of [1, 16]) {
      pairs.push([
        "put",
        concurrency,
        400,
        () => store.memory.put(workspace.id, place(`a${++count % 100}`), `k${count % 700}`, { value: note(count) }),
        () => run(upsert, [++count % 100, `k${count % 700}`, JSON.stringify(note(count))]),
      ]);
      pairs.push([
        "get",
        concurrency,
        2_000,
        () => store.memory.find(workspace.id, full, `k${++count % 1_000}`),
        () => run("SELECT * FROM bare WHERE place = 0 AND key = $1", [`k${++count % 1_000}`]),
      ]);
      pairs.push([
        "search, one word",
        concurrency,
        100,
        () => store.memory.search(workspace.id, full, { query: "서울", limit: 5 }),
        () => run("SELECT * FROM bare WHERE place = 0 AND value::text ILIKE $1 LIMIT 5000", ["%서울%"]),
      ]);
      pairs.push([
        "search, a sentence",
        concurrency,
        60,
        () => store.memory.search(workspace.id, full, { query: "서울에서 회의가 언제 있었는지 알려 줘", limit: 5 }),
        () => run("SELECT * FROM bare WHERE place = 0 AND value::text ILIKE $1 LIMIT 5000", ["%서울%"]),
      ]);
    }
    console.log(
      `\nMemory beside bare statements, a namespace of ${MEMORY_LIMITS.items} items (median of ${ROUNDS} rounds)`,
    );
    console.log("what                concurrency   bare /s   memory /s  ratio  bare p50 ms  memory p50 ms");
    for (const [what, concurrency, calls, ours, plain] of pairs) {
      await load(calls, concurrency, job(ours));
      await load(calls, concurrency, job(plain));
      const rounds: Record<"one" | "other", Awaited<ReturnType<typeof load>>>[] = [];
      for (let round = 0; round < ROUNDS; round++)
        rounds.push({
          one: await load(calls, concurrency, job(plain)),
          other: await load(calls, concurrency, job(ours)),
        });
      const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
      console.log(
        [
          what.padEnd(18),
          String(concurrency).padStart(12),
          of(({ one }) => one.perSecond)
            .toFixed(0)
            .padStart(9),
          of(({ other }) => other.perSecond)
            .toFixed(0)
            .padStart(11),
          of(({ one, other }) => other.perSecond / one.perSecond)
            .toFixed(3)
            .padStart(6),
          of(({ one }) => percentile(one.times, 0.5))
            .toFixed(2)
            .padStart(12),
          of(({ other }) => percentile(other.times, 0.5))
            .toFixed(2)
            .padStart(14),
        ].join(" "),
      );
    }

    const long = place("long");
    for (let n = 0; n < 60; n++)
      await store.memory.put(workspace.id, long, `k${n}`, { value: note(n).repeat(60).slice(0, 7_000) });
    const vectors = place("vectors");
    const vector = (n: number) => Array.from({ length: 1_024 }, (_, index) => Math.sin(n * 31 + index * index));
    for (let n = 0; n < 250; n++)
      await store.memory.put(workspace.id, vectors, `k${n}`, { value: "x", embedding: vector(n) });
    const longest = Array.from({ length: 16 }, (_, n) => `가나다라마바${String.fromCharCode(0xac00 + n)}사아`).join(
      " ",
    );
    for (const [what, ask] of [
      [
        "16 unknown words over 1,000 items",
        () => store.memory.search(workspace.id, full, { query: longest, limit: 5 }),
      ],
      [
        "16 unknown words over 60 long items",
        () => store.memory.search(workspace.id, long, { query: longest, limit: 5 }),
      ],
      ["250 embeddings of 1,024", () => store.memory.search(workspace.id, vectors, { embedding: vector(7), limit: 5 })],
    ] as const) {
      await load(10, 1, job(ask));
      const rounds = [];
      for (let round = 0; round < ROUNDS; round++) rounds.push(percentile((await load(10, 1, job(ask))).times, 0.5));
      console.log(`${what.padEnd(36)} p50 ${median(rounds).toFixed(1)} ms`);
    }
  } finally {
    await bare.end();
    await store.close();
  }
}
