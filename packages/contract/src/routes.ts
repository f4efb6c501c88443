import Type from "typebox";
import { DeltaEvent, DurableEvent, SnapshotEvent } from "./events.ts";
import { AgentManifest, OnThreadBusy } from "./manifest.ts";
import * as o from "./objects.ts";
import { SECRET_LIMITS } from "./objects.ts";
import { operatorRoutes } from "./operator-routes.ts";
import type { RouteContract } from "./route.ts";
import { closed, Id, Instant, Metadata, Nullable, Page, PageQuery, Text } from "./schema.ts";
import { NAME_PATTERN } from "./tools.ts";
import * as w from "./webhooks.ts";

const Email = Type.String({ format: "email", maxLength: 254 });
const Password = Text(200, 10);
const AgentParam = Type.Object({ agent: Type.String({ pattern: NAME_PATTERN }) }, closed);
const RunParam = Type.Object({ run: Id("run") }, closed);
const ModelParam = Type.Object({ model: Type.String({ pattern: "^[A-Za-z0-9._-]{1,128}$" }) }, closed);
const WebhookParam = Type.Object({ webhook: Id("webhook") }, closed);
const ThreadParam = Type.Object({ thread: Id("thread") }, closed);
/** Any name: one that no secret can have is told so by PUT, and is not found otherwise. */
const SecretParam = Type.Object({ name: Type.String({ pattern: "^[\\x21-\\x7e]{1,128}$" }) }, closed);
const AgentScope = Type.Object({ agent: Type.Optional(Type.String({ pattern: NAME_PATTERN })) }, closed);
const IfMatch = Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) });
const page = Type.Object({ ...PageQuery }, closed);
const YAML = ["application/yaml", "application/x-yaml", "text/yaml"] as const;

export const CreateRun = Type.Object(
  {
    deployment: Type.String({ pattern: NAME_PATTERN, description: "Name of the deployment to run" }),
    input: Text(262_144, 1),
    thread_id: Type.Optional(Id("thread")),
    on_thread_busy: Type.Optional(OnThreadBusy),
    metadata: Type.Optional(Metadata),
  },
  closed,
);

const CallId = Text(256, 1);
export const ToolResults = Type.Object(
  {
    tool_results: Type.Array(
      Type.Object(
        {
          call_id: CallId,
          output: Text(1_048_576),
          is_error: Type.Optional(Type.Boolean({ description: "The tool failed; output says how" })),
        },
        closed,
      ),
      { minItems: 1, maxItems: 128 },
    ),
  },
  closed,
);
export const Approvals = Type.Object(
  {
    approvals: Type.Array(
      Type.Object(
        {
          call_id: CallId,
          decision: Type.Enum(["approve", "reject"]),
          reason: Type.Optional(Text(2_048, 1)),
          arguments: Type.Optional(
            Type.Object({}, { additionalProperties: true, description: "Approved with these arguments instead" }),
          ),
        },
        closed,
      ),
      { minItems: 1, maxItems: 128 },
    ),
  },
  closed,
);
export const Fork = Type.Object(
  {
    from_step: Type.Integer({
      minimum: 1,
      maximum: 1_000_000,
      description: "The first step that is done anew; those before it are reused",
    }),
    overrides: Type.Optional(
      Type.Object(
        {
          instructions: Type.Optional(Text(131_072, 1)),
          model: Type.Optional(Text(128, 1)),
          tool_results: Type.Optional(
            Type.Array(
              Type.Object({ step: Type.Integer({ minimum: 1, maximum: 1_000_000 }), output: Text(1_048_576) }, closed),
              { maxItems: 128, description: "Other results for reused tool steps" },
            ),
          ),
        },
        closed,
      ),
    ),
    metadata: Type.Optional(Metadata),
  },
  closed,
);

/** Why a run is not admitted. */
const QUOTA_PROBLEMS = [
  "quota_exhausted",
  "free_tier_ended",
  "free_tier_not_begun",
  "concurrency_exceeded",
  "queue_full",
  "run_too_large",
] as const;

export const routes = {
  // --- auth
  register: {
    method: "POST",
    path: "/v1/auth/register",
    tag: "auth",
    summary: "Create an account with its own workspace",
    access: "public",
    body: Type.Object({ email: Email, password: Password, workspace: Type.Optional(Text(64, 1)) }, closed),
    replies: { 201: Type.Object({ user: o.User, workspace: o.Workspace, tokens: o.TokenPair }, closed) },
    problems: ["email_taken", "too_many_attempts"],
  },
  token: {
    method: "POST",
    path: "/v1/auth/token",
    tag: "auth",
    summary: "Sign in, or exchange a refresh token for a new pair",
    description:
      "A refresh token works once. Using an old one again ends the whole session, since one of its two users is a thief.",
    access: "public",
    body: Type.Union([
      Type.Object(
        {
          grant_type: Type.Literal("password"),
          email: Type.String({ maxLength: 254 }),
          password: Type.String({ maxLength: 200 }),
        },
        closed,
      ),
      Type.Object(
        { grant_type: Type.Literal("refresh_token"), refresh_token: Type.String({ maxLength: 200 }) },
        closed,
      ),
    ]),
    replies: { 200: o.TokenPair },
    problems: ["invalid_credentials", "too_many_attempts"],
  },
  logout: {
    method: "POST",
    path: "/v1/auth/logout",
    tag: "auth",
    summary: "End the session the access token belongs to",
    access: "user",
    replies: { 204: null },
  },
  whoami: {
    method: "GET",
    path: "/v1/auth/me",
    tag: "auth",
    summary: "Who the credentials belong to and what they allow",
    access: "runs:read",
    replies: {
      200: Type.Object({ workspace: o.Workspace, user: Nullable(o.User), scopes: Type.Array(o.Scope) }, closed),
    },
  },
  jwks: {
    method: "GET",
    path: "/.well-known/jwks.json",
    tag: "auth",
    summary: "Public keys that verify access tokens (RFC 7517)",
    access: "public",
    replies: { 200: o.Jwks },
  },
  createApiKey: {
    method: "POST",
    path: "/v1/api-keys",
    tag: "api-keys",
    summary: "Create an API key; the reply is the only time it is shown",
    description:
      "`rate_limit` is a limit of calls of the key's own, up to the workspace's; without it the key has the installation's, or that of the key that makes it.",
    access: "keys:manage",
    body: Type.Object(
      {
        name: Text(64, 1),
        scopes: Type.Array(o.Scope, { minItems: 1, uniqueItems: true }),
        expires_at: Type.Optional(Nullable(Instant)),
        rate_limit: Type.Optional(Nullable(o.RateLimit)),
      },
      closed,
    ),
    replies: { 201: o.NewApiKey },
    problems: ["limit_out_of_range"],
    idempotent: true,
  },
  listApiKeys: {
    method: "GET",
    path: "/v1/api-keys",
    tag: "api-keys",
    summary: "The workspace's API keys, newest first",
    access: "keys:manage",
    query: page,
    replies: { 200: Page(o.ApiKey) },
  },
  getApiKey: {
    method: "GET",
    path: "/v1/api-keys/{key}",
    tag: "api-keys",
    summary: "One API key",
    access: "keys:manage",
    params: Type.Object({ key: Id("apiKey") }, closed),
    replies: { 200: o.ApiKey },
  },
  revokeApiKey: {
    method: "DELETE",
    path: "/v1/api-keys/{key}",
    tag: "api-keys",
    summary: "Revoke an API key; every gateway refuses it within five seconds",
    access: "keys:manage",
    params: Type.Object({ key: Id("apiKey") }, closed),
    replies: { 204: null },
  },
  // --- deployments
  deploy: {
    method: "POST",
    path: "/v1/deployments",
    tag: "deployments",
    summary: "Deploy a manifest: creates or rolls forward; the same manifest again changes nothing",
    description:
      "With `dry_run=true` the reply is the plan and nothing is written. `If-Match` guards against a lost update.",
    access: "agents:write",
    query: Type.Object({ dry_run: Type.Optional(Type.Boolean()) }, closed),
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    body: AgentManifest,
    bodyTypes: YAML,
    replies: { 200: o.DeployResult, 201: o.DeployResult },
    problems: [
      "manifest_syntax",
      "manifest_too_deep",
      "manifest_invalid",
      "yaml_alias_forbidden",
      "yaml_tag_forbidden",
      "duplicate_key",
      "unsupported_version",
      "invalid_name",
      "duplicate_tool",
      "unknown_model",
      "limit_out_of_range",
      "tool_schema_invalid",
      "source_invalid",
      "template_error",
      "url_not_allowed",
      "header_not_allowed",
      "effect_class_invalid",
      "secret_not_found",
      "secret_not_allowed_here",
      "name_taken",
      "precondition_failed",
    ],
    idempotent: true,
  },
  listDeployments: {
    method: "GET",
    path: "/v1/deployments",
    tag: "deployments",
    summary: "The workspace's deployments, newest first",
    access: "agents:read",
    query: page,
    replies: { 200: Page(o.Deployment) },
  },
  getDeployment: {
    method: "GET",
    path: "/v1/deployments/{deployment}",
    tag: "deployments",
    summary: "One deployment",
    access: "agents:read",
    params: Type.Object({ deployment: Type.String({ pattern: NAME_PATTERN }) }, closed),
    replies: { 200: o.Deployment },
  },
  // --- agents
  listAgents: {
    method: "GET",
    path: "/v1/agents",
    tag: "agents",
    summary: "The workspace's agents, newest first",
    access: "agents:read",
    query: page,
    replies: { 200: Page(o.Agent) },
  },
  getAgent: {
    method: "GET",
    path: "/v1/agents/{agent}",
    tag: "agents",
    summary: "One agent",
    access: "agents:read",
    params: AgentParam,
    replies: { 200: o.Agent },
  },
  listRevisions: {
    method: "GET",
    path: "/v1/agents/{agent}/revisions",
    tag: "agents",
    summary: "The agent's revisions, newest first",
    access: "agents:read",
    params: AgentParam,
    query: page,
    replies: { 200: Page(o.Revision) },
  },
  getRevision: {
    method: "GET",
    path: "/v1/agents/{agent}/revisions/{number}",
    tag: "agents",
    summary: "One revision, with the manifest as it runs",
    access: "agents:read",
    params: Type.Object(
      { agent: Type.String({ pattern: NAME_PATTERN }), number: Type.Integer({ minimum: 1, maximum: 2_147_483_647 }) },
      closed,
    ),
    replies: { 200: o.Revision },
  },
  // --- runs
  createRun: {
    method: "POST",
    path: "/v1/runs",
    tag: "runs",
    summary: "Start a run",
    description:
      "Answers 202 at once. `Prefer: wait=N` (1 to 60 seconds) waits for the end, or until somebody has to answer, and " +
      "answers 200 when that came in time. " +
      "`Accept: text/event-stream` streams the run's events.",
    access: "runs:write",
    headers: Type.Object({ prefer: Type.Optional(Type.String({ maxLength: 200 })) }),
    body: CreateRun,
    replies: { 200: o.Run, 202: o.Run },
    events: Type.Union([DurableEvent, DeltaEvent, SnapshotEvent]),
    problems: ["not_found", "thread_busy", "thread_full", ...QUOTA_PROBLEMS],
    idempotent: true,
  },
  listRuns: {
    method: "GET",
    path: "/v1/runs",
    tag: "runs",
    summary: "The workspace's runs, newest first",
    access: "runs:read",
    query: Type.Object(
      {
        ...PageQuery,
        status: Type.Optional(o.RunStatus),
        deployment: Type.Optional(Type.String({ pattern: NAME_PATTERN })),
        thread_id: Type.Optional(Id("thread")),
        parent_run_id: Type.Optional(Id("run")),
      },
      closed,
    ),
    replies: { 200: Page(o.Run) },
  },
  getRun: {
    method: "GET",
    path: "/v1/runs/{run}",
    tag: "runs",
    summary: "One run",
    access: "runs:read",
    params: RunParam,
    replies: { 200: o.Run },
  },
  listRunEvents: {
    method: "GET",
    path: "/v1/runs/{run}/events",
    tag: "runs",
    summary: "The run's events: JSON, or with `Accept: text/event-stream` a stream until the run ends",
    description:
      "A stream resumes after `Last-Event-ID`; one that has nothing left to say answers 204, which ends a browser's " +
      "EventSource. The JSON form pages by `after_seq`.",
    access: "runs:read",
    params: RunParam,
    query: Type.Object(
      {
        after_seq: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_147_483_647 })),
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: 1_000, default: 100 })),
      },
      closed,
    ),
    headers: Type.Object({ "last-event-id": Type.Optional(Type.String({ maxLength: 32 })) }),
    replies: {
      200: Type.Object({ data: Type.Array(DurableEvent), last_seq: Type.Integer({ minimum: 0 }) }, closed),
      204: null,
    },
    problems: ["payload_expired"],
    events: Type.Union([DurableEvent, DeltaEvent, SnapshotEvent]),
  },
  listRunSteps: {
    method: "GET",
    path: "/v1/runs/{run}/steps",
    tag: "runs",
    summary: "The run's journal, in order",
    access: "runs:read",
    params: RunParam,
    replies: { 200: Type.Object({ data: Type.Array(o.Step) }, closed) },
  },
  listRunArtifacts: {
    method: "GET",
    path: "/v1/runs/{run}/artifacts",
    tag: "runs",
    summary: "What the run's tools gave beside text: pictures, files, the whole of a text that was cut",
    access: "runs:read",
    params: RunParam,
    replies: { 200: Type.Object({ data: Type.Array(o.Artifact) }, closed) },
    problems: ["payload_expired"],
  },
  getArtifact: {
    method: "GET",
    path: "/v1/artifacts/{artifact}",
    tag: "runs",
    summary: "The bytes of an artifact, to be saved: tools made them, so no browser should show them as a page",
    access: "runs:read",
    params: Type.Object({ artifact: Id("artifact") }, closed),
    replies: { 200: null },
    bytes: true,
  },
  cancelRun: {
    method: "POST",
    path: "/v1/runs/{run}/cancel",
    tag: "runs",
    summary: "Cancel a run: at once when it is queued or waiting, else as soon as its worker hears of it",
    description: "200: it has ended, now or before, and a run that had ended is unchanged. 202: its worker is told.",
    access: "runs:write",
    params: RunParam,
    replies: { 200: o.Run, 202: o.Run },
    idempotent: true,
  },
  submitToolResults: {
    method: "POST",
    path: "/v1/runs/{run}/tool-results",
    tag: "runs",
    summary: "Give results of client-side tools a run waits for",
    description:
      "All of the request is taken or nothing of it. The run goes on when nothing is left to wait for. The same result " +
      "again changes nothing; another one is refused.",
    access: "runs:write",
    params: RunParam,
    body: ToolResults,
    replies: { 200: o.Run },
    problems: ["run_finished", "already_answered", "not_answerable", "wait_expired", "result_too_large"],
    idempotent: true,
  },
  decideApprovals: {
    method: "POST",
    path: "/v1/runs/{run}/approvals",
    tag: "runs",
    summary: "Approve or reject calls a run waits for",
    description:
      "Who decided and when is in the journal. `arguments` approves the call with other arguments, which must fit the " +
      "tool's parameters; the model is told of them.",
    access: "runs:approve",
    params: RunParam,
    body: Approvals,
    replies: { 200: o.Run },
    problems: ["run_finished", "already_answered", "not_answerable", "wait_expired"],
    idempotent: true,
  },
  forkRun: {
    method: "POST",
    path: "/v1/runs/{run}/fork",
    tag: "runs",
    summary: "Start a run that reuses another's journal up to a step, with changes",
    description:
      "Steps before `from_step` are reused and cost nothing; from there on everything is done anew, tools included, with the " +
      "changed instructions, model or tool results.",
    access: "runs:write",
    params: RunParam,
    body: Fork,
    replies: { 202: o.Run },
    problems: ["step_not_finished", "payload_expired", "unknown_model", ...QUOTA_PROBLEMS],
    idempotent: true,
  },
  // --- threads
  createThread: {
    method: "POST",
    path: "/v1/threads",
    tag: "threads",
    summary: "Create a thread: runs that name it share a conversation",
    access: "runs:write",
    body: Type.Object({ metadata: Type.Optional(Metadata) }, closed),
    replies: { 201: o.Thread },
    idempotent: true,
  },
  listThreads: {
    method: "GET",
    path: "/v1/threads",
    tag: "threads",
    summary: "The workspace's threads, newest first",
    access: "runs:read",
    query: page,
    replies: { 200: Page(o.Thread) },
  },
  getThread: {
    method: "GET",
    path: "/v1/threads/{thread}",
    tag: "threads",
    summary: "One thread",
    access: "runs:read",
    params: ThreadParam,
    replies: { 200: o.Thread },
  },
  listThreadMessages: {
    method: "GET",
    path: "/v1/threads/{thread}/messages",
    tag: "threads",
    summary: "The thread's conversation, oldest first",
    access: "runs:read",
    params: ThreadParam,
    query: page,
    replies: { 200: Page(o.ThreadMessage) },
  },
  deleteThread: {
    method: "DELETE",
    path: "/v1/threads/{thread}",
    tag: "threads",
    summary: "Delete a thread and its messages; its runs stay",
    access: "runs:write",
    params: ThreadParam,
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    replies: { 204: null },
    problems: ["thread_in_use", "precondition_failed"],
  },
  // --- models, quota, usage
  listModels: {
    method: "GET",
    path: "/v1/models",
    tag: "models",
    summary: "The models agents may run on: the catalogue's, and the workspace's own endpoints",
    access: "agents:read",
    replies: { 200: Type.Object({ data: Type.Array(o.Model) }, closed) },
  },
  getModel: {
    method: "GET",
    path: "/v1/models/{model}",
    tag: "models",
    summary: "One model of the catalogue",
    access: "agents:read",
    params: ModelParam,
    replies: { 200: o.Model },
  },
  createModel: {
    method: "POST",
    path: "/v1/models",
    tag: "models",
    summary: "Add an OpenAI-compatible endpoint of one's own as a model of this workspace",
    access: "agents:write",
    body: o.NewModelEndpoint,
    idempotent: true,
    replies: { 201: o.Model },
    problems: ["name_taken", "url_not_allowed", "limit_out_of_range"],
  },
  updateModel: {
    method: "PATCH",
    path: "/v1/models/{model}",
    tag: "models",
    summary: "Change one's own endpoint, or its key",
    access: "agents:write",
    params: ModelParam,
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    body: o.ModelEndpointChange,
    replies: { 200: o.Model },
    problems: ["read_only", "url_not_allowed", "limit_out_of_range", "precondition_failed"],
  },
  deleteModel: {
    method: "DELETE",
    path: "/v1/models/{model}",
    tag: "models",
    summary: "Remove one's own endpoint; deployments that use it become degraded",
    access: "agents:write",
    params: ModelParam,
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    replies: { 204: null },
    problems: ["read_only", "precondition_failed"],
  },
  // --- secrets
  putSecret: {
    method: "PUT",
    path: "/v1/secrets/{name}",
    tag: "secrets",
    summary: "Set a secret of the workspace or of one agent; no call ever answers its value",
    description:
      "The agent need not exist yet. Calls made from now on use the new value. An agent's own secret hides the " +
      "workspace's of the same name.",
    access: "secrets:manage",
    params: SecretParam,
    headers: IfMatch,
    body: Type.Object(
      {
        value: Text(SECRET_LIMITS.maxLength, 1),
        agent: Type.Optional(Type.String({ pattern: NAME_PATTERN })),
      },
      closed,
    ),
    replies: { 200: o.Secret, 201: o.Secret },
    problems: ["limit_out_of_range", "precondition_failed"],
  },
  listSecrets: {
    method: "GET",
    path: "/v1/secrets",
    tag: "secrets",
    summary: "The workspace's secrets by name, without their values",
    access: "secrets:manage",
    query: page,
    replies: { 200: Page(o.Secret) },
  },
  getSecret: {
    method: "GET",
    path: "/v1/secrets/{name}",
    tag: "secrets",
    summary: "One secret, without its value: the workspace's, or with `agent` that agent's own",
    access: "secrets:manage",
    params: SecretParam,
    query: AgentScope,
    replies: { 200: o.Secret },
  },
  deleteSecret: {
    method: "DELETE",
    path: "/v1/secrets/{name}",
    tag: "secrets",
    summary: "Delete a secret; calls that need it fail from now on with secret_unavailable",
    access: "secrets:manage",
    params: SecretParam,
    query: AgentScope,
    headers: IfMatch,
    replies: { 204: null },
    problems: ["precondition_failed"],
  },
  getQuota: {
    method: "GET",
    path: "/v1/quota",
    tag: "quota",
    summary: "What the workspace may still use, until when, and what happens then",
    access: "usage:read",
    replies: { 200: o.Quota },
  },
  auditQuota: {
    method: "GET",
    path: "/v1/quota/audit",
    tag: "quota",
    summary: "Every balance recomputed from the ledger and the usage records; says what is off, if anything is",
    access: "usage:read",
    replies: { 200: o.QuotaAudit },
  },
  checkQuota: {
    method: "POST",
    path: "/v1/quota/check",
    tag: "quota",
    summary: "Whether a run would be accepted now, what it would hold, and if not, why and until when",
    description: "Nothing is kept of it. A later POST /v1/runs is judged anew.",
    access: "runs:write",
    body: CreateRun,
    replies: { 200: o.QuotaCheck },
    problems: ["not_found"],
  },
  listLimits: {
    method: "GET",
    path: "/v1/quota/limits",
    tag: "quota",
    summary: "The limits the workspace set itself",
    access: "usage:read",
    replies: { 200: Type.Object({ data: Type.Array(o.QuotaLimit) }, closed) },
  },
  setLimit: {
    method: "PUT",
    path: "/v1/quota/limits/{name}",
    tag: "quota",
    summary: "Set a limit of one's own: for the workspace, or for API keys, deployments or end users",
    description:
      "In force with the next run. It lies within the plan's limits, never over them. `per`: the plan's period, or a rolling " +
      "span; requests need one, concurrent_runs and run_tokens have none.",
    access: "quota:manage",
    params: Type.Object({ name: o.LimitName }, closed),
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    body: o.QuotaLimitFields,
    replies: { 200: o.QuotaLimit, 201: o.QuotaLimit },
    problems: ["too_many_limits", "precondition_failed"],
  },
  deleteLimit: {
    method: "DELETE",
    path: "/v1/quota/limits/{name}",
    tag: "quota",
    summary: "Remove a limit of one's own; runs in flight settle in what it had open",
    access: "quota:manage",
    params: Type.Object({ name: o.LimitName }, closed),
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    replies: { 204: null },
    problems: ["precondition_failed"],
  },
  getUsage: {
    method: "GET",
    path: "/v1/usage",
    tag: "quota",
    summary: "Usage of a period, grouped",
    access: "usage:read",
    query: Type.Object(
      {
        from: Type.Optional(Instant),
        to: Type.Optional(Instant),
        time_zone: Type.Optional(Type.String({ maxLength: 64, description: "IANA name; days are cut in it" })),
        group_by: Type.Optional(
          Type.String({
            pattern: "^(day|hour|agent|deployment|model|key|user)(,(day|hour|agent|deployment|model|key|user)){0,6}$",
            description: "Comma-separated: day, hour, agent, deployment, model, key, user (the run's metadata.user)",
          }),
        ),
      },
      closed,
    ),
    replies: { 200: o.UsageReport },
    csv: true,
  },
  listUsageRecords: {
    method: "GET",
    path: "/v1/usage/records",
    tag: "quota",
    summary: "One record a model step, newest first",
    access: "usage:read",
    query: Type.Object(
      {
        ...PageQuery,
        run_id: Type.Optional(Id("run")),
        from: Type.Optional(Instant),
        to: Type.Optional(Instant),
      },
      closed,
    ),
    replies: { 200: Page(o.UsageRecord) },
    csv: true,
  },
  // --- webhooks
  createWebhook: {
    method: "POST",
    path: "/v1/webhooks",
    tag: "webhooks",
    summary: "Have events sent to a URL; the reply is the only time the signing secret is shown",
    access: "webhooks:manage",
    body: w.NewWebhook,
    replies: { 201: w.WebhookWithSecret },
    problems: ["url_not_allowed", "limit_out_of_range"],
    idempotent: true,
  },
  listWebhooks: {
    method: "GET",
    path: "/v1/webhooks",
    tag: "webhooks",
    summary: "The workspace's webhooks, newest first",
    access: "webhooks:manage",
    query: page,
    replies: { 200: Page(w.Webhook) },
  },
  getWebhook: {
    method: "GET",
    path: "/v1/webhooks/{webhook}",
    tag: "webhooks",
    summary: "One webhook",
    access: "webhooks:manage",
    params: WebhookParam,
    replies: { 200: w.Webhook },
  },
  updateWebhook: {
    method: "PATCH",
    path: "/v1/webhooks/{webhook}",
    tag: "webhooks",
    summary: "Change a webhook: where events go, which, and whether",
    access: "webhooks:manage",
    params: WebhookParam,
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    body: w.WebhookChange,
    replies: { 200: w.Webhook },
    problems: ["url_not_allowed", "precondition_failed"],
  },
  deleteWebhook: {
    method: "DELETE",
    path: "/v1/webhooks/{webhook}",
    tag: "webhooks",
    summary: "Delete a webhook and its log; nothing is sent to it any more",
    access: "webhooks:manage",
    params: WebhookParam,
    headers: Type.Object({ "if-match": Type.Optional(Type.String({ maxLength: 200 })) }),
    replies: { 204: null },
    problems: ["precondition_failed"],
  },
  rotateWebhookSecret: {
    method: "POST",
    path: "/v1/webhooks/{webhook}/rotate-secret",
    tag: "webhooks",
    summary: "Give a webhook a new secret, shown once; the one before it signs too for 24 hours",
    access: "webhooks:manage",
    params: WebhookParam,
    replies: { 200: w.WebhookWithSecret },
    idempotent: true,
  },
  testWebhook: {
    method: "POST",
    path: "/v1/webhooks/{webhook}/test",
    tag: "webhooks",
    summary: "Send a webhook.test event, whatever the webhook is subscribed to",
    access: "webhooks:manage",
    params: WebhookParam,
    replies: { 202: w.WebhookDelivery },
    problems: ["webhook_disabled"],
    idempotent: true,
  },
  listWebhookDeliveries: {
    method: "GET",
    path: "/v1/webhooks/{webhook}/deliveries",
    tag: "webhooks",
    summary: "What was sent to a webhook or will be, newest first; kept 30 days after its end",
    access: "webhooks:manage",
    params: WebhookParam,
    query: Type.Object({ ...PageQuery, state: Type.Optional(w.WebhookDeliveryState) }, closed),
    replies: { 200: Page(w.WebhookDelivery) },
  },
  redeliverWebhook: {
    method: "POST",
    path: "/v1/webhooks/{webhook}/deliveries/{delivery}/redeliver",
    tag: "webhooks",
    summary: "Send an event again: a new delivery of the same event, or a pending one tried now",
    access: "webhooks:manage",
    params: Type.Object({ webhook: Id("webhook"), delivery: Id("webhookDelivery") }, closed),
    replies: { 202: w.WebhookDelivery },
    problems: ["webhook_disabled"],
    idempotent: true,
  },
  // --- operations
  health: {
    method: "GET",
    path: "/healthz",
    tag: "operations",
    summary: "The process answers",
    access: "public",
    replies: { 200: o.Health },
  },
  ready: {
    method: "GET",
    path: "/readyz",
    tag: "operations",
    summary: "The process can serve: says which dependency is down",
    access: "public",
    replies: { 200: o.Readiness, 503: o.Readiness },
  },
  ...operatorRoutes,
} as const satisfies Record<string, RouteContract>;

export type Routes = typeof routes;
export type OperationId = keyof Routes;
