// npm run chaos: the long form. Both queue backends one after the other; the figures go into docs/durability.md.
//
// CHAOS_RUNS (10000), CHAOS_SEED (random, printed), CHAOS_BACKENDS (postgres,redis), CHAOS_IN_FLIGHT (150),
// CHAOS_MINUTES (20 for each backend), CHAOS_LOGS=1 keeps the logs of all processes.
import { randomInt } from "node:crypto";
import { runChaos } from "./chaos.ts";
import { redisThere } from "./redis-there.ts";
import { chaosTable, writeBetweenMarkers } from "./report.ts";
import { broken, NOTHING } from "./verdict.ts";

const { env } = process;
const runs = Number(env.CHAOS_RUNS ?? 10_000);
const seed = Number(env.CHAOS_SEED ?? randomInt(2 ** 31));
const deadlineMs = Number(env.CHAOS_MINUTES ?? 20) * 60_000;
const backends = (env.CHAOS_BACKENDS ?? "postgres,redis")
  .split(",")
  .filter((name) => name === "postgres" || (name === "redis" && redisThere())) as ("postgres" | "redis")[];
const NAMES = { postgres: "queue on Postgres", redis: "queue on Redis" };
// Starting, stopping and checking take a while of their own; after that something hangs, and all processes die with us.
setTimeout(
  () => {
    console.error("Chaos did not come to its end in time.");
    process.exit(1);
  },
  backends.length * (deadlineMs + 3 * 60_000),
).unref();

console.log(`${runs} runs, seed ${seed}`);
const results = [];
let kept = true;
for (const backend of backends) {
  const result = await runChaos({
    backend,
    seed,
    runs,
    inFlight: Number(env.CHAOS_IN_FLIGHT ?? 150),
    loadMs: 10_000,
    deadlineMs,
    modelCallMs: 200,
    maxToolDelayMs: 50,
    faults: {
      everyMs: 2_000,
      postgresCrashesAt: [1 / 3, 2 / 3],
      flushesAt: [1 / 4, 3 / 4],
      gatewayKillsAt: [1 / 2],
      toTheEnd: true,
    },
    keepLogs: env.CHAOS_LOGS === "1",
  });
  const verdict = broken(result);
  if (JSON.stringify(verdict) !== JSON.stringify(NOTHING)) {
    kept = false;
    console.error(`A promise was broken with the ${NAMES[backend]}:`, verdict);
  }
  results.push({ name: NAMES[backend], result });
}
const table = chaosTable(results);
console.log(table);
writeBetweenMarkers("docs/durability.md", `\n${table}\n`);
process.exit(kept ? 0 : 1);
