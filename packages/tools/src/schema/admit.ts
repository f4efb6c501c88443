import type { JsonSchema, ProblemDetail } from "@maru/contract";

/**
 * Which schemas tools may have. A schema is code that others write and our event loop runs: fourteen nested anyOf, one
 * bad pattern or a schema that refers to itself hold a process for ten seconds and more. So a bounded dialect of JSON
 * Schema 2020-12 is admitted, and everything else is refused with its place.
 */
const MAX_BYTES = 32_768;
const MAX_DEPTH = 8;
const MAX_NODES = 300;
const MAX_ENUM = 500;
const MAX_BRANCHES = 4;
const MAX_UNION_DEPTH = 2;
const MAX_PATTERN = 256;

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
    if (errors.length < 20) errors.push({ pointer: place, code: "tool_schema_invalid", detail });
  };
  if (JSON.stringify(schema).length > MAX_BYTES) {
    report(pointer, `A tool's parameters may have ${MAX_BYTES} bytes.`);
    return errors;
  }
  if (schema.type !== "object")
    report(`${pointer}/type`, "The parameters of a tool are an object: write type: object.");
  let nodes = 0;
  let enums = 0;

  const walk = (node: unknown, place: string, depth: number, unions: number): void => {
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
        for (const [name, child] of Object.entries(group))
          walk(child, `${here}/${name.replaceAll("~", "~0").replaceAll("/", "~1")}`, depth + 1, unions);
      };
      if (keyword === "properties" || keyword === "$defs") children(value);
      else if (keyword === "items") walk(value, here, depth + 1, unions);
      else if (keyword === "additionalProperties") {
        if (typeof value !== "boolean") walk(value, here, depth + 1, unions);
      } else if (keyword === "anyOf" || keyword === "oneOf") {
        if (!Array.isArray(value) || value.length === 0 || value.length > MAX_BRANCHES)
          report(here, `Must have 1 to ${MAX_BRANCHES} schemas.`);
        else if (unions >= MAX_UNION_DEPTH) report(here, `anyOf and oneOf may be nested ${MAX_UNION_DEPTH} deep.`);
        else for (const [index, child] of value.entries()) walk(child, `${here}/${index}`, depth + 1, unions + 1);
      } else if (keyword === "type") {
        const types = Array.isArray(value) ? value : [value];
        if (types.length === 0 || !types.every((type) => typeof type === "string" && TYPES.has(type)))
          report(here, `Must be one of ${[...TYPES].join(", ")}.`);
      } else if (keyword === "enum") {
        if (!Array.isArray(value) || value.length === 0) report(here, "Must be a list of values.");
        else {
          enums += value.length;
          if (enums > MAX_ENUM) report(here, `A schema may list ${MAX_ENUM} values.`);
        }
      } else if (keyword === "pattern") {
        const wrong = patternProblem(value);
        if (wrong !== null) report(here, wrong);
      } else if (keyword === "format") {
        if (typeof value !== "string" || !FORMATS.has(value))
          report(here, `Must be one of ${[...FORMATS].join(", ")}.`);
      } else if (keyword === "$ref") report(here, "References are not supported: write the schema out.");
      else if (!PLAIN.has(keyword)) report(here, `The keyword ${keyword} is not supported.`);
      else {
        const wrong = plainProblem(keyword, value);
        if (wrong !== null) report(here, wrong);
      }
    }
  };
  walk(schema, pointer, 0, 0);
  return errors;
}

function plainProblem(keyword: string, value: unknown): string | null {
  if (keyword === "required")
    return Array.isArray(value) && value.every((name) => typeof name === "string") ? null : "Must be a list of names.";
  if (/^(?:min|max)(?:Length|Items|Properties)$/.test(keyword))
    return Number.isInteger(value) && (value as number) >= 0 ? null : "Must be a whole number from 0.";
  if (/inimum|aximum|multipleOf/.test(keyword))
    return typeof value === "number" && (keyword !== "multipleOf" || value > 0) ? null : "Must be a number.";
  if (keyword === "uniqueItems") return typeof value === "boolean" ? null : "Must be true or false.";
  if (keyword === "title" || keyword === "description") return typeof value === "string" ? null : "Must be text.";
  return null;
}

/**
 * JavaScript's patterns backtrack, so one that can take exponential time is refused: no lookaround, no back-references,
 * and nothing repeated that repeats or branches inside.
 */
function patternProblem(value: unknown): string | null {
  if (typeof value !== "string") return "Must be text.";
  if (value.length > MAX_PATTERN) return `A pattern may have ${MAX_PATTERN} characters.`;
  try {
    new RegExp(value, "u");
  } catch {
    return "Is not a regular expression.";
  }
  if (/\(\?[=!<]/.test(value)) return "Lookaround and named groups are not supported.";
  if (/\\[1-9k]/.test(value)) return "Back-references are not supported.";
  return repeatsInside(value)
    ? "A repeated group must not repeat or branch inside: its matching time could explode."
    : null;
}

function repeatsInside(pattern: string): boolean {
  const source = pattern.replace(/\\./g, "x").replace(/\[[^\]]*\]/g, "x");
  const open: { variable: boolean }[] = [];
  for (let index = 0; index < source.length; index++) {
    const char = source[index];
    if (char === "(") open.push({ variable: false });
    else if (char === ")") {
      const group = open.pop();
      const repeated = /[*+{?]/.test(source[index + 1] ?? "") && source[index + 1] !== "?";
      if (group?.variable && repeated) return true;
      const outer = open.at(-1);
      if (outer !== undefined && (group?.variable || repeated)) outer.variable = true;
    } else if ((char === "*" || char === "+" || char === "{" || char === "|") && open.length > 0) {
      (open.at(-1) as { variable: boolean }).variable = true;
    }
  }
  return false;
}
