import { at, isObject, type Json, listOf, type OpenApi, objectOf } from "./document.ts";

/** The schema is more than may be looked at. */
export class TooLarge extends Error {}

/** What may be looked at for one operation, written out or not: references and allOf can multiply without an end. */
const MAX_VISITS = 2_000;

export interface Walk {
  readonly document: OpenApi;
  visits: number;
  /** Says what of the schema is left out at a place. */
  note(place: string, what: string): void;
}

/** A schema without `$ref` and `allOf`, and the references that were followed on the way to it. */
export interface Flat {
  readonly node: Json;
  readonly references: readonly string[];
}

/**
 * Puts together what a schema says by itself, by reference and in `allOf`. Where parts contradict one another the keyword is left out.
 * @throws Unmakeable for a reference that leads nowhere, TooLarge
 */
export function flatten(raw: unknown, place: string, references: readonly string[], walk: Walk): Flat {
  if (++walk.visits > MAX_VISITS) throw new TooLarge();
  if (!isObject(raw)) return { node: {}, references };
  const { $ref, allOf, ...rest } = raw;
  const parts: Json[] = [];
  let followed = references;
  const add = (part: unknown, from: readonly string[]) => {
    const flat = flatten(part, place, from, walk);
    parts.push(flat.node);
    followed = [...followed, ...flat.references.filter((name) => !followed.includes(name))];
  };
  if (typeof $ref === "string") {
    // In 3.0 only the reference counts; a description or nullable beside it are meant all the same.
    parts.push(walk.document.dialect === "3.0" ? besideReference(rest) : rest);
    const target = at(walk.document.root, $ref);
    if (references.includes($ref)) {
      walk.note(place, "what refers to itself is left open");
      const { type, nullable } = objectOf(target);
      parts.push(typeof type === "string" ? { type, ...(nullable === undefined ? {} : { nullable }) } : {});
    } else add(target, [...references, $ref]);
  } else parts.push(rest);
  for (const part of listOf(allOf)) add(part, references);
  return { node: parts.length === 1 ? (parts[0] as Json) : merged(parts, place, walk), references: followed };
}

const besideReference = ({ description, nullable }: Json): Json => ({
  ...(description === undefined ? {} : { description }),
  ...(nullable === undefined ? {} : { nullable }),
});

/** Says the same in words, whichever counts. */
const WORDS = new Set(["description", "title", "default", "example", "examples", "deprecated", "nullable", "format"]);

function merged(parts: readonly Json[], place: string, walk: Walk): Json {
  const result = new Map<string, unknown>();
  const contradicted = new Set<string>();
  for (const part of parts)
    for (const [keyword, value] of Object.entries(part)) {
      const before = result.get(keyword);
      if (contradicted.has(keyword)) continue;
      // Of several parts, one that forbids what the others have would forbid everything: seldom what is meant.
      if (value === false && (keyword === "additionalProperties" || keyword === "unevaluatedProperties")) continue;
      if (before === undefined) result.set(keyword, value);
      else if (keyword === "properties") result.set(keyword, together(before, value));
      else if (keyword === "required") result.set(keyword, [...new Set([...listOf(before), ...listOf(value)])]);
      else if (keyword === "items") result.set(keyword, { allOf: [before, value] });
      else if (!WORDS.has(keyword) && before !== value) {
        if (keyword !== "type" || !Array.isArray(value) || !listOf(before).every((type) => value.includes(type)))
          walk.note(place, `${keyword} that contradicts itself is left out`);
        contradicted.add(keyword);
        result.delete(keyword);
      }
    }
  return Object.fromEntries(result);
}

/** The properties of both; those that both have must be what both say. */
function together(one: unknown, other: unknown): Json {
  const result = new Map(Object.entries(isObject(one) ? one : {}));
  for (const [name, schema] of Object.entries(isObject(other) ? other : {}))
    result.set(name, result.has(name) ? { allOf: [result.get(name), schema] } : schema);
  return Object.fromEntries(result);
}
