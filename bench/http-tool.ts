import { once } from "node:events";
import { Worker } from "node:worker_threads";
import type { HttpToolSpec, OpenApiToolSpec } from "@maru/contract";
import { pinTools, prepareTools } from "@maru/tools";
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

const DOCUMENT: OpenApiToolSpec = {
  type: "openapi",
  name: "api",
  document: {
    inline: {
      openapi: "3.1.0",
      info: { title: "Bench", version: "1" },
      servers: [{ url: `https://${HOST}` }],
      paths: {
        "/small": {
          get: {
            operationId: "small",
            parameters: [{ name: "q", in: "query", schema: { type: "string" } }],
            responses: { 200: { description: "OK" } },
          },
        },
      },
    },
  },
  operations: { include: ["*"], exclude: [] },
  headers: { "X-Key": "${secrets.KEY}" },
  query: {},
  auth: {},
  timeoutMs: 10_000,
  overrides: [],
  toolPrefix: "api_",
};

/** Calls of http and openapi tools through guard, policy, secrets and all, beside the same request by undici and by fetch. */
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
  const pinned = await pinTools([DOCUMENT], {
    egress,
    allowedHosts: [HOST],
    secrets: async () => new Map([["KEY", "a-secret-value-1"]]),
    signal: new AbortController().signal,
  });
  const tools = prepareTools([...specs, ...pinned.tools], toolDeps({ egress }));
  const cases = [
    ...specs.map(({ name, request: { method } }) => ({ name, tool: name, method })),
    { name: "openapi", tool: "api_small", method: "GET" },
  ];
  const context = callContext({ secrets: async () => new Map([["KEY", "a-secret-value-1"]]), maxOutputBytes: 262_144 });
  console.log(`\nCalls of http tools beside the bare request (${CALLS} calls, median of ${ROUNDS} rounds)`);
  console.log("tool    at a time  undici/s  fetch/s  tool/s  tool/undici  tool/fetch  added p50  added p95");
  for (const { name, tool, method } of cases) {
    const url = `${origin}/${["small", "form", "openapi"].includes(name) ? "small" : "large"}?q=x`;
    const sent =
      method === "POST"
        ? {
            method: "POST" as const,
            body: "q=x&tag=a&tag=b",
            headers: { "content-type": "application/x-www-form-urlencoded" },
          }
        : {};
    const byUndici = async () => void (await (await request(url, { dispatcher: agent, ...sent })).body.text());
    const byFetch = async () => void (await (await fetch(url, sent)).text());
    const byTool = async () => {
      const result = await tools
        .get(tool)
        ?.call(name === "openapi" ? { q: "x" } : { q: "x", tags: ["a", "b"] }, context);
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
