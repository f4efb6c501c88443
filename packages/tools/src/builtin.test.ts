import { afterAll, describe, expect, test } from "vitest";
import { prepareBuiltin } from "./builtin.ts";
import { callContext, openEgress } from "./testing/context.ts";

const context = (now = "2026-01-28T15:00:00Z") => callContext({ now: new Date(now) });

const egress = openEgress();
afterAll(() => egress.close());

describe("calculator", () => {
  const calculator = prepareBuiltin({ type: "builtin", name: "calculator" }, egress);
  const calculate = (expression: string) => calculator.call({ expression }, context());

  test.each([
    ["1 + 2 * 3", "7"],
    ["(1 + 2) * 3", "9"],
    ["0.1 + 0.2", "0.3"],
    ["10 / 4", "2.5"],
    ["1 / 3", "0.333333333333333"],
    ["17 % 5", "2"],
    ["7 - 2 - 1", "4"],
    ["2 ** 10", "1024"],
    ["2 ** 3 ** 2", "512"],
    ["2 ** -1", "0.5"],
    ["-2 ** 2", "-4"],
    ["(-2) ** 2", "4"],
    ["((-2)) ** 2", "4"],
    ["--2 ** 2", "4"],
    ["3 * -2 ** 2", "-12"],
    ["-sqrt(4) ** 2", "-4"],
    ["-(1 + 2)", "-3"],
    ["+5", "5"],
    ["2 ** 53 - 1", "9007199254740991"],
    ["abs(-3)", "3"],
    ["round(2.6) + floor(2.6) + ceil(2.1)", "8"],
    ["min(3, 1, 2) + max(3, 1, 2)", "4"],
    ["pow(2, 5)", "32"],
    ["log(1000)", "3"],
    ["ln(e)", "1"],
    ["exp(0)", "1"],
    ["sin(0) + cos(0) + tan(0)", "1"],
    ["2 * PI", "6.28318530717959"],
    ["1e3", "1000"],
  ])("%s is %s", async (expression, output) => {
    expect(await calculate(expression)).toEqual({ output, isError: false, code: null, truncated: false });
  });

  test.each([
    "1 / 0",
    "0 / 0",
    "sqrt(-1)",
    "10 ** 400",
    "min()",
    "1 +",
    "1 2",
    "(1",
    "",
    "x + 1",
    "'1' + 1",
    "[1]",
    "true",
    "this",
    "1 ? 2 : 3",
    "2 ^ 3",
    "1 == 1",
    "~1",
    "abs.constructor('return 1')()",
    "constructor",
    "__proto__",
    "toString()",
    "abs(1)(2)",
    "process.exit(1)",
    `${"-".repeat(200)}1`,
    `${"1+".repeat(255)}1234`,
  ])("%s is an error, not code", async (expression) => {
    expect(await calculate(expression)).toMatchObject({ isError: true, code: "tool_failed" });
  });

  test("an expression of more than 512 characters is refused before it is read", async () => {
    const expression = "1".repeat(513);
    expect(calculator.checkArguments({ expression })).toContain("/expression");
    expect(await calculate(expression)).toMatchObject({ code: "tool_failed" });
  });
});

describe("current_time", () => {
  const clock = prepareBuiltin({ type: "builtin", name: "current_time" }, egress);

  test.each([
    [{}, "2026-01-29T00:00:00+09:00", "Asia/Seoul", "Thursday"],
    [{ timezone: "UTC" }, "2026-01-28T15:00:00+00:00", "UTC", "Wednesday"],
    [{ timezone: "America/New_York" }, "2026-01-28T10:00:00-05:00", "America/New_York", "Wednesday"],
    [{ timezone: "Asia/Kathmandu" }, "2026-01-28T20:45:00+05:45", "Asia/Kathmandu", "Wednesday"],
  ])("%j reads the run's clock", async (args, iso, timezone, weekday) => {
    const result = await clock.call(args, context());
    expect(JSON.parse(result.output)).toEqual({ iso, timezone, weekday });
    expect(new Date(iso).toISOString()).toBe("2026-01-28T15:00:00.000Z");
  });

  test("a time zone that does not exist is an error the model can repair", async () => {
    expect(await clock.call({ timezone: "Mars/Olympus" }, context())).toMatchObject({
      isError: true,
      code: "tool_failed",
      output: "There is no time zone Mars/Olympus.",
    });
  });
});
