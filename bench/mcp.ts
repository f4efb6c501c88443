import type { McpToolSpec } from "@maru/contract";
import { createMcpSessions, pinTools, prepareTools } from "@maru/tools";
import { callContext, openEgress, toolDeps } from "@maru/tools/testing";
import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
import { openPeer } from "../packages/tools/test/mcp-peers.ts";
import { load, median, percentile } from "./load.ts";

const CALLS = 400;
const ROUNDS = 3;
const HOST = "mcp.maru.internal";

/** A call of an MCP tool beside the same call by a bare client of the SDK, against one server in this process. */
export async function mcpBench(): Promise<void> {
  const peer = await openPeer("stateful");
  const egress = openEgress({ allow: { [HOST]: peer.origin } });
  const mcp = createMcpSessions({ egress });
  const server = { url: `http://${HOST}/mcp`, transport: "auto", headers: { "X-Key": "some-value" } } as const;
  const spec: McpToolSpec = { type: "mcp", name: "docs", server, timeoutMs: 30_000 };
  const { tools } = await pinTools([spec], {
    egress,
    allowedHosts: [],
    secrets: async () => new Map(),
    signal: new AbortController().signal,
  });
  const tool = prepareTools(tools, toolDeps({ egress, mcp })).get("docs_echo");
  const connect = async () => {
    const client = new Client({ name: "bench", version: "1" });
    const transport = new StreamableHTTPClientTransport(new URL(`${peer.origin}/mcp`));
    await client.connect(transport as never);
    return { client, transport };
  };
  const kept = await connect();
  const args = { text: "x".repeat(200) };
  const check = (output: unknown) => {
    if (output !== args.text) throw new Error(`unexpected result: ${String(output)}`);
  };
  const textOf = (result: unknown) => (result as { content: { text: string }[] }).content[0]?.text;
  const bare = async () => check(textOf(await kept.client.callTool({ name: "echo", arguments: args })));
  const anew = async () => {
    const { client, transport } = await connect();
    check(textOf(await client.callTool({ name: "echo", arguments: args })));
    await transport.terminateSession();
    await client.close();
  };
  const ours = async () => check((await tool?.call(args, callContext()))?.output);

  console.log(`\nA call of an MCP tool beside the same call by a bare SDK client (median of ${ROUNDS} rounds)`);
  console.log("at a time  SDK, kept  SDK, anew  Maru, calls/s  ratio to kept  to anew  added p50  added p95");
  await load(100, 4, bare);
  await load(100, 4, ours);
  for (const width of [1, 16]) {
    const rounds: { kept: number; anew: number; ours: number; p50: number; p95: number }[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const base = await load(CALLS, width, bare);
      const each = await load(CALLS / 4, width, anew);
      const mine = await load(CALLS, width, ours);
      const added = (share: number) => percentile(mine.times, share) - percentile(base.times, share);
      rounds.push({
        kept: base.perSecond,
        anew: each.perSecond,
        ours: mine.perSecond,
        p50: added(0.5),
        p95: added(0.95),
      });
    }
    const of = (pick: (round: (typeof rounds)[number]) => number) => median(rounds.map(pick));
    const cells = [
      String(width).padStart(9),
      of((round) => round.kept)
        .toFixed(0)
        .padStart(10),
      of((round) => round.anew)
        .toFixed(0)
        .padStart(10),
      of((round) => round.ours)
        .toFixed(0)
        .padStart(14),
      of((round) => round.ours / round.kept)
        .toPrecision(2)
        .padStart(14),
      of((round) => round.ours / round.anew)
        .toPrecision(2)
        .padStart(8),
      `${of((round) => round.p50).toFixed(1)} ms`.padStart(10),
      `${of((round) => round.p95).toFixed(1)} ms`.padStart(10),
    ];
    console.log(cells.join(" "));
  }
  await kept.client.close();
  await mcp.close();
  await egress.close();
  await peer.close();
}
