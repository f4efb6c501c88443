import { percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const RUNS = 1_000;

/** A thousand runs waiting on a slow model in one worker process: how long the last takes, and the memory of it. */
export async function inFlightBench(bench: Bench): Promise<void> {
  await bench.latency(1_000);
  const idle = process.memoryUsage().rss;
  let peak = idle;
  const watch = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage().rss);
  }, 50);
  const began = performance.now();
  const times = await Promise.all(
    Array.from({ length: RUNS }, async () => {
      const response = await fetch(`${bench.url}/v1/runs`, {
        method: "POST",
        headers: { authorization: `Bearer ${bench.key}`, "content-type": "application/json", prefer: "wait=60" },
        body: JSON.stringify({ deployment: "bench", input: "What is 6 * 7?" }),
      });
      const run = (await response.json()) as { status: string };
      if (run.status !== "completed") throw new Error(`unexpected run: ${JSON.stringify(run)}`);
      return performance.now() - began;
    }),
  );
  clearInterval(watch);
  times.sort((a, b) => a - b);
  const mb = (bytes: number) => `${(bytes / 1_048_576).toFixed(0)} MB`;
  console.log(
    `\n${RUNS} runs in flight on a model of 1 s a call (two calls each), one process for gateway, worker and clients`,
  );
  console.log(
    `  p50 ${(percentile(times, 0.5) / 1_000).toFixed(1)} s, p99 ${(percentile(times, 0.99) / 1_000).toFixed(1)} s (two calls alone: 2.0 s); RSS idle ${mb(idle)}, peak ${mb(peak)}; errors 0`,
  );
}
