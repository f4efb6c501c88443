import type { McpToolSpec } from "@maru/contract";
import { failed, type PreparedTool } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import type { McpSessions } from "./pool.ts";

/** The tools of a server as they were when the agent was deployed. */
export function prepareMcpTools(spec: McpToolSpec, sessions: McpSessions | undefined): PreparedTool[] {
  return Object.entries(spec.pinned?.tools ?? {}).map(([name, pinned]) => ({
    declaration: { name, description: pinned.description, parameters: pinned.parameters },
    effect: pinned.effect,
    ...(pinned.annotations === undefined ? {} : { annotations: pinned.annotations }),
    checkArguments: createArgumentCheck(pinned.parameters),
    async call(args, context) {
      if (sessions === undefined) return failed("tool_failed", "There is nobody here to call MCP servers.");
      const { callTool } = await import("./call.ts");
      return callTool({ spec, pinned, sessions, args, context });
    },
  }));
}
