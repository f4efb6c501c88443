import { createHash } from "node:crypto";
import { Problem } from "@maru/contract";
import type { FastifyInstance } from "fastify";

const READABLE = /(?:application\/(?:json|\*|problem\+json)|\*\/\*|text\/event-stream|text\/html|text\/\*)/i;

/** What every reply has: the request id, an entity tag on what can be read again, and no sniffing. */
export function installReplies(app: FastifyInstance): void {
  app.addHook("onRequest", async (request, reply) => {
    reply.header("x-request-id", request.id);
    reply.header("x-content-type-options", "nosniff");
    const { accept } = request.headers;
    if (request.routeOptions.config.bytes === true) return;
    if (request.routeOptions.config.csv === true && /\btext\/csv\b/i.test(accept ?? "")) return;
    if (request.routeOptions.config.alternatives?.some((type) => accept?.toLowerCase().includes(type))) return;
    if (request.url.startsWith("/v1/") && accept !== undefined && accept !== "" && !READABLE.test(accept)) {
      throw new Problem("not_acceptable", "The API answers application/json, and text/event-stream for events.");
    }
  });
  app.addHook("onSend", async (request, reply, payload) => {
    if (
      request.method !== "GET" ||
      reply.statusCode !== 200 ||
      typeof payload !== "string" ||
      !request.url.startsWith("/v1/")
    )
      return payload;
    reply.header("cache-control", "private, no-cache");
    const tag =
      reply.getHeader("etag") ?? `W/"${createHash("sha256").update(payload).digest("base64url").slice(0, 22)}"`;
    reply.header("etag", tag);
    const wanted = request.headers["if-none-match"];
    if (
      wanted === undefined ||
      !wanted.split(",").some((item) => item.trim().replace(/^W\//, "") === String(tag).replace(/^W\//, ""))
    )
      return payload;
    reply.code(304);
    reply.removeHeader("content-type");
    reply.removeHeader("content-length");
    return "";
  });
}
