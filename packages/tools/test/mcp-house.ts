import type { McpToolSpec } from "@maru/contract";
import { expect } from "vitest";
import {
  createMcpSessions,
  type McpFinding,
  type McpOptions,
  pinTools,
  prepareTools,
  type ToolCallContext,
} from "../src/index.ts";
import { callContext, openEgress, toolDeps } from "../src/testing/context.ts";
import { openPeer, type PeerKind } from "./mcp-peers.ts";

const HOST = "mcp.maru.internal";

export const spec = (over: Partial<McpToolSpec> = {}): McpToolSpec => ({
  type: "mcp",
  name: "docs",
  server: { url: `http://${HOST}/mcp`, transport: "auto", headers: {} },
  timeoutMs: 5_000,
  ...over,
});

/** A server, and what a gateway and a worker have to deal with it; `close` ends all. */
export async function openMcp(
  kind: PeerKind,
  start: Parameters<typeof openPeer>[1] = {},
  limits: McpOptions["limits"] = {},
) {
  const peer = await openPeer(kind, start);
  const egress = openEgress({ allow: { [HOST]: peer.origin } });
  const findings: McpFinding[] = [];
  let elapsed = 0;
  const sessions = createMcpSessions({
    egress,
    onFinding: (finding) => findings.push(finding),
    limits: limits ?? {},
    now: () => performance.now() + elapsed,
  });
  const secrets = async (names: readonly string[]) => new Map(names.map((name) => [name, `value-of-${name}`]));
  const pin = async (over: Partial<McpToolSpec> = {}) =>
    await pinTools([spec(over)], { egress, allowedHosts: [], secrets, signal: new AbortController().signal });
  const deployed = async (over: Partial<McpToolSpec> = {}) => {
    const { tools, problems } = await pin(over);
    expect(problems).toEqual([]);
    return prepareTools(tools, toolDeps({ egress, mcp: sessions }));
  };
  const call = async (
    tools: Awaited<ReturnType<typeof deployed>>,
    name: string,
    args = {},
    over: Partial<ToolCallContext> = {},
  ) => {
    const tool = tools.get(name);
    if (tool === undefined) throw new Error(`no tool ${name} among ${tools.names.join(", ")}`);
    return tool.call(args, callContext({ secrets, ...over }));
  };
  const close = async () => {
    await sessions.close();
    await egress.close();
    await peer.close();
  };
  /** Lets time pass for the sessions. */
  const elapse = (ms: number) => {
    elapsed += ms;
  };
  return { peer, egress, sessions, findings, pin, deployed, call, elapse, close };
}
export const until = async (what: () => boolean) => {
  for (let tries = 0; tries < 500 && !what(); tries++) await new Promise((done) => setTimeout(done, 10));
  expect(what()).toBe(true);
};
