import type { FunctionToolSpec } from "@maru/contract";
import { createSandbox, prepareTools, SANDBOX_DEFAULTS } from "@maru/tools";
import { callContext, toolDeps } from "@maru/tools/testing";
import { load, median, percentile } from "./load.ts";

/** About a millisecond of work in V8, so that the ratio is not only that of an empty call. */
const BODY = `({ n }) => {
  const composite = new Array(n + 1).fill(false);
  let count = 0;
  for (let i = 2; i <= n; i++) {
    if (composite[i]) continue;
    count++;
    for (let j = i * i; j <= n; j += i) composite[j] = true;
  }
  return { count };
}`;
const CALLS = 300;
const ROUNDS = 3;

/** A function of a manifest in the sandbox, beside the same function called in this process with JSON in and out. */
export async function codeBench(): Promise<void> {
  const sandbox = createSandbox();
  const spec: FunctionToolSpec = {
    type: "function",
    name: "primes",
    description: "Counts primes",
    parameters: { type: "object", properties: { n: { type: "integer" } } },
    source: `export default ${BODY}`,
    timeoutMs: 5_000,
    memoryBytes: 32 << 20,
  };
  const tool = prepareTools([spec], toolDeps({ sandbox })).get("primes");
  const bare = new Function(`return ${BODY}`)() as (args: unknown) => unknown;
  const context = callContext();
  const { processes } = SANDBOX_DEFAULTS;
  console.log(`\nA function in the sandbox (${processes} processes) beside the bare call (median of ${ROUNDS} rounds)`);
  console.log("work         at a time  bare calls/s  sandbox calls/s     ratio  added p50  added p95");
  for (const [work, n] of [
    ["none", 1],
    ["1e4 primes", 10_000],
  ] as const) {
    const expected = JSON.stringify(bare({ n }));
    const inProcess = async () => {
      if (JSON.stringify(bare(JSON.parse(`{"n":${n}}`))) !== expected) throw new Error("unexpected result");
    };
    const sandboxed = async () => {
      const result = await tool?.call({ n }, context);
      if (result?.output !== expected) throw new Error(`unexpected result: ${result?.output}`);
    };
    await load(40, processes, sandboxed);
    await load(1_000, 1, inProcess);
    for (const width of [1, 2 * processes]) {
      const rounds: { base: number; ours: number; p50: number; p95: number }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const base = await load(CALLS * 10, width, inProcess);
        const ours = await load(CALLS, width, sandboxed);
        const added = (share: number) => percentile(ours.times, share) - percentile(base.times, share);
        rounds.push({ base: base.perSecond, ours: ours.perSecond, p50: added(0.5), p95: added(0.95) });
      }
      const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
      console.log(
        [
          work.padEnd(11),
          String(width).padStart(10),
          of(({ base }) => base)
            .toFixed(0)
            .padStart(13),
          of(({ ours }) => ours)
            .toFixed(0)
            .padStart(16),
          of(({ ours, base }) => ours / base)
            .toPrecision(2)
            .padStart(9),
          `${of(({ p50 }) => p50).toFixed(1)} ms`.padStart(10),
          `${of(({ p95 }) => p95).toFixed(1)} ms`.padStart(10),
        ].join(" "),
      );
    }
  }
  await sandbox.close();
}
