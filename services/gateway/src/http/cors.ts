import cors from "@fastify/cors";
import type { FastifyInstance } from "fastify";

/** Headers of replies that callers read beyond those every page may see (Fetch §3.3.3, “CORS-safelisted”). */
const EXPOSED = [
  "content-disposition",
  "etag",
  "idempotency-replayed",
  "link",
  "location",
  "maru-quota-notice",
  "ratelimit",
  "ratelimit-policy",
  "retry-after",
  "www-authenticate",
  "x-request-id",
];
/** Seconds a browser may remember the answer; the most that Chromium does. */
const MAX_AGE = 7_200;

/** Lets pages of these origins call the API with a key or token of theirs. Without origins, no page may. */
export async function installCors(app: FastifyInstance, origins: readonly string[]): Promise<void> {
  if (origins.length === 0) return;
  await app.register(cors, {
    origin: origins.includes("*") ? "*" : [...origins],
    methods: ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"],
    exposedHeaders: EXPOSED,
    maxAge: MAX_AGE,
    strictPreflight: false,
  });
}

const ORIGIN = /^https?:\/\/(?:[\w.-]+|\[[\da-f:]+\])(?::\d+)?$/;

/**
 * Reads CORS_ORIGINS: `*`, or origins with commas between, as browsers write them: `https://app.example,http://localhost:5173`.
 * @throws Error naming the entry that is not one
 */
export function parseOrigins(text: string): readonly string[] {
  const origins = text
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean);
  for (const origin of origins)
    if (origin !== "*" && !(ORIGIN.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin))
      throw new Error(`CORS_ORIGINS: ${origin} is no origin such as https://app.example`);
  return origins;
}
