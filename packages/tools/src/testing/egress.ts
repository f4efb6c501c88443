import { OPEN_POLICY } from "@maru/domain";
import { createEgress, type Egress, type EgressGate, type EgressOptions } from "../egress/index.ts";
import type { ToolDeps } from "../index.ts";

/** The way out of a workspace in tests and benches; it has no policy of its own unless one is given. */
export function openEgress(options: Partial<EgressOptions> = {}): Egress & EgressGate {
  const gate = createEgress({ policy: async () => OPEN_POLICY, ...options });
  return { ...gate.forWorkspace("ws_00000000000000000000000000"), ...gate };
}

/** What tools are made with in tests and benches: no policy, and a way out that nothing has used yet. */
export const toolDeps = (over: Partial<ToolDeps> = {}): ToolDeps => ({
  egress: openEgress(),
  policy: async () => OPEN_POLICY,
  ...over,
});
