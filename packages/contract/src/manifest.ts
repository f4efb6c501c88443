import Type, { type Static } from "typebox";
import { ByteSize, Duration, LIMITS, NAME_PATTERN, ToolManifest, type ToolSpec } from "./tools.ts";

/**
 * The manifest as a person writes it (`agent.yaml`). Durations are `500ms | 10s | 10m | 1h`, sizes `64KiB | 1MiB` or a
 * number of bytes. Unknown fields are errors. The ceilings here are the platform's; a plan may set lower ones.
 */
const closed = { additionalProperties: false } as const;

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

const Canary = Type.Object(
  {
    promote: Type.Optional(
      Type.Object(
        {
          runs: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 1_000_000, description: "When so many runs of it ended" }),
          ),
          after: Type.Optional(Duration),
        },
        { ...closed, minProperties: 1, description: "When it takes all the traffic: all that is said must hold" },
      ),
    ),
    rollback: Type.Optional(
      Type.Object(
        {
          errorRate: Type.Optional(
            Type.Number({ minimum: 0, maximum: 1, description: "Share of its runs that failed or expired" }),
          ),
          latency: Type.Optional(Duration),
          costUsd: Type.Optional(Type.Number({ exclusiveMinimum: 0, description: "Of a run, on average" })),
          minRuns: Type.Optional(
            Type.Integer({ minimum: 1, maximum: 100_000, description: "Runs before it is judged. Default: 10" }),
          ),
        },
        {
          ...closed,
          description:
            "When it loses its traffic: anything that is exceeded. latency is the 95th percentile, without the time runs wait for somebody",
        },
      ),
    ),
  },
  { ...closed, description: "What becomes of the new revision, by how its runs end" },
);

/** A part of the traffic for a new revision, and the rule it is judged by. */
export interface Rollout {
  readonly percent: number;
  readonly promote?: { readonly runs?: number; readonly after_ms?: number };
  readonly rollback?: {
    readonly error_rate?: number;
    /** The 95th percentile. */
    readonly latency_ms?: number;
    /** Millionths of a US dollar a run, on average. */
    readonly cost_micros?: number;
    readonly min_runs: number;
  };
}

/** What a manifest says of its deployment beside the agent; a change of it makes no revision. */
export interface DeploySettings {
  readonly onThreadBusy: OnThreadBusy;
  readonly onLimit: OnLimit;
  /** Null = as many as the plan allows. */
  readonly concurrency: number | null;
}

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
          traffic: Type.Optional(
            Type.Object(
              {
                canary: Type.Integer({
                  minimum: 1,
                  maximum: 99,
                  description:
                    "Percent of new runs and threads that go to the new revision; the others go where they went",
                }),
              },
              closed,
            ),
          ),
          canary: Type.Optional(Canary),
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
