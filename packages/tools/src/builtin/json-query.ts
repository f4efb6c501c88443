import { deeperThan } from "@maru/domain";
import {
  type FilterFunction,
  FunctionExpressionType,
  JSONPathEnvironment,
  JSONPathError,
  type JSONValue,
  Nothing,
} from "json-p3";
import type { RE2JS } from "re2js";
import { type Builtin, Refusal } from "./builtin.ts";
import { checkWork, compileLinear } from "./linear-regex.ts";

const MAX_JSON = 200_000;
const MAX_DEPTH = 64;
const MAX_QUERY = 512;
const MAX_RESULTS = 1_000;
const MAX_OUTPUT = 400_000;
/** What one query may cost, some 0.2 s: `$..*..*..*` reads far more than there is. */
const MAX_COST = 8_000_000;
/** Compiling a pattern may take 0.1 s, and a document may hold another one for every value. */
const COST_OF_PATTERN_CHARACTER = 20_000;

export const jsonQuery: Builtin = {
  description:
    "Selects values from JSON by a JSONPath query (RFC 9535). It selects only: it doesn't sort, sum or rename. " +
    "Filters know == != < <= > >= && || ! and the functions length, count, value, match, search. " +
    "Examples: $.items[*].name, $..price, $.items[?@.price < 1000 && search(@.name, 'tea')], $.items[-1], $.a['a b']",
  parameters: {
    type: "object",
    properties: {
      json: {
        type: ["object", "array", "string"],
        description: "The JSON itself, or its text",
        maxLength: MAX_JSON,
      },
      query: { type: "string", description: "Begins with $", minLength: 1, maxLength: MAX_QUERY },
      result: {
        type: "string",
        enum: ["values", "paths", "count"],
        description: "What of the selected values to give back; default values",
      },
    },
    required: ["json", "query"],
    additionalProperties: false,
  },
  run({ json, query, result = "values" }) {
    const text = String(query);
    const document = read(json);
    const budget = createBudget(MAX_COST);
    const { watched, original } = watch(document, text.length, budget);
    const selected: unknown[] = [];
    let count = 0;
    let size = 0;
    for (const node of evaluate(text, watched, budget)) {
      count++;
      if (result === "count" || selected.length === MAX_RESULTS || size > MAX_OUTPUT) continue;
      const item = result === "paths" ? node.path : original(node.value);
      size += JSON.stringify(item).length;
      if (size <= MAX_OUTPUT) selected.push(item);
    }
    return JSON.stringify({
      count,
      ...(result === "count" ? {} : { [String(result)]: selected }),
      ...(result === "count" || selected.length === count ? {} : { cut: `only the first ${selected.length}` }),
    });
  },
};

function read(json: unknown): JSONValue {
  let value = json;
  if (typeof json === "string") {
    if (json.length > MAX_JSON) throw new Refusal(TOO_LARGE);
    try {
      value = JSON.parse(json);
    } catch (error) {
      throw new Refusal(`The text is not JSON: ${error instanceof Error ? error.message : ""}.`);
    }
  }
  if (deeperThan(value, MAX_DEPTH)) throw new Refusal(`The JSON is nested deeper than ${MAX_DEPTH} levels.`);
  if (typeof json !== "string" && JSON.stringify(json).length > MAX_JSON) throw new Refusal(TOO_LARGE);
  return value as JSONValue;
}
const TOO_LARGE = `The JSON may have ${MAX_JSON} characters.`;

interface Budget {
  spend(cost: number): void;
}

function createBudget(cost: number): Budget {
  let left = cost;
  return {
    spend(spent) {
      left -= spent;
      if (left < 0)
        throw new Refusal("The query takes too long: use fewer .. and *, shorter patterns, or a part of the JSON.");
    },
  };
}

/**
 * A view of a document that charges for what is read of it: the library has no bound of its own on the work of a query. A
 * read leads to at most one look at each part of the query, which are far cheaper, and the path of what is read is copied.
 */
function watch(document: JSONValue, queryLength: number, { spend }: Budget) {
  const originals = new WeakMap<object, object>();
  const view = (value: unknown, depth: number): unknown => {
    const cost = 16 + queryLength / 4 + depth;
    if (typeof value === "string") spend((cost * value.length) / 64);
    if (typeof value !== "object" || value === null) return value;
    const watched = new Proxy(value, {
      get(target, key) {
        spend(cost);
        return view(Reflect.get(target, key), depth + 1);
      },
      getOwnPropertyDescriptor(target, key) {
        spend(cost);
        return Reflect.getOwnPropertyDescriptor(target, key);
      },
      ownKeys(target) {
        const keys = Reflect.ownKeys(target);
        spend(cost * keys.length);
        return keys;
      },
    });
    originals.set(watched, value);
    return watched;
  };
  return {
    watched: view(document, 1) as JSONValue,
    original: (value: JSONValue): unknown =>
      typeof value === "object" && value !== null ? (originals.get(value) ?? value) : value,
  };
}

function* evaluate(query: string, document: JSONValue, budget: Budget) {
  const environment = new JSONPathEnvironment({ maxRecursionDepth: MAX_DEPTH + 2 });
  const patterns = new Map<string, RE2JS>();
  const compiled = (source: string, whole: boolean): RE2JS => {
    const pattern = whole ? `^(?:${dotted(source)})$` : dotted(source);
    const known = patterns.get(pattern) ?? compileLinear(pattern);
    if (!patterns.has(pattern)) budget.spend(pattern.length * COST_OF_PATTERN_CHARACTER);
    patterns.set(pattern, known);
    return known;
  };
  const matching = (whole: boolean): FilterFunction => ({
    argTypes: [FunctionExpressionType.ValueType, FunctionExpressionType.ValueType],
    returnType: FunctionExpressionType.LogicalType,
    call(text: unknown, source: unknown) {
      if (typeof text !== "string" || typeof source !== "string") return false;
      const pattern = compiled(source, whole);
      checkWork(pattern, text);
      budget.spend(text.length * pattern.programSize());
      return pattern.matcher(text).find();
    },
  });
  environment.functionRegister.set("match", matching(true));
  environment.functionRegister.set("search", matching(false));
  environment.functionRegister.set("length", LENGTH);
  environment.functionRegister.delete("has");
  try {
    yield* environment.lazyQuery(query, document);
  } catch (error) {
    if (error instanceof JSONPathError) throw new Refusal(`The query is not valid: ${error.message}.`);
    throw error;
  }
}

/** A dot of an I-Regexp (RFC 9485) matches no carriage return either. */
function dotted(pattern: string): string {
  let within = false;
  return pattern.replace(/\\.|[[\].]/gs, (part) => {
    if (part === "[") within = true;
    else if (part === "]") within = false;
    return part === "." && !within ? "[^\\n\\r]" : part;
  });
}

/** Of a text the number of characters, not of UTF-16 units (RFC 9535, 2.4.4). */
const LENGTH: FilterFunction = {
  argTypes: [FunctionExpressionType.ValueType],
  returnType: FunctionExpressionType.ValueType,
  call(value: unknown) {
    if (typeof value === "string") return [...value].length;
    if (Array.isArray(value)) return value.length;
    return typeof value === "object" && value !== null ? Object.keys(value).length : Nothing;
  },
};
