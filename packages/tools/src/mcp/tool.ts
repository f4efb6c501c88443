import type { McpPinnedTool, McpServer, McpToolSpec } from "@maru/contract";
import { LIMITS } from "@maru/contract";
import type { Tool } from "@modelcontextprotocol/client";
import { failed, type PreparedTool, type ToolCallContext, type ToolResult } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { fillSecrets, type SecretAccess, SecretUnavailable } from "../secrets/reference.ts";
import { digestsOf } from "./definition.ts";
import { failedCall, statusOf } from "./failure.ts";
import type { Lease, McpFinding, McpSessions } from "./pool.ts";
import { readResult } from "./result.ts";
import type { Target } from "./session.ts";

/** With signs of progress from the server. */
const LONGEST_MS = LIMITS.toolTimeoutMs.max;

/** Where a server is, secrets filled in. @throws SecretUnavailable */
export async function targetOf(server: McpServer, secrets: SecretAccess): Promise<Target> {
  if ("command" in server) return { ...server, env: await fillSecrets(server.env, secrets) };
  const filled = await fillSecrets(server.headers, secrets);
  // As bytes: a header is no text.
  const headers = Object.entries(filled).map(([name, value]) => [name, Buffer.from(value, "utf8").toString("latin1")]);
  return { ...server, headers: Object.fromEntries(headers) };
}

/** The tools of a server as they were when the agent was deployed. */
export function prepareMcpTools(spec: McpToolSpec, sessions: McpSessions | undefined): PreparedTool[] {
  return Object.entries(spec.pinned?.tools ?? {}).map(([name, pinned]) => ({
    declaration: { name, description: pinned.description, parameters: pinned.parameters },
    effect: pinned.effect,
    ...(pinned.annotations === undefined ? {} : { annotations: pinned.annotations }),
    checkArguments: createArgumentCheck(pinned.parameters),
    call: (args, context) =>
      sessions === undefined
        ? Promise.resolve(failed("tool_failed", "There is nobody here to call MCP servers."))
        : callTool({ spec, pinned, sessions, args, context }),
  }));
}

interface Call {
  readonly spec: McpToolSpec;
  readonly pinned: McpPinnedTool;
  readonly sessions: McpSessions;
  readonly args: Record<string, unknown>;
  readonly context: ToolCallContext;
}

async function callTool(call: Call): Promise<ToolResult> {
  const { spec, sessions, context } = call;
  // The revision knows how the server was reached; another way would be another conversation.
  const transport = spec.pinned?.transport;
  const target = await targetOf(
    "url" in spec.server && (transport === "sse" || transport === "streamable-http")
      ? { ...spec.server, transport }
      : spec.server,
    context.secrets,
  );
  const late = AbortSignal.timeout(spec.timeoutMs);
  const before = AbortSignal.any([context.signal, late]);
  for (let attempt = 1; ; attempt++) {
    let lease: Lease | undefined;
    const progress = { sent: false };
    try {
      lease = await sessions.lease(context.caller.workspaceId, target, before);
      return await callOnce(call, lease, before, progress);
    } catch (error) {
      if (context.signal.aborted) throw context.signal.reason;
      if (error instanceof SecretUnavailable) throw error;
      const forgotten = statusOf(error) === 404 && lease?.session.named;
      const answered = error instanceof Error && error.name === "ProtocolError";
      if (!answered) lease?.discard();
      // The server does not know the session any more, so it has not looked at the call: it goes to a new one.
      if (forgotten && attempt === 1) continue;
      return late.aborted && !progress.sent
        ? failed("tool_timeout", "The MCP server could not be reached in time; the call was not made.")
        : failedCall(error, progress.sent);
    } finally {
      lease?.release();
    }
  }
}

async function callOnce(
  { spec, pinned, sessions, args, context }: Call,
  { session, first }: Lease,
  before: AbortSignal,
  progress: { sent: boolean },
): Promise<ToolResult> {
  const trusting = spec.trustAnnotations === true;
  const same = (listed: Tool | undefined) => {
    const now = listed === undefined ? null : digestsOf(listed, trusting);
    return now?.digest === pinned.digest && now.aboutDigest === pinned.aboutDigest;
  };
  let tool = (await session.tools(before)).get(pinned.tool);
  // The agent may have been deployed again since the session asked.
  if (!same(tool)) tool = (await session.tools(before, "doubted")).get(pinned.tool);
  const found = (drift: McpFinding["drift"]) => {
    const { workspaceId, agent, runId } = context.caller;
    // Another revision may have the tool as it is now.
    if (first(`${agent} ${pinned.tool} ${pinned.digest} ${pinned.aboutDigest}`, drift))
      sessions.options.onFinding?.({ workspaceId, agent, runId, entry: spec.name, tool: pinned.tool, drift });
  };
  if (tool === undefined) {
    found("gone");
    return failed("tool_drift", "The server does not have this tool any more. It was not called.");
  }
  const now = digestsOf(tool, trusting);
  if (now.digest !== pinned.digest) {
    found("parameters");
    return failed(
      "tool_drift",
      "The server has changed this tool since the agent was deployed. It was not called: the agent has to be deployed again.",
    );
  }
  found(now.aboutDigest === pinned.aboutDigest ? null : "description");
  progress.sent = true;
  return readResult(
    await session.call({
      tool,
      args,
      idempotencyKey: context.idempotencyKey,
      epoch: context.epoch,
      timeoutMs: spec.timeoutMs,
      longestMs: LONGEST_MS,
      signal: context.signal,
    }),
    tool,
  );
}
