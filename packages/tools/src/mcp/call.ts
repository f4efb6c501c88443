import { LIMITS, type McpPinnedTool, type McpToolSpec } from "@maru/contract";
import type { Tool } from "@modelcontextprotocol/client";
import { failed, type ToolCallContext, type ToolResult } from "../kind.ts";
import { SecretUnavailable } from "../secrets/reference.ts";
import { digestsOf } from "./definition.ts";
import { failedCall, statusOf } from "./failure.ts";
import type { Lease, McpFinding, McpSessions } from "./pool.ts";
import { readResult } from "./result.ts";
import { targetOf } from "./target.ts";

/** With signs of progress from the server. */
const LONGEST_MS = LIMITS.toolTimeoutMs.max;

interface Call {
  readonly spec: McpToolSpec;
  readonly pinned: McpPinnedTool;
  readonly sessions: McpSessions;
  readonly args: Record<string, unknown>;
  readonly context: ToolCallContext;
}

/** A call as it was deployed, or none: the result says which. @throws SecretUnavailable, the run's reason to stop */
export async function callTool(call: Call): Promise<ToolResult> {
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
      // 404 is how a server says that it does not know a session; 400 how many do, and others say other things by it.
      const status = statusOf(error);
      const forgotten =
        lease?.session.named && (status === 404 || (status === 400 && call.pinned.effect !== "at_most_once"));
      const answered = error instanceof Error && error.name === "ProtocolError";
      if (!answered) lease?.discard();
      // It has not looked at the call, which goes to a new session.
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
  { session, found }: Lease,
  before: AbortSignal,
  progress: { sent: boolean },
): Promise<ToolResult> {
  const { workspaceId, agent, runId } = context.caller;
  // Another revision may have the tool as it is now.
  const key = `${agent} ${pinned.tool} ${pinned.digest} ${pinned.aboutDigest}`;
  const driftOf = (listed: Tool | undefined): McpFinding["drift"] => {
    if (listed === undefined) return "gone";
    const now = digestsOf(listed, spec.trustAnnotations === true);
    if (now.digest !== pinned.digest) return "parameters";
    return now.aboutDigest === pinned.aboutDigest ? null : "description";
  };
  let tool = (await session.tools(before)).get(pinned.tool);
  let drift = driftOf(tool);
  // The agent may have been deployed again since the session asked. Where only words differ, once is enough.
  if (drift !== null && !(drift === "description" && found.get(key) === drift)) {
    tool = (await session.tools(before, "doubted")).get(pinned.tool);
    drift = driftOf(tool);
  }
  if (found.get(key) !== drift) {
    found.set(key, drift);
    sessions.options.onFinding?.({ workspaceId, agent, runId, entry: spec.name, tool: pinned.tool, drift });
  }
  if (tool === undefined)
    return failed("tool_drift", "The server does not have this tool any more. It was not called.");
  if (drift === "parameters")
    return failed(
      "tool_drift",
      "The server has changed this tool since the agent was deployed. It was not called: the agent has to be deployed again.",
    );
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
      onProgress: (at) => context.progress?.(at),
    }),
    tool,
  );
}
