import { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import type { Egress } from "./index.ts";

/**
 * `fetch` over the egress guard, for clients that bring their own: same addresses refused, no redirects followed, no proxies
 * of the environment. Bodies may be silent for as long as the caller's signal lets them.
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
    const headers = new Headers();
    for (const [name, value] of Object.entries(response.headers))
      for (const item of Array.isArray(value) ? value : [value]) if (item !== undefined) headers.append(name, item);
    let body: Readable = response.body;
    if (headers.get("content-encoding") === "gzip") {
      const unzipped = createGunzip();
      body.on("error", (error) => unzipped.destroy(error));
      unzipped.on("close", () => response.body.destroy());
      body = body.pipe(unzipped);
      headers.delete("content-encoding");
      headers.delete("content-length");
    }
    // A status that allows no body must be given none.
    const empty = response.statusCode === 204 || response.statusCode === 205 || response.statusCode === 304;
    if (empty) body.resume();
    return new Response(empty ? null : (Readable.toWeb(body) as ReadableStream), {
      status: response.statusCode,
      headers,
    });
  };
}
