import type { BuiltinToolSpec, JsonSchema } from "@maru/contract";
import jsep from "jsep";
import type { Egress } from "./egress/index.ts";
import { prepareFetchPage } from "./fetch-page/index.ts";
import { failed, type PreparedTool, succeeded, type ToolResult } from "./kind.ts";
import { createArgumentCheck } from "./schema/check.ts";

interface Builtin {
  readonly description: string;
  readonly parameters: JsonSchema;
  run(args: Record<string, unknown>, now: Date): ToolResult;
}

const MAX_EXPRESSION = 512;

const BUILTINS: Record<Exclude<BuiltinToolSpec["name"], "http_fetch">, Builtin> = {
  calculator: {
    description:
      "Evaluates an arithmetic expression. Operators: + - * / % ** and parentheses. Functions: abs, sqrt, round, floor, ceil, min, max, pow, log, ln, exp, sin, cos, tan. Constants: pi, e.",
    parameters: {
      type: "object",
      properties: {
        expression: { type: "string", description: "For example (3 + 4) * 2", minLength: 1, maxLength: MAX_EXPRESSION },
      },
      required: ["expression"],
      additionalProperties: false,
    },
    run({ expression }) {
      try {
        const text = String(expression);
        if (text.length > MAX_EXPRESSION) throw new Error(`it may have ${MAX_EXPRESSION} characters`);
        const value = evaluate(jsep(text), 0);
        if (!Number.isFinite(value)) return failed("tool_failed", "The result is not a finite number.");
        // Fifteen significant digits are what a double holds for sure: 0.1 + 0.2 reads 0.3. Integers it holds exactly.
        return succeeded(String(Number.isSafeInteger(value) ? value : Number(value.toPrecision(15))));
      } catch (error) {
        return failed(
          "tool_failed",
          `The expression cannot be evaluated: ${error instanceof Error ? error.message : "it is not valid"}`,
        );
      }
    },
  },
  current_time: {
    description: "The current date and time in a time zone.",
    parameters: {
      type: "object",
      properties: {
        timezone: { type: "string", description: "IANA name, for example Asia/Seoul (the default)", maxLength: 64 },
      },
      additionalProperties: false,
    },
    run({ timezone = "Asia/Seoul" }, now) {
      try {
        const parts = Object.fromEntries(
          new Intl.DateTimeFormat("en-US", {
            timeZone: String(timezone),
            hourCycle: "h23",
            year: "numeric",
            month: "2-digit",
            day: "2-digit",
            hour: "2-digit",
            minute: "2-digit",
            second: "2-digit",
            weekday: "long",
            timeZoneName: "longOffset",
          })
            .formatToParts(now)
            .map(({ type, value }) => [type, value]),
        );
        const offset = parts.timeZoneName === "GMT" ? "+00:00" : String(parts.timeZoneName).replace("GMT", "");
        return succeeded(
          JSON.stringify({
            iso: `${parts.year}-${parts.month}-${parts.day}T${parts.hour}:${parts.minute}:${parts.second}${offset}`,
            timezone,
            weekday: parts.weekday,
          }),
        );
      } catch {
        return failed("tool_failed", `There is no time zone ${timezone}.`);
      }
    },
  },
};

export function prepareBuiltin(spec: BuiltinToolSpec, egress: Egress): PreparedTool {
  const { name } = spec;
  if (name === "http_fetch") return prepareFetchPage(spec, egress);
  const builtin = BUILTINS[name];
  return {
    declaration: { name, description: builtin.description, parameters: builtin.parameters },
    effect: "safe",
    checkArguments: createArgumentCheck(builtin.parameters),
    call: async (args, { now }) => builtin.run(args, now),
  };
}

const MAX_NESTING = 64;
const CONSTANTS: Record<string, number> = { pi: Math.PI, e: Math.E };
const FUNCTIONS: Record<string, (...values: number[]) => number> = {
  abs: Math.abs,
  sqrt: Math.sqrt,
  round: Math.round,
  floor: Math.floor,
  ceil: Math.ceil,
  min: Math.min,
  max: Math.max,
  pow: Math.pow,
  log: Math.log10,
  ln: Math.log,
  exp: Math.exp,
  sin: Math.sin,
  cos: Math.cos,
  tan: Math.tan,
};
const BINARY: Record<string, (a: number, b: number) => number> = {
  "+": (a, b) => a + b,
  "-": (a, b) => a - b,
  "*": (a, b) => a * b,
  "/": (a, b) => a / b,
  "%": (a, b) => a % b,
  "**": (a, b) => a ** b,
};
// jsep knows JavaScript's operators; only these are arithmetic. `**` binds tightest and to the right.
jsep.addBinaryOp("**", 11, true);

/**
 * Signs that stand in parentheses of their own. jsep keeps no parentheses and binds a sign tighter than `**`, so -2 ** 2
 * and (-2) ** 2 give one tree, yet they are -4 and 4. It calls this hook a second time when a group closes on the sign.
 */
const signs = new WeakSet<jsep.Expression>();
const enclosedSigns = new WeakSet<jsep.Expression>();
jsep.hooks.add("after-token", ({ node }) => {
  if (node?.type === "UnaryExpression") (signs.has(node) ? enclosedSigns : signs).add(node);
});

/** Walks the syntax tree over numbers alone: there is no name, property or call that is not listed above. */
function evaluate(node: jsep.Expression, depth: number): number {
  if (depth > MAX_NESTING) throw new Error("it is nested too deeply");
  switch (node.type) {
    case "Literal":
      if (typeof node.value === "number") return node.value;
      throw new Error(`${String(node.raw)} is not a number`);
    case "Identifier": {
      const name = String(node.name).toLowerCase();
      if (Object.hasOwn(CONSTANTS, name)) return CONSTANTS[name] as number;
      throw new Error(`${String(node.name)} is not known`);
    }
    case "UnaryExpression": {
      const value = evaluate(node.argument as jsep.Expression, depth + 1);
      if (node.operator === "-") return -value;
      if (node.operator === "+") return value;
      throw new Error(`the operator ${String(node.operator)} is not arithmetic`);
    }
    case "BinaryExpression": {
      const operator = String(node.operator);
      if (!Object.hasOwn(BINARY, operator)) throw new Error(`the operator ${operator} is not arithmetic`);
      const left = node.left as jsep.Expression;
      if (operator === "**" && left.type === "UnaryExpression" && !enclosedSigns.has(left))
        return evaluate({ ...left, argument: { ...node, left: left.argument as jsep.Expression } }, depth + 1);
      return (BINARY[operator] as (a: number, b: number) => number)(
        evaluate(left, depth + 1),
        evaluate(node.right as jsep.Expression, depth + 1),
      );
    }
    case "CallExpression": {
      const name = String((node.callee as { name?: string }).name ?? "").toLowerCase();
      if (!Object.hasOwn(FUNCTIONS, name)) throw new Error(`the function ${name || "?"} is not known`);
      return (FUNCTIONS[name] as (...values: number[]) => number)(
        ...(node.arguments as jsep.Expression[]).map((argument) => evaluate(argument, depth + 1)),
      );
    }
    default:
      throw new Error("it is not arithmetic");
  }
}
