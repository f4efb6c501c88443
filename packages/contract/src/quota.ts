import Type, { type Static } from "typebox";
import { Count, closed, Instant, Nullable, Text } from "./schema.ts";

/**
 * What limits count. `requests`: runs begun, counted at admission. `concurrent_runs`: runs that are queued or with a worker.
 * `run_tokens`: a cap on one run. The others are held by an estimate and settled by what the model reported.
 */
export const QUOTA_UNITS = [
  "tokens",
  "input_tokens",
  "cached_input_tokens",
  "output_tokens",
  "cost_micros",
  "runs",
  "requests",
  "concurrent_runs",
  "run_tokens",
] as const;
export const QuotaUnit = Type.Enum([...QUOTA_UNITS]);
export type QuotaUnit = Static<typeof QuotaUnit>;

/** Whom a limit is for; the parts of a workspace have its amount each for themselves, or one of them has it. */
export const QUOTA_SUBJECTS = ["workspace", "api_key", "deployment", "end_user"] as const;
export const QuotaSubject = Type.Enum([...QUOTA_SUBJECTS]);
export type QuotaSubject = Static<typeof QuotaSubject>;

/** More than anything counts, and a safe integer in every language. */
export const MAX_AMOUNT = 1_000_000_000_000_000;
export const LIMIT_NAME_PATTERN = "^[a-z0-9](?:[a-z0-9_.-]{0,61}[a-z0-9])?$";
export const LimitName = Type.String({ pattern: LIMIT_NAME_PATTERN });
const Amount = Type.Integer({ minimum: 0, maximum: MAX_AMOUNT });
export const Per = Type.String({
  pattern: "^(?:period|[1-9][0-9]{0,6}[smhd])$",
  description: "`period`: the plan's own; else a rolling span: 60s, 1m, 1h, 1d, at most 366d",
});

export const QuotaNotice = Type.Object(
  { kind: Type.Enum(["used_80", "used_100", "ending"]), at: Instant },
  { ...closed, description: "80 % or all of it is used, or it ends within three days: said once a window" },
);

export const QuotaWindow = Type.Object(
  {
    name: Type.String({ description: "The limit's name, as problems say it" }),
    unit: QuotaUnit,
    subject: QuotaSubject,
    subject_id: Nullable(Type.String({ description: "The key, deployment or end user; null for the workspace" })),
    own: Type.Boolean({ description: "Set by the workspace itself, not by its plan" }),
    limit: Count,
    used: Count,
    reserved: Type.Integer({ minimum: 0, description: "Held by runs in flight; what they don't use comes back" }),
    remaining: Type.Integer({ minimum: 0, description: "limit − used − reserved, never below zero" }),
    overdraft: Type.Integer({ minimum: 0, description: "What a model reported beyond its reservation" }),
    granted: Type.Integer({ minimum: 0, description: "Part of the limit that was granted on top of the plan's" }),
    per: Nullable(Type.String({ description: "`period`, or a rolling span as 1h; null for what counts at a time" })),
    after: Type.Enum(["renews", "ends", "rolls", "frees"], {
      description:
        "What happens when it is used up. renews: a new window begins at resets_at; ends: nothing may be used after ends_at; " +
        "rolls: what was used leaves the span bit by bit, first at resets_at; frees: when runs in flight end",
    }),
    started_at: Nullable(Instant),
    ends_at: Nullable(
      Type.String({ format: "date-time", description: "Exclusive: the first instant after the window" }),
    ),
    last_day: Nullable(Type.String({ format: "date", description: "The last day of the window, in its time zone" })),
    time_zone: Type.String(),
    resets_at: Nullable(Instant),
    days_left: Nullable(Count),
    notices: Type.Array(QuotaNotice),
  },
  closed,
);
export type QuotaWindow = Static<typeof QuotaWindow>;

export const Quota = Type.Object(
  {
    plan: Type.String(),
    renew: Type.Enum(["monthly", "none", "campaign"]),
    next_plan: Nullable(Type.Object({ plan: Type.String(), from: Instant }, closed)),
    grace_seconds: Type.Integer({
      minimum: 0,
      description: "Runs admitted before a window's end may go on for so long after it, and count in it",
    }),
    windows: Type.Array(QuotaWindow),
    as_of: Instant,
  },
  closed,
);
export type Quota = Static<typeof Quota>;

export const QuotaCheck = Type.Object(
  {
    admitted: Type.Boolean(),
    enqueued: Type.Boolean({ description: "It would wait its turn: in its thread, or for a limit of pace" }),
    holds: Type.Array(
      Type.Object(
        {
          limit: Type.String(),
          subject: QuotaSubject,
          unit: QuotaUnit,
          amount: Type.Integer({ minimum: 0, description: "Held until the model reports what it used" }),
          remaining: Type.Integer({ description: "What is left of the window then" }),
        },
        closed,
      ),
    ),
    refusal: Nullable(
      Type.Object(
        {
          code: Type.String({ description: "What POST /v1/runs would answer" }),
          status: Type.Integer(),
          detail: Type.String(),
          limit: Nullable(Type.String()),
          frees_at: Nullable(Type.String({ format: "date-time", description: "When that limit has room again" })),
          ended_at: Nullable(Type.String({ format: "date-time", description: "When the tier ended, for good" })),
        },
        closed,
      ),
    ),
  },
  closed,
);
export type QuotaCheck = Static<typeof QuotaCheck>;

export const QuotaAudit = Type.Object(
  {
    exact: Type.Boolean(),
    findings: Type.Array(
      Type.Object(
        { finding: Type.String(), subject: Type.String(), expected: Type.Integer(), found: Type.Integer() },
        closed,
      ),
    ),
  },
  closed,
);
export type QuotaAudit = Static<typeof QuotaAudit>;

/** A limit a workspace sets itself. */
export const QuotaLimit = Type.Object(
  {
    name: LimitName,
    unit: QuotaUnit,
    subject: QuotaSubject,
    subject_id: Nullable(Type.String()),
    per: Nullable(Type.String()),
    amount: Amount,
    created_at: Instant,
    updated_at: Instant,
  },
  closed,
);
export type QuotaLimit = Static<typeof QuotaLimit>;

export const QuotaLimitFields = Type.Object(
  {
    unit: QuotaUnit,
    amount: Amount,
    subject: Type.Optional(QuotaSubject),
    /** An API key's id, a deployment's name or an end user; without it each has the amount for itself. */
    subject_id: Type.Optional(Text(512, 1)),
    per: Type.Optional(Per),
  },
  closed,
);
export type QuotaLimitFields = Static<typeof QuotaLimitFields>;

// --- operators

const PlanLimit = Type.Object(
  {
    name: Type.Optional(LimitName),
    unit: QuotaUnit,
    amount: Amount,
    subject: Type.Optional(QuotaSubject),
    per: Type.Optional(Per),
  },
  closed,
);
/** Why; kept with the action. */
const Note = Text(500);
export const Plan = Type.Object(
  {
    id: Type.String(),
    renew: Type.Enum(["monthly", "none", "campaign"]),
    time_zone: Type.String(),
    through_day: Type.Integer(),
    grace_seconds: Type.Integer(),
    limits: Type.Array(
      Type.Object(
        {
          name: Type.String(),
          unit: QuotaUnit,
          amount: Count,
          subject: QuotaSubject,
          per: Nullable(Type.String()),
        },
        closed,
      ),
    ),
    terms: Type.Array(
      Type.Object(
        { starts_at: Instant, ends_at: Instant, effective_at: Instant, note: Type.String() },
        { ...closed, description: "A campaign's span, and how it was moved; the last in force counts" },
      ),
    ),
  },
  closed,
);
export type Plan = Static<typeof Plan>;
export const NewPlan = Type.Object(
  {
    id: Type.String({ pattern: "^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$" }),
    renew: Type.Enum(["monthly", "none", "campaign"]),
    time_zone: Text(64, 1),
    through_day: Type.Optional(Type.Integer({ minimum: 1, maximum: 31 })),
    starts_at: Type.Optional(Instant),
    ends_at: Type.Optional(Instant),
    grace_seconds: Type.Optional(Type.Integer({ minimum: 0, maximum: 2_592_000 })),
    limits: Type.Array(PlanLimit, { minItems: 1, maxItems: 50 }),
    note: Type.Optional(Note),
  },
  closed,
);
export type NewPlan = Static<typeof NewPlan>;
export const CampaignExtension = Type.Object(
  { ends_at: Instant, effective_at: Type.Optional(Instant), note: Type.Optional(Note) },
  closed,
);
export const PlanChangeRequest = Type.Object(
  { plan: Text(64, 1), from: Type.Optional(Instant), note: Type.Optional(Note) },
  closed,
);
export const QuotaGrant = Type.Object(
  {
    /** Name of one of the plan's limits over its period. */
    limit: Text(64, 1),
    amount: Type.Integer({ minimum: 1, maximum: MAX_AMOUNT }),
    /** Makes a repeated grant the same grant. */
    key: Text(128, 1),
    note: Type.Optional(Note),
  },
  closed,
);
export const GrantResult = Type.Object(
  { granted: Type.Boolean({ description: "false: the key's grant was made before" }), limit: Count },
  closed,
);
export const WorkspacePlan = Type.Object({ plan: Type.String(), from: Instant, note: Type.String() }, closed);
export const OperatorAction = Type.Object(
  {
    action: Type.String(),
    arguments: Type.Object({}, { additionalProperties: true }),
    at: Instant,
  },
  closed,
);
