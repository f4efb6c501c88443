import { AgentManifest, DURATION_PATTERN, NAME_PATTERN, type ProblemDetail, SIZE_PATTERN } from "@maru/contract";
import type { ErrorObject } from "ajv/dist/2020.js";
import { closest, distance } from "fastest-levenshtein";
import { escapePointer } from "../canonical.ts";

interface Schema {
  readonly type?: string | readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly description?: string;
  readonly pattern?: string;
  readonly minimum?: number;
  readonly exclusiveMinimum?: number;
  readonly maximum?: number;
}

/** The nearest of some names, when it is near enough to have been meant. */
export function near(name: string, known: readonly string[]): string | undefined {
  if (known.length === 0) return undefined;
  const written = name.toLowerCase();
  const lower = known.map((item) => item.toLowerCase());
  const found = closest(written, lower);
  const within = lower.find((item) => item.length >= 4 && written.includes(item));
  const letters = (word: string) => [...word].sort().join("");
  const isNear =
    distance(written, found) <= Math.max(1, Math.floor(Math.min(written.length, found.length) / 2)) ||
    letters(written) === letters(found);
  return isNear || within !== undefined ? known[lower.indexOf(isNear ? found : (within as string))] : undefined;
}

/** `Must be a list, not a text.` */
export const notA = (what: string, found: unknown): string =>
  found === null ? `Must be ${what}, and nothing is there.` : `Must be ${what}, not ${kindOf(found)}.`;

/** One thing a validator has against a manifest, so that it can be put right. `prefix` is where the validated value stands. */
export function inWords(error: ErrorObject, prefix: string): ProblemDetail {
  const pointer = `${prefix}${error.instancePath}`;
  const schema = (error.parentSchema ?? {}) as Schema;
  if (error.keyword === "additionalProperties")
    return unknownField(pointer, String((error.params as { additionalProperty: string }).additionalProperty), schema);
  if (error.keyword === "required")
    return missingField(pointer, String((error.params as { missingProperty: string }).missingProperty), schema);
  return { pointer, code: codeOf(pointer, error), ...valueError(error, schema) };
}

function unknownField(pointer: string, name: string, { properties = {} }: Schema): ProblemDetail {
  const known = Object.keys(properties);
  const place = `${pointer}/${escapePointer(name)}`;
  const home = place.startsWith("/spec/tools/") ? undefined : HOMES.get(name);
  if (home !== undefined)
    return {
      pointer: place,
      code: "unknown_field",
      detail: `This field is not known here: it belongs in ${home}.`,
      suggestion: `${home}.${name}`,
    };
  const suggestion = near(name, known);
  return {
    pointer: place,
    code: "unknown_field",
    detail: `This field is not known here; known are ${known.join(", ")}.`,
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function missingField(pointer: string, name: string, { properties = {} }: Schema): ProblemDetail {
  const place = `${pointer}/${escapePointer(name)}`;
  if (place === "/apiVersion")
    return { pointer: place, code: "unsupported_version", detail: "apiVersion is missing: write maru/v1." };
  const field = properties[name];
  const meaning = field?.const === undefined ? field?.description : `write ${field.const}`;
  return {
    pointer: place,
    code: "validation_failed",
    detail: `This field is required${meaning === undefined ? "" : `: ${lowerFirst(meaning)}`}.`,
  };
}

function codeOf(pointer: string, { keyword }: ErrorObject): ProblemDetail["code"] {
  if (pointer === "/apiVersion") return "unsupported_version";
  if (/^\/(?:metadata|deploy)\/name$/.test(pointer)) return "invalid_name";
  if (/^\/spec\/tools\/\d+\/name$/.test(pointer) && keyword === "pattern") return "invalid_name";
  if (/^\/spec\/(?:limits|memory)\//.test(pointer)) return "limit_out_of_range";
  return "validation_failed";
}

function valueError(error: ErrorObject, schema: Schema): Pick<ProblemDetail, "detail" | "suggestion"> {
  const { data } = error;
  const { limit } = error.params as { limit?: number };
  switch (error.keyword) {
    case "type":
      return wrongType(schema, data);
    case "anyOf":
      return {
        detail: notA(anyOf((schema.anyOf ?? []).flatMap(names)), data),
        ...meant(data, (schema.anyOf ?? []).flatMap(values)),
      };
    case "enum":
      return { detail: `Must be one of ${values(schema).join(", ")}.`, ...meant(data, values(schema)) };
    case "const":
      return { detail: `Must be ${schema.const}.`, suggestion: String(schema.const) };
    case "minimum":
    case "maximum":
    case "exclusiveMinimum":
      return { detail: `Must be ${numberOf(schema)}.` };
    case "pattern":
      return pattern(schema, String(data));
    case "minLength":
      return { detail: limit === 1 ? "Must not be empty." : `Must have at least ${limit} characters.` };
    case "maxLength":
      return { detail: `May have at most ${limit} characters, and has ${[...String(data)].length}.` };
    case "maxItems":
      return { detail: `May have at most ${limit} items, and has ${(data as unknown[]).length}.` };
    case "minItems":
      return { detail: limit === 1 ? "Must have an item." : `Must have at least ${limit} items.` };
    case "minProperties":
      return { detail: `Must have one of ${Object.keys(schema.properties ?? {}).join(", ") || "some fields"}.` };
    case "maxProperties":
      return { detail: `May have at most ${limit} entries, and has ${Object.keys(data as object).length}.` };
    default:
      return { detail: `This value ${error.message ?? "is not valid"}.` };
  }
}

function wrongType(schema: Schema, data: unknown): Pick<ProblemDetail, "detail" | "suggestion"> {
  const detail = notA(named(schema), data);
  const advised = (advice: string, suggestion?: string) => ({
    detail: `${detail.slice(0, -1)}: ${advice}.`,
    ...(suggestion === undefined ? {} : { suggestion }),
  });
  const wanted = schema.type;
  if (wanted === "boolean" && typeof data === "string" && /^(?:y|yes|on|n|no|off|true|false)$/i.test(data))
    return { detail, suggestion: /^(?:y|yes|on|true)$/i.test(data) ? "true" : "false" };
  if ((wanted === "integer" || wanted === "number") && typeof data === "string" && /^-?\d+(?:\.\d+)?$/.test(data))
    return advised("take the quotes away", data);
  if (schema.pattern === DURATION_PATTERN || schema.pattern === SIZE_PATTERN)
    return typeof data === "number" ? advised("it needs a unit") : { detail };
  if (wanted === "string" && (typeof data === "number" || typeof data === "boolean"))
    return advised("put it in quotes", JSON.stringify(String(data)));
  if (wanted === "array" && data !== null) return advised("begin each item with `- `");
  return { detail };
}

const names = (schema: Schema): string[] => (schema.enum === undefined ? [named(schema)] : values(schema));

/** What a schema wants, as one says it: `a whole number from 1 to 200`. */
function named(schema: Schema): string {
  if (schema.enum !== undefined) return anyOf(values(schema));
  if (schema.const !== undefined) return String(schema.const);
  if (Array.isArray(schema.type)) return anyOf(schema.type.map((type: string) => named({ type })));
  switch (schema.type) {
    case "string":
      return schema.pattern === DURATION_PATTERN ? DURATION : schema.pattern === SIZE_PATTERN ? SIZE : "a text";
    case "integer":
    case "number":
      return numberOf(schema);
    case "boolean":
      return "true or false";
    case "array":
      return "a list";
    default: {
      const fields = Object.keys(schema.properties ?? {});
      return fields.length === 0 ? "a map" : `a map with ${fields.join(", ")}`;
    }
  }
}

const DURATION = "a length of time like 500ms, 10s, 10m, 1h or 7d";
const SIZE = "a size like 64KiB or 1MiB";

function numberOf({ type, minimum, exclusiveMinimum, maximum }: Schema): string {
  const what = type === "integer" ? "a whole number" : "a number";
  if (exclusiveMinimum !== undefined)
    return `${what} above ${exclusiveMinimum}${maximum === undefined ? "" : `, at most ${maximum}`}`;
  if (minimum !== undefined && maximum !== undefined) return `${what} from ${minimum} to ${maximum}`;
  return minimum === undefined ? what : `${what} of at least ${minimum}`;
}

function pattern(schema: Schema, found: string): Pick<ProblemDetail, "detail" | "suggestion"> {
  if (schema.pattern === NAME_PATTERN) {
    const name = found
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, "-")
      .replace(/^-+|-+$/g, "")
      .slice(0, 63)
      .replace(/-$/, "");
    return {
      detail: "A name has 1 to 63 lower-case letters, digits and hyphens, and begins and ends with a letter or digit.",
      ...(name === "" ? {} : { suggestion: name }),
    };
  }
  if (schema.pattern === DURATION_PATTERN) return { detail: `Must be ${DURATION}.`, ...asDuration(found) };
  if (schema.pattern === SIZE_PATTERN) return { detail: `Must be ${SIZE}.`, ...asSize(found) };
  const length = /^\^\[A-Za-z0-9_-\]\{1,(\d+)\}\$$/.exec(schema.pattern ?? "")?.[1];
  if (length !== undefined) {
    const name = found.replace(/[^A-Za-z0-9_-]+/g, "_").slice(0, Number(length));
    return {
      detail: `A tool's name has 1 to ${length} letters, digits, underscores and hyphens.`,
      ...(/[A-Za-z0-9]/.test(name) ? { suggestion: name } : {}),
    };
  }
  return {
    detail: `Does not have the form it must have${schema.description === undefined ? "" : `: ${lowerFirst(schema.description)}`}.`,
  };
}

const UNITS: readonly (readonly [RegExp, string])[] = [
  [/^(?:ms|msecs?|milliseconds?)$/i, "ms"],
  [/^(?:s|secs?|seconds?)$/i, "s"],
  [/^(?:m|mins?|minutes?)$/i, "m"],
  [/^(?:h|hrs?|hours?)$/i, "h"],
  [/^(?:d|days?)$/i, "d"],
];
function asDuration(found: string): { suggestion?: string } {
  const [, number, unit = ""] = /^\s*(\d+(?:\.\d+)?)\s*([a-z]+)\s*$/i.exec(found) ?? [];
  const known = UNITS.find(([words]) => words.test(unit))?.[1];
  return number === undefined || known === undefined ? {} : { suggestion: `${number}${known}` };
}

function asSize(found: string): { suggestion?: string } {
  const [, number, prefix, binary] = /^\s*(\d+(?:\.\d+)?)\s*([km])(i?)b?\s*$/i.exec(found) ?? [];
  if (number === undefined || prefix === undefined) return {};
  const big = prefix.toUpperCase();
  return { suggestion: `${number}${big}${binary === "" && /b\s*$/i.test(found) ? "B" : "iB"}` };
}

const values = (schema: Schema): string[] => (schema.enum ?? []).map(String);
const meant = (data: unknown, known: readonly string[]): { suggestion?: string } => {
  const suggestion = typeof data === "string" ? near(data, known) : undefined;
  return suggestion === undefined ? {} : { suggestion };
};
const anyOf = (words: readonly string[]): string =>
  words.length < 2 ? words.join("") : `${words.slice(0, -1).join(", ")} or ${words.at(-1)}`;
const lowerFirst = (text: string): string =>
  /^[A-Z][a-z]/.test(text) ? `${text.charAt(0).toLowerCase()}${text.slice(1)}` : text;

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  switch (typeof value) {
    case "string":
      return "a text";
    case "number":
      return Number.isInteger(value) ? "a number" : String(value);
    case "boolean":
      return `${value}`;
    default:
      return "a map";
  }
}

/** By the name of a field that only one place of a manifest has: that place. */
const HOMES: ReadonlyMap<string, string> = (() => {
  const found = new Map<string, string | null>();
  const walk = ({ properties = {} }: Schema, path: readonly string[]) => {
    for (const [name, schema] of Object.entries(properties)) {
      found.set(name, found.has(name) || path.length === 0 ? null : path.join("."));
      walk(schema, [...path, name]);
    }
  };
  walk(AgentManifest as Schema, []);
  return new Map([...found].filter((entry): entry is [string, string] => entry[1] !== null));
})();
