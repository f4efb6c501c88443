import { aheadUsOf, judgeCall, type RateStore } from "@maru/domain";
import { createGateway } from "@maru/gateway";
import { pino } from "pino";
import { Registry } from "prom-client";
import { load, median, percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const ROUNDS = 9;

/**
 * Calls a second of one key's cheapest GET (a run's row), its limits shared by all gateways, beside a gateway that counts in
 * its memory. One key and one workspace: every call moves the same two buckets.
 */
export async function rateLimitsBench(bench: Bench): Promise<void> {
  const memory = await createGateway({
    config: { ...bench.gatewayConfig, node: "bench-memory" },
    logger: pino({ level: "warn" }),
    metrics: new Registry(),
    rates: inMemory(),
  });
  const headers = { authorization: `Bearer ${bench.key}` };
  const made = await fetch(`${bench.url}/v1/runs`, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify({ deployment: "bench", input: "hello" }),
  });
  const { id } = (await made.json()) as { id: string };
  const get = (url: string) => async () => {
    const response = await fetch(`${url}/v1/runs/${id}`, { headers });
    if (response.status !== 200) throw new Error(`unexpected: ${response.status} ${await response.text()}`);
    await response.arrayBuffer();
  };
  const [alone, shared] = [get(await memory.listen()), get(bench.url)];
  try {
    await load(2_000, 16, alone);
    await load(2_000, 16, shared);
    console.log(
      `\nOne key's GET of a run, limits on ${bench.queue} beside limits in memory (median of ${ROUNDS} rounds)`,
    );
    console.log("concurrency  in memory /s  shared /s  ratio  added at p50");
    for (const [concurrency, count] of [
      [1, 600],
      [16, 2_000],
      [64, 3_000],
    ] as const) {
      const rounds: Record<"one" | "other", Awaited<ReturnType<typeof load>>>[] = [];
      for (let round = 0; round < ROUNDS; round++)
        rounds.push({ one: await load(count, concurrency, alone), other: await load(count, concurrency, shared) });
      const base = median(rounds.map(({ one }) => one.perSecond));
      const ours = median(rounds.map(({ other }) => other.perSecond));
      const ratio = median(rounds.map(({ one, other }) => other.perSecond / one.perSecond));
      const added = median(rounds.map(({ one, other }) => percentile(other.times, 0.5) - percentile(one.times, 0.5)));
      console.log(
        `${String(concurrency).padStart(11)}  ${base.toFixed(0).padStart(12)}  ${ours.toFixed(0).padStart(9)}  ${ratio.toFixed(2).padStart(5)}  ${added.toFixed(2).padStart(9)} ms`,
      );
    }
  } finally {
    await memory.close();
  }
}

/** The same rule with nothing between it and the gateway. */
function inMemory(): RateStore {
  const arrivals = new Map<string, number>();
  return {
    async take(_owner, buckets) {
      const now = Date.now() * 1_000;
      const verdict = judgeCall(
        buckets,
        buckets.map((bucket) => aheadUsOf(bucket, arrivals.get(bucket.key) ?? 0, now)),
      );
      for (const [index, { key }] of buckets.entries()) arrivals.set(key, now + (verdict.aheadUs[index] ?? 0));
      return verdict;
    },
    close: async () => {},
  };
}
