import type { ToolCallContext } from "../kind.ts";

export { openEgress, toolDeps } from "./egress.ts";

/** The context of a call in tests and benches, whatever of it does not matter there filled in. */
export const callContext = (over: Partial<ToolCallContext> = {}): ToolCallContext => ({
  caller: {
    workspaceId: "ws_00000000000000000000000000",
    agent: "agent",
    runId: "run_00000000000000000000000000",
    step: 1,
    threadId: null,
    endUser: null,
  },
  signal: new AbortController().signal,
  idempotencyKey: "run-1",
  epoch: 1,
  now: new Date(0),
  maxOutputBytes: 65_536,
  secrets: async () => new Map(),
  ...over,
});
