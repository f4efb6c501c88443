import jsep from "jsep";
import { type Builtin, Refusal } from "./builtin.ts";
import {
  absolute,
  add,
  ceil,
  cos,
  divide,
  E,
  type Exact,
  exactly,
  exp,
  floor,
  ln,
  log10,
  MAX_DIGITS,
  multiply,
  negate,
  PI,
  power,
  remainder,
  root,
  roundAt,
  shown,
  sin,
  subtract,
  tan,
} from "./exact.ts";

const MAX_EXPRESSION = 512;
const MAX_NESTING = 64;
const DIGITS = { default: 20, max: 50 };

export const calculator: Builtin = {
  description:
    "Evaluates arithmetic in exact decimals: 0.1 + 0.2 is 0.3, 1e30 + 1 keeps every digit. Operators: + - * / % (remainder) ** " +
    "and parentheses. Functions: abs, sqrt, round(x, places), floor, ceil, min, max, sum, mean, pow, log (base 10), ln, exp, " +
    "sin, cos, tan (radians). Constants: pi, e. A result that had to be rounded says so. Example: round(1234.5 * 1.1, 2)",
  parameters: {
    type: "object",
    properties: {
      expression: {
        type: "string",
        description: "For example (3 + 4) * 2; numbers without thousands separators",
        minLength: 1,
        maxLength: MAX_EXPRESSION,
      },
      digits: {
        type: "integer",
        description: `Significant digits of a result that must be rounded; default ${DIGITS.default}`,
        minimum: 1,
        maximum: DIGITS.max,
      },
    },
    required: ["expression"],
    additionalProperties: false,
  },
  run({ expression, digits = DIGITS.default }) {
    try {
      const text = String(expression);
      if (text.length > MAX_EXPRESSION) throw new Refusal(`it may have ${MAX_EXPRESSION} characters`);
      return shown(evaluate(parse(text), 0), Number(digits));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      throw new Refusal(`The expression cannot be evaluated: ${error.message}.`);
    }
  },
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

function parse(text: string): jsep.Expression {
  try {
    return jsep(text);
  } catch (error) {
    throw new Refusal(error instanceof Error ? error.message : "it is not valid");
  }
}

const CONSTANTS: Record<string, Exact> = { pi: PI, e: E };
const BINARY: Record<string, (a: Exact, b: Exact) => Exact> = {
  "+": add,
  "-": subtract,
  "*": multiply,
  "/": divide,
  "%": remainder,
  "**": power,
};

interface Callable {
  /** Least and most arguments. */
  readonly takes: readonly [number, number];
  readonly of: (values: readonly Exact[]) => Exact;
}
const ANY_NUMBER = [1, Number.POSITIVE_INFINITY] as const;
const unary = (of: (a: Exact) => Exact): Callable => ({ takes: [1, 1], of: ([a]) => of(a as Exact) });
const fold = (of: (a: Exact, b: Exact) => Exact): Callable => ({
  takes: ANY_NUMBER,
  of: (values) => values.reduce((a, b) => of(a, b)),
});
const sum = fold(add);

const FUNCTIONS: Record<string, Callable> = {
  abs: unary(absolute),
  sqrt: unary(root),
  round: { takes: [1, 2], of: ([a, places]) => roundAt(a as Exact, placesOf(places)) },
  floor: unary(floor),
  ceil: unary(ceil),
  min: fold((a, b) => (b.value.lt(a.value) ? b : a)),
  max: fold((a, b) => (b.value.gt(a.value) ? b : a)),
  sum,
  mean: { takes: ANY_NUMBER, of: (values) => divide(sum.of(values), exactly(values.length)) },
  pow: { takes: [2, 2], of: ([a, b]) => power(a as Exact, b as Exact) },
  log: unary(log10),
  ln: unary(ln),
  exp: unary(exp),
  sin: unary(sin),
  cos: unary(cos),
  tan: unary(tan),
};

function placesOf(places: Exact | undefined): number {
  const count = places?.value.toNumber() ?? 0;
  if (!Number.isInteger(count) || Math.abs(count) > MAX_DIGITS)
    throw new Refusal(`places to round at are a whole number from -${MAX_DIGITS} to ${MAX_DIGITS}`);
  return count;
}

/** Walks the syntax tree over numbers alone: there is no name, property or call that is not listed above. */
function evaluate(node: jsep.Expression, depth: number): Exact {
  if (depth > MAX_NESTING) throw new Refusal("it is nested too deeply");
  switch (node.type) {
    case "Literal":
      // The text of it: as a number of JavaScript it would have lost its digits.
      if (typeof node.value === "number") return exactly(String(node.raw));
      throw new Refusal(`${String(node.raw)} is not a number`);
    case "Identifier": {
      const name = String(node.name).toLowerCase();
      if (Object.hasOwn(CONSTANTS, name)) return CONSTANTS[name] as Exact;
      throw new Refusal(`${String(node.name)} is not known`);
    }
    case "UnaryExpression": {
      const value = evaluate(node.argument as jsep.Expression, depth + 1);
      if (node.operator === "-") return negate(value);
      if (node.operator === "+") return value;
      throw new Refusal(`the operator ${String(node.operator)} is not arithmetic`);
    }
    case "BinaryExpression":
      return evaluateChain(node, depth);
    case "CallExpression": {
      const name = String((node.callee as { name?: string }).name ?? "").toLowerCase();
      if (!Object.hasOwn(FUNCTIONS, name)) throw new Refusal(`the function ${name || "?"} is not known`);
      const { takes, of } = FUNCTIONS[name] as Callable;
      const values = (node.arguments as jsep.Expression[]).map((argument) => evaluate(argument, depth + 1));
      if (values.length < takes[0] || values.length > takes[1])
        throw new Refusal(`${name} can't have ${values.length} arguments`);
      return of(values);
    }
    default:
      throw new Refusal("it is not arithmetic");
  }
}

/** From the left, without a call a link: a sum of a hundred numbers is a tree a hundred levels deep, yet not nested. */
function evaluateChain(node: jsep.Expression, depth: number): Exact {
  const chain: jsep.Expression[] = [];
  let left = node;
  for (; left.type === "BinaryExpression"; left = left.left as jsep.Expression) {
    if (!Object.hasOwn(BINARY, String(left.operator)))
      throw new Refusal(`the operator ${String(left.operator)} is not arithmetic`);
    chain.push(left);
  }
  const innermost = chain.at(-1) as jsep.Expression;
  if (innermost.operator === "**" && left.type === "UnaryExpression" && !enclosedSigns.has(left)) {
    chain.pop();
    left = { ...left, argument: { ...innermost, left: left.argument as jsep.Expression } };
  }
  return chain.reduceRight(
    (value, { operator, right }) =>
      (BINARY[String(operator)] as (a: Exact, b: Exact) => Exact)(value, evaluate(right as jsep.Expression, depth + 1)),
    evaluate(left, depth + 1),
  );
}
