/** The name by which agents know the tool server; an operator's `egressAllow` says where it is. */
export const TOOL_HOST = "tools.chaos.internal";

const httpTool = (name: string, method: string, path: string, effect: string) => `
    - name: ${name}
      type: http
      description: Does something outside
      parameters: { type: object, properties: { reference: { type: string } }, required: [reference] }
      request: { method: ${method}, url: "http://${TOOL_HOST}/${path}" }
      effect: ${effect}`;

/** An agent for each class of effects, and one that only calculates. */
export const AGENTS = {
  reader: { tool: "read_record", tools: httpTool("read_record", "GET", "read", "safe") },
  payer: { tool: "record_payment", tools: httpTool("record_payment", "POST", "pay", "idempotent") },
  sender: { tool: "send_letter", tools: httpTool("send_letter", "POST", "send", "at_most_once") },
  counter: { tool: "calculator", tools: "\n    - { name: calculator, type: builtin }" },
} as const;
export type AgentName = keyof typeof AGENTS;

export const manifestOf = (name: AgentName) => `apiVersion: maru/v1
kind: Agent
metadata: { name: ${name} }
spec:
  instructions: You do what you are told.
  model: { thinking: false, maxOutputTokens: 256 }
  tools:${AGENTS[name].tools}
`;
