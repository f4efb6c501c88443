/** A place in a text that something else goes into: `{{name}}`, spaces around the name allowed. */
const PLACE = /\{\{([^{}]*)\}\}/g;

/** Names of a text's places, in their order; null when one is opened and not closed. */
export function templatePlaces(text: string): string[] | null {
  if (text.replaceAll(PLACE, "").includes("{{")) return null;
  return [...text.matchAll(PLACE)].map(([, name = ""]) => name.trim());
}

/**
 * The text with what its places stand for; null when that has more than `maxLength` characters: a small template may ask for a large
 * value ten thousand times, so no more than that is put together. What is filled in is not looked at again: places in it are text.
 */
export function renderTemplate(text: string, maxLength: number, fill: (place: string) => string): string | null {
  const values = new Map<string, string>();
  let rendered = "";
  let from = 0;
  const add = (part: string): boolean => {
    if (rendered.length + part.length > maxLength) return false;
    rendered += part;
    return true;
  };
  for (const { 0: written, 1: name = "", index } of text.matchAll(PLACE)) {
    const place = name.trim();
    const value = values.get(place) ?? fill(place);
    values.set(place, value);
    if (!add(text.slice(from, index)) || !add(value)) return null;
    from = index + written.length;
  }
  return add(text.slice(from)) ? rendered : null;
}

const POINTER = /^(?:\/(?:[^~/]|~[01])*)+$/;
export const isPointer = (text: string): boolean => POINTER.test(text);

/** What a JSON pointer (RFC 6901) stands for in a document; undefined when there is nothing. */
export function valueAt(document: unknown, pointer: string): unknown {
  let value = document;
  for (const token of pointer.split("/").slice(1)) {
    const name = token.replaceAll("~1", "/").replaceAll("~0", "~");
    if (typeof value !== "object" || value === null || !Object.hasOwn(value, name)) return undefined;
    if (Array.isArray(value) && !/^(?:0|[1-9]\d*)$/.test(name)) return undefined;
    value = (value as Record<string, unknown>)[name];
  }
  return value;
}

/** A value in a text: text as it is, nothing for null and what is not there, anything else as JSON. */
export const valueText = (value: unknown): string =>
  typeof value === "string" ? value : value === undefined || value === null ? "" : JSON.stringify(value);
