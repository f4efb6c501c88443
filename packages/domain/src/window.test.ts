import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { daysLeft, type QuotaPolicy, windowAt } from "./window.ts";

const seoul: QuotaPolicy = {
  throughDay: 28,
  timeZone: "Asia/Seoul",
  renew: "monthly",
  startsAt: new Date("2026-01-01T00:00:00Z"),
};
const at = (text: string) => new Date(text);
const span = (policy: QuotaPolicy, instant: Date) => {
  const window = windowAt(policy, instant);
  if ("ended" in window) throw new Error(`ended ${window.ended.toISOString()}`);
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
