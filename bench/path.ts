import { type Message, type ModelRequest, newId } from "@maru/contract";
import { createModelClient, findModel } from "@maru/model";
import { parseArguments, prepareTools } from "@maru/tools";
import { callContext, toolDeps } from "@maru/tools/testing";
import { load, median, percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const INPUT = "What is 6 * 7?";
const ROUNDS = 3;

/**
 * The whole path (HTTP create → queue → worker → model, tool, model → finished → answer) beside the same loop in
 * process: the same client, the same tool, nothing stored. Both wait for the end of each run.
 */
export async function pathBench(bench: Bench): Promise<void> {
  const inProcess = loop(bench);
  const whole = async () => {
    const response = await fetch(`${bench.url}/v1/runs`, {
      method: "POST",
      headers: { authorization: `Bearer ${bench.key}`, "content-type": "application/json", prefer: "wait=60" },
      body: JSON.stringify({ deployment: "bench", input: INPUT }),
    });
    const run = (await response.json()) as { status: string; output: string };
    if (run.status !== "completed" || !run.output.includes("42"))
      throw new Error(`unexpected run: ${JSON.stringify(run)}`);
  };
  await bench.latency(0);
  await load(100, 8, inProcess);
  await load(100, 8, whole);

  console.log(`\nWhole path on the ${bench.queue} queue, model at 0 ms (median of ${ROUNDS} rounds)`);
  console.log("concurrency  in process runs/s  Maru runs/s  ratio");
  for (const [concurrency, count] of [
    [1, 150],
    [16, 800],
    [64, 1_200],
  ] as const) {
    const rounds = [];
    for (let round = 0; round < ROUNDS; round++) {
      const base = await load(count, concurrency, inProcess);
      const maru = await load(count, concurrency, whole);
      rounds.push({ base: base.perSecond, maru: maru.perSecond });
    }
    const base = median(rounds.map((round) => round.base));
    const maru = median(rounds.map((round) => round.maru));
    console.log(
      `${String(concurrency).padStart(11)}  ${base.toFixed(0).padStart(17)}  ${maru.toFixed(0).padStart(11)}  ${median(rounds.map((round) => round.maru / round.base)).toFixed(2)}`,
    );
  }

  await bench.latency(50);
  console.log("\nAdded to a run of two model calls of 50 ms each, concurrency 16");
  const base = await load(400, 16, inProcess);
  const maru = await load(400, 16, whole);
  for (const share of [0.5, 0.95, 0.99]) {
    console.log(
      `  p${share * 100}: in process ${percentile(base.times, share).toFixed(0)} ms, Maru ${percentile(maru.times, share).toFixed(0)} ms, added ${(percentile(maru.times, share) - percentile(base.times, share)).toFixed(0)} ms`,
    );
  }
  await bench.latency(0);
}

/** The agent loop as anyone would write it: call the model, run the tool, call the model. */
function loop(bench: Bench): () => Promise<void> {
  const client = createModelClient({ baseUrl: `${bench.modelUrl}/v1`, apiKey: "bench", simulated: true });
  const tools = prepareTools([{ type: "builtin", name: "calculator" }], toolDeps());
  const model = findModel("k-exaone");
  if (model === undefined) throw new Error("no model");
  return async () => {
    const { signal } = new AbortController();
    const messages: Message[] = [
      { role: "system", content: "You are a helpful assistant." },
      { role: "user", content: INPUT },
    ];
    for (;;) {
      const request: ModelRequest = {
        model,
        messages,
        tools: tools.declarations,
        thinking: false,
        temperature: 1,
        topP: 0.95,
        presencePenalty: 0,
        seed: null,
        maxOutputTokens: 256,
        parallelToolCalls: true,
      };
      const answer = await client.complete(request, { signal });
      if (answer.toolCalls.length === 0) {
        if (!answer.text.includes("42")) throw new Error(`unexpected answer: ${answer.text}`);
        return;
      }
      messages.push({ role: "assistant", content: answer.text, toolCalls: answer.toolCalls });
      for (const call of answer.toolCalls) {
        const args = parseArguments(call.arguments);
        const result = await tools
          .get(call.name)
          ?.call(args.ok ? args.value : {}, callContext({ signal, idempotencyKey: newId("run"), now: new Date() }));
        messages.push({ role: "tool", toolCallId: call.id, name: call.name, content: result?.output ?? "" });
      }
    }
  };
}
