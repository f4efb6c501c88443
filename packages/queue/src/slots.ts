import { Redis } from "ioredis";
import { within } from "./backend.ts";

/** Slots of upstream keys in Redis, shared by every process on it. */
export interface RedisSlots {
  take(
    key: string,
    terms: { readonly everyMs: number | null; readonly toleranceMs: number; readonly inFlight: number | null },
    lease: { readonly id: string; readonly ms: number },
  ): Promise<{ waitMs: number }>;
  give(key: string, leaseId: string): Promise<void>;
  pause(key: string, ms: number): Promise<void>;
  close(): Promise<void>;
}

// One script is one step to Redis: two takers never see the same room. The server's clock, so that processes whose clocks
// differ agree. KEYS: state, leases. ARGV: everyMs or -1, toleranceMs, inFlight or -1, lease, leaseMs. Answers the wait.
const TAKE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local state = redis.call('HMGET', KEYS[1], 'due', 'paused')
local paused = tonumber(state[2]) or 0
if paused > now then return math.ceil(paused - now) end
local every, tolerance, room = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if room >= 0 then
  redis.call('ZREMRANGEBYSCORE', KEYS[2], '-inf', now)
  if redis.call('ZCARD', KEYS[2]) >= room then return 250 end
end
if every >= 0 then
  local due = math.max(tonumber(state[1]) or now, now)
  local ahead = due - now
  if ahead > tolerance then return math.max(1, math.ceil(ahead - tolerance)) end
  redis.call('HSET', KEYS[1], 'due', string.format('%.3f', due + every))
  redis.call('PEXPIRE', KEYS[1], math.ceil(math.max(due + every, paused) - now) + 60000)
end
if room >= 0 then
  redis.call('ZADD', KEYS[2], now + tonumber(ARGV[5]), ARGV[4])
  redis.call('PEXPIRE', KEYS[2], ARGV[5])
end
return 0`;

const PAUSE = `
local time = redis.call('TIME')
local now = time[1] * 1000 + time[2] / 1000
local paused = math.max(tonumber(redis.call('HGET', KEYS[1], 'paused')) or 0, now + tonumber(ARGV[1]))
redis.call('HSET', KEYS[1], 'paused', string.format('%.3f', paused))
local left = math.ceil(paused - now) + 60000
if redis.call('PTTL', KEYS[1]) < left then redis.call('PEXPIRE', KEYS[1], left) end
return 0`;

/** A Redis that is away fails a call soon: the caller then paces by itself. */
const ANSWER_MS = 2_000;

export function createRedisSlots(backend: { readonly url: string; readonly prefix?: string }): RedisSlots {
  const redis = new Redis(backend.url, { maxRetriesPerRequest: 1, enableOfflineQueue: false });
  redis.on("error", () => {});
  const ready = new Promise<void>((done) => redis.once("ready", done));
  // Braces: both keys on one node of a cluster.
  const state = (key: string) => `${backend.prefix ?? "maru"}:upstream:{${key}}`;
  return {
    async take(key, { everyMs, toleranceMs, inFlight }, lease) {
      await within(ANSWER_MS, ready);
      const wait = await within(
        ANSWER_MS,
        redis.eval(
          TAKE,
          2,
          state(key),
          `${state(key)}:leases`,
          everyMs ?? -1,
          toleranceMs,
          inFlight ?? -1,
          lease.id,
          lease.ms,
        ),
      );
      return { waitMs: Number(wait) };
    },
    async give(key, leaseId) {
      await within(ANSWER_MS, redis.zrem(`${state(key)}:leases`, leaseId));
    },
    async pause(key, ms) {
      await within(ANSWER_MS, redis.eval(PAUSE, 1, state(key), Math.ceil(ms)));
    },
    async close() {
      redis.disconnect();
    },
  };
}
