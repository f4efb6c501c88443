import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { HttpToolSpec } from "@maru/contract";
import { prepareTools } from "@maru/tools";
import { callContext, openEgress, toolDeps } from "@maru/tools/testing";
import { Agent, request } from "undici";
import { load, median, percentile } from "./load.ts";

const CALLS = 300;
const ROUNDS = 3;
const HOST = "bench.example.com";

const tool = (over: Partial<HttpToolSpec> & Pick<HttpToolSpec, "name" | "request">): HttpToolSpec => ({
  type: "http",
  description: "Bench",
  parameters: { type: "object", properties: { q: { type: "string" }, tags: { type: "array" } } },
  timeoutMs: 10_000,
  effect: "safe",
  ...over,
});
const get = (path: string): HttpToolSpec["request"] => ({
  method: "GET",
  url: `https://${HOST}${path}?q={q}`,
  headers: { "X-Key": "${secrets.KEY}" },
  query: {},
  body: null,
});

/** Calls of http tools through guard, policy, secrets and all, beside the same request by undici and by fetch. */
export async function httpToolBench(): Promise<void> {
  const server = new Worker(new URL("./http-server.ts", import.meta.url));
  const [port] = (await once(server, "message")) as [number];
  const origin = `http://127.0.0.1:${port}`;
  const egress = openEgress({ allow: { [HOST]: origin }, perHost: 64 });
  const agent = new Agent({ pipelining: 1 });
  const specs = [
    tool({ name: "small", request: get("/small") }),
    tool({ name: "large", request: get("/large") }),
    tool({ name: "select", request: get("/large"), response: { select: { id: "/items/10/id", last: "/items/699" } } }),
    tool({
      name: "pages",
      request: get("/large"),
      response: { select: "/id" },
      pagination: { next: "/next", as: "url", items: "/items", maxPages: 5 },
    }),
    tool({
      name: "form",
      request: { ...get("/small"), method: "POST", form: { q: "{q}", tag: "{tags}" } },
      effect: "idempotent",
    }),
  ];
  const tools = prepareTools(specs, toolDeps({ egress }));
  const context = callContext({ secrets: async () => new Map([["KEY", "a-secret-value-1"]]), maxOutputBytes: 262_144 });
  console.log(`\nCalls of http tools beside the bare request (${CALLS} calls, median of ${ROUNDS} rounds)`);
  console.log("tool    at a time  undici/s  fetch/s  tool/s  tool/undici  tool/fetch  added p50  added p95");
  for (const { name, request: spec } of specs) {
    const url = `${origin}/${name === "small" || name === "form" ? "small" : "large"}?q=x`;
    const sent =
      spec.method === "POST"
        ? {
            method: "POST" as const,
            body: "q=x&tag=a&tag=b",
            headers: { "content-type": "application/x-www-form-urlencoded" },
          }
        : {};
    const byUndici = async () => void (await (await request(url, { dispatcher: agent, ...sent })).body.text());
    const byFetch = async () => void (await (await fetch(url, sent)).text());
    const byTool = async () => {
      const result = await tools.get(name)?.call({ q: "x", tags: ["a", "b"] }, context);
      if (result === undefined || result.isError || result.truncated)
        throw new Error(`unexpected result: ${result?.output}`);
    };
    for (const job of [byUndici, byFetch, byTool]) await load(100, 8, job);
    for (const width of [1, 16]) {
      const rounds: { undici: number; fetch: number; tool: number; p50: number; p95: number }[] = [];
      for (let round = 0; round < ROUNDS; round++) {
        const bare = await load(CALLS, width, byUndici);
        const fetched = await load(CALLS, width, byFetch);
        const ours = await load(CALLS, width, byTool);
        const added = (share: number) => percentile(ours.times, share) - percentile(bare.times, share);
        rounds.push({
          undici: bare.perSecond,
          fetch: fetched.perSecond,
          tool: ours.perSecond,
          p50: added(0.5),
          p95: added(0.95),
        });
      }
      const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
      console.log(
        [
          name.padEnd(7),
          String(width).padStart(9),
          of((round) => round.undici)
            .toFixed(0)
            .padStart(9),
          of((round) => round.fetch)
            .toFixed(0)
            .padStart(8),
          of((round) => round.tool)
            .toFixed(0)
            .padStart(7),
          of((round) => round.tool / round.undici)
            .toPrecision(2)
            .padStart(12),
          of((round) => round.tool / round.fetch)
            .toPrecision(2)
            .padStart(11),
          `${of(({ p50 }) => p50).toFixed(2)} ms`.padStart(10),
          `${of(({ p95 }) => p95).toFixed(2)} ms`.padStart(10),
        ].join(" "),
      );
    }
  }
  await agent.close();
  await egress.close();
  await server.terminate();
}
