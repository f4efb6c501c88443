import Type, { type Static } from "typebox";
import { Count, closed, Id, Instant, Metadata, Nullable } from "./schema.ts";
import { NAME_PATTERN } from "./tools.ts";

export * from "./quota.ts";

const Name = Type.String({ pattern: NAME_PATTERN });

export const SCOPES = [
  "agents:read",
  "agents:write",
  "runs:read",
  "runs:write",
  "runs:approve",
  "usage:read",
  "quota:manage",
  "keys:manage",
  "webhooks:manage",
  "secrets:manage",
  "schedules:read",
  "schedules:write",
  "triggers:read",
  "triggers:write",
  "policy:manage",
  "memory:read",
  "memory:write",
] as const;
export const Scope = Type.Enum([...SCOPES]);
export type Scope = Static<typeof Scope>;

export const User = Type.Object({ id: Id("user"), email: Type.String(), created_at: Instant }, closed);
export type User = Static<typeof User>;

export const Workspace = Type.Object(
  { id: Id("workspace"), name: Type.String(), plan: Type.String(), created_at: Instant },
  closed,
);
export type Workspace = Static<typeof Workspace>;

export const TokenPair = Type.Object(
  {
    token_type: Type.Literal("Bearer"),
    access_token: Type.String({ description: "JWT, EdDSA" }),
    expires_in: Type.Integer({ description: "Seconds the access token lives" }),
    refresh_token: Type.String({ description: "One use: every refresh answers a new one" }),
    refresh_expires_at: Instant,
  },
  closed,
);
export type TokenPair = Static<typeof TokenPair>;

export const RateLimit = Type.Object(
  {
    per_minute: Type.Integer({ minimum: 1, description: "Calls a minute in the long run" }),
    burst: Type.Integer({ minimum: 1, description: "Calls that may come at once" }),
  },
  closed,
);
export type RateLimit = Static<typeof RateLimit>;

export const ApiKey = Type.Object(
  {
    id: Id("apiKey"),
    name: Type.String(),
    prefix: Type.String({ description: "How the key begins, to recognise it" }),
    scopes: Type.Array(Scope),
    created_at: Instant,
    expires_at: Nullable(Instant),
    last_used_at: Nullable(Instant),
    revoked_at: Nullable(Instant),
    rate_limit: Nullable(RateLimit),
  },
  closed,
);
export type ApiKey = Static<typeof ApiKey>;

export const NewApiKey = Type.Object(
  { api_key: ApiKey, key: Type.String({ description: "The key itself: shown once, stored only as a hash" }) },
  closed,
);
export type NewApiKey = Static<typeof NewApiKey>;

export const Agent = Type.Object(
  {
    id: Id("agent"),
    name: Name,
    description: Type.String(),
    labels: Type.Record(Type.String(), Type.String()),
    latest_revision: Type.Integer({ minimum: 1 }),
    created_at: Instant,
    updated_at: Instant,
  },
  closed,
);
export type Agent = Static<typeof Agent>;

export const Revision = Type.Object(
  {
    agent: Name,
    number: Type.Integer({ minimum: 1 }),
    digest: Type.String({ description: "SHA-256 of the normalised manifest, hex" }),
    spec: Type.Object({}, { additionalProperties: true, description: "The manifest with every default filled in" }),
    labels: Metadata,
    created_at: Instant,
  },
  closed,
);
export type Revision = Static<typeof Revision>;

export const TrafficPart = Type.Object(
  {
    revision: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }),
    percent: Type.Integer({ minimum: 0, maximum: 100 }),
  },
  closed,
);
export type TrafficPart = Static<typeof TrafficPart>;

export const CanaryRule = Type.Object(
  {
    revision: Type.Integer({ minimum: 1 }),
    since: Instant,
    promote: Type.Optional(
      Type.Object(
        { runs: Type.Optional(Count), after_ms: Type.Optional(Count) },
        { ...closed, description: "All must hold" },
      ),
    ),
    rollback: Type.Optional(
      Type.Object(
        {
          error_rate: Type.Optional(Type.Number()),
          latency_ms: Type.Optional(Count),
          cost_micros: Type.Optional(Count),
          min_runs: Count,
        },
        { ...closed, description: "Any that is exceeded" },
      ),
    ),
  },
  { ...closed, description: "The part of the traffic that a rule judges" },
);
export type CanaryRule = Static<typeof CanaryRule>;

export const RELEASE_KINDS = [
  "deploy",
  "canary",
  "traffic",
  "promote",
  "rollback",
  "pause",
  "resume",
  "delete",
] as const;
export const Release = Type.Object(
  {
    number: Type.Integer({ minimum: 1 }),
    kind: Type.Enum([...RELEASE_KINDS]),
    revision: Type.Integer({ minimum: 1, description: "The main one" }),
    digest: Type.String({ description: "Of that revision's manifest" }),
    traffic: Type.Array(TrafficPart),
    reason: Nullable(Type.String({ description: "What a rule found" })),
    note: Nullable(Type.String({ description: "What whoever did it says" })),
    by: Type.String({ description: "An API key, a user, or `rule`" }),
    at: Instant,
  },
  closed,
);
export type Release = Static<typeof Release>;

export const Deployment = Type.Object(
  {
    id: Id("deployment"),
    name: Name,
    agent: Name,
    revision: Type.Integer({ minimum: 1 }),
    model: Type.String(),
    fallbacks: Type.Array(Type.String()),
    on_thread_busy: Type.Enum(["reject", "enqueue", "interrupt"]),
    on_limit: Type.Enum(["reject", "queue"]),
    concurrency: Nullable(
      Type.Integer({ minimum: 1, description: "Runs at a time; null = as many as the plan allows" }),
    ),
    release: Type.Integer({ minimum: 1, description: "Number of the newest release" }),
    traffic: Type.Array(TrafficPart, {
      description: "Where new runs go; a thread stays with the revision of its runs as long as that has a part",
    }),
    canary: Nullable(CanaryRule),
    paused: Nullable(Type.Object({ at: Instant, reason: Nullable(Type.String()) }, closed)),
    health: Type.Object(
      {
        status: Type.Enum(["ready", "degraded", "failed", "paused"], {
          description: "degraded: something of it does not work; failed: no run can succeed now; paused: it takes none",
        }),
        reasons: Type.Array(Type.String(), { description: "What is wrong with it, and what that means for runs" }),
      },
      closed,
    ),
    simulated: Type.Boolean({ description: "True while answers come from the built-in simulator, not from K-EXAONE" }),
    created_at: Instant,
    updated_at: Instant,
  },
  closed,
);
export type Deployment = Static<typeof Deployment>;

export const PlanChange = Type.Object(
  {
    path: Type.String({ description: "JSON pointer into the normalised manifest" }),
    op: Type.Enum(["add", "remove", "change"]),
    before: Type.Optional(Type.Unknown()),
    after: Type.Optional(Type.Unknown()),
    diff: Type.Optional(Type.String({ description: "Of a long text: unified diff" })),
  },
  closed,
);
export type PlanChange = Static<typeof PlanChange>;

export const DeployWarning = Type.Object(
  {
    pointer: Type.String({ description: "JSON pointer into the manifest" }),
    code: Type.String(),
    detail: Type.String(),
    suggestion: Type.Optional(Type.String()),
    line: Type.Optional(Type.Integer({ minimum: 1 })),
    column: Type.Optional(Type.Integer({ minimum: 1 })),
  },
  closed,
);
export type DeployWarning = Static<typeof DeployWarning>;
export const DeployResult = Type.Object(
  {
    action: Type.Enum(["create", "update", "unchanged"]),
    dry_run: Type.Boolean(),
    deployment: Nullable(Deployment),
    revision: Nullable(
      Type.Integer({
        description:
          "The manifest's revision; in a plan that changes something, the main one as it is: null where there is none yet",
      }),
    ),
    digest: Type.String(),
    changes: Type.Array(PlanChange),
    warnings: Type.Array(DeployWarning, { description: "What does not stand in the way of the deployment" }),
  },
  closed,
);
export type DeployResult = Static<typeof DeployResult>;

export const DeployResults = Type.Object(
  { results: Type.Array(DeployResult, { description: "One a manifest, in the order of the body" }) },
  closed,
);
export type DeployResults = Static<typeof DeployResults>;
/** The reply to several manifests in one body. */
export const DEPLOY_RESULTS_TYPE = "application/vnd.maru.deploy-results+json";

export const RUN_STATUSES = [
  "queued",
  "running",
  "waiting",
  "completed",
  "incomplete",
  "failed",
  "cancelled",
  "expired",
] as const;
export const RunStatus = Type.Enum([...RUN_STATUSES]);
export type RunStatus = Static<typeof RunStatus>;

export const INCOMPLETE_REASONS = [
  "max_steps",
  "max_tokens",
  "max_duration",
  "repeated_call",
  "output_truncated",
  "quota",
] as const;
export const IncompleteReason = Type.Enum([...INCOMPLETE_REASONS]);
export type IncompleteReason = Static<typeof IncompleteReason>;

export const RunError = Type.Object(
  {
    code: Type.String(),
    message: Type.String(),
    retry_at: Type.Optional(
      Type.String({
        format: "date-time",
        description: "When the model's host lets itself be asked again, where it said so",
      }),
    ),
  },
  closed,
);
export type RunError = Static<typeof RunError>;

export const Usage = Type.Object(
  {
    input_tokens: Count,
    cached_input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    model_calls: Count,
    tool_calls: Count,
    cost_micros: Type.Integer({
      minimum: 0,
      description: "Millionths of a US dollar by the catalogue's price at the time",
    }),
    estimated: Type.Boolean({ description: "True when a host reported no usage and Maru counted itself" }),
  },
  closed,
);
export type Usage = Static<typeof Usage>;

const Asked = {
  call_id: Type.String({ description: "The question's id, unique in the run: answers name it" }),
  step: Type.Integer({ minimum: 1, description: "The call's step in the journal" }),
  name: Type.String({ description: "The tool" }),
  arguments: Type.String({ description: "JSON, as the model wrote it" }),
};
export const RequiredAction = Type.Object(
  {
    expires_at: Type.String({ format: "date-time", description: "Unanswered by then, the run ends as expired" }),
    tool_results: Type.Array(Type.Object(Asked, closed), {
      description: "Calls of client-side tools: answer with POST /v1/runs/{run}/tool-results",
    }),
    approvals: Type.Array(
      Type.Object(
        {
          ...Asked,
          question: Type.Enum(["approval", "outcome"], {
            description:
              "approval: may the call be made? outcome: it was made once and a crash hid what came of it: shall it be made again?",
          }),
          annotations: Type.Optional(
            Type.Object(
              {
                title: Type.Optional(Type.String()),
                read_only: Type.Optional(Type.Boolean({ description: "It changes nothing" })),
                destructive: Type.Optional(Type.Boolean({ description: "What it changes may not be undone" })),
              },
              { ...closed, description: "What is said of the tool's effects; nothing holds it to that" },
            ),
          ),
        },
        closed,
      ),
      { description: "Calls a person decides on: answer with POST /v1/runs/{run}/approvals" },
    ),
    runs: Type.Array(
      Type.Object(
        { run_id: Id("run"), step: Type.Integer({ minimum: 1 }), name: Type.String({ description: "The tool" }) },
        closed,
      ),
      {
        description: "Runs of other agents it waits for: nobody has to answer, but one of them may ask somebody itself",
      },
    ),
  },
  closed,
);
export type RequiredAction = Static<typeof RequiredAction>;

export const Run = Type.Object(
  {
    id: Id("run"),
    status: RunStatus,
    deployment: Name,
    agent: Name,
    revision: Type.Integer({ minimum: 1 }),
    model: Type.String(),
    simulated: Type.Boolean({ description: "True when an answer of it came from the built-in simulator, or will" }),
    thread_id: Nullable(Id("thread")),
    input: Type.String(),
    output: Nullable(Type.String()),
    incomplete_reason: Nullable(IncompleteReason),
    error: Nullable(RunError),
    required_action: Nullable(RequiredAction),
    usage: Usage,
    metadata: Metadata,
    forked_from: Nullable(
      Type.Object(
        { run_id: Id("run"), step: Type.Integer({ minimum: 1 }) },
        {
          ...closed,
          description: "The run whose journal this one goes by, up to that step",
        },
      ),
    ),
    parent: Nullable(
      Type.Object(
        { run_id: Id("run"), step: Type.Integer({ minimum: 1 }) },
        { ...closed, description: "The run whose agent called this one's, and the step of the call" },
      ),
    ),
    source: Nullable(
      Type.Object(
        { type: Type.Enum(["schedule", "trigger"]), id: Type.String() },
        { ...closed, description: "What started it, where no call of the API, no other run and no fork did" },
      ),
    ),
    descendants: Type.Object(
      { runs: Count, total_tokens: Count, cost_micros: Count },
      { ...closed, description: "Runs below this one that have ended, and what they used beside its own usage" },
    ),
    created_at: Instant,
    started_at: Nullable(Instant),
    finished_at: Nullable(Instant),
    payload_expired_at: Nullable(
      Type.String({
        format: "date-time",
        description: "When input, output, metadata, steps and events were removed; usage stays",
      }),
    ),
  },
  closed,
);
export type Run = Static<typeof Run>;

export const StepToolCall = Type.Object({ id: Type.String(), name: Type.String(), arguments: Type.String() }, closed);

export const Step = Type.Object(
  {
    seq: Type.Integer({ minimum: 1 }),
    kind: Type.Enum(["model", "tool", "approval", "input", "run"], {
      description:
        "approval: a person's decision on a call; input: a client-side tool's result; run: another agent's run that was called",
    }),
    state: Type.Enum(["waiting", "started", "done", "error", "unknown"], {
      description: "waiting: not begun, or not answered; unknown: it may have taken effect, and was not repeated",
    }),
    name: Type.String({ description: "The model or the tool" }),
    attempt: Type.Integer({ minimum: 1 }),
    epoch: Type.Integer({
      minimum: 0,
      description: "The claim that finished it, or has it open: grows with each worker",
    }),
    reused: Type.Boolean({ description: "Taken over from the run this one is a fork of, free of charge" }),
    input_digest: Type.Optional(
      Type.String({ description: "SHA-256 of what the step was given, hex: a replay gives the same" }),
    ),
    child_run_id: Type.Optional(Type.String({ description: "Of a call of another agent: the run it started" })),
    reasoning: Type.Optional(Type.String()),
    text: Type.Optional(Type.String()),
    tool_calls: Type.Optional(Type.Array(StepToolCall)),
    call_id: Type.Optional(Type.String()),
    arguments: Type.Optional(Type.String()),
    output: Type.Optional(Type.String()),
    artifacts: Type.Optional(
      Type.Array(
        Type.Object({ id: Id("artifact"), name: Type.String(), media_type: Type.String(), size: Count }, closed),
        {
          description: "What the call gave beside its text: GET /v1/artifacts/{artifact}",
        },
      ),
    ),
    call_step: Type.Optional(Type.Integer({ minimum: 1, description: "Of an approval: the step of the call" })),
    question: Type.Optional(Type.Enum(["approval", "outcome"])),
    decision: Type.Optional(
      Type.Enum(["approve", "reject", "none"], { description: "none: the run ended before anybody decided" }),
    ),
    reason: Type.Optional(Type.String()),
    edited_arguments: Type.Optional(Type.String({ description: "The arguments the call was approved with instead" })),
    answered_by: Type.Optional(Type.String({ description: "The API key or the user" })),
    answered_at: Type.Optional(Instant),
    error_code: Type.Optional(Type.String()),
    error_message: Type.Optional(Type.String()),
    model: Type.Optional(
      Type.String({ description: "The catalogue's id of the model that answered: the agent's own, or a fallback" }),
    ),
    simulated: Type.Optional(Type.Boolean({ description: "True when a simulator answered in its place" })),
    upstream_model: Type.Optional(Type.String({ description: "The name its host answered with" })),
    tried: Type.Optional(
      Type.Array(Type.Object({ model: Type.String(), code: Type.String(), message: Type.String() }, closed), {
        description: "Attempts before the answer, with why they gave none: a fallback is never silent",
      }),
    ),
    summarised_messages: Type.Optional(
      Type.Integer({
        minimum: 1,
        description: "Set when the text is a summary of the thread: how many of its messages it takes in",
      }),
    ),
    finish_reason: Type.Optional(Type.String()),
    input_tokens: Type.Optional(Count),
    cached_input_tokens: Type.Optional(Count),
    output_tokens: Type.Optional(Count),
    cost_micros: Type.Optional(Count),
    usage_estimated: Type.Optional(Type.Boolean({ description: "True when a host reported no usage for it" })),
    started_at: Instant,
    finished_at: Nullable(Instant),
  },
  closed,
);
export type Step = Static<typeof Step>;

export const Thread = Type.Object(
  { id: Id("thread"), metadata: Metadata, created_at: Instant, updated_at: Instant },
  closed,
);
export type Thread = Static<typeof Thread>;

export const ThreadMessage = Type.Object(
  {
    seq: Type.Integer({ minimum: 1 }),
    run_id: Id("run"),
    role: Type.Enum(["user", "assistant", "tool"]),
    content: Type.String(),
    tool_calls: Type.Optional(Type.Array(StepToolCall)),
    tool_call_id: Type.Optional(Type.String()),
    name: Type.Optional(Type.String()),
    created_at: Instant,
  },
  closed,
);
export type ThreadMessage = Static<typeof ThreadMessage>;

const THINKING_CONTROLS = ["enable_thinking", "thinking", "reasoning_effort", "always", "never"] as const;
const THINKING_HISTORIES = ["interleaved", "preserved", "strip"] as const;
export const MODEL_DIALECTS = ["friendli", "vllm", "sglang", "openai", "z.ai", "upstage", "clova"] as const;

export const Model = Type.Object(
  {
    id: Type.String({ description: "What a manifest calls it in spec.model.name" }),
    display_name: Type.String(),
    owner: Type.Enum(["catalogue", "workspace"]),
    provider: Type.String(),
    upstream_model: Type.String(),
    parameters: Type.String(),
    default: Type.Boolean(),
    simulated: Type.Boolean(),
    availability: Type.Object(
      {
        status: Type.Enum(["available", "withdrawn", "unserved"], {
          description:
            "withdrawn: its host no longer has it. unserved: no host of this installation is set up to serve it.",
        }),
        reason: Nullable(Type.String()),
        since: Nullable(Instant),
      },
      closed,
    ),
    market: Nullable(
      Type.Object(
        { status: Type.Enum(["hosted", "dedicated", "weights"]), note: Type.String(), as_of: Type.String() },
        closed,
      ),
    ),
    context_tokens: Count,
    max_output_tokens: Count,
    thinking: Type.Object(
      {
        supported: Type.Boolean(),
        control: Type.Enum([...THINKING_CONTROLS]),
        default: Type.Boolean(),
        history: Type.Enum([...THINKING_HISTORIES], { description: "Which past thinking goes back to the model" }),
      },
      closed,
    ),
    tools: Type.Object({ native: Type.Boolean(), parallel: Type.Boolean() }, closed),
    sampling: Type.Object(
      { temperature: Type.Number(), top_p: Type.Number(), presence_penalty: Type.Number() },
      closed,
    ),
    price: Nullable(
      Type.Object(
        {
          currency: Type.Literal("USD"),
          input_micros_per_mtok: Count,
          cached_input_micros_per_mtok: Count,
          output_micros_per_mtok: Count,
          from: Instant,
          to: Nullable(Instant),
          note: Nullable(Type.String()),
        },
        closed,
      ),
    ),
    licence: Nullable(Type.Object({ name: Type.String(), note: Nullable(Type.String()) }, closed)),
    languages: Type.Array(Type.String()),
    benchmarks: Type.Array(
      Type.Object(
        {
          benchmark: Type.String(),
          score: Type.Number(),
          mode: Nullable(Type.String()),
          source: Type.String({ description: "Who published it; scores of different sources do not compare exactly" }),
        },
        closed,
      ),
      { description: "Published scores. One that is missing was not published where we looked." },
    ),
    assumed: Type.Record(Type.String(), Type.String(), {
      description: "Fields nobody published, which have a cautious working value here",
    }),
    endpoint: Nullable(
      Type.Object(
        {
          base_url: Type.String(),
          dialect: Type.Enum([...MODEL_DIALECTS]),
          stream: Type.Boolean(),
          key_hint: Nullable(Type.String({ description: "How the key ends, to recognise it" })),
          calls_per_minute: Nullable(Count),
          in_flight: Nullable(Count),
          created_at: Instant,
          updated_at: Instant,
        },
        closed,
      ),
    ),
  },
  closed,
);
export type Model = Static<typeof Model>;

/** What may stand in a header. */
export const API_KEY_PATTERN = "^[\\x21-\\x7e]+$";

const endpointSettings = {
  upstream_model: Type.String({ minLength: 1, maxLength: 256, description: "The model's name at the endpoint" }),
  base_url: Type.String({
    minLength: 1,
    maxLength: 2_048,
    description: "https URL of an OpenAI-compatible API, ending before /chat/completions",
  }),
  api_key: Type.String({
    minLength: 1,
    maxLength: 4_096,
    pattern: API_KEY_PATTERN,
    description: "Sent as a bearer token; stored encrypted and never shown again",
  }),
  dialect: Type.Enum([...MODEL_DIALECTS], { description: "Default: by the host's name, else vllm" }),
  stream: Type.Boolean({ description: "False for an endpoint that can't stream. Default true" }),
  context_tokens: Type.Integer({ minimum: 2_048, maximum: 10_000_000 }),
  max_output_tokens: Type.Integer({ minimum: 1, maximum: 1_000_000 }),
  thinking: Type.Object(
    {
      control: Type.Enum([...THINKING_CONTROLS]),
      default: Type.Optional(Type.Boolean()),
      history: Type.Optional(Type.Enum([...THINKING_HISTORIES])),
      effort: Type.Optional(
        Type.Object(
          { on: Type.String({ maxLength: 32 }), off: Nullable(Type.String({ maxLength: 32 })) },
          { ...closed, description: "Words for reasoning_effort" },
        ),
      ),
    },
    { ...closed, description: "Default: a model that does not think" },
  ),
  tools: Type.Object({ native: Type.Boolean(), parallel: Type.Boolean() }, closed),
  calls_per_minute: Nullable(Type.Integer({ minimum: 1, maximum: 1_000_000 })),
  in_flight: Nullable(Type.Integer({ minimum: 1, maximum: 10_000 })),
} as const;

/** Model names share one form with the catalogue's ids. */
export const MODEL_NAME_PATTERN = "^[a-z0-9][a-z0-9._-]{0,62}$";

export const NewModelEndpoint = Type.Object(
  {
    name: Type.String({ pattern: MODEL_NAME_PATTERN }),
    upstream_model: endpointSettings.upstream_model,
    base_url: endpointSettings.base_url,
    context_tokens: endpointSettings.context_tokens,
    api_key: Type.Optional(endpointSettings.api_key),
    dialect: Type.Optional(endpointSettings.dialect),
    stream: Type.Optional(endpointSettings.stream),
    max_output_tokens: Type.Optional(endpointSettings.max_output_tokens),
    thinking: Type.Optional(endpointSettings.thinking),
    tools: Type.Optional(endpointSettings.tools),
    calls_per_minute: Type.Optional(endpointSettings.calls_per_minute),
    in_flight: Type.Optional(endpointSettings.in_flight),
  },
  closed,
);
export type NewModelEndpoint = Static<typeof NewModelEndpoint>;

export const ModelEndpointChange = Type.Object(
  {
    upstream_model: Type.Optional(endpointSettings.upstream_model),
    base_url: Type.Optional(endpointSettings.base_url),
    context_tokens: Type.Optional(endpointSettings.context_tokens),
    api_key: Type.Optional(Nullable(endpointSettings.api_key)),
    dialect: Type.Optional(endpointSettings.dialect),
    stream: Type.Optional(endpointSettings.stream),
    max_output_tokens: Type.Optional(endpointSettings.max_output_tokens),
    thinking: Type.Optional(endpointSettings.thinking),
    tools: Type.Optional(endpointSettings.tools),
    calls_per_minute: Type.Optional(endpointSettings.calls_per_minute),
    in_flight: Type.Optional(endpointSettings.in_flight),
  },
  { ...closed, minProperties: 1 },
);
export type ModelEndpointChange = Static<typeof ModelEndpointChange>;

/** Names of secrets, as `${secrets.NAME}` refers to them. */
export const SECRET_NAME_PATTERN = "^[A-Z][A-Z0-9_]{0,63}$";
/** Of what tools give beside text, in bytes and numbers. What is more is not kept, and the model is told so. */
export const ARTIFACT_LIMITS = {
  bytes: 8_388_608,
  perRun: 200,
  bytesPerRun: 67_108_864,
  perWorkspace: 20_000,
  bytesPerWorkspace: 1_073_741_824,
} as const;

export const Artifact = Type.Object(
  {
    id: Id("artifact"),
    run_id: Id("run"),
    step: Type.Integer({ minimum: 1, description: "The call that gave it" }),
    name: Type.String(),
    media_type: Type.String({ description: "As the tool called it" }),
    size: Count,
    sha256: Type.String({ description: "Hex" }),
    created_at: Instant,
  },
  closed,
);
export type Artifact = Static<typeof Artifact>;

export const SECRET_LIMITS = {
  /** Of a value, in characters. A shorter one could not be told from ordinary text in what tools return. */
  minLength: 8,
  maxLength: 8_192,
  perWorkspace: 200,
  /** Different secrets one agent may refer to. */
  perAgent: 32,
} as const;

export const Secret = Type.Object(
  {
    name: Type.String({ pattern: SECRET_NAME_PATTERN }),
    agent: Nullable(
      Type.String({ pattern: NAME_PATTERN, description: "The one agent that has it; null = every agent" }),
    ),
    version: Type.Integer({ minimum: 1, description: "Grows with every value" }),
    key_id: Type.String({ description: "Which of the installation's keys wraps it: changes when that is rotated" }),
    created_at: Instant,
    updated_at: Instant,
    last_used_at: Nullable(Instant),
  },
  { ...closed, description: "All there is to read of a secret: its value goes to tools only" },
);
export type Secret = Static<typeof Secret>;

export const UsageGroup = Type.Object(
  {
    key: Type.Record(Type.String(), Type.String(), { description: "The group's values, by the names asked for" }),
    runs: Count,
    model_calls: Count,
    input_tokens: Count,
    cached_input_tokens: Count,
    output_tokens: Count,
    total_tokens: Count,
    cost_micros: Count,
  },
  closed,
);
export type UsageGroup = Static<typeof UsageGroup>;

export const UsageReport = Type.Object(
  {
    from: Instant,
    to: Instant,
    time_zone: Type.String(),
    group_by: Type.Array(Type.String()),
    data: Type.Array(UsageGroup),
    total: UsageGroup,
  },
  closed,
);
export type UsageReport = Static<typeof UsageReport>;

export const UsageRecord = Type.Object(
  {
    id: Id("usageRecord"),
    run_id: Id("run"),
    step: Type.Integer({ minimum: 1 }),
    agent: Name,
    deployment: Name,
    model: Type.String(),
    user: Nullable(Type.String({ description: "The run's metadata.user" })),
    input_tokens: Count,
    cached_input_tokens: Count,
    output_tokens: Count,
    cost_micros: Count,
    estimated: Type.Boolean(),
    at: Instant,
  },
  closed,
);
export type UsageRecord = Static<typeof UsageRecord>;

export const Health = Type.Object(
  { status: Type.Literal("ok"), version: Type.String({ description: "Of the gateway" }) },
  closed,
);
export const Readiness = Type.Object(
  {
    status: Type.Enum(["ready", "not_ready"]),
    checks: Type.Record(
      Type.String(),
      Type.Object({ ok: Type.Boolean(), detail: Type.Optional(Type.String()) }, closed),
      { description: "One entry a dependency" },
    ),
  },
  closed,
);
export type Readiness = Static<typeof Readiness>;

export const Jwks = Type.Object(
  {
    keys: Type.Array(
      Type.Object(
        {
          kty: Type.Literal("OKP"),
          crv: Type.Literal("Ed25519"),
          alg: Type.Literal("EdDSA"),
          use: Type.Literal("sig"),
          kid: Type.String(),
          x: Type.String(),
        },
        closed,
      ),
    ),
  },
  closed,
);
