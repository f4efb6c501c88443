import type { PaginationSpec } from "@maru/contract";
import { succeeded, type ToolResult } from "../kind.ts";
import type { Reply } from "./exchange.ts";
import { CallFailed } from "./failure.ts";
import { createPicker, elementsOf, parsePointer } from "./json-text.ts";
import { nextLink } from "./link.ts";
import { jsonOf, refuseFailure } from "./response.ts";
import type { Selection } from "./select.ts";

export interface PagesOptions {
  readonly selection: Selection;
  /** Asks for a page; what it throws ends the list, but for the first page, where it ends the call. */
  readonly ask: (url: string) => Promise<Reply>;
  /** Says of what `ask` threw why there is no page; throws it on when the run itself stops. */
  readonly reason: (error: unknown) => string;
  /** More is not read: the model would not see it. */
  readonly maxOutputBytes: number;
}

/**
 * The items of a list's pages, as one list with an item a line, so that where it is cut an item ends. What could not be read
 * is said after it: the model must not take a part for the whole.
 * @throws CallFailed when the first page is not one, or what `ask` throws for it
 */
export async function readPages(first: string, spec: PaginationSpec, options: PagesOptions): Promise<ToolResult> {
  const partsOf = createPicker([spec.items, ...(spec.next === "link" ? [] : [spec.next])].map(parsePointer));
  const lines: string[] = [];
  let bytes = 0;
  const asked = new Set<string>();
  let ending = "";
  for (let url: string | null = first; url !== null; ) {
    asked.add(url);
    let page: { items: string[]; next: string | null };
    try {
      page = pageOf(await options.ask(url), first, spec, partsOf);
    } catch (error) {
      if (asked.size === 1) throw error;
      ending = `(page ${asked.size} could not be read: ${options.reason(error)})`;
      break;
    }
    for (const item of page.items) {
      const line = options.selection.ofItem(item);
      bytes += Buffer.byteLength(line) + 2;
      lines.push(line);
    }
    url = page.next;
    if (url === null) break;
    if (new URL(url).origin !== new URL(first).origin) ending = "(the next page is on another server and is not read)";
    else if (asked.has(url)) ending = "(the next page is one that was read already)";
    else if (asked.size >= spec.maxPages) ending = `(${asked.size} pages are read, and there are more)`;
    else if (bytes > options.maxOutputBytes) ending = "(there are more pages)";
    else continue;
    break;
  }
  const list = `[${lines.join(",\n")}]`;
  return succeeded(ending === "" ? list : `${list}\n${ending}`);
}

function pageOf(
  reply: Reply,
  first: string,
  spec: PaginationSpec,
  partsOf: (json: string) => (string | null)[],
): { items: string[]; next: string | null } {
  refuseFailure(reply);
  if (reply.bytes.length === 0) return { items: [], next: null };
  const json = jsonOf(reply);
  const [list = null, found = null] = partsOf(json);
  const items = list === null ? null : elementsOf(list);
  if (items === null)
    throw new CallFailed("tool_response_invalid", `The reply has no list at ${spec.items || "its top"}.`);
  const next = spec.next === "link" ? nextLink(reply.headers.link) : cursorOf(found);
  if (next === null) return { items, next };
  if (spec.as !== "url") return { items, next: withQuery(first, spec.as.slice("query:".length), next) };
  const url = URL.parse(next, reply.url);
  if (url === null) throw new CallFailed("tool_response_invalid", "The reply names a next page that is no URL.");
  url.hash = "";
  return { items, next: url.href };
}

/** What stands where a page names the next, as text with all its digits; null where that means that there is none. */
function cursorOf(json: string | null): string | null {
  if (json === null || json === "null" || json === "false" || json === '""') return null;
  if (json.startsWith('"')) return JSON.parse(json) as string;
  if (/^[-\d]/.test(json)) return json;
  throw new CallFailed("tool_response_invalid", "What the reply names as its next page is no text or number.");
}

/** The URL with a query parameter set, the others as they stand. */
function withQuery(url: string, name: string, value: string): string {
  const [path = "", search = ""] = url.split("?", 2);
  const key = encodeURIComponent(name);
  const others = search.split("&").filter((pair) => pair !== "" && decodedKey(pair) !== name);
  return `${path}?${[...others, `${key}=${encodeURIComponent(value.toWellFormed())}`].join("&")}`;
}

function decodedKey(pair: string): string {
  const key = pair.split("=", 1)[0] as string;
  try {
    return decodeURIComponent(key.replaceAll("+", " "));
  } catch {
    return key;
  }
}
