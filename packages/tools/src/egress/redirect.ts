import type { IncomingHttpHeaders } from "node:http";
import { RedirectRefused } from "./errors.ts";

export interface Redirects {
  /** How many are followed, three at most. */
  readonly max: number;
  /** Headers that carry secrets, beside authorization and cookies: another origin does not get them. */
  readonly sensitive: readonly string[];
  /** The body carries a secret: a redirect that would send it to another origin is handed back. */
  readonly sensitiveBody?: boolean;
}

/** What is sent, to one place after the other. */
export interface Hop {
  readonly method: string;
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string | null;
}

const STATUSES: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const CREDENTIALS = ["authorization", "cookie", "proxy-authorization"];
const OF_THE_BODY = ["content-type", "content-length", "content-encoding", "content-language", "content-location"];
const MOST = 3;

/**
 * The request that follows an answer, as fetch makes it (Fetch, “HTTP-redirect fetch”); null when the answer is no redirect, or
 * one that can't be followed and is for the caller to see. Whether its destination may be reached is judged by who sends it.
 * @throws RedirectRefused when it is one too many, or leads from https to http
 */
export function followed(
  before: Hop,
  { statusCode, headers }: { readonly statusCode: number; readonly headers: IncomingHttpHeaders },
  { max, sensitive, sensitiveBody = false }: Redirects,
  hops: number,
): Hop | null {
  const { location } = headers;
  if (!STATUSES.has(statusCode) || typeof location !== "string" || !URL.canParse(location, before.url)) return null;
  const from = new URL(before.url);
  const to = new URL(location, from);
  to.hash = "";
  if (hops >= Math.min(max, MOST)) throw new RedirectRefused(`there were ${hops} before it`);
  if (from.protocol === "https:" && to.protocol === "http:") throw new RedirectRefused("it leads from https to http");

  const { method } = before;
  const isRewritten =
    statusCode === 303 ? method !== "GET" && method !== "HEAD" : statusCode <= 302 && method === "POST";
  const moved = to.origin !== from.origin;
  if (moved && sensitiveBody && before.body !== null && !isRewritten) return null;
  const dropped = new Set([
    ...(isRewritten ? OF_THE_BODY : []),
    ...(moved ? [...CREDENTIALS, ...sensitive.map((name) => name.toLowerCase())] : []),
  ]);
  return {
    method: isRewritten ? "GET" : method,
    url: to.href,
    headers: Object.fromEntries(Object.entries(before.headers).filter(([name]) => !dropped.has(name.toLowerCase()))),
    body: isRewritten ? null : before.body,
  };
}
