import type { JsonSchema, ProblemDetail } from "@maru/contract";
import { judgePattern } from "./pattern.ts";

/**
 * Which schemas tools may have. A schema is code that others write and our event loop runs: fourteen nested anyOf, one
 * bad pattern or a schema that refers to itself holds a process for ten seconds and more. So a bounded dialect of JSON
 * Schema 2020-12 is admitted, and everything else is refused with its place.
 */
const DIALECT = "https://json-schema.org/draft/2020-12/schema";
const MAX_BYTES = 32_768;
const MAX_DEPTH = 8;
const MAX_NODES = 300;
const MAX_ENUM = 500;
const MAX_BRANCHES = 4;
const MAX_UNION_DEPTH = 2;

const FORMATS = new Set(["date", "time", "date-time", "email", "uri", "uuid", "ipv4", "ipv6", "hostname"]);
const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);
const PLAIN = new Set([
  "title",
  "description",
  "default",
  "examples",
  "const",
  "minimum",
  "maximum",
  "exclusiveMinimum",
  "exclusiveMaximum",
  "multipleOf",
  "minLength",
  "maxLength",
  "minItems",
  "maxItems",
  "uniqueItems",
  "minProperties",
  "maxProperties",
  "required",
  "deprecated",
  "readOnly",
  "writeOnly",
  "$comment",
]);

export function schemaProblems(schema: JsonSchema, pointer: string): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  const report = (place: string, detail: string) => {
    // A definition is walked wherever it is used, and would be reported as often.
    if (errors.some((known) => known.pointer === place && known.detail === detail)) return;
    if (errors.length < 20) errors.push({ pointer: place, code: "tool_schema_invalid", detail });
  };
  if (Buffer.byteLength(JSON.stringify(schema)) > MAX_BYTES) {
    report(pointer, `A schema may have ${MAX_BYTES} bytes.`);
    return errors;
  }
  // Of a word that is no type at all it is said below.
  if (schema.type !== "object" && !(typeof schema.type === "string" && !TYPES.has(schema.type)))
    report(`${pointer}/type`, "The root of the schema must be an object: write type: object.");
  let nodes = 0;
  let enums = 0;

  const definitions = (schema.$defs ?? {}) as Record<string, unknown>;

  /** Walks what a reference stands for, in its place: bounds hold for the schema written out. */
  const follow = (ref: unknown, place: string, depth: number, unions: number, within: readonly string[]): void => {
    const name = typeof ref === "string" ? /^#\/\$defs\/([A-Za-z0-9._-]{1,64})$/.exec(ref)?.[1] : undefined;
    if (name === undefined) return void report(place, "A reference must have the form #/$defs/name.");
    if (!Object.hasOwn(definitions, name)) return void report(place, `There is no ${name} in $defs.`);
    if (within.includes(name)) return void report(place, `${name} refers to itself: a schema must be finite.`);
    walk(definitions[name], `${pointer}/$defs/${name}`, depth, unions, [...within, name]);
  };

  const walk = (node: unknown, place: string, depth: number, unions: number, within: readonly string[]): void => {
    if (typeof node !== "object" || node === null || Array.isArray(node))
      return void report(place, "A schema must be an object here.");
    if (++nodes > MAX_NODES) {
      if (nodes === MAX_NODES + 1) report(place, `A schema may have ${MAX_NODES} parts.`);
      return;
    }
    if (depth > MAX_DEPTH) return void report(place, `A schema may be nested ${MAX_DEPTH} levels deep.`);
    for (const [keyword, value] of Object.entries(node)) {
      const here = `${place}/${keyword.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      const children = (group: unknown) => {
        if (typeof group !== "object" || group === null || Array.isArray(group))
          return void report(here, "Must be an object of schemas.");
        for (const [name, child] of Object.entries(group)) {
          if (name === "__proto__") report(here, "The name __proto__ is not allowed.");
          walk(child, `${here}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, depth + 1, unions, within);
        }
      };
      if (keyword === "$defs" && node !== schema) report(here, "$defs may only stand at the root.");
      else if (keyword === "properties" || keyword === "$defs") children(value);
      else if (keyword === "items") walk(value, here, depth + 1, unions, within);
      else if (keyword === "additionalProperties") {
        if (typeof value !== "boolean") walk(value, here, depth + 1, unions, within);
      } else if (keyword === "anyOf" || keyword === "oneOf") {
        if (!Array.isArray(value) || value.length === 0 || value.length > MAX_BRANCHES)
          report(here, `Must have 1 to ${MAX_BRANCHES} schemas.`);
        else if (unions >= MAX_UNION_DEPTH) report(here, `anyOf and oneOf may be nested ${MAX_UNION_DEPTH} deep.`);
        else
          for (const [index, child] of value.entries()) walk(child, `${here}/${index}`, depth + 1, unions + 1, within);
      } else if (keyword === "type") {
        const types = Array.isArray(value) ? value : [value];
        if (types.length === 0 || !isListOfNames(types) || !types.every((type) => TYPES.has(type)))
          report(here, `Must be one of ${[...TYPES].join(", ")}, or a list of different ones.`);
      } else if (keyword === "enum") {
        if (!Array.isArray(value) || value.length === 0) report(here, "Must be a list of values.");
        else {
          enums += value.length;
          if (enums > MAX_ENUM) report(here, `A schema may list ${MAX_ENUM} values.`);
        }
      } else if (keyword === "pattern") {
        const verdict = typeof value === "string" ? judgePattern(value) : { ok: false, detail: "Must be text." };
        if (!verdict.ok) report(here, (verdict as { detail: string }).detail);
      } else if (keyword === "format") {
        if (typeof value !== "string" || !FORMATS.has(value))
          report(here, `Must be one of ${[...FORMATS].join(", ")}.`);
      } else if (keyword === "$ref") follow(value, here, depth, unions, within);
      else if (keyword === "$schema" && node === schema) {
        if (value !== DIALECT) report(here, `Must be ${DIALECT}.`);
      } else if (!PLAIN.has(keyword)) report(here, `The keyword ${keyword} is not supported.`);
      else {
        const wrong = plainProblem(keyword, value);
        if (wrong !== null) report(here, wrong);
        // Ajv finds equal scalars by a table, but compares everything else pair by pair.
        else if (keyword === "uniqueItems" && value === true && !hasScalarItems(node))
          report(here, "Needs items with one scalar type.");
      }
    }
  };
  walk(schema, pointer, 0, 0, []);
  return errors;
}

function hasScalarItems(node: object): boolean {
  const { items } = node as { items?: { type?: unknown } | null };
  return typeof items?.type === "string" && items.type !== "object" && items.type !== "array";
}

const isListOfNames = (value: unknown): value is string[] =>
  Array.isArray(value) && value.every((name) => typeof name === "string") && new Set(value).size === value.length;

function plainProblem(keyword: string, value: unknown): string | null {
  if (keyword === "required") return isListOfNames(value) ? null : "Must be a list of different names.";
  if (/^(?:min|max)(?:Length|Items|Properties)$/.test(keyword))
    return Number.isInteger(value) && (value as number) >= 0 ? null : "Must be a whole number from 0.";
  if (/inimum|aximum|multipleOf/.test(keyword))
    return typeof value === "number" && (keyword !== "multipleOf" || value > 0) ? null : "Must be a number.";
  if (keyword === "examples") return Array.isArray(value) ? null : "Must be a list.";
  if (["uniqueItems", "deprecated", "readOnly", "writeOnly"].includes(keyword))
    return typeof value === "boolean" ? null : "Must be true or false.";
  if (["title", "description", "$comment"].includes(keyword)) return typeof value === "string" ? null : "Must be text.";
  return null;
}
