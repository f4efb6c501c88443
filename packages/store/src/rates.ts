import type { RateBucket, RateStore, RateVerdict } from "@maru/domain";
import pg from "pg";

/** A Postgres that is away fails a call soon: the gateway then judges by itself. */
const ANSWER_MS = 2_000;
const FORGET_EVERY_MS = 600_000;

/** Like calls that wait for the next round trip. */
interface Ask {
  readonly buckets: readonly RateBucket[];
  readonly calls: { resolve(verdict: RateVerdict): void; reject(error: unknown): void }[];
}

/**
 * Rate limits in Postgres, shared by every gateway on it (`take_rates` in the migrations). While one round trip is on its
 * way the calls that come gather for the next, so a gateway sends one at a time however many calls it serves, and each call is
 * still judged. On a connection of its own: neither waits for the other's queries.
 */
export function openRates(options: {
  readonly url: string;
  /** How long an answer is waited for. Default 2 s. */
  readonly answerMs?: number;
  readonly now?: () => number;
}): RateStore {
  const { url, answerMs = ANSWER_MS, now = Date.now } = options;
  const pool = new pg.Pool({
    connectionString: url,
    max: 1,
    connectionTimeoutMillis: answerMs,
    // The client's own limit: a server that is silent does not keep the one connection.
    query_timeout: answerMs,
    statement_timeout: answerMs,
    application_name: "maru-rates",
    options: "-c plan_cache_mode=force_generic_plan",
  });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  let waiting = new Map<string, Ask>();
  let sending = false;
  let forgetAt = now() + FORGET_EVERY_MS;

  const judge = async (asks: readonly Ask[]): Promise<{ granted: string; ahead: number[] }[]> => {
    const named = new Map(asks.flatMap((ask) => ask.buckets).map((bucket) => [bucket.key, bucket]));
    // In one order at every gateway: takers that wait for each other's rows never do so in a circle.
    const buckets = [...named.values()].sort((a, b) => (a.key < b.key ? -1 : 1));
    const places = new Map(buckets.map(({ key }, index) => [key, index + 1]));
    const { rows } = await pool.query<{ granted: string; ahead: number[] }>({
      name: "take_rates",
      text: "SELECT granted, ahead FROM take_rates($1, $2, $3, $4)",
      values: [
        buckets.map(({ key }) => key),
        buckets.map(({ everyUs }) => everyUs),
        buckets.map(({ burst }) => burst),
        JSON.stringify(asks.map((ask) => [ask.calls.length, ...ask.buckets.map(({ key }) => places.get(key))])),
      ],
    });
    return rows;
  };

  const send = async () => {
    sending = true;
    while (waiting.size > 0) {
      const asks = [...waiting.values()];
      waiting = new Map();
      try {
        const rows = await judge(asks);
        for (const [index, ask] of asks.entries()) share(ask, rows[index]);
        if (now() >= forgetAt) {
          forgetAt = now() + FORGET_EVERY_MS;
          await pool.query("SELECT forget_idle_rates()");
        }
      } catch (error) {
        for (const { calls } of asks) for (const call of calls) call.reject(error);
      }
    }
    sending = false;
  };

  return {
    take: (_owner, buckets) =>
      new Promise((resolve, reject) => {
        const like = buckets.map(({ key }) => key).join(" ");
        const ask = waiting.get(like) ?? { buckets, calls: [] };
        ask.calls.push({ resolve, reject });
        waiting.set(like, ask);
        if (!sending) void send();
      }),
    close: () => pool.end(),
  };
}

/** Of calls judged together the first ones pass; each sees its buckets as if it had been judged alone, in its turn. */
function share({ buckets, calls }: Ask, row: { granted: string; ahead: number[] } | undefined): void {
  if (row === undefined) throw new Error("the database answered no row");
  const passed = Number(row.granted);
  for (const [turn, call] of calls.entries()) {
    const after = Math.max(0, passed - 1 - turn);
    call.resolve({
      granted: turn < passed,
      aheadUs: buckets.map(({ everyUs }, index) => (row.ahead[index] ?? 0) - after * everyUs),
    });
  }
}
