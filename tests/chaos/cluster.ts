import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { GatewayConfig } from "@maru/gateway";
import { servingOf, simulatedHost } from "@maru/model";
import type { QueueBackend } from "@maru/queue";
import { freePort } from "@maru/store/embedded";
import { WORKER_DEFAULTS, type WorkerConfig } from "@maru/worker";
import { Redis } from "ioredis";
import { startRedis } from "../setup/redis-server.ts";
import { type CrashablePostgres, startPostgres } from "./postgres.ts";
import { type KeptProcess, keepProcess } from "./process.ts";

/** A Maru as it would be installed: processes of their own over a Postgres and, if asked for, a Redis of their own. */
export interface Cluster {
  readonly postgres: CrashablePostgres;
  readonly gatewayUrls: readonly string[];
  readonly gateways: readonly KeptProcess[];
  readonly workers: readonly KeptProcess[];
  readonly leaseMs: number;
  /** Empties the Redis; only where there is one. */
  flush: (() => Promise<void>) | null;
  /** Processes that ended though nobody killed them. */
  ownDeaths(): number;
  close(): Promise<void>;
}

export interface ClusterOptions {
  readonly backend: "postgres" | "redis";
  /** Where tools reach the tool server: the name agents know it by, and where it is. */
  readonly toolHost: string;
  readonly toolUrl: string;
  /** Milliseconds each model call takes. */
  readonly modelCallMs: number;
  /** Keeps the folder with the logs of all processes, and makes them say more. */
  readonly keepLogs: boolean;
}

const GATEWAYS = 2;
const WORKERS = 3;
const LEASE_MS = 3_000;

/** @throws Error when the backend is Redis and there is no `redis-server` */
export async function startCluster(options: ClusterOptions): Promise<Cluster> {
  const folder = mkdtempSync(join(tmpdir(), "maru-chaos-"));
  const logFile = (name: string) => join(folder, `${name}.log`);
  const postgres = await startPostgres(folder);
  const redis = options.backend === "redis" ? await startRedis(folder) : null;
  if (options.backend === "redis" && redis === null) throw new Error("there is no redis-server on PATH");
  const redisClient = redis === null ? null : new Redis(redis.url);
  redisClient?.on("error", () => {});
  const queue: QueueBackend =
    redis === null ? { kind: "postgres", url: postgres.runtimeUrl } : { kind: "redis", url: redis.url };
  const simulator = keepProcess({
    script: "tests/chaos/simulator-process.ts",
    argument: String(options.modelCallMs),
    logFile: logFile("simulator"),
  });
  const modelUrl = (await simulator.ready()) as string;
  const common = {
    databaseUrl: postgres.runtimeUrl,
    queue,
    secret: randomBytes(32).toString("hex"),
    previousSecret: null,
    egressAllow: { [options.toolHost]: options.toolUrl },
    logLevel: options.keepLogs ? "warn" : "error",
  };
  const gatewayUrls: string[] = [];
  const gateways: KeptProcess[] = [];
  for (let index = 0; index < GATEWAYS; index++) {
    const port = await freePort();
    const config: GatewayConfig = {
      ...common,
      host: "127.0.0.1",
      port,
      serving: servingOf([]),
      operator: null,
      rateLimit: { perMinute: 100_000_000, burst: 10_000_000 },
      trustedProxies: [],
      node: `gateway-${index}`,
    };
    gatewayUrls.push(`http://127.0.0.1:${port}`);
    const script = "tests/setup/gateway-process.ts";
    gateways.push(keepProcess({ script, argument: JSON.stringify(config), logFile: logFile(config.node) }));
  }
  const workers = Array.from({ length: WORKERS }, (_, index) => {
    const config: WorkerConfig = {
      ...WORKER_DEFAULTS,
      ...common,
      hosts: [simulatedHost(modelUrl)],
      concurrency: 50,
      leaseMs: LEASE_MS,
      sweepMs: 500,
      resendMs: 2_000,
      opsPort: 0,
      node: `worker-${index}`,
    };
    const script = "tests/setup/worker-process.ts";
    return keepProcess({ script, argument: JSON.stringify(config), logFile: logFile(config.node) });
  });
  const services = [...gateways, ...workers];
  await Promise.all(services.map((service) => service.ready()));

  return {
    postgres,
    gatewayUrls,
    gateways,
    workers,
    leaseMs: LEASE_MS,
    flush: redisClient === null ? null : async () => void (await redisClient.flushall()),
    ownDeaths: () => [...services, simulator].reduce((sum, item) => sum + item.ownDeaths(), 0),
    async close() {
      await Promise.all([...services, simulator].map((item) => item.close()));
      redisClient?.disconnect();
      await redis?.stop();
      await postgres.close();
      if (options.keepLogs) console.log(`logs: ${folder}`);
      else rmSync(folder, { recursive: true, force: true });
    },
  };
}
