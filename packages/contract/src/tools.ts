import Type, { type Static } from "typebox";

/** What a manifest says of its tools, and what a revision keeps of them. */
const closed = { additionalProperties: false } as const;

/** Agents, deployments: DNS-label style, so a name can be a path segment, a file name and a host label. */
export const NAME_PATTERN = "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$";
/** K-EXAONE's hosts accept function names of this form only (Friendli's OpenAPI document). */
export const TOOL_NAME_PATTERN = "^[A-Za-z0-9_-]{1,64}$";

export const LIMITS = {
  steps: { default: 20, min: 1, max: 200 },
  tokens: { default: 200_000, min: 1_000, max: 2_000_000 },
  durationMs: { default: 600_000, min: 1_000, max: 86_400_000 },
  parallelTools: { default: 4, min: 1, max: 16 },
  toolOutputBytes: { default: 65_536, min: 256, max: 1_048_576 },
  identicalCalls: { default: 3, min: 1, max: 20 },
  waitMs: { default: 86_400_000, min: 1_000, max: 2_592_000_000 },
  codeTimeoutMs: { default: 5_000, min: 100, max: 30_000 },
  codeMemoryBytes: { default: 33_554_432, min: 16_777_216, max: 134_217_728 },
  /** Of a tool function's source. */
  sourceBytes: 32_768,
  memoryResults: { default: 5, min: 1, max: 20 },
  memoryTtlMs: { min: 60_000, max: 31_536_000_000 },
  toolTimeoutMs: { default: 30_000, min: 100, max: 300_000 },
  threadTokens: { default: 120_000, min: 1_000, max: 1_000_000 },
  toolsPerAgent: 128,
  /** Of an agent's revisions: older ones that never ran, were never released and have no label are removed. */
  revisionsKept: 100,
  /** Runs below one another: a run that nobody's agent started has none above it. */
  agentDepth: 5,
  fallbacks: 5,
  manifestBytes: 65_536,
  manifestDepth: 32,
} as const;

/** The tool by which a structured answer is handed in; no tool of a manifest with `spec.output` may have its name. */
export const SUBMIT_TOOL = "submit_result";

export const Duration = Type.String({
  pattern: "^[0-9]+(?:\\.[0-9]+)?(?:ms|s|m|h|d)$",
  description: "A length of time: 500ms, 10s, 10m, 1h, 7d",
});
export const ByteSize = Type.Union([
  Type.Integer({ minimum: 1 }),
  Type.String({ pattern: "^[0-9]+(?:\\.[0-9]+)?(?:B|KB|KiB|MB|MiB)$" }),
]);

export const EffectClass = Type.Enum(["safe", "idempotent", "at_most_once"], {
  description:
    "What a repeat of the call may do. safe: nothing; idempotent: nothing new with the same Idempotency-Key; " +
    "at_most_once: never sent twice. Default: safe for GET and HEAD, at_most_once for every other method.",
});
export type EffectClass = Static<typeof EffectClass>;

export const Approval = Type.Union(
  [
    Type.Enum(["always", "never"]),
    Type.Object(
      { when: Type.Object({}, { additionalProperties: true, description: "JSON Schema of the arguments" }) },
      closed,
    ),
  ],
  {
    description:
      "Whether a person has to approve a call before it is made: always, never, or when its arguments fit a schema. Default: never",
  },
);
export const OnUnknown = Type.Enum(["tell_model", "fail", "ask"], {
  description:
    "When it can't be known whether a call that must not be repeated took effect: tell the model, fail the run, or ask a " +
    "person whether to make it again. Default: tell_model",
});
export type OnUnknown = Static<typeof OnUnknown>;
const ToolName = Type.String({ pattern: TOOL_NAME_PATTERN });
const Parameters = Type.Object({}, { additionalProperties: true, description: "JSON Schema of the arguments" });

export const HttpToolManifest = Type.Object(
  {
    name: ToolName,
    type: Type.Literal("http"),
    description: Type.String({ minLength: 1, maxLength: 4_096 }),
    parameters: Type.Optional(Parameters),
    request: Type.Object(
      {
        method: Type.Optional(Type.Enum(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])),
        url: Type.String({ minLength: 1, maxLength: 2_048, description: "`{name}` is replaced by the argument" }),
        headers: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 4_096 }))),
        query: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 2_048 }))),
        body: Type.Optional(
          Type.Unknown({
            description: "JSON sent as the body; a string that is just `{name}` becomes the argument itself",
          }),
        ),
      },
      closed,
    ),
    timeout: Type.Optional(Duration),
    effect: Type.Optional(EffectClass),
    approval: Type.Optional(Approval),
    on_unknown: Type.Optional(OnUnknown),
  },
  closed,
);

export const BuiltinName = Type.Enum(["calculator", "current_time", "date_math", "json_query", "regex", "text_diff"]);
export type BuiltinName = Static<typeof BuiltinName>;

export const BuiltinToolManifest = Type.Object(
  {
    name: BuiltinName,
    type: Type.Literal("builtin"),
    approval: Type.Optional(Approval),
  },
  closed,
);

export const ClientToolManifest = Type.Object(
  {
    name: ToolName,
    type: Type.Literal("client"),
    description: Type.String({ minLength: 1, maxLength: 4_096 }),
    parameters: Type.Optional(Parameters),
  },
  { ...closed, description: "A tool the caller runs: the run waits for its result" },
);

const codeLimits = {
  timeout: Type.Optional(Duration),
  memory: Type.Optional(ByteSize),
  approval: Type.Optional(Approval),
};

export const CodeToolManifest = Type.Object(
  {
    name: ToolName,
    type: Type.Literal("code"),
    description: Type.Optional(Type.String({ minLength: 1, maxLength: 4_096 })),
    ...codeLimits,
  },
  { ...closed, description: "JavaScript that the model writes, run in a sandbox" },
);

export const FunctionToolManifest = Type.Object(
  {
    name: ToolName,
    type: Type.Literal("function"),
    description: Type.String({ minLength: 1, maxLength: 4_096 }),
    parameters: Type.Optional(Parameters),
    source: Type.String({
      minLength: 1,
      maxLength: LIMITS.sourceBytes,
      description:
        "An ES module whose default export is a function of the arguments: `export default ({ a }) => a + 1`",
    }),
    ...codeLimits,
  },
  { ...closed, description: "A JavaScript function of your own, run in a sandbox" },
);

export const MemoryScope = Type.Enum(["workspace", "agent", "thread", "user"], {
  description:
    "Whose memory it is: the workspace's (all agents share it), an agent's, or what an agent keeps of a thread or of an end user",
});
export type MemoryScope = Static<typeof MemoryScope>;

export const MemoryToolManifest = Type.Object(
  {
    name: Type.String({ pattern: "^[A-Za-z0-9_-]{1,57}$", description: "Its tools are NAME_get, NAME_set and so on" }),
    type: Type.Literal("memory"),
    description: Type.Optional(
      Type.String({ minLength: 1, maxLength: 1_024, description: "What it is for; each of its tools begins with it" }),
    ),
    scope: MemoryScope,
    mode: Type.Optional(
      Type.Enum(["read", "readwrite"], { description: "read: the model can't change it. Default: readwrite" }),
    ),
    maxResults: Type.Optional(
      Type.Integer({
        minimum: LIMITS.memoryResults.min,
        maximum: LIMITS.memoryResults.max,
        description: "Items a search answers",
      }),
    ),
    ttl: Type.Optional(Duration),
    approval: Type.Optional(Approval),
  },
  { ...closed, description: "What the agent remembers from run to run" },
);

export const AgentToolManifest = Type.Object(
  {
    name: ToolName,
    type: Type.Literal("agent"),
    description: Type.String({ minLength: 1, maxLength: 4_096, description: "What the agent is good for" }),
    deployment: Type.String({
      pattern: NAME_PATTERN,
      maxLength: 63,
      description: "A deployment of this workspace; a call starts a run of it and waits for its end",
    }),
    parameters: Type.Optional(Parameters),
    budget: Type.Optional(
      Type.Object(
        {
          tokens: Type.Integer({
            minimum: LIMITS.tokens.min,
            maximum: LIMITS.tokens.max,
            description:
              "Of this run's own tokens, the most that a call may use. Default: an equal share of what is left",
          }),
        },
        closed,
      ),
    ),
    approval: Type.Optional(Approval),
  },
  { ...closed, description: "Another agent: a call is a run of its own, which this one waits for" },
);

export const ToolManifest = Type.Union([
  HttpToolManifest,
  BuiltinToolManifest,
  ClientToolManifest,
  CodeToolManifest,
  FunctionToolManifest,
  AgentToolManifest,
  MemoryToolManifest,
]);
export type ToolManifest = Static<typeof ToolManifest>;

export type HttpMethod = "GET" | "HEAD" | "POST" | "PUT" | "PATCH" | "DELETE";

export interface HttpToolSpec {
  readonly type: "http";
  readonly name: string;
  readonly description: string;
  /** JSON Schema 2020-12 with `type: object`; always present (K-EXAONE's hosts require `parameters`). */
  readonly parameters: { readonly [key: string]: unknown };
  readonly request: {
    readonly method: HttpMethod;
    readonly url: string;
    readonly headers: Readonly<Record<string, string>>;
    readonly query: Readonly<Record<string, string>>;
    readonly body: unknown;
  };
  readonly timeoutMs: number;
  readonly effect: EffectClass;
  /** Not there = never. */
  readonly approval?: ApprovalSpec;
  /** Not there = tell_model. */
  readonly onUnknown?: OnUnknown;
}

export type ApprovalSpec = "always" | { readonly when: { readonly [key: string]: unknown } };

export interface BuiltinToolSpec {
  readonly type: "builtin";
  readonly name: BuiltinName;
  readonly approval?: ApprovalSpec;
}

export interface ClientToolSpec {
  readonly type: "client";
  readonly name: string;
  readonly description: string;
  readonly parameters: { readonly [key: string]: unknown };
}

export interface CodeToolSpec {
  readonly type: "code";
  readonly name: string;
  /** Not there = the platform's own. */
  readonly description?: string;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly approval?: ApprovalSpec;
}

export interface FunctionToolSpec {
  readonly type: "function";
  readonly name: string;
  readonly description: string;
  readonly parameters: { readonly [key: string]: unknown };
  /** An ES module; its default export is called with the arguments. */
  readonly source: string;
  readonly timeoutMs: number;
  readonly memoryBytes: number;
  readonly approval?: ApprovalSpec;
}

export interface AgentToolSpec {
  readonly type: "agent";
  readonly name: string;
  readonly description: string;
  readonly deployment: string;
  /** Not there = one text, `input`, which is the run's input as it is. Else the run's input is JSON of the arguments. */
  readonly parameters?: { readonly [key: string]: unknown };
  /** Not there = an equal share of what the calling run has left. */
  readonly maxTokens?: number;
  readonly approval?: ApprovalSpec;
}

export interface MemoryToolSpec {
  readonly type: "memory";
  readonly name: string;
  /** Not there = none. */
  readonly description?: string;
  readonly scope: MemoryScope;
  readonly mode: "read" | "readwrite";
  readonly maxResults: number;
  /** Not there = for good. */
  readonly ttlMs?: number;
  /** Of its writes. */
  readonly approval?: ApprovalSpec;
}

export type ToolSpec =
  | HttpToolSpec
  | BuiltinToolSpec
  | ClientToolSpec
  | CodeToolSpec
  | FunctionToolSpec
  | AgentToolSpec
  | MemoryToolSpec;
