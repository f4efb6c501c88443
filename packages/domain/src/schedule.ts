import { createHash } from "node:crypto";
import { type CatchUp, LIMITS, Problem, type SCHEDULE_PLACES } from "@maru/contract";
import { Cron } from "croner";
import { renderTemplate } from "./template.ts";

/** When a schedule fires. */
export interface ScheduleTimes {
  /** Five fields, or one of the nicknames. */
  readonly cron: string;
  /** IANA name. */
  readonly timeZone: string;
}
export interface SchedulePolicy extends ScheduleTimes {
  /** Spreads fire times: every one is put off by a part of this, always the same one. */
  readonly jitterMs: number;
  /** What the parts are drawn by: the schedule's id. */
  readonly key: string;
  readonly catchUp: CatchUp;
  /** How long a fire time may be caught up on. */
  readonly withinMs: number;
}

export interface FireStep {
  /** Fire times that nobody acted on in time: the first of them, and how many (at most MAX_COUNTED are counted). */
  readonly missed: { readonly first: Date; readonly count: number } | null;
  readonly fire: Date | null;
  /** Null: it never fires again. */
  readonly next: Date | null;
}

export const CRON_NICKNAMES = [
  "@hourly",
  "@daily",
  "@midnight",
  "@weekly",
  "@monthly",
  "@yearly",
  "@annually",
] as const;
const FIELDS = /^[0-9A-Za-z*,/#-]+(?: [0-9A-Za-z*,/#-]+){4}$/;
const MAX_CRON = 128;
/** Looked at no later than this, a fire time is on time. */
const PROMPT_MS = 60_000;
const MAX_COUNTED = 200;
const NEAR_MS = 3_600_000;

/** One spelling of an expression: single spaces, and none around. */
export const tidyCron = (cron: string): string => cron.trim().replaceAll(/\s+/g, " ");

/** What is wrong with a cron expression; null when it fires sometime after the instant. The zone must be one that there is. */
export function cronProblem({ cron, timeZone }: ScheduleTimes, after: Date): string | null {
  if (cron.startsWith("@")) {
    if (!CRON_NICKNAMES.some((name) => name === cron)) return `must be one of ${CRON_NICKNAMES.join(", ")}`;
  } else {
    const fields = cron.split(" ").length;
    if (fields === 6 || fields === 7)
      return `has ${fields} fields and must have 5: minute, hour, day of month, month, day of week. A schedule fires at most once a minute`;
    if (fields !== 5) return `has ${fields} fields and must have 5: minute, hour, day of month, month, day of week`;
    if (cron.length > MAX_CRON || !FIELDS.test(cron))
      return `must have up to ${MAX_CRON} characters, and in its fields nothing but numbers, names, and the signs * , - / #`;
  }
  try {
    return nextFires({ cron, timeZone }, after, 1).length === 0 ? "never fires: there is no such day" : null;
  } catch (error) {
    return `is not a cron expression: ${(error instanceof Error ? error.message : "").replace(/^Cron\w+: /, "")}`;
  }
}

export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    // An offset is none: it knows no summer time, and Postgres reads its sign the other way round.
    return !/^[+-]|^\d/.test(name);
  } catch {
    return false;
  }
}

/**
 * The fire times after an instant, oldest first. Where clocks are put forward, a time of day that does not exist is the first instant
 * that does; where they are put back, a time of day that comes twice fires the first time only. An expression whose minutes or hours
 * have a `*` or a step goes by the time that passes instead: it leaves out what does not exist, and fires both times.
 */
export function nextFires(times: ScheduleTimes, after: Date, count: number): Date[] {
  return cronOf(times).nextRuns(count, after);
}

const cronOf = ({ cron, timeZone }: ScheduleTimes): Cron =>
  new Cron(cron, {
    timezone: timeZone,
    paused: true,
    fixedTimeRule: "no-wildcard",
    ...(cron.startsWith("@") ? {} : { mode: "5-part" as const }),
  });

/** When a fire time is to be acted on: it and its part of the jitter. */
export function dueAt({ jitterMs, key }: Pick<SchedulePolicy, "jitterMs" | "key">, fireAt: Date): Date {
  if (jitterMs === 0) return fireAt;
  const drawn = createHash("sha256").update(`${key} ${fireAt.toISOString()}`).digest().readUInt32BE(0);
  return new Date(fireAt.getTime() + Math.floor((drawn / 2 ** 32) * jitterMs));
}

/**
 * What to do next for a schedule whose next fire time is `nextAt`, which is due: what was missed, and at most one fire time to act on.
 * Repeated with `next` while that is due, it acts on every fire time once or calls it missed. What is due for a minute at most is on
 * time, whatever is said of what is late: `none` is acted on, the `last` one if it is within the span, `all` of them within it.
 */
export function fireStep(policy: SchedulePolicy, nextAt: Date, now: Date): FireStep {
  const cron = cronOf(policy);
  const after = (at: Date): Date | null => cron.nextRun(at);
  const lateMs = (at: Date): number => now.getTime() - dueAt(policy, at).getTime();
  const keptMs = policy.catchUp === "none" ? PROMPT_MS : Math.max(PROMPT_MS, policy.withinMs);
  const act = (at: Date): FireStep => ({ missed: null, fire: at, next: after(at) });

  /** Of those from one on that are late the last, or the first that is on time: that one is acted on for itself. */
  const lastDue = (first: Date): Date => {
    // Looked for near the end: far back there may be a thousand.
    for (const backMs of [NEAR_MS, keptMs]) {
      const near = after(new Date(now.getTime() - policy.jitterMs - backMs));
      let found: Date | null = null;
      for (let at = near === null || near < first ? first : near; lateMs(at) >= 0; ) {
        found = at;
        const later = after(at);
        if (lateMs(at) <= PROMPT_MS || later === null) break;
        at = later;
      }
      if (found !== null) return found;
    }
    return first;
  };

  if (lateMs(nextAt) <= PROMPT_MS || (policy.catchUp === "all" && lateMs(nextAt) <= keptMs)) return act(nextAt);
  /** The first that is not too late; no earlier one can be, since jitter only puts off. */
  let kept: Date | null = nextAt;
  if (lateMs(nextAt) > keptMs) {
    const horizon = new Date(Math.max(nextAt.getTime(), now.getTime() - keptMs - policy.jitterMs - 1));
    kept = after(horizon);
    while (kept !== null && lateMs(kept) > keptMs) kept = after(kept);
  }
  if (policy.catchUp === "last" && kept !== null && lateMs(kept) >= 0) kept = lastDue(kept);
  if (kept?.getTime() === nextAt.getTime()) return act(nextAt);
  const missed = { first: nextAt, count: 0 };
  for (let at: Date | null = nextAt; at !== null && missed.count < MAX_COUNTED; at = after(at)) {
    if (kept !== null && at >= kept) break;
    missed.count++;
  }
  return { missed, fire: null, next: kept };
}

/** The day of an instant in a zone, YYYY-MM-DD. */
export function dayIn(timeZone: string, at: Date): string {
  const parts = new Intl.DateTimeFormat("en-US", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  const part = Object.fromEntries(parts.formatToParts(at).map(({ type, value }) => [type, value]));
  return `${part.year}-${part.month}-${part.day}`;
}

/**
 * The input of a schedule's run: what its places (SCHEDULE_PLACES) stand for at a fire time; as long at one as at any other.
 * @throws Problem template_error: longer than a run's input may be
 */
export function scheduledInput(
  { input, name, timeZone }: { readonly input: string; readonly name: string; readonly timeZone: string },
  at: Date,
): string {
  const places: Record<(typeof SCHEDULE_PLACES)[number], string> = {
    scheduled_at: at.toISOString(),
    date: dayIn(timeZone, at),
    name,
  };
  const rendered = renderTemplate(input, LIMITS.inputLength, (place) => places[place as keyof typeof places]);
  if (rendered !== null) return rendered;
  const detail = `would have more than ${LIMITS.inputLength} characters when its places are filled in`;
  throw new Problem("template_error", `/input ${detail}.`, {
    errors: [{ pointer: "/input", code: "template_error", detail }],
  });
}
