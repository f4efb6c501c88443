import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { callContext } from "../testing/context.ts";
import { prepareBuiltin } from "./index.ts";

const calculator = prepareBuiltin({ type: "builtin", name: "calculator" });
const calculate = (expression: string, digits?: number) =>
  calculator.call({ expression, ...(digits === undefined ? {} : { digits }) }, callContext());

describe("an exact result", () => {
  test.each([
    ["1 + 2 * 3", "7"],
    ["(1 + 2) * 3", "9"],
    ["0.1 + 0.2", "0.3"],
    ["0.1 * 3", "0.3"],
    ["1.1 + 2.2 - 3.3", "0"],
    ["10 / 4", "2.5"],
    ["1 / 1024", "0.0009765625"],
    ["17 % 5", "2"],
    ["-5 % 3", "-2"],
    ["5.5 % 0.2", "0.1"],
    ["7 - 2 - 1", "4"],
    ["2 ** 10", "1024"],
    ["2 ** 3 ** 2", "512"],
    ["2 ** -1", "0.5"],
    ["-2 ** 2", "-4"],
    ["(-2) ** 2", "4"],
    ["((-2)) ** 2", "4"],
    ["--2 ** 2", "4"],
    ["3 * -2 ** 2", "-12"],
    ["1 - -2 ** 2 * 3 + 1", "14"],
    ["-sqrt(4) ** 2", "-4"],
    ["-(1 + 2)", "-3"],
    ["+5", "5"],
    ["0 ** 0", "1"],
    ["2 ** 53 + 1", "9007199254740993"],
    ["1e30 + 1", "1000000000000000000000000000001"],
    ["9007199254740993 * 9007199254740993", "81129638414606699710187514626049"],
    ["2 ** 128", "340282366920938463463374607431768211456"],
    ["10 ** 400", "1e+400"],
    ["10 ** -9999", "1e-9999"],
    ["(10 ** 60 + 1) * 7 / 7 - 10 ** 60", "1"],
    ["19.99 * 3 + 4.95", "64.92"],
    ["sum(0.1, 0.2, 0.3, 1000000000000000.4)", "1000000000000001"],
    ["mean(1, 2, 3, 4)", "2.5"],
    ["abs(-3)", "3"],
    ["round(2.6) + floor(2.6) + ceil(2.1)", "8"],
    ["floor(-2.5)", "-3"],
    ["round(2.5) + round(-3.5)", "-1"],
    ["round(2.675, 2)", "2.68"],
    ["round(1.005, 2)", "1.01"],
    ["round(123456, -3)", "123000"],
    ["round(2 / 3, 2)", "0.67"],
    ["floor(1 / 3 * 3)", "1"],
    ["min(3, 1, 2) + max(3, 1, 2)", "4"],
    ["pow(2, 5)", "32"],
    ["sqrt(0.01)", "0.1"],
    ["sqrt(152415787532388367501905199875019052100)", "12345678901234567890"],
    ["4 ** 0.5", "2"],
    ["log(1000)", "3"],
    ["log(1e500)", "500"],
    ["exp(0)", "1"],
    ["sin(0) + cos(0) + tan(0)", "1"],
    ["1e3", "1000"],
    [".5 + 5.", "5.5"],
  ])("%s is %s", async (expression, output) => {
    expect(await calculate(expression)).toEqual({ output, isError: false, code: null, truncated: false });
  });

  test.each([
    ["2 ** 3000", (2n ** 3000n).toString()],
    [`${"9".repeat(400)} * 99`, (BigInt("9".repeat(400)) * 99n).toString()],
    ["7 ** 1000 + 1", (7n ** 1000n + 1n).toString()],
    [`${Array.from({ length: 120 }, (_, n) => n).join(" + ")}`.replaceAll(" ", ""), "7140"],
  ])("%s is exact in all its digits", async (expression, output) => {
    expect(await calculate(expression)).toMatchObject({ output, isError: false });
  });

  test("whole numbers add, multiply, divide and leave what BigInt says", async () => {
    const whole = fc.bigInt({ min: -(10n ** 60n), max: 10n ** 60n });
    await fc.assert(
      fc.asyncProperty(whole, whole, fc.constantFrom("+", "-", "*", "%"), async (a, b, operator) => {
        fc.pre(operator !== "%" || b !== 0n);
        const expected = { "+": a + b, "-": a - b, "*": a * b, "%": operator === "%" ? a % b : 0n }[operator] as bigint;
        // The difference is 0 when the result is exact, and would not be when a digit were lost.
        expect((await calculate(`(${a}) ${operator} (${b}) - (${expected})`)).output).toBe("0");
        if (b !== 0n) expect((await calculate(`(${a}) * (${b}) / (${b}) - (${a})`)).output).toBe("0");
      }),
      { numRuns: 200 },
    );
  });
});

describe("a result that had to be rounded says so", () => {
  test.each([
    ["1 / 3", "0.33333333333333333333"],
    ["2 / 3", "0.66666666666666666667"],
    ["1 / 3 * 3", "1"],
    ["2 * PI", "6.2831853071795864769"],
    ["ln(e)", "1"],
    ["sqrt(2)", "1.4142135623730950488"],
    ["sqrt(2) ** 2 - 2", "0"],
    ["sin(pi)", "0"],
    ["sin(pi / 6)", "0.5"],
    ["tan(pi / 4)", "1"],
    ["sin(1e15)", "0.85827279317023583552"],
    ["8 ** (1 / 3)", "2"],
    ["exp(1)", "2.7182818284590452354"],
    ["1e9999 + 1", "1e+9999"],
    ["2 ** 4000", "1.3182040934309431001e+1204"],
    ["1e70 / 3", "3.3333333333333333333e+69"],
    ["floor(1e70 / 3)", "3.3333333333333333333e+69"],
  ])("%s is about %s", async (expression, value) => {
    expect(await calculate(expression)).toMatchObject({
      output: `${value} (rounded to 20 significant digits)`,
      isError: false,
    });
  });

  test("with as many digits as are asked for, up to fifty", async () => {
    expect((await calculate("1 / 7", 3)).output).toBe("0.143 (rounded to 3 significant digits)");
    expect((await calculate("pi", 50)).output).toBe(
      "3.1415926535897932384626433832795028841971693993751 (rounded to 50 significant digits)",
    );
    expect(calculator.checkArguments({ expression: "1", digits: 51 })).toContain("/digits");
    expect((await calculate("1 / 1024", 3)).output).toBe("0.0009765625");
  });
});

describe("an expression that can't be evaluated", () => {
  test.each([
    ["1 / 0", "divides by zero"],
    ["0 / 0", "divides by zero"],
    ["1 % 0", "divides by zero"],
    ["0 ** -1", "divides by zero"],
    ["sqrt(-1)", "square root"],
    ["(-8) ** (1 / 3)", "no such power"],
    ["ln(0)", "logarithm"],
    ["log(-1)", "logarithm"],
    ["tan(pi / 2)", "tangent"],
    ["sin(1e16)", "angle"],
    ["min()", "0 arguments"],
    ["pow(2)", "1 arguments"],
    ["round(1, 2, 3)", "3 arguments"],
    ["round(1, 0.5)", "places"],
    ["1 +", "Expected expression"],
    ["1 2", "not arithmetic"],
    ["(1", "Unclosed"],
    ["", "not arithmetic"],
    ["1,234 + 1", "not arithmetic"],
    ["x + 1", "x is not known"],
    ["'1' + 1", "not a number"],
    ["[1]", "not arithmetic"],
    ["true", "not a number"],
    ["this", "not arithmetic"],
    ["1 ? 2 : 3", "not arithmetic"],
    ["2 ^ 3", "not arithmetic"],
    ["1 == 1", "not arithmetic"],
    ["~1", "not arithmetic"],
    ["abs.constructor('return 1')()", "is not known"],
    ["constructor", "is not known"],
    ["__proto__", "is not known"],
    ["toString()", "is not known"],
    ["abs(1)(2)", "is not known"],
    ["process.exit(1)", "is not known"],
  ])("%s is an error in words, not code", async (expression, why) => {
    expect(await calculate(expression)).toMatchObject({
      isError: true,
      code: "tool_failed",
      output: expect.stringMatching(new RegExp(`^The expression cannot be evaluated: .*${why}.*\\.$`)),
    });
  });

  // Each of these would take years, or all memory, when it were computed.
  test.each([
    ["9 ** 9 ** 9 ** 9", "larger than"],
    ["9 ** 9 ** 9", "larger than"],
    ["10 ** 10001", "larger than"],
    ["10 ** -10001", "smaller than"],
    ["2 ** -1e15", "smaller than"],
    ["1e999999999999999999", "larger than"],
    ["1e-999999999", "smaller than"],
    ["1e9999 * 1e9999", "larger than"],
    ["1e-9999 / 1e9999", "smaller than"],
    ["exp(1e15)", "larger than"],
    ["exp(-1e15)", "smaller than"],
    ["pi ** pi ** pi ** pi", "larger than"],
    ["1.0000001 ** 90071992547409937", "larger than"],
    ["round(1, 1e9)", "places"],
    [`${"-".repeat(200)}1`, "nested"],
    [`${"(1+".repeat(120)}1${")".repeat(120)}`, "nested"],
    [`${"abs(".repeat(100)}1${")".repeat(100)}`, "nested"],
    ["2**".repeat(150).concat("1"), "nested"],
  ])("%s is refused before it is computed", async (expression, why) => {
    expect(await calculate(expression)).toMatchObject({ code: "tool_failed", output: expect.stringContaining(why) });
  });

  test.each([
    [`${"(".repeat(250)}1${")".repeat(250)}`, "1"],
    ["1e9999 % 7e-9999", expect.stringMatching(/^[1-6]e-9999$|^0$/)],
    [`${Array(34).fill("sqrt(7**1000)").join("+")}`, (7n ** 500n * 34n).toString()],
    [`${"1e9999%1e-9999+".repeat(30)}1`, "1"],
    ["1.0000001 ** 9e9", expect.stringContaining("e+390")],
  ])("%s, the costliest within bounds, has a value", async (expression, output) => {
    expect(await calculate(expression)).toMatchObject({ isError: false, output });
  });

  test("of more than 512 characters is refused before it is read", async () => {
    const expression = "1".repeat(513);
    expect(calculator.checkArguments({ expression })).toContain("/expression");
    expect(await calculate(expression)).toMatchObject({ code: "tool_failed" });
  });

  test("whatever the text, there is an answer", async () => {
    const piece = fc.constantFrom(
      "1",
      "0.5",
      "9e99",
      "+",
      "-",
      "*",
      "/",
      "%",
      "**",
      "(",
      ")",
      ",",
      "sqrt",
      "ln",
      "sin",
      "round",
      "pi",
      " ",
      "x",
      ".",
      "'",
      "[",
      "`",
      "{",
      "가",
    );
    await fc.assert(
      fc.asyncProperty(fc.array(piece, { maxLength: 40 }), async (pieces) => {
        const { output, code } = await calculate(pieces.join(""));
        expect(output.length).toBeLessThan(1_200);
        expect([null, "tool_failed"]).toContain(code);
      }),
      { numRuns: 500 },
    );
  });
});
