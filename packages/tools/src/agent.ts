import type { AgentToolSpec, JsonSchema } from "@maru/contract";
import { canonicalJson } from "@maru/domain";
import { failed, type PreparedTool } from "./kind.ts";
import { createArgumentCheck } from "./schema/check.ts";

const INPUT: JsonSchema = {
  type: "object",
  properties: {
    input: {
      type: "string",
      minLength: 1,
      maxLength: 32_768,
      description: "What the agent is to do, with all it has to know: it sees nothing of this conversation",
    },
  },
  required: ["input"],
  additionalProperties: false,
};

/** Another agent: its call is a run of its own, which the engine starts and waits for. */
export function prepareAgentTool(spec: AgentToolSpec): PreparedTool {
  const { name, description, deployment, maxTokens } = spec;
  const parameters = spec.parameters ?? INPUT;
  return {
    declaration: { name, description, parameters },
    effect: "idempotent",
    agent: {
      deployment,
      ...(maxTokens === undefined ? {} : { maxTokens }),
      inputOf: (args) => (spec.parameters === undefined ? String(args.input) : canonicalJson(args)),
    },
    checkArguments: createArgumentCheck(parameters),
    call: async () => failed("tool_failed", "The tool is another agent."),
  };
}
