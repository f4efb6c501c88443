/** What differs between hosts, as data. */
export interface Dialect {
  /**
   * Where a template's thinking switch goes. `kwargs`: into `chat_template_kwargs`; `type`: z.ai's own
   * `thinking: {type}`; `none`: the host takes neither and refuses fields it does not know.
   */
  readonly thinkingSwitch: "kwargs" | "type" | "none";
  /** Names added to the model's own in `chat_template_kwargs`, for servers whose parser looks at another. */
  readonly alsoKwargs: readonly ("enable_thinking" | "thinking")[];
  /** Asks the host to move thinking out of the content. */
  readonly parseReasoning: boolean;
  /** Field names under which past thinking goes back. */
  readonly reasoningFields: readonly ("reasoning_content" | "reasoning" | "thinking_content")[];
  readonly maxTokensField: "max_tokens" | "max_completion_tokens";
  /** Fields of ours that the host refuses. */
  readonly refuses: readonly ("seed" | "presence_penalty" | "parallel_tool_calls")[];
  /** Fields whose default at the host would change answers. */
  readonly always: Readonly<Record<string, number>>;
}

const PLAIN: Dialect = {
  thinkingSwitch: "kwargs",
  alsoKwargs: [],
  parseReasoning: false,
  reasoningFields: ["reasoning_content"],
  maxTokensField: "max_tokens",
  refuses: [],
  always: {},
};

export const DIALECTS = {
  // https://friendli.ai/docs/guides/reasoning: parse_reasoning's default varies by endpoint.
  friendli: { ...PLAIN, parseReasoning: true },
  // An unknown vLLM: before 0.14 its deepseek_v3 parser looked at `thinking` alone (vllm PR 31788), and either name of past
  // thinking may be the one it reads (PR 33402, PR 42664). Templates ignore kwargs they don't know.
  vllm: { ...PLAIN, alsoKwargs: ["enable_thinking", "thinking"], reasoningFields: ["reasoning_content", "reasoning"] },
  sglang: PLAIN,
  // OpenAI itself refuses fields it does not know.
  openai: { ...PLAIN, thinkingSwitch: "none", reasoningFields: [], maxTokensField: "max_completion_tokens" },
  "z.ai": { ...PLAIN, thinkingSwitch: "type" },
  // Its frequency_penalty is 1.1 where none is given; it has no seed.
  upstage: {
    ...PLAIN,
    thinkingSwitch: "none",
    reasoningFields: ["reasoning"],
    refuses: ["seed"],
    always: { frequency_penalty: 0 },
  },
  // CLOVA Studio's OpenAI-compatible API.
  clova: {
    ...PLAIN,
    thinkingSwitch: "none",
    reasoningFields: ["thinking_content"],
    maxTokensField: "max_completion_tokens",
    refuses: ["presence_penalty", "parallel_tool_calls"],
  },
} as const satisfies Record<string, Dialect>;
export type DialectName = keyof typeof DIALECTS;
export const DIALECT_NAMES = Object.keys(DIALECTS) as DialectName[];

const HOSTS: readonly (readonly [host: string, dialect: DialectName])[] = [
  ["friendli.ai", "friendli"],
  ["openai.com", "openai"],
  ["z.ai", "z.ai"],
  ["upstage.ai", "upstage"],
  ["ntruss.com", "clova"],
];

/** The dialect of a host nobody named one for: its own where it has one, else the most tolerant. */
export function dialectOf(baseUrl: string, simulated: boolean): DialectName {
  const { hostname } = new URL(baseUrl);
  if (simulated) return "friendli";
  const known = HOSTS.find(([host]) => hostname === host || hostname.endsWith(`.${host}`));
  return known === undefined ? "vllm" : known[1];
}
