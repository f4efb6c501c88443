import type { JsonSchema } from "@maru/contract";
import { deeperThan } from "@maru/domain";
import { schemaProblems } from "../schema/admit.ts";
import { plainText } from "./definition.ts";

/** Each round takes out up to twenty things that can't be admitted. */
const ROUNDS = 64;
/** Far more than an admitted schema has, and little enough to walk. */
const MAX_BYTES = 262_144;
const MAX_DEPTH = 64;
const MAX_DESCRIPTION = 1_024;

export interface Simplified {
  readonly schema: JsonSchema;
  /** What was left out, as pointers into the server's schema. */
  readonly dropped: readonly string[];
}

/**
 * A server's schema as one that may be run here (schema/admit.ts). What is not admitted is left out, which only loosens it: the
 * server judges its arguments itself. Null when what is left would not be a schema of arguments any more.
 */
export function simplified(schema: JsonSchema): Simplified | null {
  if (deeperThan(schema, MAX_DEPTH)) return null;
  const text = JSON.stringify(schema);
  // NUL and halves of characters, which a database does not take.
  if (Buffer.byteLength(text) > MAX_BYTES || /\\u0000|\\ud[89a-f]/.test(text)) return null;
  const copy = JSON.parse(text.replaceAll('"#/definitions/', '"#/$defs/')) as Record<string, unknown>;
  // Draft 7 says so in every schema that generators make; it changes nothing about the keywords admitted here.
  delete copy.$schema;
  if (copy.definitions !== undefined) {
    copy.$defs ??= copy.definitions;
    delete copy.definitions;
  }
  eachSchema(copy, (node) => {
    booleansReplaced(node);
    for (const field of ["title", "description"])
      if (typeof node[field] === "string") node[field] = plainText(node[field], MAX_DESCRIPTION);
  });
  const dropped: string[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const problems = schemaProblems(copy, "");
    if (problems.length === 0) {
      // What nothing refers to any more would only cost tokens.
      if (!JSON.stringify(copy).includes('"$ref"')) delete copy.$defs;
      // What was told apart by something that was left out would fit twice, and be refused.
      if (dropped.length > 0) eachSchema(copy, (node) => renamed(node, "oneOf", "anyOf"));
      return { schema: copy, dropped };
    }
    let progress = false;
    for (const { pointer } of problems) {
      const gone = leaveOut(copy, pointer);
      if (gone === null) continue;
      progress = true;
      if (!dropped.includes(gone)) dropped.push(gone);
    }
    if (!progress) return null;
  }
  return null;
}

/** Keywords that must go when another does, or what it described would be refused. */
const TOGETHER: Readonly<Record<string, readonly string[]>> = {
  properties: ["required", "additionalProperties"],
  patternProperties: ["additionalProperties"],
};
/** Under these, keys are names and not keywords. */
const MAPS = new Set(["properties", "$defs"]);
/** Values, in which nothing is a schema. */
const VALUES = new Set(["const", "default", "enum", "examples", "required"]);

/**
 * Takes the keyword out that a pointer names, or the innermost one it is part of. Answers its pointer; null when that would be
 * the whole schema, or it is gone already.
 */
function leaveOut(schema: Record<string, unknown>, pointer: string): string | null {
  const tokens = pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
  const trail: Record<string, unknown>[] = [schema];
  for (const token of tokens.slice(0, -1)) {
    const next = trail.at(-1)?.[token];
    if (typeof next !== "object" || next === null) return null;
    trail.push(next as Record<string, unknown>);
  }
  for (let depth = tokens.length - 1; depth >= 0; depth--) {
    const keyword = tokens[depth] as string;
    const holder = trail[depth] as Record<string, unknown>;
    if (isName(tokens, depth) || Array.isArray(holder)) continue;
    if (!Object.hasOwn(holder, keyword)) return null;
    if (depth === 0 && (keyword === "type" || keyword === "properties")) return null;
    for (const key of [keyword, ...(TOGETHER[keyword] ?? [])]) delete holder[key];
    return `/${tokens.slice(0, depth + 1).join("/")}`;
  }
  return null;
}

/** Whether a token is the name of a property or definition, and no keyword. */
function isName(tokens: readonly string[], depth: number): boolean {
  let name = false;
  for (let index = 0; index < depth; index++) name = !name && MAPS.has(tokens[index] as string);
  return name;
}

/** Visits a schema and those in it. */
function eachSchema(node: unknown, visit: (schema: Record<string, unknown>) => void): void {
  if (typeof node !== "object" || node === null) return;
  if (!Array.isArray(node)) visit(node as Record<string, unknown>);
  for (const [key, value] of Object.entries(node)) {
    if (VALUES.has(key)) continue;
    if (!MAPS.has(key) || typeof value !== "object" || value === null) eachSchema(value, visit);
    else for (const child of Object.values(value)) eachSchema(child, visit);
  }
}

/** `true` is the schema that says nothing, and so is `false` here: the server says no itself. */
function booleansReplaced(schema: Record<string, unknown>): void {
  if (typeof schema.items === "boolean") schema.items = {};
  for (const map of MAPS) {
    const children = schema[map];
    if (typeof children !== "object" || children === null) continue;
    for (const [name, child] of Object.entries(children))
      if (typeof child === "boolean") (children as Record<string, unknown>)[name] = {};
  }
}

function renamed(schema: Record<string, unknown>, from: string, to: string): void {
  if (schema[from] === undefined) return;
  schema[to] ??= schema[from];
  delete schema[from];
}
