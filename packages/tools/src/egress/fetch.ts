import { Readable } from "node:stream";
import type { Egress } from "./index.ts";

/** Statuses that allow no body (RFC 9110 §6.4.1). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/** Of a compressed body: far beyond what a model writes in one answer, and its events repeat themselves a lot. */
const DECOMPRESS = { maxBytes: 67_108_864, maxRatio: 200 };
/** Models may think for minutes before they say anything. */
const HEADERS_MS = 300_000;

/**
 * `fetch` over the egress guard, for clients that bring their own: the same addresses and hosts are refused, no redirects
 * followed, no proxies of the environment used. Bodies may be silent for as long as the caller's signal lets them; how much of one
 * is read, and how many calls there are at a time, is the caller's business. A compressed one ends with an error beyond 64 MiB,
 * or 200 times its compressed size.
 */
export function egressFetch(egress: Egress): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const response = await egress.request({
      method: request.method,
      url: request.url,
      headers: Object.fromEntries(request.headers),
      body: request.body === null ? null : await request.text(),
      signal: request.signal,
      silence: "allowed",
      headersTimeoutMs: HEADERS_MS,
      unlimited: true,
      decompress: DECOMPRESS,
    });
    const { statusCode: status, body } = response;
    const headers = new Headers();
    for (const [name, value] of Object.entries(response.headers))
      for (const item of [value].flat()) if (item !== undefined) headers.append(name, item);
    if (BODILESS.has(status)) {
      body.resume();
      return new Response(null, { status, headers });
    }
    return new Response(Readable.toWeb(body) as ReadableStream, { status, headers });
  };
}
