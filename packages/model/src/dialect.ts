/** What differs between hosts, as data. */
export interface Dialect {
  /** Names under which a template's thinking switch is sent in `chat_template_kwargs`; none = the host takes no kwargs. */
  readonly thinkingKwargs: readonly ("enable_thinking" | "thinking")[];
  /** Asks the host to move thinking out of the content. */
  readonly parseReasoning: boolean;
  /** Field names under which past thinking goes back. */
  readonly reasoningFields: readonly ("reasoning_content" | "reasoning")[];
  readonly maxTokensField: "max_tokens" | "max_completion_tokens";
}

export const DIALECTS = {
  // https://friendli.ai/docs/guides/reasoning: parse_reasoning's default varies by endpoint.
  friendli: {
    thinkingKwargs: ["enable_thinking"],
    parseReasoning: true,
    reasoningFields: ["reasoning_content"],
    maxTokensField: "max_tokens",
  },
  // An unknown vLLM: before 0.14 its deepseek_v3 parser looked at `thinking` alone (vllm PR 31788), and either name of past
  // thinking may be the one it reads (PR 33402, PR 42664). Templates ignore kwargs they don't know.
  vllm: {
    thinkingKwargs: ["enable_thinking", "thinking"],
    parseReasoning: false,
    reasoningFields: ["reasoning_content", "reasoning"],
    maxTokensField: "max_tokens",
  },
  sglang: {
    thinkingKwargs: ["enable_thinking"],
    parseReasoning: false,
    reasoningFields: ["reasoning_content"],
    maxTokensField: "max_tokens",
  },
  // OpenAI itself refuses fields it does not know.
  openai: {
    thinkingKwargs: [],
    parseReasoning: false,
    reasoningFields: [],
    maxTokensField: "max_completion_tokens",
  },
} as const satisfies Record<string, Dialect>;
export type DialectName = keyof typeof DIALECTS;

/** The dialect of a host nobody named one for: Friendli's own and the simulator's, else the most tolerant. */
export function dialectOf(baseUrl: string, simulated: boolean): DialectName {
  const { hostname } = new URL(baseUrl);
  if (simulated || hostname === "friendli.ai" || hostname.endsWith(".friendli.ai")) return "friendli";
  return hostname === "api.openai.com" ? "openai" : "vllm";
}
