import { load, percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const ROUNDS = 100;

/**
 * What a call of another agent costs: a run whose agent calls another, beside the same two runs started one after the other by
 * their caller; the model answers at once.
 */
export async function agentsBench(bench: Bench): Promise<void> {
  await bench.latency(0);
  await bench.deploy(`apiVersion: maru/v1
kind: Agent
metadata: { name: boss }
spec:
  instructions: You delegate.
  model: { thinking: false, maxOutputTokens: 256 }
  tools: [{ name: ask, type: agent, description: Asks, deployment: bench }]
`);
  const run = async (deployment: string, input: string) => {
    const response = await fetch(`${bench.url}/v1/runs`, {
      method: "POST",
      headers: { authorization: `Bearer ${bench.key}`, "content-type": "application/json", prefer: "wait=30" },
      body: JSON.stringify({ deployment, input }),
    });
    const { status } = (await response.json()) as { status: string };
    if (status !== "completed") throw new Error(`the run is ${status}`);
  };
  const called = () => run("boss", '#sim tool ask {"input": "hello"}');
  const apart = async () => {
    await run("bench", '#sim tool calculator {"expression": "1+1"}');
    await run("bench", "hello");
  };
  console.log(`\nA run that calls an agent beside the two runs apart (${ROUNDS} each, in turns)`);
  console.log("at a time   apart p50   called p50   ratio   added");
  for (const callers of [1, 8]) {
    await load(20, callers, called);
    const times = { apart: [] as number[], called: [] as number[] };
    for (let round = 0; round < 4; round++) {
      times.apart.push(...(await load(ROUNDS / 4, callers, apart)).times);
      times.called.push(...(await load(ROUNDS / 4, callers, called)).times);
    }
    const [base, found] = [times.apart, times.called].map((all) =>
      percentile(
        all.sort((a, b) => a - b),
        0.5,
      ),
    ) as [number, number];
    console.log(
      `${String(callers).padStart(9)} ${`${base.toFixed(1)} ms`.padStart(11)} ${`${found.toFixed(1)} ms`.padStart(12)} ${(found / base).toFixed(2).padStart(7)} ${`${(found - base).toFixed(1)} ms`.padStart(9)}`,
    );
  }
}
