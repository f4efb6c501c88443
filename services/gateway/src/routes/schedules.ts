import {
  durationMs,
  durationText,
  Problem,
  SCHEDULE_LIMITS,
  SCHEDULE_PLACES,
  type Schedule,
  type ScheduleChange,
} from "@maru/contract";
import { cronProblem, dueAt, isTimeZone, nextFires, scheduledInput, templatePlaces, tidyCron } from "@maru/domain";
import type { ScheduleFields, ScheduleMove, Store, StoredSchedule } from "@maru/store";
import type { FastifyRequest } from "fastify";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import type { RunControl } from "../runs.ts";
import { ifMatch } from "./deployments.ts";
import { uuidPosition } from "./positions.ts";
import { newRunOf } from "./runs.ts";

export interface ScheduleDeps {
  readonly store: Pick<Store, "schedules" | "deployments" | "threads">;
  readonly pages: Pages;
  readonly control: Pick<RunControl, "begun">;
  readonly simulated: boolean;
}

const NEXT_RUNS = 5;
const DEFAULTS: Omit<ScheduleFields, "name" | "deployment" | "cron" | "input"> = {
  timeZone: "Asia/Seoul",
  metadata: {},
  threadId: null,
  overlap: "skip",
  catchUp: "none",
  withinMs: SCHEDULE_LIMITS.withinMs.default,
  jitterMs: SCHEDULE_LIMITS.jitterMs.default,
  paused: false,
};

export function scheduleRoutes({ store, pages, control, simulated }: ScheduleDeps) {
  const { schedules } = store;

  /** The schedule to change, if it is as the caller last saw it. @throws Problem not_found, precondition_failed */
  const seen = async (workspaceId: string, id: string, request: FastifyRequest): Promise<StoredSchedule> => {
    const found = await schedules.get(workspaceId, id);
    const tag = ifMatch(request.headers["if-match"]);
    if (tag !== null && tag !== version(found))
      throw new Problem("precondition_failed", "The schedule was changed: read it again and repeat with its new ETag.");
    return found;
  };

  /** @throws Problem with every field that is wrong; not_found for a deployment or thread that is not there */
  const check = async (workspaceId: string, fields: ScheduleFields, changed: ScheduleChange, now: Date) => {
    if (!isTimeZone(fields.timeZone))
      throw wrong(
        "unknown_time_zone",
        "/time_zone",
        `there is no time zone ${fields.timeZone}: name one as Asia/Seoul`,
      );
    const cron = cronProblem(fields, now);
    if (cron !== null) throw wrong("cron_invalid", "/cron", cron);
    const places = templatePlaces(fields.input);
    const unknown = places?.find((place) => !SCHEDULE_PLACES.some((known) => known === place));
    if (places === null) throw wrong("template_error", "/input", "opens a place with {{ that no }} closes");
    if (unknown !== undefined)
      throw wrong(
        "template_error",
        "/input",
        `has the unknown place {{${unknown}}}: there are ${SCHEDULE_PLACES.map((place) => `{{${place}}}`).join(", ")}`,
      );
    scheduledInput(fields, now);
    if (changed.deployment !== undefined) await store.deployments.get(workspaceId, changed.deployment);
    if (changed.thread_id) await store.threads.get(workspaceId, changed.thread_id);
  };

  return {
    createSchedule: async ({ caller, body }) => {
      const { workspaceId, apiKeyId } = caller;
      const { name, deployment, cron, input } = body;
      const fields = fieldsOf({ ...DEFAULTS, name, deployment, cron, input }, body);
      const now = await schedules.now();
      await check(workspaceId, fields, body, now);
      const made = await schedules.add(workspaceId, fields, apiKeyId, (id) => moveOf(id, fields, now));
      return {
        status: 201,
        headers: { etag: `"${version(made)}"`, location: `/v1/schedules/${made.id}` },
        body: scheduleObject(made),
      };
    },

    listSchedules: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        "schedules",
        caller.workspaceId,
        query,
        async (limit, before) => (await schedules.list(caller.workspaceId, limit, before)).map(scheduleObject),
        uuidPosition("schedule"),
      ),
    }),

    getSchedule: async ({ caller, params }) => shown(await schedules.get(caller.workspaceId, params.schedule)),

    updateSchedule: async ({ caller, params, body, request }) => {
      const { workspaceId } = caller;
      const before = await seen(workspaceId, params.schedule, request);
      const fields = fieldsOf(before, body);
      const now = await schedules.now();
      await check(workspaceId, fields, body, now);
      const timing =
        fields.cron !== before.cron ||
        fields.timeZone !== before.timeZone ||
        fields.jitterMs !== before.jitterMs ||
        fields.paused !== before.paused;
      const move = timing ? moveOf(before.id, fields, now) : null;
      return shown(await schedules.change(workspaceId, before, fields, move));
    },

    deleteSchedule: async ({ caller, params, request }) => {
      await schedules.remove(caller.workspaceId, await seen(caller.workspaceId, params.schedule, request));
      return { status: 204 };
    },

    runSchedule: async ({ caller, params, request }) => {
      const { workspaceId } = caller;
      const schedule = await schedules.get(workspaceId, params.schedule);
      const now = await schedules.now();
      const run = newRunOf(
        {
          deployment: schedule.deployment,
          input: scheduledInput(schedule, now),
          metadata: { ...schedule.metadata },
          ...(schedule.threadId === null ? {} : { thread_id: schedule.threadId }),
        },
        // It counts against who asks: another's schedule is no way round one's own limits.
        caller,
        simulated,
      );
      const made = await schedules.runNow(workspaceId, schedule.id, run, now);
      control.begun(request, workspaceId, { runId: made.run.id, ...made });
      return { status: 202, headers: { location: `/v1/runs/${made.run.id}` }, body: made.run };
    },

    listScheduleFires: async ({ caller, params, query }) => ({
      status: 200,
      body: await pages.read(
        `fires ${params.schedule}`,
        caller.workspaceId,
        query,
        (limit, before) => schedules.fires(caller.workspaceId, params.schedule, limit, before),
        uuidPosition("scheduleFire"),
      ),
    }),
  } satisfies Partial<Handlers>;
}

/** What a schedule is when a request has changed it. @throws Problem limit_out_of_range */
function fieldsOf(before: ScheduleFields, change: ScheduleChange): ScheduleFields {
  return {
    name: change.name ?? before.name,
    deployment: change.deployment ?? before.deployment,
    cron: tidyCron(change.cron ?? before.cron),
    timeZone: change.time_zone ?? before.timeZone,
    input: change.input ?? before.input,
    metadata: change.metadata ?? before.metadata,
    threadId: change.thread_id === undefined ? before.threadId : change.thread_id,
    overlap: change.overlap ?? before.overlap,
    catchUp: change.missed?.catch_up ?? before.catchUp,
    withinMs: lengthOf("/missed/within", change.missed?.within, before.withinMs, SCHEDULE_LIMITS.withinMs),
    jitterMs: lengthOf("/jitter", change.jitter, before.jitterMs, SCHEDULE_LIMITS.jitterMs),
    paused: change.paused ?? before.paused,
  };
}

function lengthOf(
  pointer: string,
  given: string | undefined,
  before: number,
  range: { min: number; max: number },
): number {
  const ms = given === undefined ? before : durationMs(given);
  if (ms >= range.min && ms <= range.max) return ms;
  throw wrong("limit_out_of_range", pointer, `must be from ${durationText(range.min)} to ${durationText(range.max)}`);
}

function moveOf(id: string, fields: ScheduleFields, now: Date): ScheduleMove {
  const [next] = fields.paused ? [] : nextFires(fields, now, 1);
  return next === undefined
    ? { nextAt: null, wakeAt: null }
    : { nextAt: next, wakeAt: dueAt({ jitterMs: fields.jitterMs, key: id }, next) };
}

function wrong(
  code: "unknown_time_zone" | "cron_invalid" | "template_error" | "limit_out_of_range",
  pointer: string,
  detail: string,
): Problem {
  return new Problem(code, `${pointer} ${detail}.`, { errors: [{ pointer, code, detail }] });
}

const version = ({ id, generation }: StoredSchedule): string => `${id}:${generation}`;

const shown = (found: StoredSchedule) => ({
  status: 200 as const,
  headers: { etag: `"${version(found)}"` },
  body: scheduleObject(found),
});

const scheduleObject = (schedule: StoredSchedule): Schedule => ({
  id: schedule.id,
  name: schedule.name,
  deployment: schedule.deployment,
  cron: schedule.cron,
  time_zone: schedule.timeZone,
  input: schedule.input,
  metadata: schedule.metadata,
  thread_id: schedule.threadId,
  overlap: schedule.overlap,
  missed: { catch_up: schedule.catchUp, within: durationText(schedule.withinMs) },
  jitter: durationText(schedule.jitterMs),
  paused: schedule.paused,
  api_key_id: schedule.apiKeyId,
  next_runs:
    schedule.nextAt === null
      ? []
      : [schedule.nextAt, ...nextFires(schedule, schedule.nextAt, NEXT_RUNS - 1)].map((at) => at.toISOString()),
  created_at: schedule.createdAt,
  updated_at: schedule.updatedAt,
});
