import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { dayEnd, daysLeft, type QuotaPolicy, windowAt } from "./window.ts";

const seoul: QuotaPolicy = {
  throughDay: 28,
  timeZone: "Asia/Seoul",
  renew: "monthly",
  startsAt: new Date("2026-01-01T00:00:00Z"),
};
const at = (text: string) => new Date(text);
const span = (policy: QuotaPolicy, instant: Date) => {
  const window = windowAt(policy, instant);
  if (!("startsAt" in window)) throw new Error(`no window: ${JSON.stringify(window)}`);
  return window;
};

describe("through the 28th", () => {
  test("E4: ends when the 29th begins in Seoul, and the next window begins there", () => {
    const before = span(seoul, at("2026-01-28T14:59:59.999Z"));
    const after = span(seoul, at("2026-01-28T15:00:00.000Z"));
    expect([before.endsAt.toISOString(), before.lastDay]).toEqual(["2026-01-28T15:00:00.000Z", "2026-01-28"]);
    expect([after.startsAt.toISOString(), after.lastDay]).toEqual(["2026-01-28T15:00:00.000Z", "2026-02-28"]);
  });

  test("the last day of a month that is too short", () => {
    expect(span({ ...seoul, throughDay: 31 }, at("2026-02-10T00:00:00Z")).lastDay).toBe("2026-02-28");
    expect(span({ ...seoul, throughDay: 31 }, at("2028-02-10T00:00:00Z")).lastDay).toBe("2028-02-29");
  });

  test("without renewal there is one window, then it has ended", () => {
    const campaign: QuotaPolicy = { ...seoul, renew: "none", startsAt: at("2026-01-09T00:00:00Z") };
    expect(span(campaign, at("2026-01-20T00:00:00Z")).endsAt.toISOString()).toBe("2026-01-28T15:00:00.000Z");
    expect(windowAt(campaign, at("2026-01-28T15:00:00Z"))).toEqual({ ended: at("2026-01-28T15:00:00Z") });
    // Begun after the 28th, it lasts through the next one.
    expect(span({ ...campaign, startsAt: at("2026-01-30T00:00:00Z") }, at("2026-01-30T01:00:00Z")).lastDay).toBe(
      "2026-02-28",
    );
  });

  test("a zone where midnight does not exist begins its day when the clocks jump", () => {
    // Clocks in Beirut sprang from 00:00 to 01:00 on 2021-03-28.
    const window = span({ ...seoul, timeZone: "Asia/Beirut", throughDay: 27 }, at("2021-03-20T00:00:00Z"));
    expect(window.endsAt.toISOString()).toBe("2021-03-27T22:00:00.000Z");
  });

  test("days left count the one that has begun", () => {
    const window = span(seoul, at("2026-01-28T00:00:00Z"));
    expect(daysLeft(window, at("2026-01-28T14:59:59.999Z"))).toBe(1);
    expect(daysLeft(window, at("2026-01-27T14:59:59.999Z"))).toBe(2);
    expect(daysLeft(window, at("2026-01-28T15:00:00Z"))).toBe(0);
  });
});

const zones = fc.constantFrom(
  "Asia/Seoul",
  "UTC",
  "America/New_York",
  "Europe/Berlin",
  "Australia/Lord_Howe",
  "Asia/Kathmandu",
  "Pacific/Apia",
  "America/Sao_Paulo",
);
const instants = fc.date({ min: at("2012-01-01T00:00:00Z"), max: at("2035-01-01T00:00:00Z"), noInvalidDate: true });
const policies = fc
  .record({ throughDay: fc.integer({ min: 1, max: 31 }), timeZone: zones })
  .map((policy): QuotaPolicy => ({ ...policy, renew: "monthly", startsAt: at("2010-01-01T00:00:00Z") }));

test("every instant is in exactly one window, and windows follow each other without gap or overlap", () => {
  fc.assert(
    fc.property(policies, instants, (policy, instant) => {
      const window = span(policy, instant);
      expect(window.startsAt <= instant && instant < window.endsAt).toBe(true);
      const next = span(policy, window.endsAt);
      const previous = span(policy, new Date(window.startsAt.getTime() - 1));
      expect(next.startsAt).toEqual(window.endsAt);
      expect(previous.endsAt).toEqual(window.startsAt);
      expect(span(policy, new Date(window.endsAt.getTime() - 1))).toEqual(window);
    }),
    { numRuns: 500 },
  );
});

test("an end is the first instant of the day after the last one, in the policy's zone", () => {
  fc.assert(
    fc.property(policies, instants, (policy, instant) => {
      const { endsAt, lastDay } = span(policy, instant);
      const day = (when: Date) => new Intl.DateTimeFormat("sv-SE", { timeZone: policy.timeZone }).format(when);
      expect(day(new Date(endsAt.getTime() - 1)) <= lastDay).toBe(true);
      expect(day(endsAt) > lastDay).toBe(true);
    }),
    { numRuns: 500 },
  );
});

describe("a campaign", () => {
  const launch: QuotaPolicy = {
    ...seoul,
    renew: "campaign",
    term: { startsAt: at("2026-01-08T15:00:00Z"), endsAt: at("2026-01-28T15:00:00Z") },
  };

  test("is its span, to the instant, and says what lies outside it", () => {
    expect(windowAt(launch, at("2026-01-08T14:59:59.999Z"))).toEqual({ begins: at("2026-01-08T15:00:00Z") });
    expect(span(launch, at("2026-01-08T15:00:00Z")).lastDay).toBe("2026-01-28");
    expect(span(launch, at("2026-01-28T14:59:59.999Z")).endsAt).toEqual(at("2026-01-28T15:00:00Z"));
    expect(windowAt(launch, at("2026-01-28T15:00:00Z"))).toEqual({ ended: at("2026-01-28T15:00:00Z") });
  });

  test("through a day means to its end, in its zone", () => {
    expect(dayEnd("2026-02-12", "Asia/Seoul")).toEqual(at("2026-02-12T15:00:00Z"));
    expect(dayEnd("2026-12-31", "UTC")).toEqual(at("2027-01-01T00:00:00Z"));
    expect(dayEnd("2028-02-29", "America/New_York")).toEqual(at("2028-03-01T05:00:00Z"));
    for (const text of ["2026-02-29", "2026-13-01", "2026-00-10", "26-01-01", "today", ""])
      expect([text, dayEnd(text, "UTC").getTime()]).toEqual([text, Number.NaN]);
  });
});

/** Every day boundary of nine years, a millisecond to either side, against the calendar said in another way. */
test.each(["Asia/Seoul", "UTC", "America/New_York"])("the window table of %s, 2024 to 2032", (timeZone) => {
  const policy: QuotaPolicy = { ...seoul, timeZone };
  const local = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" });
  let wrong = 0;
  let looked = 0;
  for (let day = Date.UTC(2024, 0, 1); day <= Date.UTC(2032, 11, 31); day += 86_400_000) {
    const boundary = dayEnd(new Date(day).toISOString().slice(0, 10), timeZone).getTime();
    for (const instant of [boundary - 1, boundary, boundary + 1]) {
      const window = span(policy, new Date(instant));
      // Through the 28th: until then it is this month's window, after it the next month's.
      const [year, month, date] = local.format(instant).split("-").map(Number) as [number, number, number];
      const next = date > 28 ? month + 1 : month;
      const expected = `${next > 12 ? year + 1 : year}-${String(next > 12 ? 1 : next).padStart(2, "0")}-28`;
      looked++;
      if (window.lastDay !== expected || instant < window.startsAt.getTime() || instant >= window.endsAt.getTime())
        wrong++;
    }
  }
  expect([looked, wrong]).toEqual([9_864, 0]);
});
