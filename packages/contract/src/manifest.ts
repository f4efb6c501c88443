import Type, { type Static } from "typebox";

/**
 * The manifest as a person writes it (`agent.yaml`). Durations are `500ms | 10s | 10m | 1h`, sizes `64KiB | 1MiB` or a
 * number of bytes. Unknown fields are errors. The ceilings here are the platform's; a plan may set lower ones.
 */
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
  toolTimeoutMs: { default: 30_000, min: 100, max: 300_000 },
  threadTokens: { default: 120_000, min: 1_000, max: 1_000_000 },
  toolsPerAgent: 128,
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
export const OnThreadBusy = Type.Enum(["reject", "enqueue", "interrupt"], {
  description:
    "What becomes of a run whose thread has one that has not ended. reject: it is refused; enqueue: it waits its turn; " +
    "interrupt: it cancels those before it and takes their place. Default: reject",
});
export type OnThreadBusy = Static<typeof OnThreadBusy>;

export const OnLimit = Type.Enum(["reject", "queue"], {
  description:
    "What becomes of a run that a limit of pace (concurrent_runs, requests) has no room for. reject: it is refused; queue: it " +
    "is accepted and waits. Default: reject",
});
export type OnLimit = Static<typeof OnLimit>;

/** What a manifest says of its deployment beside the agent; a change of it makes no revision. */
export interface DeploySettings {
  readonly onThreadBusy: OnThreadBusy;
  readonly onLimit: OnLimit;
  /** Null = as many as the plan allows. */
  readonly concurrency: number | null;
}

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

export const BuiltinToolManifest = Type.Object(
  {
    name: Type.Enum(["calculator", "current_time"]),
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

export const ToolManifest = Type.Union([
  HttpToolManifest,
  BuiltinToolManifest,
  ClientToolManifest,
  CodeToolManifest,
  FunctionToolManifest,
]);

export const AgentManifest = Type.Object(
  {
    apiVersion: Type.Literal("maru/v1"),
    kind: Type.Literal("Agent"),
    metadata: Type.Object(
      {
        name: Type.String({ pattern: NAME_PATTERN, maxLength: 63 }),
        labels: Type.Optional(Type.Record(Type.String(), Type.String({ maxLength: 256 }))),
      },
      closed,
    ),
    spec: Type.Object(
      {
        description: Type.Optional(Type.String({ maxLength: 2_048 })),
        model: Type.Optional(
          Type.Object(
            {
              name: Type.Optional(Type.String({ maxLength: 128, description: "An id of GET /v1/models" })),
              thinking: Type.Optional(Type.Boolean()),
              sampling: Type.Optional(
                Type.Object(
                  {
                    temperature: Type.Optional(Type.Number({ minimum: 0, maximum: 2 })),
                    top_p: Type.Optional(Type.Number({ exclusiveMinimum: 0, maximum: 1 })),
                    presence_penalty: Type.Optional(Type.Number({ minimum: -2, maximum: 2 })),
                    seed: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
                  },
                  closed,
                ),
              ),
              maxOutputTokens: Type.Optional(Type.Integer({ minimum: 1 })),
              fallbacks: Type.Optional(
                Type.Array(Type.String({ maxLength: 128 }), {
                  maxItems: LIMITS.fallbacks,
                  description:
                    "Models asked in this order when the first one's host fails; each step says which answered",
                }),
              ),
            },
            closed,
          ),
        ),
        instructions: Type.String({ minLength: 1, maxLength: 131_072 }),
        tools: Type.Optional(Type.Array(ToolManifest, { maxItems: LIMITS.toolsPerAgent })),
        output: Type.Optional(
          Type.Object(
            {
              schema: Type.Object(
                {},
                {
                  additionalProperties: true,
                  description: "JSON Schema of the answer: the run's output is JSON of it",
                },
              ),
            },
            closed,
          ),
        ),
        limits: Type.Optional(
          Type.Object(
            {
              steps: Type.Optional(Type.Integer({ minimum: LIMITS.steps.min, maximum: LIMITS.steps.max })),
              tokens: Type.Optional(Type.Integer({ minimum: LIMITS.tokens.min, maximum: LIMITS.tokens.max })),
              duration: Type.Optional(Duration),
              wait: Type.Optional(Duration),
              parallelTools: Type.Optional(
                Type.Integer({ minimum: LIMITS.parallelTools.min, maximum: LIMITS.parallelTools.max }),
              ),
              toolOutputBytes: Type.Optional(ByteSize),
              identicalCalls: Type.Optional(
                Type.Integer({ minimum: LIMITS.identicalCalls.min, maximum: LIMITS.identicalCalls.max }),
              ),
            },
            closed,
          ),
        ),
        memory: Type.Optional(
          Type.Object(
            {
              thread: Type.Optional(
                Type.Object(
                  {
                    strategy: Type.Optional(
                      Type.Enum(["trim", "summarise"], {
                        description: "What becomes of a thread's older part: left out, or put into a summary",
                      }),
                    ),
                    maxTokens: Type.Optional(
                      Type.Integer({ minimum: LIMITS.threadTokens.min, maximum: LIMITS.threadTokens.max }),
                    ),
                  },
                  closed,
                ),
              ),
            },
            closed,
          ),
        ),
      },
      closed,
    ),
    deploy: Type.Optional(
      Type.Object(
        {
          name: Type.Optional(
            Type.String({ pattern: NAME_PATTERN, maxLength: 63, description: "Default: the agent's name" }),
          ),
          onThreadBusy: Type.Optional(OnThreadBusy),
          concurrency: Type.Optional(
            Type.Integer({
              minimum: 1,
              maximum: 100_000,
              description: "Runs of the deployment at a time, queued ones and those with a worker. Default: the plan's",
            }),
          ),
          onLimit: Type.Optional(OnLimit),
        },
        closed,
      ),
    ),
  },
  { ...closed, title: "Maru agent manifest" },
);
export type AgentManifest = Static<typeof AgentManifest>;

/** JSON Schema 2020-12 of the manifest, for editors (served at /schemas/agent.json). */
export function manifestJsonSchema(): object {
  return { $schema: "https://json-schema.org/draft/2020-12/schema", ...JSON.parse(JSON.stringify(AgentManifest)) };
}

/**
 * A manifest with every default filled in and every unit converted: what a revision stores, what its digest is taken
 * of, and what the engine runs. Key order is fixed by the normaliser, so equal meaning gives equal bytes.
 */
export interface AgentSpec {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly description: string;
  readonly model: {
    readonly name: string;
    readonly thinking: boolean;
    readonly temperature: number;
    readonly topP: number;
    readonly presencePenalty: number;
    readonly seed: number | null;
    readonly maxOutputTokens: number;
    /** Not there = none. */
    readonly fallbacks?: readonly string[];
  };
  readonly instructions: string;
  readonly tools: readonly ToolSpec[];
  /** Not there = the answer is text. */
  readonly output?: { readonly schema: { readonly [key: string]: unknown } };
  readonly limits: {
    readonly steps: number;
    readonly tokens: number;
    readonly durationMs: number;
    /** How long the run may wait for somebody at a time. Not there = LIMITS.waitMs.default. */
    readonly waitMs?: number;
    readonly parallelTools: number;
    readonly toolOutputBytes: number;
    readonly identicalCalls: number;
  };
  readonly memory: { readonly thread: { readonly strategy: "trim" | "summarise"; readonly maxTokens: number } };
}

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
  readonly name: "calculator" | "current_time";
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

export type ToolSpec = HttpToolSpec | BuiltinToolSpec | ClientToolSpec | CodeToolSpec | FunctionToolSpec;
