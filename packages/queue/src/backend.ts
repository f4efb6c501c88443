import { createPostgresBackend, type Processor, Queue, Worker, type WorkerOptions, withBackend } from "bullmq";
import { Redis } from "ioredis";
import pg from "pg";

/** Where wake-ups and live events travel. Postgres is the default; Redis is for many worker processes. */
export type QueueBackend =
  | { readonly kind: "postgres"; readonly url: string; readonly schema?: string }
  | { readonly kind: "redis"; readonly url: string; readonly prefix?: string };

const DEFAULT_SCHEMA = "bullmq";
const DEFAULT_PREFIX = "maru";

/** A Redis that is away must not keep a process from stopping. */
const CLOSE_MS = 3_000;

/** The work's result, or a rejection when it takes longer; BullMQ itself waits for a lost backend without limit. */
export async function within<T>(ms: number, work: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`the queue did not answer in ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

const Postgres = withBackend(createPostgresBackend);

/** BullMQ's options both backends share. A finished job leaves nothing behind: the run's row is the record. */
const JOB_OPTIONS = { attempts: 1, removeOnComplete: true, removeOnFail: true } as const;

/** The producer's end of a queue. It fails at once when the backend is away: the sweeper sends the wake-up later. */
export function openQueue<Data>(name: string, backend: QueueBackend): { queue: Queue<Data>; close(): Promise<void> } {
  if (backend.kind === "postgres") {
    const queue = new Postgres.Queue<Data>(name, {
      connection: postgresConnection(backend, 4),
      defaultJobOptions: JOB_OPTIONS,
    }) as unknown as Queue<Data>;
    // An unheard `error` would end the process; a lost connection shows where it matters, at the next call.
    queue.on("error", () => {});
    return { queue, close: () => queue.close() };
  }
  const connection = new Redis(backend.url, { maxRetriesPerRequest: 1, enableOfflineQueue: false, lazyConnect: false });
  connection.on("error", () => {});
  const queue = new Queue<Data>(name, {
    connection,
    prefix: backend.prefix ?? DEFAULT_PREFIX,
    defaultJobOptions: JOB_OPTIONS,
  });
  queue.on("error", () => {});
  return {
    queue,
    close: async () => {
      await within(CLOSE_MS, queue.close()).catch(() => {});
      connection.disconnect();
    },
  };
}

/**
 * The consumer's end. BullMQ must never decide a run's fate: a stalled job is given out again without limit, and what
 * that means for the run is decided by its lease in Postgres.
 */
export function openWorker<Data>(
  name: string,
  backend: QueueBackend,
  processor: Processor<Data, void>,
  concurrency: number,
): { worker: Worker<Data, void>; close(): Promise<void> } {
  const options: Omit<WorkerOptions, "connection"> = {
    concurrency,
    maxStalledCount: 1_000_000,
    lockDuration: 60_000,
    stalledInterval: 15_000,
    skipVersionCheck: true,
    autorun: true,
  };
  if (backend.kind === "postgres") {
    const worker = new Postgres.Worker<Data, void>(name, processor as never, {
      ...options,
      connection: postgresConnection(backend, 4),
    }) as unknown as Worker<Data, void>;
    worker.on("error", () => {});
    return { worker, close: () => worker.close() };
  }
  const connection = new Redis(backend.url, { maxRetriesPerRequest: null });
  connection.on("error", () => {});
  const worker = new Worker<Data, void>(name, processor, {
    ...options,
    connection,
    prefix: backend.prefix ?? DEFAULT_PREFIX,
  });
  worker.on("error", () => {});
  return {
    worker,
    close: async () => {
      await within(CLOSE_MS, worker.close()).catch(() => {});
      connection.disconnect();
    },
  };
}

const postgresConnection = (backend: Extract<QueueBackend, { kind: "postgres" }>, max: number) => ({
  connectionString: backend.url,
  schema: backend.schema ?? DEFAULT_SCHEMA,
  max,
  application_name: "maru-queue",
  keepAlive: true,
});

/**
 * Prepares the Postgres backend: creates BullMQ's own tables as their owner and lets the runtime role use them, no more.
 * Nothing to do for Redis.
 */
export async function prepareQueue(options: { ownerUrl: string; runtimeRole: string; schema?: string }): Promise<void> {
  const schema = options.schema ?? DEFAULT_SCHEMA;
  const queue = new Postgres.Queue("prepare", {
    connection: { connectionString: options.ownerUrl, schema, max: 1, migrate: true },
  });
  queue.on("error", () => {});
  await queue.waitUntilReady();
  await queue.close();
  const client = new pg.Client({ connectionString: options.ownerUrl });
  await client.connect();
  try {
    const role = client.escapeIdentifier(options.runtimeRole);
    const inSchema = client.escapeIdentifier(schema);
    await client.query(`
      GRANT USAGE ON SCHEMA ${inSchema} TO ${role};
      GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${inSchema} TO ${role};
      GRANT USAGE, SELECT, UPDATE ON ALL SEQUENCES IN SCHEMA ${inSchema} TO ${role};
      GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA ${inSchema} TO ${role};`);
  } finally {
    await client.end();
  }
}
