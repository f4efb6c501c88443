import { schemaProblems } from "../schema/admit.ts";
import { judgePattern } from "../schema/pattern.ts";
import { cut, isObject, type Json, listOf, type OpenApi, Unmakeable } from "./document.ts";
import { flatten, TooLarge, type Walk } from "./flatten.ts";

/**
 * Documents' schemas in the bounded dialect tools may have (schema/admit.ts). References are written out, what the dialect does
 * not know is left out, what is too deep is cut. Every change makes a schema looser and never stricter: what the API accepts must
 * not be refused here, and what it does not accept it refuses itself.
 */
export interface ArgumentPart {
  readonly name: string;
  readonly schema: unknown;
  readonly description?: string;
  readonly required: boolean;
  /** A model can't write files: such fields are left out, and where one is required nothing can be made of the operation. */
  readonly withoutFiles?: true;
}

type Schema = Record<string, unknown>;

/** Tried in turn until the whole is small enough; with 0 nothing but the names is left. */
const DEPTHS = [8, 6, 5, 4, 3, 2, 1, 0];
const MAX_NODES = 290;
const MAX_BRANCHES = 4;
const MAX_UNIONS = 2;
const MAX_ENUM = 400;
const MAX_DESCRIPTION = 500;
const MAX_VALUE_BYTES = 256;
const MAX_NOTES = 5;

const FORMATS = new Set(["date", "time", "date-time", "email", "uri", "uuid", "ipv4", "ipv6", "hostname"]);
const TYPES = new Set(["object", "array", "string", "number", "integer", "boolean", "null"]);
const SCALARS = new Set(["string", "number", "integer", "boolean"]);
/** Keywords that narrow a schema in ways the dialect does not know. */
const UNKNOWN = [
  "not",
  "if",
  "patternProperties",
  "propertyNames",
  "prefixItems",
  "contains",
  "dependentSchemas",
  "dependentRequired",
];
const SIZES = ["minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"];
const RANGES = ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"];

/** @throws TooLarge unless nothing more can be cut: then a schema that is too large by itself is left open. */
function partOf(schema: unknown, name: string, state: State): Schema {
  try {
    return converted(schema, { place: name, depth: 1, unions: 0, references: [] }, state) ?? {};
  } catch (error) {
    if (state.maxDepth > 1 || !(error instanceof TooLarge || error instanceof RangeError)) throw error;
    state.visits = 0;
    state.note(name, "what is too large is left open");
    return {};
  }
}

interface State extends Walk {
  readonly maxDepth: number;
  withoutFiles: boolean;
  nodes: number;
  enums: number;
}
interface Spot {
  readonly place: string;
  readonly depth: number;
  /** Unions this one is within. */
  readonly unions: number;
  /** References it is within. */
  readonly references: readonly string[];
}

/**
 * The schema of a tool's arguments, and what had to be left out of it, in words.
 * @throws Unmakeable
 */
export function argumentSchema(parts: readonly ArgumentPart[], document: OpenApi): { schema: Schema; notes: string[] } {
  for (const maxDepth of DEPTHS) {
    const notes = new Map<string, string>();
    const note = (place: string, what: string) => void notes.set(`${what} ${place}`, `${what} (${place})`);
    const state: State = { document, note, maxDepth, withoutFiles: false, visits: 0, nodes: 1, enums: 0 };
    try {
      const schema = assembled(parts, state);
      if (schemaProblems(schema, "").length === 0) return { schema, notes: told([...notes.values()]) };
    } catch (error) {
      if (!(error instanceof TooLarge || error instanceof RangeError)) throw error;
    }
  }
  throw new Unmakeable("its parameters are more than a tool may have (300 parts, 32 KiB).");
}

const told = (notes: readonly string[]): string[] =>
  notes.length <= MAX_NOTES ? [...notes] : [...notes.slice(0, MAX_NOTES), `${notes.length - MAX_NOTES} more`];

function assembled(parts: readonly ArgumentPart[], state: State): Schema {
  const properties = parts.map(({ name, schema, description, withoutFiles }): [string, Schema] => {
    state.withoutFiles = withoutFiles ?? false;
    if (state.maxDepth === 0) return [name, {}];
    const found = partOf(schema, name, state);
    return [name, description ? { ...found, description: cut(description, MAX_DESCRIPTION) } : found];
  });
  if (state.maxDepth === 0) state.note("all", "what the parameters may be is left out");
  const required = parts.filter((part) => part.required).map(({ name }) => name);
  return {
    type: "object",
    properties: Object.fromEntries(properties),
    ...(required.length === 0 ? {} : { required }),
  };
}

/** A schema in the dialect; null where nothing fits. */
function converted(raw: unknown, spot: Spot, state: State): Schema | null {
  if (++state.nodes > MAX_NODES) throw new TooLarge();
  if (raw === false) return null;
  const { node, references } = flatten(raw, spot.place, spot.references, state);
  const { place, depth } = spot;
  const child = (name: string, value: unknown, unions = spot.unions) =>
    converted(value, { place: `${place}/${name}`, depth: depth + 1, unions, references }, state);
  for (const keyword of UNKNOWN) if (node[keyword] !== undefined) state.note(place, `${keyword} is left out`);

  const result: Schema = scalars(node, place, state);
  const nullable = node.nullable === true && state.document.dialect === "3.0";
  const deep = depth >= state.maxDepth;
  if (deep && ["properties", "items", "anyOf", "oneOf"].some((keyword) => node[keyword] !== undefined))
    state.note(place, `what is below level ${state.maxDepth} is left open`);
  else if (!deep) {
    objectParts(node, result, spot, state, child);
    if (node.items !== undefined && node.prefixItems === undefined) result.items = child("items", node.items) ?? {};
    if (node.uniqueItems === true && SCALARS.has(String((result.items as Schema | undefined)?.type)))
      result.uniqueItems = true;
    unionOf(node, result, spot, state, child);
  }
  return nullable ? orNull(result) : result;
}

type Child = (name: string, value: unknown, unions?: number) => Schema | null;

function objectParts(node: Json, result: Schema, { place }: Spot, state: State, child: Child): void {
  const gone = new Set<string>();
  const properties: [string, Schema][] = [];
  const mustHave = new Set(listOf(node.required).filter((name) => typeof name === "string"));
  for (const [name, written] of Object.entries(isObject(node.properties) ? node.properties : {})) {
    // What only answers have is nothing to send.
    if (name === "__proto__" || (isObject(written) && written.readOnly === true)) gone.add(name);
    else if (state.withoutFiles && isFile(written, place, state)) {
      if (mustHave.has(name)) throw new Unmakeable(`it needs a file (${name}), which a model can't write.`);
      state.note(place, `the file ${name} is left out`);
      gone.add(name);
    } else {
      const schema = child(name, written);
      if (schema === null) gone.add(name);
      else properties.push([name, schema]);
    }
  }
  if (node.properties !== undefined) result.properties = Object.fromEntries(properties);
  const required = [...mustHave].filter((name) => !gone.has(name));
  if (required.length > 0) result.required = required;
  const { additionalProperties: more } = node;
  if (node.patternProperties !== undefined || more === undefined || more === true) return;
  // What was left out here may still be sent by who knows it.
  if (more === false) {
    if (gone.size === 0) result.additionalProperties = false;
  } else if (isObject(more) && Object.keys(more).length > 0) result.additionalProperties = child("*", more) ?? false;
}

function isFile(raw: unknown, place: string, state: State): boolean {
  const { node } = flatten(raw, place, [], state);
  const { node: item } = flatten(node.items, place, [], state);
  return [node, item].some(
    ({ format, contentMediaType, contentEncoding, type }) =>
      format === "binary" ||
      (type === "string" && contentEncoding === undefined && contentMediaType === "application/octet-stream"),
  );
}

/** Adds what `anyOf` or `oneOf` says. `oneOf` becomes `anyOf`: branches that lost something may overlap. */
function unionOf(node: Json, result: Schema, { place, unions }: Spot, state: State, child: Child): void {
  const written = Array.isArray(node.anyOf) ? node.anyOf : node.oneOf;
  if (!Array.isArray(written) || written.length === 0) return;
  if (Array.isArray(node.anyOf) && Array.isArray(node.oneOf)) state.note(place, "oneOf beside anyOf is left out");
  const { nodes } = state;
  const branches = written
    .map((branch, index) => child(String(index), branch, unions + 1))
    .filter((item) => item !== null);
  const one = asOne(branches);
  if (one !== null) {
    state.nodes = nodes;
    // What the one forbids beside its own properties it does not forbid beside others'.
    for (const [keyword, value] of Object.entries(one))
      if (keyword !== "additionalProperties" || result.properties === undefined) result[keyword] ??= value;
  } else if (branches.length <= MAX_BRANCHES && unions < MAX_UNIONS && !branches.some(isAnything))
    result.anyOf = branches;
  else {
    state.nodes = nodes;
    if (!branches.some(isAnything)) state.note(place, `one of ${branches.length} forms is left open`);
    const types = new Set(branches.map(({ type }) => type));
    const [type] = types;
    if (types.size === 1 && typeof type === "string") result.type ??= type;
  }
}

const isAnything = (schema: Schema): boolean =>
  Object.keys(schema).every((keyword) => keyword === "description" || keyword === "examples" || keyword === "default");

/** Branches that one schema without a union says as well: lists of values, types alone, one thing or null. */
function asOne(branches: readonly Schema[]): Schema | null {
  const [first] = branches;
  if (first === undefined) return {};
  if (branches.length === 1) return first;
  const keywords = new Set(branches.flatMap((branch) => Object.keys(branch)));
  keywords.delete("description");
  const only = (...names: string[]) => [...keywords].every((keyword) => names.includes(keyword));
  if (only("type") && branches.every(({ type }) => type !== undefined))
    return { type: oneOrMany(branches.flatMap(({ type }) => type as string | string[])) };
  if (only("type", "enum", "const") && branches.every((branch) => "enum" in branch || "const" in branch)) {
    const values = branches.flatMap((branch) => ("const" in branch ? [branch.const] : listOf(branch.enum)));
    return values.length > MAX_ENUM ? null : { enum: values };
  }
  const others = branches.filter(({ type }) => type !== "null");
  const [other] = others;
  if (others.length === 1 && other?.type !== undefined) return orNull(other);
  return null;
}

/** The schema, or null. */
function orNull(schema: Schema): Schema {
  const { type, const: only, ...rest } = schema;
  const values = "const" in schema ? [only] : schema.enum;
  const result: Schema = {
    ...(type === undefined ? {} : { type: [...new Set([type, "null"].flat())] }),
    ...rest,
    ...(Array.isArray(values) ? { enum: values.includes(null) ? values : [...values, null] } : {}),
  };
  if (!Array.isArray(result.anyOf)) return result;
  if (result.anyOf.length < MAX_BRANCHES) result.anyOf = [...result.anyOf, { type: "null" }];
  else delete result.anyOf;
  return result;
}

/** Keywords that have no schemas in them. */
function scalars(node: Json, place: string, state: State): Schema {
  const result: Schema = {};
  const types = [node.type].flat().filter((type): type is string => typeof type === "string" && TYPES.has(type));
  if (types.length > 0) result.type = oneOrMany(types);
  if (typeof node.description === "string" && node.description.trim() !== "")
    result.description = cut(node.description.trim(), MAX_DESCRIPTION);
  if (Array.isArray(node.enum) && node.enum.length > 0) {
    state.enums += node.enum.length;
    if (state.enums > MAX_ENUM) state.note(place, "a long list of values is left out");
    else result.enum = node.enum;
  }
  if (node.const !== undefined) result.const = node.const;
  if (node.default !== undefined && isSmall(node.default)) result.default = node.default;
  const example = node.example ?? listOf(node.examples)[0];
  if (example !== undefined && isSmall(example)) result.examples = [example];
  if (node.deprecated === true) result.deprecated = true;
  if (typeof node.format === "string" && FORMATS.has(node.format)) result.format = node.format;
  if (typeof node.pattern === "string") {
    const verdict = judgePattern(node.pattern);
    if (verdict.ok) result.pattern = node.pattern;
    else state.note(place, "the pattern is left out");
  }
  for (const keyword of SIZES)
    if (Number.isInteger(node[keyword]) && (node[keyword] as number) >= 0) result[keyword] = node[keyword];
  for (const keyword of RANGES) if (Number.isFinite(node[keyword])) result[keyword] = node[keyword];
  // Of fractions only whole numbers are divided exactly: 19.99 would be refused as a multiple of 0.01.
  if (Number.isInteger(node.multipleOf) && (node.multipleOf as number) > 0) result.multipleOf = node.multipleOf;
  // As 3.0 has it: a flag beside the bound.
  for (const [flag, bound] of [
    ["exclusiveMinimum", "minimum"],
    ["exclusiveMaximum", "maximum"],
  ] as const)
    if (node[flag] === true && result[bound] !== undefined) {
      result[flag] = result[bound];
      delete result[bound];
    }
  return result;
}

function oneOrMany(types: readonly string[]): string | string[] {
  const different = [...new Set(types)];
  return different.length === 1 ? (different[0] as string) : different;
}

/** Worth its tokens, as a hint. */
const isSmall = (value: unknown): boolean => {
  try {
    return Buffer.byteLength(JSON.stringify(value) ?? "") <= MAX_VALUE_BYTES;
  } catch {
    return false;
  }
};
