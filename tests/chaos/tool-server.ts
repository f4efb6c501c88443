import { once } from "node:events";
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { Random } from "./random.ts";

/** One request as it came. */
export interface Arrival {
  readonly method: string;
  readonly path: string;
  /** Null where Maru sends none: for `safe` tools. */
  readonly idempotencyKey: string | null;
  readonly epoch: number;
  /** Which call of the load it is: every call that an agent is told to make has a reference of its own. */
  readonly reference: string;
  readonly at: number;
}

export interface ToolServer {
  readonly url: string;
  readonly arrivals: readonly Arrival[];
  /** What `POST /pay` did, by key: an effect happens once, a repeat of the key is answered from the record. */
  readonly payments: ReadonlyMap<string, { readonly reference: string; readonly repeats: number }>;
  close(): Promise<void>;
}

/**
 * The world the agents act on, with a record of all that reached it. `GET /read` is safe, `POST /pay` keeps the contract
 * of idempotency keys, `POST /send` has none. Effects happen on arrival, answers come later: a crash falls in between.
 */
export async function startToolServer(options: { maxDelayMs: number; random: Random }): Promise<ToolServer> {
  const arrivals: Arrival[] = [];
  const payments = new Map<string, { reference: string; repeats: number }>();
  const answer = async (request: IncomingMessage): Promise<object> => {
    const { pathname, searchParams } = new URL(request.url ?? "/", "http://tools");
    const body = request.method === "POST" ? await readJson(request) : {};
    const reference = searchParams.get("reference") ?? String(body.reference);
    const key = request.headers["idempotency-key"];
    const idempotencyKey = typeof key === "string" ? key : null;
    const epoch = Number(request.headers["x-run-epoch"]);
    arrivals.push({
      method: request.method ?? "",
      path: pathname,
      idempotencyKey,
      epoch,
      reference,
      at: Date.now(),
    });
    if (pathname === "/pay" && idempotencyKey !== null) {
      const earlier = payments.get(idempotencyKey);
      if (earlier === undefined) payments.set(idempotencyKey, { reference, repeats: 0 });
      else earlier.repeats++;
    }
    await sleep(options.random.next() * options.maxDelayMs);
    return { reference, done: true };
  };
  const server = createServer((request, response) => {
    answer(request).then(
      (body) => response.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(body)),
      // The caller died while it was sending.
      () => response.destroy(),
    );
  });
  // A connection closed here while a call is being written to it would look like a failed tool.
  server.keepAliveTimeout = 3_600_000;
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arrivals,
    payments,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

async function readJson(request: IncomingMessage): Promise<{ reference?: unknown }> {
  let text = "";
  for await (const chunk of request) text += chunk;
  return JSON.parse(text) as { reference?: unknown };
}
