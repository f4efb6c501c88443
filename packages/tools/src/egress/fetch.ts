import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { Egress } from "./index.ts";

/** Statuses that allow no body (RFC 9110 §6.4.1). */
const BODILESS: ReadonlySet<number> = new Set([204, 205, 304]);

/**
 * `fetch` over the egress guard, for clients that bring their own: the same addresses are refused, no redirects followed, no
 * proxies of the environment used. Bodies may be silent for as long as the caller's signal lets them; how much of one is read
 * is the caller's business.
 */
export function egressFetch(egress: Egress): typeof globalThis.fetch {
  return async (input, init) => {
    const request = new Request(input, init);
    const response = await egress.request({
      method: request.method,
      url: request.url,
      headers: { ...Object.fromEntries(request.headers), "accept-encoding": "gzip, identity" },
      body: request.body === null ? null : await request.text(),
      signal: request.signal,
      silence: "allowed",
    });
    const { statusCode: status } = response;
    const headers = new Headers();
    for (const [name, value] of Object.entries(response.headers))
      for (const item of [value].flat()) if (item !== undefined) headers.append(name, item);
    if (BODILESS.has(status)) {
      response.body.resume();
      return new Response(null, { status, headers });
    }
    let body: Readable = response.body;
    if (headers.get("content-encoding") === "gzip") {
      body = unzipped(response.body);
      headers.delete("content-encoding");
      headers.delete("content-length");
    }
    return new Response(Readable.toWeb(body) as ReadableStream, { status, headers });
  };
}

function unzipped(body: Readable): Readable {
  const gunzip = createGunzip();
  body.on("error", (error) => gunzip.destroy(error));
  gunzip.on("close", () => body.destroy());
  return body.pipe(gunzip);
}
