import { resolve } from "node:path";
import { parseOrigins } from "@maru/gateway";
import { type ModelHost, readModelHosts } from "@maru/model";
import type { QueueBackend } from "@maru/queue";
import { type EgressLimits, egressLimits } from "@maru/tools";

/** What `npm start` may be told; read once, here. */
export interface StandaloneConfig {
  readonly port: number;
  readonly host: string;
  /** Where the embedded Postgres and the generated secrets live. */
  readonly dataDir: string;
  /** A Postgres to use instead of the embedded one, as a role that may create tables and roles. */
  readonly databaseUrl: string | null;
  readonly redisUrl: string | null;
  /** None: answers come from the simulator. */
  readonly hosts: readonly ModelHost[];
  readonly simulator: { readonly firstByteMs: number; readonly tokensPerSecond: number };
  readonly concurrency: number;
  readonly drainMs: number;
  readonly retentionDays: number;
  readonly logLevel: string;
  /** Do the main job once and exit. */
  readonly once: boolean;
  /** The project's folder: migrations and examples are there. */
  readonly root: string;
  /** Origins whose pages may call the API from a browser. */
  readonly corsOrigins: readonly string[];
  readonly egressAllow: string;
  readonly egress: EgressLimits;
  /** Lets agents have MCP servers that are started as commands on this machine. */
  readonly mcpStdio: boolean;
}

/** @throws Error naming the variable or argument that is wrong */
export function standaloneConfig(env: NodeJS.ProcessEnv, args: readonly string[]): StandaloneConfig {
  const unknown = args.filter((arg) => arg !== "--once");
  if (unknown.length > 0) throw new Error(`Unknown argument ${unknown.join(" ")}: npm start takes only -- --once`);
  const root = resolve(import.meta.dirname, "../../..");
  return {
    port: integer(env, "PORT", 8080, 65_535),
    host: env.HOST ?? "127.0.0.1",
    dataDir: resolve(root, env.MARU_DATA_DIR ?? ".maru"),
    databaseUrl: env.DATABASE_URL || null,
    redisUrl: env.REDIS_URL || null,
    hosts: readModelHosts(env),
    simulator: {
      firstByteMs: integer(env, "SIMULATOR_FIRST_BYTE_MS", 150),
      tokensPerSecond: integer(env, "SIMULATOR_TOKENS_PER_SECOND", 150),
    },
    concurrency: integer(env, "WORKER_CONCURRENCY", 200),
    drainMs: integer(env, "WORKER_DRAIN_MS", 10_000),
    retentionDays: integer(env, "RUN_RETENTION_DAYS", 30),
    logLevel: env.LOG_LEVEL ?? "info",
    once: args.includes("--once"),
    root,
    corsOrigins: parseOrigins(env.CORS_ORIGINS ?? ""),
    egressAllow: env.EGRESS_ALLOW ?? "",
    egress: egressLimits(env),
    mcpStdio: env.MCP_STDIO === "1",
  };
}

export const queueOf = (redisUrl: string | null, databaseUrl: string): QueueBackend =>
  redisUrl === null ? { kind: "postgres", url: databaseUrl } : { kind: "redis", url: redisUrl };

function integer(env: NodeJS.ProcessEnv, name: string, fallback: number, max = 1_000_000_000): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0 || value > max)
    throw new Error(`${name} must be a whole number from 0 to ${max}, not ${text}`);
  return value;
}
