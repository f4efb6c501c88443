import Type, { type Static } from "typebox";
import { closed, Id, Instant, Metadata, Nullable } from "./schema.ts";
import { Duration, NAME_PATTERN } from "./tools.ts";

export const SCHEDULE_LIMITS = {
  perWorkspace: 100,
  withinMs: { min: 60_000, default: 3_600_000, max: 86_400_000 },
  jitterMs: { min: 0, default: 0, max: 3_600_000 },
} as const;

export const CATCH_UPS = ["none", "last", "all"] as const;
export type CatchUp = (typeof CATCH_UPS)[number];
export const OVERLAPS = ["skip", "queue", "cancel_previous"] as const;
export type Overlap = (typeof OVERLAPS)[number];

/** What may stand in a schedule's input: {{scheduled_at}}, {{date}}, {{name}}. */
export const SCHEDULE_PLACES = ["scheduled_at", "date", "name"] as const;

const fields = {
  name: Type.String({ pattern: NAME_PATTERN, description: "Unique in the workspace" }),
  deployment: Type.String({ pattern: NAME_PATTERN, description: "Name of the deployment to run" }),
  cron: Type.String({
    minLength: 1,
    maxLength: 256,
    description:
      "Minute, hour, day of month, month, day of week; or @hourly, @daily, @weekly, @monthly, @yearly. When both days are given, either will do",
  }),
  time_zone: Type.String({ minLength: 1, maxLength: 64, description: "IANA name. Default Asia/Seoul" }),
  input: Type.String({
    minLength: 1,
    maxLength: 65_536,
    pattern: "^[^\\u0000]*$",
    description:
      "{{scheduled_at}} is the fire time (RFC 3339, UTC), {{date}} its day in the time zone, {{name}} the schedule's name",
  }),
  overlap: Type.Enum([...OVERLAPS], {
    description:
      "What becomes of a fire time while a run of the schedule goes on. skip (default): nothing. queue: it waits for that to end. cancel_previous: that is cancelled",
  }),
  jitter: Type.String({
    ...Duration,
    description: "Puts every fire time off by a part of this, up to 1h, so that many schedules do not fire at once",
  }),
  paused: Type.Boolean(),
} as const;
const missed = {
  catch_up: Type.Enum([...CATCH_UPS], {
    description:
      "What becomes of fire times nobody acted on within a minute, as when the service was down. none (default): nothing. last: the last of them is run. all: each is",
  }),
  within: Type.String({
    ...Duration,
    description: "How late a run may still be made: 1m to 1d, 1h by default",
  }),
} as const;

export const Schedule = Type.Object(
  {
    id: Id("schedule"),
    ...fields,
    metadata: Metadata,
    thread_id: Nullable(Id("thread")),
    missed: Type.Object(missed, closed),
    api_key_id: Nullable(
      Type.String({
        description: "The key that made it, against whose limits its runs count; null = a person made it",
      }),
    ),
    next_runs: Type.Array(Instant, { description: "The next five fire times, without jitter; none when it is paused" }),
    created_at: Instant,
    updated_at: Instant,
  },
  closed,
);
export type Schedule = Static<typeof Schedule>;

const optional = {
  time_zone: Type.Optional(fields.time_zone),
  metadata: Type.Optional(Metadata),
  thread_id: Type.Optional(Nullable(Id("thread"))),
  overlap: Type.Optional(fields.overlap),
  missed: Type.Optional(
    Type.Object({ catch_up: Type.Optional(missed.catch_up), within: Type.Optional(missed.within) }, closed),
  ),
  jitter: Type.Optional(fields.jitter),
  paused: Type.Optional(fields.paused),
} as const;

export const NewSchedule = Type.Object(
  { name: fields.name, deployment: fields.deployment, cron: fields.cron, input: fields.input, ...optional },
  closed,
);
export type NewSchedule = Static<typeof NewSchedule>;

export const ScheduleChange = Type.Object(
  {
    name: Type.Optional(fields.name),
    deployment: Type.Optional(fields.deployment),
    cron: Type.Optional(fields.cron),
    input: Type.Optional(fields.input),
    ...optional,
  },
  { ...closed, minProperties: 1 },
);
export type ScheduleChange = Static<typeof ScheduleChange>;

export const ScheduleFire = Type.Object(
  {
    id: Id("scheduleFire"),
    scheduled_at: Instant,
    manual: Type.Boolean({ description: "Somebody asked for it" }),
    outcome: Type.Enum(["run", "waiting", "skipped", "missed"], {
      description:
        "waiting: for runs before it (overlap: queue). skipped: a run went on (overlap: skip). missed: there is no run, and code says why",
    }),
    count: Type.Integer({
      minimum: 1,
      description:
        "Fire times this entry stands for, from scheduled_at on: more than one only where they were missed. 200 = or more",
    }),
    run_id: Nullable(Id("run")),
    code: Nullable(
      Type.String({ description: "late, overlap, queue_full, or the problem's with which the run was refused" }),
    ),
    detail: Nullable(Type.String()),
    created_at: Type.String({ format: "date-time", description: "When it was acted on" }),
  },
  closed,
);
export type ScheduleFire = Static<typeof ScheduleFire>;
