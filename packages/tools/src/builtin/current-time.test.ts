import { describe, expect, test } from "vitest";
import { callContext } from "../testing/context.ts";
import { prepareBuiltin } from "./index.ts";

const clock = prepareBuiltin({ type: "builtin", name: "current_time" });
const read = async (args: object, now: string) =>
  JSON.parse((await clock.call({ ...args }, callContext({ now: new Date(now) }))).output);

describe("current_time", () => {
  test.each([
    [{}, "2026-01-29T00:00:00+09:00", "Asia/Seoul", "Thursday"],
    [{ timezone: "UTC" }, "2026-01-28T15:00:00+00:00", "UTC", "Wednesday"],
    [{ timezone: "America/New_York" }, "2026-01-28T10:00:00-05:00", "America/New_York", "Wednesday"],
    [{ timezone: "Asia/Kathmandu" }, "2026-01-28T20:45:00+05:45", "Asia/Kathmandu", "Wednesday"],
    [{ timezone: "+09:30" }, "2026-01-29T00:30:00+09:30", "+09:30", "Thursday"],
  ])("%j reads the run's clock", async (args, iso, timezone, weekday) => {
    expect(await read(args, "2026-01-28T15:00:00Z")).toEqual({
      iso,
      timezone,
      weekday,
      week: "2026-W05",
      unix: 1_769_612_400,
    });
    expect(new Date(iso).toISOString()).toBe("2026-01-28T15:00:00.000Z");
  });

  // The clocks of New York go forward at 07:00Z on 8 March 2026 and back at 06:00Z on 1 November.
  test.each([
    ["America/New_York", "2026-03-08T06:59:59Z", "2026-03-08T01:59:59-05:00"],
    ["America/New_York", "2026-03-08T07:00:00Z", "2026-03-08T03:00:00-04:00"],
    ["America/New_York", "2026-11-01T05:30:00Z", "2026-11-01T01:30:00-04:00"],
    ["America/New_York", "2026-11-01T06:30:00Z", "2026-11-01T01:30:00-05:00"],
    ["Europe/London", "2026-03-29T01:00:00Z", "2026-03-29T02:00:00+01:00"],
    ["Australia/Lord_Howe", "2026-04-04T15:00:00Z", "2026-04-05T01:30:00+10:30"],
    ["Asia/Seoul", "2026-07-01T00:00:00Z", "2026-07-01T09:00:00+09:00"],
    ["Asia/Seoul", "1988-07-01T00:00:00Z", "1988-07-01T10:00:00+10:00"],
  ])("in %s at %s it is %s", async (timezone, now, iso) => {
    expect((await read({ timezone }, now)).iso).toBe(iso);
    expect(new Date(iso).toISOString()).toBe(new Date(now).toISOString());
  });

  test.each([
    ["2026-12-31T12:00:00Z", "2026-W53"],
    ["2027-01-03T12:00:00Z", "2026-W53"],
    ["2027-01-03T15:00:00Z", "2027-W01"],
    ["2024-12-30T00:00:00Z", "2025-W01"],
  ])("%s is in the week %s of Seoul", async (now, week) => {
    expect((await read({}, now)).week).toBe(week);
  });

  test.each([
    ["KST", "Asia/Seoul"],
    ["seoul", "Asia/Seoul"],
    ["서울", "Asia/Seoul"],
    ["Asia/Soul", "Asia/Seoul"],
    ["new york", "America/New_York"],
    ["America/NewYork", "America/New_York"],
  ])("%s is no time zone, and %s is suggested", async (timezone, meant) => {
    expect(await clock.call({ timezone }, callContext())).toMatchObject({
      isError: true,
      code: "tool_failed",
      output: `There is no time zone ${timezone}. Did you mean ${meant}?`,
    });
  });

  test.each(["Mars/Olympus", "../../etc", "constructor", "__proto__", ""])(
    "%j is no time zone, and nothing is like it",
    async (timezone) => {
      expect(await clock.call({ timezone }, callContext())).toMatchObject({
        isError: true,
        output: `There is no time zone ${timezone}.`,
      });
    },
  );
});
