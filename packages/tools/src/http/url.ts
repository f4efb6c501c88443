import { asText, fillTemplate, parseTemplate, placesOf, type Template } from "./template.ts";

/** A URL template taken apart, so that an argument can only ever fill one component. */
export interface UrlTemplate {
  readonly origin: string;
  /** One template a path segment. */
  readonly segments: readonly Template[];
  /** In order; key and value apart. */
  readonly query: readonly { readonly key: string; readonly value: Template }[];
  readonly places: readonly string[];
}

/** @throws Error saying what is wrong with the template */
export function parseUrlTemplate(text: string): UrlTemplate {
  const match = /^(https?:\/\/[^/?#]*)([^?#]*)(?:\?([^#]*))?$/i.exec(text);
  if (match === null) throw new Error("must begin with https:// or http:// and have no fragment");
  const [, origin = "", path = "", search = ""] = match;
  if (/[{}]/.test(origin))
    throw new Error("must not have a placeholder in its host: an argument would choose the destination");
  const segments = path.split("/").slice(1).map(parseTemplate);
  const query = search
    .split("&")
    .filter(Boolean)
    .map((pair) => {
      const at = pair.indexOf("=");
      const key = at < 0 ? pair : pair.slice(0, at);
      if (/[{}]/.test(key)) throw new Error("must not have a placeholder in the name of a query parameter");
      return { key: decodeURIComponent(key), value: parseTemplate(at < 0 ? "" : pair.slice(at + 1)) };
    });
  return {
    origin,
    segments,
    query,
    places: [...segments.flatMap(placesOf), ...query.flatMap(({ value }) => placesOf(value))],
  };
}

/**
 * The URL for some arguments. Each value is percent-encoded for its own component: it can't add a segment, a parameter
 * or a host. A query entry whose argument is absent is left out.
 * @throws Error in words for the model when a path argument is absent, empty, `.` or `..`
 */
export function fillUrl(
  template: UrlTemplate,
  extra: readonly { key: string; value: Template }[],
  args: Readonly<Record<string, unknown>>,
  rest: readonly string[],
): string {
  const path = template.segments.map((segment) => {
    const filled = fillTemplate(segment, args, encodeURIComponent);
    if (filled === null) throw new Error(`${placesOf(segment).join(", ")} is required.`);
    if (placesOf(segment).length > 0 && (filled === "" || filled === "." || filled === ".."))
      throw new Error(`${placesOf(segment).join(", ")} must not be empty, "." or "..".`);
    return filled;
  });
  const entries: string[] = [];
  for (const { key, value } of [...template.query, ...extra]) {
    const filled = fillTemplate(value, args, encodeURIComponent);
    if (filled !== null) entries.push(`${encodeURIComponent(key)}=${filled}`);
  }
  for (const name of rest) {
    const value = args[name];
    if (value !== undefined && value !== null)
      entries.push(`${encodeURIComponent(name)}=${encodeURIComponent(asText(value))}`);
  }
  return `${template.origin}/${path.join("/")}${entries.length === 0 ? "" : `?${entries.join("&")}`}`;
}
