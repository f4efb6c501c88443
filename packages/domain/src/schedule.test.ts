import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  cronProblem,
  dueAt,
  fireStep,
  isTimeZone,
  nextFires,
  type SchedulePolicy,
  scheduledInput,
} from "./schedule.ts";

const fires = (cron: string, timeZone: string, after: string, count: number) =>
  nextFires({ cron, timeZone }, new Date(after), count).map((at) => at.toISOString());

describe("fire times", () => {
  test("are of the zone", () => {
    expect(fires("0 9 * * MON-FRI", "Asia/Seoul", "2026-11-27T00:00:00Z", 2)).toEqual([
      "2026-11-30T00:00:00.000Z",
      "2026-12-01T00:00:00.000Z",
    ]);
    expect(fires("@daily", "Asia/Seoul", "2026-11-26T15:00:00Z", 1)).toEqual(["2026-11-27T15:00:00.000Z"]);
    expect(fires("0 0 29 2 *", "Asia/Seoul", "2026-11-26T00:00:00Z", 2)).toEqual([
      "2028-02-28T15:00:00.000Z",
      "2032-02-28T15:00:00.000Z",
    ]);
  });

  test("that do not exist where clocks go forward are the first instant that does", () => {
    // New York, 2026-03-08: 02:00 EST is 03:00 EDT, 07:00Z.
    expect(fires("30 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 2)).toEqual([
      "2026-03-08T07:00:00.000Z",
      "2026-03-09T06:30:00.000Z",
    ]);
    // Several of them are one.
    expect(fires("10,50 2 * * *", "America/New_York", "2026-03-07T12:00:00Z", 3)).toEqual([
      "2026-03-08T07:00:00.000Z",
      "2026-03-09T06:10:00.000Z",
      "2026-03-09T06:50:00.000Z",
    ]);
  });

  test("that come twice where clocks go back are the first", () => {
    // New York, 2026-11-01: 01:30 is 05:30Z, and 06:30Z again.
    expect(fires("30 1 * * *", "America/New_York", "2026-10-31T12:00:00Z", 2)).toEqual([
      "2026-11-01T05:30:00.000Z",
      "2026-11-02T06:30:00.000Z",
    ]);
  });

  test("of an interval go by the time that passes", () => {
    expect(fires("0 * * * *", "America/New_York", "2026-11-01T04:30:00Z", 4)).toEqual([
      "2026-11-01T05:00:00.000Z",
      "2026-11-01T06:00:00.000Z",
      "2026-11-01T07:00:00.000Z",
      "2026-11-01T08:00:00.000Z",
    ]);
    expect(fires("*/30 * * * *", "America/New_York", "2026-03-08T06:15:00Z", 3)).toEqual([
      "2026-03-08T06:30:00.000Z",
      "2026-03-08T07:00:00.000Z",
      "2026-03-08T07:30:00.000Z",
    ]);
  });

  test("of Seoul, which has no summer time, are a day apart all year", () => {
    const year = nextFires({ cron: "30 2 * * *", timeZone: "Asia/Seoul" }, new Date("2026-01-01T00:00:00Z"), 365);
    for (const [index, at] of year.entries())
      expect(at.getTime()).toBe(Date.parse("2026-01-01T17:30:00Z") + index * 86_400_000);
  });
});

/** One field: its text, and the numbers it stands for. */
const field = (min: number, max: number) => {
  const number = fc.integer({ min, max });
  const all = Array.from({ length: max - min + 1 }, (_, index) => min + index);
  return fc.oneof(
    fc.constant({ text: "*", values: all, wild: true }),
    fc.integer({ min: 2, max: max - min }).map((step) => ({
      text: `*/${step}`,
      values: all.filter((value) => (value - min) % step === 0),
      wild: true,
    })),
    number.map((value) => ({ text: `${value}`, values: [value], wild: false })),
    fc.tuple(number, number).map(([a, b]) => {
      const [from, to] = [Math.min(a, b), Math.max(a, b)];
      return { text: `${from}-${to}`, values: all.filter((value) => value >= from && value <= to), wild: false };
    }),
    fc
      .uniqueArray(number, { minLength: 2, maxLength: 4 })
      .map((values) => ({ text: values.join(","), values, wild: false })),
  );
};

const MINUTE = 60_000;
const DAY = 1_440 * MINUTE;
const ZONES = ["Asia/Seoul", "America/New_York", "Europe/London", "Australia/Lord_Howe", "America/Sao_Paulo", "UTC"];
/** Minutes a zone is ahead of UTC, looked up each half hour: no zone changes in between. */
const offsets = new Map<string, number>();
const formats = new Map<string, Intl.DateTimeFormat>();
function offsetMs(zone: string, at: number): number {
  const half = Math.floor(at / (30 * MINUTE));
  const known = offsets.get(`${zone} ${half}`);
  if (known !== undefined) return known;
  let format = formats.get(zone);
  if (format === undefined) {
    const numeric = "numeric";
    format = new Intl.DateTimeFormat("en-US", {
      timeZone: zone,
      hourCycle: "h23",
      year: numeric,
      month: numeric,
      day: numeric,
      hour: numeric,
      minute: numeric,
    });
    formats.set(zone, format);
  }
  const instant = half * 30 * MINUTE;
  const part = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
  const wall = Date.UTC(
    part.year as number,
    (part.month as number) - 1,
    part.day as number,
    part.hour as number,
    part.minute as number,
  );
  offsets.set(`${zone} ${half}`, wall - instant);
  return wall - instant;
}

type Field = { text: string; values: number[]; wild: boolean };
interface Expression {
  minute: Field;
  hour: Field;
  day: Field;
  month: Field;
  weekday: Field;
}

/** Every minute of a span, looked at one by one. */
function walked({ minute, hour, day, month, weekday }: Expression, zone: string, from: number, to: number): number[] {
  const onDay = (wall: Date): boolean => {
    const byDay = day.values.includes(wall.getUTCDate());
    const byWeekday = weekday.values.includes(wall.getUTCDay());
    // When both are given, either will do.
    const days = day.text === "*" || weekday.text === "*" ? byDay && byWeekday : byDay || byWeekday;
    return days && month.values.includes(wall.getUTCMonth() + 1);
  };
  const found = new Set<number>();
  const seen = new Set<number>();
  const fixed = !minute.wild && !hour.wild;
  for (let at = from - DAY; at <= to; at += MINUTE) {
    const wall = at + offsetMs(zone, at);
    const jumped = wall - (at - MINUTE + offsetMs(zone, at - MINUTE)) - MINUTE;
    // What the clock leaves out happens when it goes on.
    if (fixed && jumped > 0)
      for (let missing = wall - jumped; missing < wall; missing += MINUTE) {
        const time = new Date(missing);
        if (minute.values.includes(time.getUTCMinutes()) && hour.values.includes(time.getUTCHours()) && onDay(time))
          found.add(at);
      }
    const time = new Date(wall);
    if (!minute.values.includes(time.getUTCMinutes()) || !hour.values.includes(time.getUTCHours()) || !onDay(time))
      continue;
    if (fixed && seen.has(wall)) continue;
    seen.add(wall);
    found.add(at);
  }
  return [...found].filter((at) => at > from && at <= to).sort((a, b) => a - b);
}

/** Spans around which clocks change somewhere, and any others. */
const start = fc.oneof(
  fc.constantFrom(
    "2026-03-07",
    "2026-03-28",
    "2026-10-24",
    "2026-10-31",
    "2026-04-04",
    "2026-10-03",
    "2018-11-03",
    "2018-02-17",
  ),
  fc
    .integer({ min: Date.parse("2024-01-01"), max: Date.parse("2030-01-01") })
    .map((at) => new Date(at).toISOString().slice(0, 10)),
);
const expression = fc.record({
  minute: field(0, 59),
  hour: field(0, 23),
  day: field(1, 31),
  month: field(1, 12),
  weekday: field(0, 6),
});

test("any expression fires at the minutes at which a walk through all minutes says it does", () => {
  fc.assert(
    fc.property(expression, fc.constantFrom(...ZONES), start, (given, zone, day) => {
      // A step through days is read as “every so many of them”, by which either day will do is not decided alike everywhere.
      fc.pre(!given.day.text.startsWith("*/") && !given.weekday.text.startsWith("*/"));
      const from = Date.parse(`${day}T00:00:00Z`);
      const to = from + 4 * DAY;
      const cron = [given.minute, given.hour, given.day, given.month, given.weekday].map(({ text }) => text).join(" ");
      const wanted = walked(given, zone, from, to);
      const got = nextFires({ cron, timeZone: zone }, new Date(from), wanted.length + 1).map((at) => at.getTime());
      expect([cron, zone, got.filter((at) => at <= to)]).toEqual([cron, zone, wanted]);
    }),
    { numRuns: 200 },
  );
});

test("over two years an expression fires as often as the walk says", () => {
  const given: Expression = {
    minute: { text: "15,45", values: [15, 45], wild: false },
    hour: { text: "1-3", values: [1, 2, 3], wild: false },
    day: { text: "*", values: Array.from({ length: 31 }, (_, index) => index + 1), wild: true },
    month: { text: "3,10,11", values: [3, 10, 11], wild: false },
    weekday: { text: "0", values: [0], wild: false },
  };
  for (const zone of ["America/New_York"]) {
    const from = Date.parse("2026-01-01T00:00:00Z");
    const to = from + 2 * 365 * DAY;
    const wanted = walked(given, zone, from, to);
    const got = nextFires({ cron: "15,45 1-3 * 3,10,11 0", timeZone: zone }, new Date(from), wanted.length + 1);
    expect(got.map((at) => at.getTime()).filter((at) => at <= to)).toEqual(wanted);
  }
});

describe("what is no schedule", () => {
  const problem = (cron: string, timeZone = "Asia/Seoul") =>
    cronProblem({ cron, timeZone }, new Date("2026-11-26T00:00:00Z"));

  test.each([
    ["0 0 30 2 *", "never fires"],
    ["0 0 31 2,4,6,9,11 *", "never fires"],
    ["* * * * * *", "has 6 fields"],
    ["*/30 * * * * * *", "has 7 fields"],
    ["* * * *", "has 4 fields"],
    ["60 * * * *", "is not a cron expression: Invalid value for minute: 60"],
    ["0 24 * * *", "is not a cron expression"],
    ["0 0 * * FUNDAY", "is not a cron expression"],
    ["*/0 * * * *", "is not a cron expression"],
    ["5-1 * * * *", "is not a cron expression"],
    ["0 0 * * +1", "nothing but numbers"],
    ["0 0 ? * *", "nothing but numbers"],
    ["2026-11-27T00:00:00", "has 1 fields"],
    ["@reboot", "must be one of @hourly"],
    ["@every 5s", "must be one of @hourly"],
    [`${"1,".repeat(200)}1 * * * *`, "up to 128 characters"],
    ["", "has 1 fields"],
  ])("%s", (cron, words) => {
    expect(problem(cron)).toContain(words);
  });

  test.each([
    "* * * * *",
    "@hourly",
    "@yearly",
    "0 0 29 2 *",
    "0 9 * JAN-MAR,DEC MON",
    "0 0 L * *",
    "0 0 * * 5#2",
    "0 0 1 1 7",
  ])("%s is one", (cron) => {
    expect(problem(cron)).toBeNull();
  });

  test("zones are those of the tz database", () => {
    expect(["Asia/Seoul", "UTC", "America/New_York", "Mars/X", "+09:00", "", "Asia/Seoul "].map(isTimeZone)).toEqual([
      true,
      true,
      true,
      false,
      false,
      false,
      false,
    ]);
  });
});

describe("what is due", () => {
  const policy = (more: Partial<SchedulePolicy> = {}): SchedulePolicy => ({
    cron: "*/10 * * * *",
    timeZone: "Asia/Seoul",
    jitterMs: 0,
    key: "sch_a",
    catchUp: "none",
    withinMs: 3_600_000,
    ...more,
  });
  const at = (time: string) => new Date(`2026-11-26T${time}Z`);
  /** Steps until nothing is due any more. */
  const run = (given: SchedulePolicy, from: Date, now: Date) => {
    const acted: Date[] = [];
    const missed: { first: Date; count: number }[] = [];
    let next: Date | null = from;
    for (let steps = 0; next !== null && dueAt(given, next) <= now; steps++) {
      expect(steps).toBeLessThan(3_000);
      const step = fireStep(given, next, now);
      if (step.missed !== null) missed.push(step.missed);
      if (step.fire !== null) acted.push(step.fire);
      next = step.next;
    }
    return { acted: acted.map((one) => one.toISOString().slice(11, 16)), missed, next };
  };

  test("is acted on when nobody was away", () => {
    expect(run(policy(), at("00:10:00"), at("00:10:00.900"))).toEqual({
      acted: ["00:10"],
      missed: [],
      next: at("00:20:00"),
    });
  });

  test("after an outage of two hours and a half: none, the last, or all of the last hour", () => {
    const outage = [at("00:10:00"), at("02:35:00")] as const;
    expect(run(policy(), ...outage)).toEqual({
      acted: [],
      missed: [{ first: at("00:10:00"), count: 15 }],
      next: at("02:40:00"),
    });
    expect(run(policy({ catchUp: "last" }), ...outage)).toEqual({
      acted: ["02:30"],
      missed: [{ first: at("00:10:00"), count: 14 }],
      next: at("02:40:00"),
    });
    expect(run(policy({ catchUp: "all" }), ...outage)).toEqual({
      acted: ["01:40", "01:50", "02:00", "02:10", "02:20", "02:30"],
      missed: [{ first: at("00:10:00"), count: 9 }],
      next: at("02:40:00"),
    });
  });

  test("that came due just now is acted on, whatever was missed before it", () => {
    for (const catchUp of ["none", "last", "all"] as const)
      expect(run(policy({ catchUp }), at("00:10:00"), at("05:00:01")).acted.at(-1)).toBe("05:00");
  });

  test("the last is not caught up on when it is too long ago", () => {
    const daily = policy({ cron: "0 0 * * *", catchUp: "last" });
    const midnight = new Date("2026-11-26T15:00:00Z");
    const step = fireStep(daily, midnight, new Date("2026-11-26T16:00:01Z"));
    expect(step).toEqual({ missed: { first: midnight, count: 1 }, fire: null, next: new Date("2026-11-27T15:00:00Z") });
    expect(fireStep(daily, midnight, new Date("2026-11-26T16:00:00Z")).fire).toEqual(midnight);
  });

  test("every fire time is acted on or called missed, once; nothing too late is acted on, and jitter is within its bounds", () => {
    fc.assert(
      fc.property(
        fc.constantFrom("*/10 * * * *", "* * * * *", "7 * * * *", "0 3,15 * * *"),
        fc.constantFrom("none" as const, "last" as const, "all" as const),
        fc.constantFrom(60_000, 3_600_000, 86_400_000),
        fc.constantFrom(0, 30_000, 900_000),
        fc.integer({ min: 0, max: 10_000 }),
        (cron, catchUp, withinMs, jitterMs, lateS) => {
          const given = policy({ cron, catchUp, withinMs, jitterMs });
          const [first] = nextFires(given, at("00:00:00"), 1) as [Date];
          const due = dueAt(given, first);
          expect(due.getTime() - first.getTime()).toBeGreaterThanOrEqual(0);
          expect(due.getTime() - first.getTime()).toBeLessThanOrEqual(jitterMs);
          const now = new Date(due.getTime() + lateS * 1_000);
          const { acted, missed, next } = run(given, first, now);
          const passed = nextFires(given, new Date(first.getTime() - 1), 250).filter(
            (one) => next === null || one < next,
          );
          expect(acted.length + missed.reduce((sum, { count }) => sum + count, 0)).toBe(passed.length);
          expect(new Set(acted).size).toBe(acted.length);
          const most = { none: 60_000, last: Math.max(60_000, withinMs), all: Math.max(60_000, withinMs) }[catchUp];
          for (const one of passed.filter((at) => acted.includes(at.toISOString().slice(11, 16))))
            expect(now.getTime() - dueAt(given, one).getTime()).toBeLessThanOrEqual(most);
          expect(next === null || dueAt(given, next) > now).toBe(true);
        },
      ),
      { numRuns: 100 },
    );
  });

  test("jitter of a fire time is always the same, and differs between schedules", () => {
    const one = at("00:10:00");
    const parts = Array.from({ length: 50 }, (_, index) =>
      dueAt({ jitterMs: 600_000, key: `sch_${index}` }, one).getTime(),
    );
    expect(new Set(parts).size).toBeGreaterThan(45);
    expect(dueAt({ jitterMs: 600_000, key: "sch_7" }, one).getTime()).toBe(parts[7]);
  });
});

test("the places of an input are filled in, once", () => {
  const input = "{{name}} of {{ date }}: {{scheduled_at}} {x} }}";
  expect(scheduledInput({ input, name: "daily", timeZone: "Asia/Seoul" }, new Date("2026-11-26T15:30:00Z"))).toBe(
    "daily of 2026-11-27: 2026-11-26T15:30:00.000Z {x} }}",
  );
  expect(
    scheduledInput({ input: "{{name}}", name: "{{date}}", timeZone: "UTC" }, new Date("2026-11-26T15:30:00Z")),
  ).toBe("{{date}}");
});
