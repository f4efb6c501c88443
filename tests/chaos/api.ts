import { setTimeout as sleep } from "node:timers/promises";

const CALL_MS = 10_000;
const AGAIN_MS = 100;

/** Statuses of all replies (0 = no reply at all), and how often each came. */
export type Replies = Map<number, number>;

export interface Api {
  /**
   * Sends a call to the gateways in turn until one answers 2xx. The key makes it one effect, however often it is sent.
   * @throws Error when a gateway refuses it for a reason that will not pass
   */
  // biome-ignore lint/suspicious/noExplicitAny: callers read the fields they need of replies of many shapes
  post(path: string, options: { key?: string; idempotencyKey?: string; body: string | object }): Promise<any>;
  readonly replies: Replies;
}

/** Problems that pass: another run of the thread, or the first call with the key, is still under way. */
const PASSING = new Set(["thread_busy", "idempotency_in_progress"]);

export function createApi(gatewayUrls: readonly string[], signal: AbortSignal): Api {
  const replies: Replies = new Map();
  const count = (status: number) => replies.set(status, (replies.get(status) ?? 0) + 1);
  let turn = 0;
  return {
    replies,
    async post(path, { key, idempotencyKey, body }) {
      for (;;) {
        signal.throwIfAborted();
        const url = new URL(path, gatewayUrls[turn++ % gatewayUrls.length]);
        try {
          const response = await fetch(url, {
            method: "POST",
            headers: {
              "content-type": typeof body === "string" ? "application/yaml" : "application/json",
              ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
              ...(idempotencyKey === undefined ? {} : { "idempotency-key": idempotencyKey }),
            },
            body: typeof body === "string" ? body : JSON.stringify(body),
            signal: AbortSignal.timeout(CALL_MS),
          });
          const text = await response.text();
          count(response.status);
          if (response.ok) return JSON.parse(text);
          const passes = response.status >= 500 || PASSING.has(JSON.parse(text).code);
          if (!passes) throw new Refused(`${path}: ${response.status} ${text}`);
        } catch (error) {
          if (error instanceof Refused) throw error;
          count(0);
        }
        await sleep(AGAIN_MS);
      }
    },
  };
}

class Refused extends Error {}
