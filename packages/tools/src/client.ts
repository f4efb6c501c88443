import type { ClientToolSpec } from "@maru/contract";
import { failed, type PreparedTool } from "./kind.ts";
import { createArgumentCheck } from "./schema/check.ts";

/** A tool the run's caller has: its arguments are judged here, the call itself is never made here. */
export function prepareClientTool(spec: ClientToolSpec): PreparedTool {
  return {
    declaration: { name: spec.name, description: spec.description, parameters: spec.parameters },
    effect: "at_most_once",
    client: true,
    checkArguments: createArgumentCheck(spec.parameters),
    call: async () => failed("tool_failed", "The tool is the caller's."),
  };
}
