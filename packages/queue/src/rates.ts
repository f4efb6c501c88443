import type { RateBucket, RateStore } from "@maru/domain";
import { Redis } from "ioredis";
import { within } from "./backend.ts";

// One script is one step to Redis: two takers never see the same room. The server's clock, so that gateways whose clocks differ
// agree. KEYS: the buckets' arrivals, µs since 1970. ARGV: of each bucket the µs between calls, then its burst. Answers 1 when
// all had room and were taken from, else 0; then how far each arrival is ahead. Whole µs are exact in Lua's doubles.
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local answer = {1}
for i = 1, #KEYS do
  local every, burst = tonumber(ARGV[2 * i - 1]), tonumber(ARGV[2 * i])
  answer[i + 1] = math.max((tonumber(redis.call('GET', KEYS[i])) or 0) - now, 0)
  -- A minute beyond a full burst: the clock was set back. Counts as a full burst from now on.
  if answer[i + 1] > burst * every + 60000000 then
    answer[i + 1] = burst * every
    redis.call('SET', KEYS[i], string.format('%.0f', now + answer[i + 1]), 'PX', math.ceil(answer[i + 1] / 1000))
  end
  if answer[i + 1] + every > burst * every then answer[1] = 0 end
end
if answer[1] == 1 then
  for i = 1, #KEYS do
    answer[i + 1] = answer[i + 1] + tonumber(ARGV[2 * i - 1])
    redis.call('SET', KEYS[i], string.format('%.0f', now + answer[i + 1]), 'PX', math.ceil(answer[i + 1] / 1000))
  end
end
return answer`;

/** A Redis that is away fails a call soon: the gateway then judges by itself. */
const ANSWER_MS = 2_000;

interface Scripted {
  takeRates(keys: number, ...args: (string | number)[]): Promise<number[]>;
}

/** Rate limits in Redis, shared by every gateway on it. A bucket that is full again has no key. */
export function createRedisRates(backend: {
  readonly url: string;
  readonly prefix?: string;
  /** How long an answer is waited for. Default 2 s. */
  readonly answerMs?: number;
}): RateStore {
  const { answerMs = ANSWER_MS } = backend;
  const redis = new Redis(backend.url, {
    maxRetriesPerRequest: 1,
    enableOfflineQueue: false,
    commandTimeout: answerMs,
    // Who comes back is felt within a second, not after ioredis's growing pauses.
    retryStrategy: (times) => Math.min(times * 50, 1_000),
  });
  redis.on("error", () => {});
  redis.defineCommand("takeRates", { lua: TAKE });
  const scripted = redis as unknown as Scripted;
  const ready = new Promise<void>((done) => redis.once("ready", done));
  return {
    async take(owner: string, buckets: readonly RateBucket[]) {
      if (redis.status !== "ready") await within(answerMs, ready);
      const [granted, ...aheadUs] = await scripted.takeRates(
        buckets.length,
        // Braces: all of an owner's buckets on one node of a cluster.
        ...buckets.map(({ key }) => `${backend.prefix ?? "maru"}:rates:{${owner}}:${key}`),
        ...buckets.flatMap(({ everyUs, burst }) => [everyUs, burst]),
      );
      return { granted: granted === 1, aheadUs };
    },
    async close() {
      redis.disconnect();
    },
  };
}
