import type { JsonSchema } from "@maru/contract";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import { judgePattern, MAX_STEPS } from "./pattern.ts";

const MAX_COMPILED = 500;
/** Values of which everything that is wrong is looked for. Of more it is the first thing alone: a list has an error an item, or several. */
const MAX_VALUES = 2_000;

/** Of the check that is under way: one check may try a pattern on thousands of texts. A check is never interrupted. */
let stepsLeft = 0;

/** Ajv's engine for `pattern`: a text that could take more steps than the check has left does not match. */
const boundedPattern = Object.assign(
  (pattern: string, flags: string) => {
    const verdict = judgePattern(pattern);
    const expression = new RegExp(pattern, flags);
    return {
      test(text: string) {
        if (!verdict.ok) return false;
        stepsLeft -= verdict.steps(text.length);
        return stepsLeft >= 0 && expression.test(text);
      },
      // Ajv keeps patterns apart by this.
      toString: () => expression.toString(),
    };
  },
  { code: "boundedPattern" },
);

/**
 * Compiled schemas by their text, least recently used first. A run prepares its tools anew, so the same schema comes as
 * another object every time: Ajv's own cache is by object and would grow with every run.
 */
const compiled = new Map<string, ValidateFunction>();

function validatorOf(schema: JsonSchema, allErrors: boolean): ValidateFunction {
  const text = `${allErrors ? "all" : "first"} ${JSON.stringify(schema)}`;
  let validate = compiled.get(text);
  if (validate === undefined) {
    const ajv = new Ajv2020({ allErrors, strict: false, addUsedSchema: false, code: { regExp: boundedPattern } });
    (ajvFormats as unknown as (target: Ajv2020) => void)(ajv);
    validate = ajv.compile(schema);
  }
  compiled.delete(text);
  compiled.set(text, validate);
  for (const oldest of compiled.keys()) {
    if (compiled.size <= MAX_COMPILED) break;
    compiled.delete(oldest);
  }
  return validate;
}

interface Judgement {
  readonly fits: boolean;
  readonly errors: readonly ErrorObject[];
  /** A text was too long for its pattern, and was taken not to match. */
  readonly undecided: boolean;
}

/** Compiled on the first call. */
function judgeOf(schema: JsonSchema): (value: unknown) => Judgement {
  let all: ValidateFunction | null = null;
  return (value) => {
    let validate: ValidateFunction;
    if (isLarge(value)) validate = validatorOf(schema, false);
    else {
      all ??= validatorOf(schema, true);
      validate = all;
    }
    stepsLeft = MAX_STEPS;
    const fits = validate(value);
    return { fits, errors: validate.errors ?? [], undecided: stepsLeft < 0 };
  };
}

/** Whether a value may fit a schema, where a wrong no would let it pass: what can't be judged in bounded time does. */
export function createFitTest(schema: JsonSchema): (value: unknown) => boolean {
  const judge = judgeOf(schema);
  return (value) => {
    const { fits, undecided } = judge(value);
    return fits || undecided;
  };
}

/**
 * Judges arguments in words a model can repair them by: each reason has a JSON pointer and what is expected there.
 * Only admitted schemas (admit.ts) may get here.
 */
export function createArgumentCheck(schema: JsonSchema): (args: unknown) => string | null {
  const judge = judgeOf(schema);
  return (args) => {
    const { fits, errors } = judge(args);
    if (fits) return null;
    const reasons = errors.slice(0, 5).map(({ instancePath, message, keyword, params }) => {
      const extra =
        keyword === "additionalProperties" ? ` (${(params as { additionalProperty: string }).additionalProperty})` : "";
      const values =
        keyword === "enum"
          ? `: ${JSON.stringify((params as { allowedValues: unknown[] }).allowedValues)}`
          : keyword === "const"
            ? `: ${JSON.stringify((params as { allowedValue: unknown }).allowedValue)}`
            : "";
      return `${instancePath === "" ? "the arguments" : instancePath} ${message ?? "are not valid"}${extra}${values}`;
    });
    return `The arguments do not match the tool's parameters: ${reasons.join("; ")}.`;
  };
}

/** Whether a value has more parts than errors are collected for. Looks at no more of them than that. */
function isLarge(value: unknown): boolean {
  const waiting = [value];
  let seen = 0;
  for (let next = waiting.pop(); next !== undefined || waiting.length > 0; next = waiting.pop()) {
    if (++seen > MAX_VALUES) return true;
    if (typeof next !== "object" || next === null) continue;
    const parts: readonly unknown[] = Array.isArray(next) ? next : Object.values(next);
    if (seen + waiting.length + parts.length > MAX_VALUES) return true;
    waiting.push(...parts);
  }
  return false;
}
