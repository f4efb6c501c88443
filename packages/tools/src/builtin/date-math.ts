import { Temporal } from "temporal-polyfill";
import { type Builtin, Refusal } from "./builtin.ts";
import { HOME_ZONE, momentIn, weekdayOf, written } from "./zone.ts";

const MAX_AMOUNT = 100_000;
const MAX_HOLIDAYS = 400;
const DATE = "\\d{4}-\\d{2}-\\d{2}";
const OF_DATE = ["years", "months", "weeks", "days"] as const;
const OF_TIME = ["hours", "minutes", "seconds"] as const;

const when = { type: "string", maxLength: 40 } as const;

export const dateMath: Builtin = {
  description:
    "Calculates with dates. add: moves a date by years, months, weeks, days, business_days, hours, minutes, seconds " +
    "(negative: back); a day that a month has not becomes its last. difference: how far it is from date to other. " +
    "Business days are Monday to Friday without the holidays given; the first day does not count, the last does. " +
    'Example: {"action": "add", "date": "2026-01-31", "months": 1} gives 2026-02-28',
  parameters: {
    type: "object",
    properties: {
      action: { type: "string", enum: ["add", "difference"] },
      date: {
        ...when,
        description: "2026-01-31, 2026-01-31T09:00, 2026-01-31T09:00:00+09:00, today or now",
      },
      other: { ...when, description: "For difference: the date it goes to, written as date is" },
      ...Object.fromEntries(
        [...OF_DATE, "business_days", ...OF_TIME].map((unit) => [
          unit,
          { type: "integer", minimum: -MAX_AMOUNT, maximum: MAX_AMOUNT },
        ]),
      ),
      holidays: {
        type: "array",
        items: { type: "string", pattern: `^${DATE}$` },
        maxItems: MAX_HOLIDAYS,
        description: "Days that are no business days, for example 2026-03-01",
      },
      timezone: {
        type: "string",
        description: "Of dates without an offset, and of the result; default Asia/Seoul",
        maxLength: 64,
      },
    },
    required: ["action", "date"],
    additionalProperties: false,
  },
  run(args, now) {
    const { action, date, other, timezone = HOME_ZONE, holidays = [] } = args;
    const here = momentIn(String(timezone), now);
    const start = read(String(date), here);
    const closed = new Set((holidays as string[]).map((day) => epochDay(plainDate(day))));
    if (action === "difference") {
      if (other === undefined) throw new Refusal("A difference needs other, the date it goes to.");
      return JSON.stringify(difference(start, read(String(other), here), closed));
    }
    return JSON.stringify(shown(add(start, args, closed)));
  },
};

/** A day of a calendar, or a moment. */
type When = Temporal.PlainDate | Temporal.ZonedDateTime;
const isMoment = (when: When): when is Temporal.ZonedDateTime => when instanceof Temporal.ZonedDateTime;

const WRITTEN = new RegExp(`^${DATE}(?:T\\d{2}:\\d{2}(?::\\d{2}(?:\\.\\d{1,9})?)?(Z|[+-]\\d{2}:\\d{2})?)?$`);

function read(text: string, here: Temporal.ZonedDateTime): When {
  if (text === "now") return here;
  if (text === "today") return here.toPlainDate();
  const iso = text.replace(" ", "T");
  const [found, offset] = WRITTEN.exec(iso) ?? [];
  if (found === undefined) throw new Refusal(`${text} is not a date: write 2026-01-31 or 2026-01-31T09:00:00+09:00.`);
  if (found.length === 10) return plainDate(iso);
  return within(() =>
    offset === undefined
      ? Temporal.PlainDateTime.from(iso).toZonedDateTime(here.timeZoneId)
      : Temporal.Instant.from(iso).toZonedDateTimeISO(here.timeZoneId),
  );
}

const plainDate = (text: string): Temporal.PlainDate => within(() => Temporal.PlainDate.from(text));

/** What lies outside of the calendar is told in its own words: "Invalid day: 30; must be between 1-28". */
function within<T>(calculate: () => T): T {
  try {
    return calculate();
  } catch (error) {
    if (error instanceof RangeError) throw new Refusal(`There is no such date: ${error.message}.`);
    throw error;
  }
}

function add(start: When, args: Record<string, unknown>, closed: ReadonlySet<number>): When {
  const amounts = (units: readonly string[]): Record<string, number> =>
    Object.fromEntries(units.flatMap((unit) => (args[unit] === undefined ? [] : [[unit, Number(args[unit])]])));
  const days = amounts(OF_DATE);
  const hours = amounts(OF_TIME);
  const business = Number(args.business_days ?? 0);
  if (!isMoment(start) && Object.keys(hours).length > 0)
    throw new Refusal("Hours, minutes and seconds need a date with a time, for example 2026-01-31T09:00.");
  // One unit after another, the largest first: a duration of mixed signs is none.
  let at = start;
  for (const [unit, amount] of Object.entries(days)) at = within(() => at.add({ [unit]: amount }));
  const shift = businessShift(epochDay(dayOf(at)), business, closed);
  at = within(() => at.add({ days: shift }));
  for (const [unit, amount] of Object.entries(hours)) at = within(() => at.add({ [unit]: amount }));
  const { year } = at;
  if (year < 1 || year > 9_999) throw new Refusal("Years go from 1 to 9999.");
  return at;
}

function difference(from: When, to: When, closed: ReadonlySet<number>): object {
  const [first, last] = [dayOf(from), dayOf(to)];
  const calendar = {
    days: first.until(last, { largestUnit: "days" }).days,
    business_days: businessDays(epochDay(first), epochDay(last), closed),
  };
  const ends = { from: shown(from), to: shown(to) };
  if (!isMoment(from) && !isMoment(to))
    return { duration: first.until(last, { largestUnit: "years" }).toString(), ...calendar, ...ends };
  // A day beside a moment begins when it begins in the moment's zone.
  const zone = isMoment(from) ? from.timeZoneId : (to as Temporal.ZonedDateTime).timeZoneId;
  const [start, end] = [from, to].map((when) => (isMoment(when) ? when : when.toZonedDateTime(zone)));
  const [a, b] = [start as Temporal.ZonedDateTime, end as Temporal.ZonedDateTime];
  return {
    duration: a.until(b, { largestUnit: "years", smallestUnit: "seconds" }).toString(),
    seconds: Math.trunc((b.epochMilliseconds - a.epochMilliseconds) / 1_000),
    ...calendar,
    ...ends,
  };
}

const dayOf = (when: When): Temporal.PlainDate => (isMoment(when) ? when.toPlainDate() : when);
const shown = (when: When): object => ({
  date: isMoment(when) ? written(when) : when.toString(),
  weekday: weekdayOf(when),
});

const EPOCH = Temporal.PlainDate.from("1970-01-01");
const epochDay = (date: Temporal.PlainDate): number => EPOCH.until(date, { largestUnit: "days" }).days;
/** 1 January 1970 was a Thursday. */
const isWeekend = (day: number): boolean => (((day + 3) % 7) + 7) % 7 > 4;

/** Days to go from a day until so many business days have come. */
function businessShift(start: number, amount: number, closed: ReadonlySet<number>): number {
  const step = Math.sign(amount);
  let day = start;
  for (let left = Math.abs(amount); left > 0; ) {
    day += step;
    if (!isWeekend(day) && !closed.has(day)) left--;
  }
  return day - start;
}

/** Business days after one day up to another, with it; negative when it goes back. */
function businessDays(from: number, to: number, closed: ReadonlySet<number>): number {
  const step = Math.sign(to - from);
  // Whole weeks have five; only what is left over is counted day by day.
  const weeks = Math.trunc((to - from) / 7);
  let count = Math.abs(weeks) * 5;
  for (let day = from + weeks * 7; day !== to; ) {
    day += step;
    if (!isWeekend(day)) count++;
  }
  for (const day of closed) {
    const passed = step > 0 ? day > from && day <= to : day < from && day >= to;
    if (passed && !isWeekend(day)) count--;
  }
  return count === 0 ? 0 : count * step;
}
