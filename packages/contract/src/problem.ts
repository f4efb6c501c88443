import Type, { type Static } from "typebox";

/**
 * Every way a call can fail, with its HTTP status and the title shown to people. The union is closed: a code that is
 * not here can't be thrown, and the API guide lists exactly these.
 */
export const PROBLEMS = {
  // The request itself (RFC 9110 §15.5)
  invalid_json: [400, "The body is not valid JSON"],
  empty_body: [400, "The body is empty"],
  validation_failed: [400, "The request does not match its schema"],
  unknown_field: [400, "The request has a field this call does not know"],
  forbidden_key: [400, "The body has a key that is never allowed"],
  invalid_string: [400, "A string has characters that cannot be stored"],
  invalid_header: [400, "A header has a value this call does not accept"],
  invalid_cursor: [400, "The cursor is not one this list gave out"],
  key_in_url: [400, "Credentials must not be sent in the URL"],
  not_found: [404, "There is no such resource"],
  method_not_allowed: [405, "This resource does not answer that method"],
  not_acceptable: [406, "The resource has no representation of the accepted types"],
  request_timeout: [408, "The request was not completed in time"],
  body_too_deep: [400, "The body is nested too deeply"],
  body_too_large: [413, "The body is too large"],
  result_too_large: [413, "The tool result is larger than the agent allows"],
  unsupported_media_type: [415, "The content type is not one this call reads"],
  headers_too_large: [431, "The request's headers are too large"],
  // Who is calling
  missing_credentials: [401, "The call has no credentials"],
  invalid_credentials: [401, "The credentials are not valid"],
  invalid_token: [401, "The token is not valid"],
  token_expired: [401, "The token has expired"],
  insufficient_scope: [403, "The credentials do not allow this call"],
  read_only: [403, "The resource cannot be changed by a workspace"],
  // State
  name_taken: [409, "The name belongs to something else in this workspace"],
  email_taken: [409, "An account with this address exists"],
  idempotency_mismatch: [409, "The Idempotency-Key was used with another request"],
  idempotency_in_progress: [409, "The first call with this Idempotency-Key is still running"],
  run_finished: [409, "The run has already ended"],
  already_answered: [409, "The call has another answer already"],
  not_answerable: [409, "The call is not one to be answered this way"],
  step_not_finished: [409, "A step before that one has not finished"],
  wait_expired: [410, "The run waited too long and has expired"],
  payload_expired: [410, "The run's payload is no longer kept"],
  thread_busy: [409, "The thread has a run that has not ended"],
  thread_full: [429, "As many runs wait in the thread as may"],
  thread_in_use: [409, "The thread has runs that have not ended"],
  webhook_disabled: [409, "The webhook is disabled"],
  trigger_disabled: [409, "The trigger is disabled"],
  deployment_paused: [409, "The deployment is paused"],
  nothing_to_release: [409, "There is nothing to promote or to go back to"],
  traffic_invalid: [400, "The split of the traffic is not one"],
  precondition_failed: [412, "The resource has changed since it was read"],
  // The manifest
  manifest_syntax: [400, "The manifest is not valid YAML or JSON"],
  manifest_too_deep: [400, "The manifest is nested too deeply"],
  manifest_invalid: [400, "The manifest does not match its schema"],
  yaml_alias_forbidden: [400, "YAML anchors, aliases and merge keys are not allowed in a manifest"],
  yaml_tag_forbidden: [400, "YAML tags are not allowed in a manifest"],
  duplicate_key: [400, "The manifest has the same key twice"],
  unresolved_reference: [400, "The manifest has a reference that only a client can resolve"],
  unsupported_version: [400, "The manifest's apiVersion is not supported"],
  invalid_name: [400, "A name in the manifest is not allowed"],
  duplicate_deployment: [400, "Two manifests are of the same deployment"],
  duplicate_tool: [400, "Two tools have the same name"],
  duplicate_model: [400, "A model is named twice"],
  model_unserved: [400, "No host of this installation serves the model"],
  unknown_model: [400, "The catalogue has no such model"],
  limit_out_of_range: [400, "A limit is outside its range"],
  tool_schema_invalid: [400, "A tool's parameters are not a schema Maru accepts"],
  source_invalid: [400, "A tool function's source can't be loaded"],
  unknown_agent: [400, "A tool names a deployment that is not there"],
  agent_cycle: [400, "Agents would call one another in a circle"],
  template_error: [400, "A template is not valid"],
  url_not_allowed: [400, "A URL is not allowed"],
  host_denied: [400, "The workspace's policy does not allow the host"],
  tool_denied: [400, "The workspace's policy does not allow the tool"],
  header_not_allowed: [400, "A header in the manifest is not allowed"],
  secret_not_found: [400, "There is no such secret for this agent"],
  secret_not_allowed_here: [400, "A secret is referred to where it must not go"],
  effect_class_invalid: [400, "A tool's effect class does not fit its method"],
  document_unavailable: [400, "A document the manifest refers to could not be fetched"],
  document_invalid: [400, "A document is not one Maru can make tools of"],
  operation_not_found: [400, "An OpenAPI document has no such operation"],
  operation_invalid: [400, "An operation of an OpenAPI document can't be made a tool"],
  auth_missing: [400, "Operations of an OpenAPI document need credentials the manifest does not give"],
  mcp_unreachable: [400, "An MCP server could not be asked for its tools"],
  mcp_tool_not_found: [400, "An MCP server has no tool of that name"],
  mcp_tool_unusable: [400, "A tool of an MCP server can't be one of an agent's"],
  mcp_transport_forbidden: [400, "This installation does not start MCP servers as commands"],
  // Schedules and triggers
  cron_invalid: [400, "The cron expression is not valid, or never fires"],
  unknown_time_zone: [400, "There is no such time zone"],
  filter_invalid: [400, "The filter is not a schema Maru accepts"],
  // Limits and quota
  memory_full: [409, "The memory has no room for it"],
  rate_limited: [429, "Too many calls"],
  too_many_attempts: [429, "Too many failed attempts"],
  quota_exhausted: [429, "The quota of the current window is used up"],
  concurrency_exceeded: [429, "As many runs are in flight as may be"],
  queue_full: [429, "As many runs wait for a limit of pace as may"],
  run_too_large: [403, "The run is larger than its limits allow"],
  too_many_limits: [409, "The workspace has as many limits of its own as it may"],
  free_tier_not_begun: [402, "The free tier has not begun"],
  free_tier_ended: [402, "The free tier has ended"],
  plan_conflict: [409, "The change contradicts a plan or campaign as it is"],
  // The service
  internal: [500, "Something went wrong on our side"],
  unavailable: [503, "The service cannot answer right now"],
} as const satisfies Record<string, readonly [number, string]>;

export type ProblemCode = keyof typeof PROBLEMS;

/** One place in the request that is wrong: RFC 6901 pointer into the body, or `?name` / `header:Name` outside it. */
export const ProblemDetail = Type.Object(
  {
    pointer: Type.String({ description: "JSON pointer into the body, `?name` for a query parameter, `header:Name`" }),
    code: Type.String(),
    detail: Type.String(),
    line: Type.Optional(Type.Integer({ minimum: 1 })),
    column: Type.Optional(Type.Integer({ minimum: 1 })),
    suggestion: Type.Optional(Type.String()),
    document: Type.Optional(
      Type.Integer({ minimum: 1, description: "Of several manifests in one body: which of them, from 1" }),
    ),
  },
  { additionalProperties: false },
);
export type ProblemDetail = Static<typeof ProblemDetail>;

/** RFC 9457 problem document as every error reply carries it. */
export const ProblemDocument = Type.Object(
  {
    type: Type.String({ format: "uri-reference", description: "Identifies the kind of problem" }),
    title: Type.String(),
    status: Type.Integer({ minimum: 400, maximum: 599 }),
    code: Type.Enum(Object.keys(PROBLEMS) as ProblemCode[]),
    detail: Type.Optional(Type.String()),
    instance: Type.Optional(Type.String({ description: "The request id" })),
    doc: Type.String({ format: "uri-reference", description: "Where the problem is explained" }),
    errors: Type.Optional(Type.Array(ProblemDetail)),
    retry_after_ms: Type.Optional(Type.Integer({ minimum: 0 })),
    ends_at: Type.Optional(Type.String({ format: "date-time", description: "When the free tier ended" })),
    resets_at: Type.Optional(
      Type.String({ format: "date-time", description: "When the limit has room again, as far as it is known" }),
    ),
    limit: Type.Optional(Type.String({ description: "Name of the limit that refused the call" })),
  },
  { additionalProperties: false },
);
export type ProblemDocument = Static<typeof ProblemDocument>;

export interface ProblemExtras {
  readonly errors?: readonly ProblemDetail[];
  readonly retryAfterMs?: number;
  readonly endsAt?: Date;
  readonly resetsAt?: Date;
  readonly limit?: string;
}

/** What a caller can act on. Thrown where it is known, rendered in one place (the gateway's error handler). */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly detail: string | undefined;
  readonly extras: ProblemExtras;

  constructor(code: ProblemCode, detail?: string, extras: ProblemExtras = {}) {
    super(detail ?? PROBLEMS[code][1]);
    this.name = "Problem";
    this.code = code;
    this.detail = detail;
    this.extras = extras;
  }

  get status(): number {
    return PROBLEMS[this.code][0];
  }

  /** The document of RFC 9457 §3; `instance` is the request id. */
  toDocument(instance: string): ProblemDocument {
    const { errors, retryAfterMs, endsAt, resetsAt, limit } = this.extras;
    const doc = `/docs/problems#${this.code}`;
    return {
      type: doc,
      title: PROBLEMS[this.code][1],
      status: this.status,
      code: this.code,
      ...(this.detail === undefined ? {} : { detail: this.detail }),
      instance,
      doc,
      ...(errors === undefined ? {} : { errors: [...errors] }),
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: Math.ceil(retryAfterMs) }),
      ...(endsAt === undefined ? {} : { ends_at: endsAt.toISOString() }),
      ...(resetsAt === undefined ? {} : { resets_at: resetsAt.toISOString() }),
      ...(limit === undefined ? {} : { limit }),
    };
  }
}
