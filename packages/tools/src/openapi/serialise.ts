import type { PinnedParameter } from "@maru/contract";

/**
 * How OpenAPI writes arguments into requests (OpenAPI 3.1 §4.8.12, after RFC 6570). Every name and value is percent-encoded for
 * itself, so that only what the style puts between them separates them.
 */
type Rule = Pick<PinnedParameter, "name" | "style" | "explode">;
type Pair = readonly [name: string, value: string];

/** A value within a list or an object: what is nested deeper has no form of its own and goes as JSON. */
const text = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
/** Half a surrogate pair has no encoding. */
const encoded = (value: unknown): string => encodeURIComponent(text(value).toWellFormed());
const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);
/** What is null is left out, as an absent argument is. */
const items = (list: readonly unknown[]): unknown[] => list.filter((item) => item !== null && item !== undefined);
const entries = (value: object): [string, unknown][] =>
  Object.entries(value).filter(([, item]) => item !== null && item !== undefined);

/** Names and values that follow one another: `R,100,G,200`. */
const flat = (value: object, write: (item: unknown) => string): string[] =>
  entries(value).flatMap(([name, item]) => [write(name), write(item)]);
const assigned = (value: object, write: (item: unknown) => string): string[] =>
  entries(value).map(([name, item]) => `${write(name)}=${write(item)}`);

/** A path parameter, percent-encoded. */
export function inPath({ name, style, explode }: Rule, value: unknown): string {
  if (style === "json") return encoded(JSON.stringify(value));
  const key = encodeURIComponent(name);
  const parts = Array.isArray(value)
    ? items(value).map(encoded)
    : isObject(value)
      ? explode
        ? assigned(value, encoded)
        : flat(value, encoded)
      : [encoded(value)];
  if (style === "label") return `.${parts.join(explode ? "." : ",")}`;
  if (style === "matrix") {
    if (explode && isObject(value)) return parts.map((part) => `;${part}`).join("");
    if (explode) return parts.map((part) => `;${key}${part === "" ? "" : `=${part}`}`).join("");
    const joined = parts.join(",");
    return `;${key}${joined === "" ? "" : `=${joined}`}`;
  }
  return parts.join(",");
}

/** A header's value, as it is: what separates is a comma, and a value that has one looks like two (OpenAPI knows no way to say so). */
export function inHeader({ style, explode }: Rule, value: unknown): string {
  if (style === "json") return JSON.stringify(value);
  if (Array.isArray(value)) return items(value).map(text).join(",");
  if (isObject(value)) return (explode ? assigned(value, text) : flat(value, text)).join(",");
  return text(value);
}

const SEPARATORS: Readonly<Record<string, string>> = { spaceDelimited: "%20", pipeDelimited: "%7C" };

/** Entries of a query or form, both sides percent-encoded. An empty list has none. */
export function inQuery({ name, style, explode }: Rule, value: unknown): Pair[] {
  const key = encodeURIComponent(name);
  if (style === "json") return [[key, encoded(JSON.stringify(value))]];
  if (style === "deepObject") return deep(key, value);
  if (explode) {
    if (Array.isArray(value)) return items(value).map((item) => [key, encoded(item)]);
    if (isObject(value)) return entries(value).map(([part, item]) => [encoded(part), encoded(item)]);
  }
  const separator = SEPARATORS[style] ?? ",";
  if (Array.isArray(value)) {
    const list = items(value).map(encoded);
    return list.length === 0 ? [] : [[key, list.join(separator)]];
  }
  if (isObject(value)) {
    const list = flat(value, encoded);
    return list.length === 0 ? [] : [[key, list.join(separator)]];
  }
  return [[key, encoded(value)]];
}

/** `color[R]=100`, and `color[list]=1&color[list]=2`; deeper, as many servers read it, `color[a][b]=1`. */
function deep(key: string, value: unknown): Pair[] {
  if (Array.isArray(value)) return items(value).flatMap((item): Pair[] => [[key, encoded(item)]]);
  if (!isObject(value)) return [[key, encoded(value)]];
  return entries(value).flatMap(([name, item]) => deep(`${key}%5B${encoded(name)}%5D`, item));
}
