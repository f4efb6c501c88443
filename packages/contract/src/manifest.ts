import Type, { type Static } from "typebox";
import type { ToolSpec } from "./tool-specs.ts";
import { bounds, durationOf, LIMITS, NAME_PATTERN, sizeOf, ToolManifest } from "./tools.ts";

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
          after: Type.Optional(durationOf("When it has been a canary for so long", LIMITS.canaryMs)),
        },
        { ...closed, minProperties: 1, description: "When it takes all the traffic: all that is said must hold" },
      ),
    ),
    rollback: Type.Optional(
      Type.Object(
        {
          errorRate: Type.Optional(
            Type.Number({ minimum: 0, maximum: 1, description: "Share of its runs that failed or expired, 0 to 1" }),
          ),
          latency: Type.Optional(durationOf("The 95th percentile of how long its runs take", LIMITS.canaryMs)),
          costUsd: Type.Optional(
            Type.Number({
              minimum: 0.000001,
              maximum: 1_000_000,
              description: "US dollars a run, on average",
            }),
          ),
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
    apiVersion: Type.Literal("maru/v1", { description: "The version of this format" }),
    kind: Type.Literal("Agent", { description: "What is described" }),
    metadata: Type.Object(
      {
        name: Type.String({
          pattern: NAME_PATTERN,
          maxLength: 63,
          description:
            "The agent's name: 1 to 63 lower-case letters, digits and hyphens, a letter or digit at both ends",
          examples: ["weather"],
        }),
        labels: Type.Optional(
          Type.Record(Type.String(), Type.String({ maxLength: 256, description: "A text of up to 256 characters" }), {
            description: "Pairs of your own. Default: none",
            examples: [{ team: "demo" }],
          }),
        ),
      },
      { ...closed, description: "What the agent is called" },
    ),
    spec: Type.Object(
      {
        description: Type.Optional(
          Type.String({ maxLength: 2_048, description: "For people; the model does not see it. Default: empty" }),
        ),
        model: Type.Optional(
          Type.Object(
            {
              name: Type.Optional(
                Type.String({
                  maxLength: 128,
                  description: "An id of GET /v1/models. Default: k-exaone",
                  examples: ["k-exaone"],
                }),
              ),
              thinking: Type.Optional(
                Type.Boolean({ description: "Whether it thinks before it answers. Default: the model's own" }),
              ),
              sampling: Type.Optional(
                Type.Object(
                  {
                    temperature: Type.Optional(
                      Type.Number({
                        minimum: 0,
                        maximum: 2,
                        description: "0 is the least random. Default: the model's own; 0 to 2",
                      }),
                    ),
                    top_p: Type.Optional(
                      Type.Number({
                        exclusiveMinimum: 0,
                        maximum: 1,
                        description:
                          "Only the likeliest tokens of this share are drawn from. Default: the model's own; above 0, to 1",
                      }),
                    ),
                    presence_penalty: Type.Optional(
                      Type.Number({
                        minimum: -2,
                        maximum: 2,
                        description: "Against what was said already. Default: the model's own; -2 to 2",
                      }),
                    ),
                    seed: Type.Optional(
                      Type.Integer({
                        minimum: 0,
                        maximum: 2_147_483_647,
                        description: "Makes equal requests likelier to get equal answers. Default: none",
                      }),
                    ),
                  },
                  { ...closed, description: "How tokens are chosen" },
                ),
              ),
              maxOutputTokens: Type.Optional(
                Type.Integer({
                  minimum: 1,
                  description: "Tokens of one model step, thinking included. Default and most: the model's own",
                }),
              ),
              fallbacks: Type.Optional(
                Type.Array(Type.String({ maxLength: 128, description: "An id of GET /v1/models" }), {
                  maxItems: LIMITS.fallbacks,
                  description:
                    "Models asked in this order when the first one's host fails; each step says which answered. Default: none",
                }),
              ),
            },
            { ...closed, description: "Which model, and how it answers" },
          ),
        ),
        instructions: Type.String({ minLength: 1, maxLength: 131_072, description: "The system message" }),
        tools: Type.Optional(
          Type.Array(ToolManifest, {
            maxItems: LIMITS.toolsPerAgent,
            description: `What the model may call, at most ${LIMITS.toolsPerAgent}. Default: nothing`,
          }),
        ),
        output: Type.Optional(
          Type.Object(
            {
              schema: Type.Object(
                {},
                {
                  additionalProperties: true,
                  description: "JSON Schema of the answer: the run's output is JSON of it",
                  examples: [{ type: "object", properties: { celsius: { type: "number" } }, required: ["celsius"] }],
                },
              ),
            },
            { ...closed, description: "A structured answer. Default: the answer is text" },
          ),
        ),
        limits: Type.Optional(
          Type.Object(
            {
              steps: Type.Optional(
                Type.Integer({
                  minimum: LIMITS.steps.min,
                  maximum: LIMITS.steps.max,
                  description: `Model and tool steps of a run. ${bounds(LIMITS.steps)}`,
                }),
              ),
              tokens: Type.Optional(
                Type.Integer({
                  minimum: LIMITS.tokens.min,
                  maximum: LIMITS.tokens.max,
                  description: `Input and output tokens of all model steps. ${bounds(LIMITS.tokens)}`,
                }),
              ),
              duration: Type.Optional(
                durationOf("Of a run, without the time it waits for somebody", LIMITS.durationMs),
              ),
              wait: Type.Optional(
                durationOf("For an answer of a client or a person; then the run expires", LIMITS.waitMs),
              ),
              parallelTools: Type.Optional(
                Type.Integer({
                  minimum: LIMITS.parallelTools.min,
                  maximum: LIMITS.parallelTools.max,
                  description: `Tool calls of one model step at a time. ${bounds(LIMITS.parallelTools)}`,
                }),
              ),
              toolOutputBytes: Type.Optional(
                sizeOf("Of a tool's result; the rest is cut, and said so", LIMITS.toolOutputBytes),
              ),
              identicalCalls: Type.Optional(
                Type.Integer({
                  minimum: LIMITS.identicalCalls.min,
                  maximum: LIMITS.identicalCalls.max,
                  description: `Times one call may run in a row with the same result. ${bounds(LIMITS.identicalCalls)}`,
                }),
              ),
            },
            {
              ...closed,
              description: "What a run may take; one that reaches a limit ends `incomplete` and keeps its work",
            },
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
                        description:
                          "What becomes of a thread's older part: left out, or put into a summary. Default: trim",
                      }),
                    ),
                    maxTokens: Type.Optional(
                      Type.Integer({
                        minimum: LIMITS.threadTokens.min,
                        maximum: LIMITS.threadTokens.max,
                        description: `Tokens of a thread's past, cut by whole exchanges. ${bounds(LIMITS.threadTokens)}`,
                      }),
                    ),
                  },
                  { ...closed, description: "Of the conversation" },
                ),
              ),
            },
            { ...closed, description: "What a run knows of the past" },
          ),
        ),
      },
      { ...closed, description: "What the agent is; a change of it is a new revision" },
    ),
    deploy: Type.Optional(
      Type.Object(
        {
          name: Type.Optional(
            Type.String({
              pattern: NAME_PATTERN,
              maxLength: 63,
              description: "What runs go to: 1 to 63 lower-case letters, digits and hyphens. Default: the agent's name",
              examples: ["production"],
            }),
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
                    "Percent of new runs and threads that go to the new revision, 1 to 99; the others go where they went",
                }),
              },
              { ...closed, description: "Default: all to the new revision" },
            ),
          ),
          canary: Type.Optional(Canary),
        },
        { ...closed, description: "How it is deployed; a change of it is no new revision" },
      ),
    ),
  },
  { ...closed, title: "Maru agent manifest", description: "An agent, and how it is deployed" },
);
export type AgentManifest = Static<typeof AgentManifest>;

/** Instead of a long text, in a manifest that a client completes before it sends it. */
const FileReference = Type.Object(
  { file: Type.String({ minLength: 1, description: "Relative to the manifest", examples: ["./prompt.md"] }) },
  { ...closed, description: "A file of the project, which the client puts in" },
);

/**
 * JSON Schema 2020-12 of the manifest as people write it, for editors (served at /schemas/agent.json): what the API reads,
 * and the files a client puts in.
 */
export function manifestJsonSchema(): object {
  const schema = JSON.parse(JSON.stringify(AgentManifest)) as typeof AgentManifest;
  const { spec } = schema.properties;
  const orFile = (schema: object) => {
    const { description, ...text } = schema as { description?: string };
    return { description, anyOf: [text, FileReference] };
  };
  Object.assign(spec.properties, { instructions: orFile(spec.properties.instructions) });
  for (const { properties } of spec.properties.tools.items.anyOf)
    if ("source" in properties) Object.assign(properties, { source: orFile(properties.source) });
  return {
    $schema: "https://json-schema.org/draft/2020-12/schema",
    $id: MANIFEST_SCHEMA_ID,
    ...JSON.parse(JSON.stringify(schema)),
  };
}
/** A name, not an address: every installation serves the schema of its own version. */
const MANIFEST_SCHEMA_ID = "urn:maru:schema:agent:v1";

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
