import {
  argumentOf,
  asText,
  fillTemplate,
  parseTemplate,
  placesOf,
  type SecretValues,
  type Template,
} from "./template.ts";

/** A URL template taken apart, so that an argument can only ever fill one component. */
export interface UrlTemplate {
  readonly origin: string;
  /** One template a path segment. */
  readonly segments: readonly Template[];
  /** In order; key and value apart, both as they stand in a URL (percent-encoded by who wrote them). */
  readonly query: readonly { readonly key: string; readonly value: Template }[];
  readonly places: readonly string[];
}

/** @throws Error saying what is wrong with the template */
export function parseUrlTemplate(text: string): UrlTemplate {
  const match = /^(https?:\/\/[^/?#\\]+)([^?#]*)(?:\?([^#]*))?$/i.exec(text);
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
      return { key, value: parseTemplate(at < 0 ? "" : pair.slice(at + 1)) };
    });
  return {
    origin,
    segments,
    query,
    places: [...segments.flatMap(placesOf), ...query.flatMap(({ value }) => placesOf(value))],
  };
}

/** One entry of the tool's `query`, where keys and texts are plain and encoded here. */
export function parseQueryEntry(key: string, value: string): UrlTemplate["query"][number] {
  const template = parseTemplate(value).map((part) => (typeof part === "string" ? encodeURIComponent(part) : part));
  return { key: encodeURIComponent(key), value: template };
}

/**
 * The URL for some arguments. Each value is percent-encoded for its own component: it can't add a segment, a parameter
 * or a host. A query entry whose argument is absent is left out. `rest` names arguments that become entries themselves.
 * @throws Error in words for the model when a path argument is absent, empty, `.` or `..`
 */
export function fillUrl(
  template: UrlTemplate,
  extra: UrlTemplate["query"],
  args: Readonly<Record<string, unknown>>,
  secrets: SecretValues,
  rest: readonly string[],
): string {
  const path = template.segments.map((segment) => fillSegment(segment, args));
  const entries: string[] = [];
  for (const { key, value } of [...template.query, ...extra]) {
    const filled = fillTemplate(value, args, secrets, encodeURIComponent);
    if (filled !== null) entries.push(`${key}=${filled}`);
  }
  for (const name of rest) {
    const value = argumentOf(args, name);
    if (value !== null) entries.push(`${encodeURIComponent(name)}=${encodeURIComponent(asText(value))}`);
  }
  return `${template.origin}/${path.join("/")}${entries.length === 0 ? "" : `?${entries.join("&")}`}`;
}

/** A secret in a path is refused at deploy. */
const NO_SECRETS: SecretValues = new Map();
/** Segments that walk up the path for the URL parser, `%2e` spelt out or not. */
const DOTS = /^(?:\.|%2e){0,2}$/i;
/** Whether a segment is empty, or walks up the path. */
export const isDots = (segment: string): boolean => DOTS.test(segment);

function fillSegment(segment: Template, args: Readonly<Record<string, unknown>>): string {
  const names = placesOf(segment);
  const filled = fillTemplate(segment, args, NO_SECRETS, (value) => {
    if (isDots(value)) throw new Error(`${names.join(", ")} must not be empty, "." or "..".`);
    return encodeURIComponent(value);
  });
  if (filled === null) throw new Error(`${names.join(", ")} is required.`);
  // The places of one segment, or a place and the text beside it, can make dots together.
  if (names.length > 0 && isDots(filled)) throw new Error(`${names.join(", ")} must not make "." or ".." here.`);
  return filled;
}
