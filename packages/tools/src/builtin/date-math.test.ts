import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callContext } from "../testing/context.ts";
import { prepareBuiltin } from "./index.ts";

const dates = prepareBuiltin({ type: "builtin", name: "date_math" });
const NOW = new Date("2026-01-28T15:30:00Z");
const call = (args: object) => dates.call({ ...args }, callContext({ now: NOW }));
const answer = async (args: object) => {
  expect(dates.checkArguments(args)).toBeNull();
  const { output, isError } = await call(args);
  expect([isError, output]).toEqual([false, output]);
  return JSON.parse(output);
};

describe("date_math adds", () => {
  test.each<[string, object, string, string]>([
    ["2026-01-31", { months: 1 }, "2026-02-28", "Saturday"],
    ["2024-02-29", { years: 1 }, "2025-02-28", "Friday"],
    ["2026-03-31", { months: -1 }, "2026-02-28", "Saturday"],
    ["2026-12-31", { days: 1 }, "2027-01-01", "Friday"],
    ["2026-01-30", { months: 1, days: 1 }, "2026-03-01", "Sunday"],
    ["2026-01-31", { months: 1, days: -1 }, "2026-02-27", "Friday"],
    ["2026-01-01", { weeks: 2 }, "2026-01-15", "Thursday"],
    ["today", { days: 0 }, "2026-01-29", "Thursday"],
    ["2026-01-29", { business_days: 2 }, "2026-02-02", "Monday"],
    ["2026-01-31", { business_days: 1 }, "2026-02-02", "Monday"],
    ["2026-02-01", { business_days: -1 }, "2026-01-30", "Friday"],
    [
      "2026-02-13",
      { business_days: 1, holidays: ["2026-02-16", "2026-02-17", "2026-02-18"] },
      "2026-02-19",
      "Thursday",
    ],
    ["2026-01-29T09:00", { hours: 16 }, "2026-01-30T01:00:00+09:00", "Friday"],
    ["now", { minutes: 30 }, "2026-01-29T01:00:00+09:00", "Thursday"],
    ["2026-01-29 09:00:00Z", { seconds: 1 }, "2026-01-29T18:00:01+09:00", "Thursday"],
    // The night of 8 March 2026 in New York has no 2:30, and a day of 23 hours.
    ["2026-03-07T12:00", { days: 1, timezone: "America/New_York" }, "2026-03-08T12:00:00-04:00", "Sunday"],
    ["2026-03-07T12:00", { hours: 24, timezone: "America/New_York" }, "2026-03-08T13:00:00-04:00", "Sunday"],
    ["2026-03-07T02:30", { days: 1, timezone: "America/New_York" }, "2026-03-08T03:30:00-04:00", "Sunday"],
    ["2026-11-01T01:30:00-04:00", { hours: 1, timezone: "America/New_York" }, "2026-11-01T01:30:00-05:00", "Sunday"],
  ])("to %s %j: %s, %s", async (date, amounts, expected, weekday) => {
    expect(await answer({ action: "add", date, ...amounts })).toEqual({ date: expected, weekday });
  });
});

describe("date_math tells a difference", () => {
  test.each<[string, string, object]>([
    ["2026-01-31", "2026-03-01", { duration: "P1M1D", days: 29, business_days: 20 }],
    ["2026-03-01", "2026-01-31", { duration: "-P1M1D", days: -29, business_days: -20 }],
    ["2024-02-29", "2026-02-28", { duration: "P1Y11M30D", days: 730, business_days: 521 }],
    ["2026-01-29", "2026-01-29", { duration: "PT0S", days: 0, business_days: 0 }],
    ["2026-01-30", "2026-02-01", { duration: "P2D", days: 2, business_days: 0 }],
    ["today", "2026-02-17", { days: 19, business_days: 13 }],
    ["2026-01-29T09:00", "2026-01-30T10:30", { duration: "P1DT1H30M", seconds: 91_800, days: 1, business_days: 1 }],
    ["2026-01-29", "2026-01-29T10:00", { duration: "PT10H", seconds: 36_000, days: 0 }],
    ["2026-01-29T10:00Z", "2026-01-29T10:00+09:00", { duration: "-PT9H", seconds: -32_400 }],
  ])("from %s to %s: %j", async (date, other, expected) => {
    expect(await answer({ action: "difference", date, other })).toMatchObject(expected);
  });

  test("over the end of summer time as clocks and as seconds", async () => {
    const args = { action: "difference", date: "2026-03-07T12:00", other: "2026-03-08T12:00" };
    expect(await answer({ ...args, timezone: "America/New_York" })).toMatchObject({ duration: "P1D", seconds: 82_800 });
    expect(await answer(args)).toMatchObject({ duration: "P1D", seconds: 86_400 });
  });

  test("that takes one back to where business days have led", async () => {
    const day = fc.integer({ min: 0, max: 40_000 }).map((n) => new Date(n * 86_400_000).toISOString().slice(0, 10));
    const holidays = fc.uniqueArray(day, { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(day, fc.integer({ min: -400, max: 400 }), holidays, async (date, business_days, holidays) => {
        const { date: other } = await answer({ action: "add", date, business_days, holidays });
        expect((await answer({ action: "difference", date, other, holidays })).business_days).toBe(business_days);
      }),
    );
  });
});

describe("date_math refuses in words", () => {
  test.each<[object, string]>([
    [{ date: "2026-02-30" }, "must be between 1-28"],
    [{ date: "2026-13-01" }, "There is no such date"],
    [{ date: "2026-01-01T25:00" }, "There is no such date"],
    [{ date: "31.01.2026" }, "31.01.2026 is not a date: write 2026-01-31"],
    [{ date: "tomorrow" }, "not a date"],
    [{ date: "" }, "not a date"],
    [{ date: "2026-01-01[u-ca=hebrew]" }, "not a date"],
    [{ date: "2026-01-01", hours: 1 }, "a date with a time"],
    [{ date: "2026-01-01", years: 9_000 }, "1 to 9999"],
    [{ date: "2026-01-01", years: -100_000 }, "1 to 9999"],
    [{ date: "9999-01-01", business_days: 100_000 }, "1 to 9999"],
    [{ date: "2026-01-01", years: 100_000, months: 100_000, weeks: 100_000, days: 100_000 }, "1 to 9999"],
    [{ date: "2026-01-01", timezone: "KST" }, "Did you mean Asia/Seoul?"],
    [{ date: "2026-01-01", holidays: ["2026-02-31"] }, "There is no such date"],
    [{ action: "difference", date: "2026-01-01" }, "other"],
  ])("%j", async (args, why) => {
    expect(await call({ action: "add", ...args })).toMatchObject({
      code: "tool_failed",
      output: expect.stringContaining(why),
    });
  });

  test.each([
    [{ action: "add" }, "date"],
    [{ action: "add", date: "2026-01-01", days: 0.5 }, "/days"],
    [{ action: "add", date: "2026-01-01", days: 100_001 }, "/days"],
    [{ action: "add", date: "2026-01-01", fortnights: 1 }, "fortnights"],
    [{ action: "add", date: "2026-01-01", holidays: ["New Year"] }, "/holidays/0"],
    [{ action: "add", date: "2026-01-01", holidays: Array(401).fill("2026-01-01") }, "/holidays"],
  ])("arguments %# are refused at their place", (args, place) => expect(dates.checkArguments(args)).toContain(place));
});
