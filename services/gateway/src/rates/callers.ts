import { Problem } from "@maru/contract";
import { moreRoomInUs, type RateBucket, type RatePolicy, type RateStore, rateBucket, roomOf } from "@maru/domain";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Logger } from "pino";
import type { Caller } from "../auth/authenticate.ts";
import { createLocalRates } from "./local.ts";
import { createSharedRates } from "./shared.ts";

export interface RateLimits {
  /** One call of somebody known, of their own limit and their workspace's. @throws Problem rate_limited */
  takeCaller(reply: FastifyReply, caller: Caller): Promise<void>;
  /** One delivery to a trigger, of its own limit and its workspace's. @throws Problem rate_limited */
  takeTrigger(reply: FastifyReply, workspaceId: string, triggerId: string): Promise<void>;
  /** One call of somebody unknown. @throws Problem rate_limited */
  takeAddress(reply: FastifyReply, request: FastifyRequest): void;
  /** Says where an address stands and takes nothing: health checks and documents are never refused. */
  showAddress(reply: FastifyReply, request: FastifyRequest): void;
  close(): Promise<void>;
}

/**
 * Who is limited by what. Calls with credentials: by their API key's limit (`key`; a signed-in person's, `user`) and by their
 * workspace's (`workspace`), shared by all gateways; deliveries to triggers in the same way by the trigger's (`trigger`), once they
 * have shown whose they are. Calls without: by address (`default`), in this process: that protects the
 * process, is nobody's contract, and a health check or a sign-in must not need the store.
 */
export function createRateLimits(deps: {
  key: RatePolicy;
  workspace: RatePolicy;
  store: RateStore;
  logger: Logger;
  now: () => number;
}): RateLimits {
  const { key, workspace, store, logger, now } = deps;
  const addresses = createLocalRates({ now });
  const shared = createSharedRates({ store, local: createLocalRates({ now }), logger, now });
  const bucketOf = (request: FastifyRequest) => rateBucket(request.ip, key);

  return {
    async takeCaller(reply, { workspaceId, apiKeyId, user, rateLimit }) {
      const own = rateBucket(apiKeyId ?? user?.id ?? workspaceId, rateLimit ?? key);
      const { verdict, buckets } = await shared.take(workspaceId, [own, rateBucket(workspaceId, workspace)]);
      answer(reply, [apiKeyId === null ? "user" : "key", "workspace"], buckets, verdict);
    },
    async takeTrigger(reply, workspaceId, triggerId) {
      const limits = [rateBucket(triggerId, key), rateBucket(workspaceId, workspace)];
      const { verdict, buckets } = await shared.take(workspaceId, limits);
      answer(reply, ["trigger", "workspace"], buckets, verdict);
    },
    takeAddress(reply, request) {
      const buckets = [bucketOf(request)];
      answer(reply, ["default"], buckets, addresses.take(buckets));
    },
    showAddress(reply, request) {
      const buckets = [bucketOf(request)];
      answer(reply, ["default"], buckets, { granted: true, aheadUs: addresses.peek(buckets) });
    },
    close: () => shared.close(),
  };
}

/** Every reply says where its caller stands, also one that no route made. */
export function installRateLimits(app: FastifyInstance, limits: RateLimits): void {
  app.addHook("onRequest", async (request, reply) => {
    if (request.is404) limits.takeAddress(reply, request);
  });
  app.addHook("onSend", async (request, reply) => {
    if (!reply.hasHeader("ratelimit")) limits.showAddress(reply, request);
  });
}

/**
 * RateLimit-Policy and RateLimit as draft-ietf-httpapi-ratelimit-headers-10 §3 and §4 have them: lists of strings with
 * parameters (RFC 9651). `q` calls at once, whole again in `w` seconds; `r` are left, the next one more in `t` seconds. Without
 * partition keys: a caller has one key and one workspace. Where a call is refused, `t` is said only of what refused it: §5 wants
 * Retry-After to be no earlier than any.
 * @throws Problem rate_limited
 */
function answer(
  reply: FastifyReply,
  names: readonly string[],
  buckets: readonly RateBucket[],
  { granted, aheadUs }: { readonly granted: boolean; readonly aheadUs: readonly number[] },
): void {
  const limits = buckets.map((bucket, index) => ({
    name: names[index] as string,
    bucket,
    room: roomOf(bucket, aheadUs[index] ?? 0),
    moreInUs: moreRoomInUs(bucket, aheadUs[index] ?? 0),
  }));
  const seconds = (us: number) => Math.ceil(us / 1_000_000);
  reply.header(
    "ratelimit-policy",
    limits
      .map(({ name, bucket: { everyUs, burst } }) => `"${name}";q=${burst};w=${Math.max(1, seconds(burst * everyUs))}`)
      .join(", "),
  );
  reply.header(
    "ratelimit",
    limits
      .map(({ name, room, moreInUs }) => `"${name}";r=${room}${granted || room === 0 ? `;t=${seconds(moreInUs)}` : ""}`)
      .join(", "),
  );
  if (granted) return;
  const [worst] = limits.filter(({ room }) => room === 0).sort((a, b) => b.moreInUs - a.moreInUs);
  throw new Problem("rate_limited", "Slow down; Retry-After says for how long.", {
    retryAfterMs: (worst?.moreInUs ?? 0) / 1_000,
    limit: worst?.name ?? "default",
  });
}
