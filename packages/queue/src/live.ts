import { Redis } from "ioredis";
import pg from "pg";
import type { QueueBackend } from "./backend.ts";

/**
 * Live messages between processes, by topic. Nothing depends on one arriving: durable facts are rows, and whoever waits
 * also looks there from time to time. Inside one process a message is handed over directly.
 */
export interface LiveBus {
  publish(topic: string, message: object): void;
  subscribe(topic: string, listener: (message: LiveMessage) => void): () => void;
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** What was published, or `reload` when it was too large to travel: read the rows instead. */
export type LiveMessage = Record<string, unknown> & { readonly kind: string };

/** Pause between two batches of a busy process. */
const GATHER_MS = 10;
/** NOTIFY payloads end at 8,000 bytes (PostgreSQL, “NOTIFY”); both transports keep to it. */
const MAX_BYTES = 7_500;
const CHANNEL = "maru_live";

interface Transport {
  send(messages: readonly { topic: string; body: string }[]): Promise<void>;
  listen(topic: string): void;
  unlisten(topic: string): void;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export function createLiveBus(backend: QueueBackend, node: string): LiveBus {
  const listeners = new Map<string, Set<(message: LiveMessage) => void>>();
  const deliver = (topic: string, message: LiveMessage) => {
    for (const listener of listeners.get(topic) ?? []) listener(message);
  };
  const receive = (body: string) => {
    const { from, topic, message } = JSON.parse(body) as { from: string; topic: string; message: LiveMessage };
    if (from !== node) deliver(topic, message);
  };
  const transport =
    backend.kind === "postgres"
      ? postgresTransport(backend.url, receive)
      : redisTransport(backend.url, backend.prefix ?? "maru", receive);

  let gathered: { topic: string; body: string }[] = [];
  let sending: Promise<void> | null = null;
  let closing = false;
  /** The first message after a silence travels at once; after that they gather: few statements when there is much to say. */
  const flush = async () => {
    while (gathered.length > 0) {
      const batch = gathered;
      gathered = [];
      // A message that can't travel is lost, as the contract of this bus allows; the next one tries again.
      await transport.send(batch).catch(() => {});
      if (!closing) await new Promise((done) => setTimeout(done, GATHER_MS));
    }
    sending = null;
  };

  return {
    publish(topic, message) {
      deliver(topic, message as LiveMessage);
      let body = JSON.stringify({ from: node, topic, message });
      if (Buffer.byteLength(body) > MAX_BYTES)
        body = JSON.stringify({ from: node, topic, message: { kind: "reload" } });
      gathered.push({ topic, body });
      sending ??= Promise.resolve().then(flush);
    },
    subscribe(topic, listener) {
      const set = listeners.get(topic) ?? new Set();
      if (set.size === 0) transport.listen(topic);
      listeners.set(topic, set.add(listener));
      return () => {
        set.delete(listener);
        if (set.size === 0 && listeners.get(topic) === set) {
          listeners.delete(topic);
          transport.unlisten(topic);
        }
      };
    },
    ping: () => transport.ping(),
    async close() {
      closing = true;
      await sending;
      await transport.close();
    },
  };
}

/** One LISTEN connection a process, made anew when it drops; sending goes through a small pool. */
function postgresTransport(url: string, receive: (body: string) => void): Transport {
  const pool = new pg.Pool({
    connectionString: url,
    max: 2,
    application_name: "maru-live",
    connectionTimeoutMillis: 5_000,
  });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  let listener: pg.Client | null = null;
  let closed = false;
  const connect = async (): Promise<void> => {
    if (closed) return;
    const client = new pg.Client({ connectionString: url, application_name: "maru-live-listen", keepAlive: true });
    const again = () => {
      if (listener === client) listener = null;
      client.removeAllListeners();
      client.on("error", () => {});
      void client.end().catch(() => {});
      if (!closed) setTimeout(() => void connect(), 500).unref();
    };
    client.once("error", again);
    client.once("end", again);
    client.on("notification", ({ payload }) => payload !== undefined && receive(payload));
    try {
      await client.connect();
      await client.query(`LISTEN ${CHANNEL}`);
      listener = client;
      if (closed) await client.end();
    } catch {
      again();
    }
  };
  const ready = connect();
  return {
    async send(messages) {
      await pool.query("SELECT pg_notify($1, body) FROM unnest($2::text[]) AS body", [
        CHANNEL,
        messages.map(({ body }) => body),
      ]);
    },
    listen: () => {},
    unlisten: () => {},
    async ping() {
      await pool.query("SELECT 1");
    },
    async close() {
      closed = true;
      await ready;
      listener?.removeAllListeners();
      await listener?.end().catch(() => {});
      await pool.end();
    },
  };
}

/** One channel a topic, so a process receives only what it listens to. */
function redisTransport(url: string, prefix: string, receive: (body: string) => void): Transport {
  const sender = new Redis(url, { maxRetriesPerRequest: 1 });
  const receiver = new Redis(url, { maxRetriesPerRequest: null });
  for (const client of [sender, receiver]) client.on("error", () => {});
  receiver.on("message", (_channel, body: string) => receive(body));
  const channel = (topic: string) => `${prefix}:live:${topic}`;
  return {
    async send(messages) {
      const pipeline = sender.pipeline();
      for (const { topic, body } of messages) pipeline.publish(channel(topic), body);
      await pipeline.exec();
    },
    listen: (topic) => void receiver.subscribe(channel(topic)).catch(() => {}),
    unlisten: (topic) => void receiver.unsubscribe(channel(topic)).catch(() => {}),
    async ping() {
      await sender.ping();
    },
    async close() {
      sender.disconnect();
      receiver.disconnect();
    },
  };
}
