import { randomUUID } from "node:crypto";
import { type ModelHost, readModelHosts, simulatedHost } from "@maru/model";
import type { QueueBackend } from "@maru/queue";
import { type EgressLimits, egressLimits, parseEgressAllow, SANDBOX_DEFAULTS } from "@maru/tools";

/** All the worker may be told; read once, here. */
export interface WorkerConfig {
  readonly databaseUrl: string;
  readonly queue: QueueBackend;
  /** Where models answer; the first host that serves a model has its calls. */
  readonly hosts: readonly ModelHost[];
  /** At least 32 characters, the gateway's: opens the keys of workspaces' own endpoints. */
  readonly secret: string;
  /** The secret before the last rotation. */
  readonly previousSecret: string | null;
  /** Runs in flight in this process. They wait on a model, not on the CPU. */
  readonly concurrency: number;
  /** Processes in which code tools run, one call each at a time; started when first needed. */
  readonly sandboxProcesses: number;
  /** How long a run stays this worker's without a sign of life. */
  readonly leaseMs: number;
  /** How often runs without a worker are looked for. */
  readonly sweepMs: number;
  /** When a wake-up that led to nothing is sent again. */
  readonly resendMs: number;
  /** Lost workers after which a run is given up. */
  readonly maxLostWorkers: number;
  /** Days a finished run's input, output, steps and events are kept; 0 = for ever. */
  readonly retentionDays: number;
  /** How often that and other housekeeping is done. */
  readonly keepMs: number;
  /** How long runs may finish after a stop was asked for; then they are handed back. */
  readonly drainMs: number;
  readonly webhooks: WebhookLimits;
  readonly egressAllow: Readonly<Record<string, string>>;
  readonly egress?: EgressLimits;
  /** Starts MCP servers as commands, as this process's user: local development only. */
  readonly mcpStdio?: boolean;
  /** Where /healthz, /readyz and /metrics are; 0 for none. */
  readonly opsPort: number;
  readonly logLevel: string;
  readonly node: string;
}

export interface WebhookLimits {
  /** Deliveries in flight in this process. They wait on receivers, not on the CPU. */
  readonly inFlight: number;
  /** Of them to one endpoint. */
  readonly perEndpoint: number;
  /** How long a receiver may take to answer. */
  readonly timeoutMs: number;
  /** How long a delivery stays this worker's; longer than a try takes. */
  readonly leaseMs: number;
}

export const WORKER_DEFAULTS = {
  concurrency: 200,
  sandboxProcesses: SANDBOX_DEFAULTS.processes,
  leaseMs: 15_000,
  sweepMs: 1_000,
  resendMs: 10_000,
  maxLostWorkers: 5,
  drainMs: 20_000,
  retentionDays: 30,
  keepMs: 600_000,
  webhooks: { inFlight: 256, perEndpoint: 8, timeoutMs: 15_000, leaseMs: 30_000 },
} as const;

/** @throws Error naming the variable that is missing or wrong */
export function workerConfig(env: NodeJS.ProcessEnv): WorkerConfig {
  const databaseUrl = env.DATABASE_RUNTIME_URL ?? env.DATABASE_URL;
  if (!databaseUrl) throw new Error("DATABASE_RUNTIME_URL is not set: the connection string of a maru_runtime login");
  const secret = env.MARU_SECRET ?? "";
  if (secret.length < 32) throw new Error("MARU_SECRET must have at least 32 characters, and be the gateway's");
  return {
    ...WORKER_DEFAULTS,
    databaseUrl,
    queue: env.REDIS_URL ? { kind: "redis", url: env.REDIS_URL } : { kind: "postgres", url: databaseUrl },
    hosts: hosts(env),
    secret,
    previousSecret: env.MARU_SECRET_PREVIOUS || null,
    concurrency: integer(env, "WORKER_CONCURRENCY", WORKER_DEFAULTS.concurrency),
    sandboxProcesses: Math.max(1, integer(env, "SANDBOX_PROCESSES", WORKER_DEFAULTS.sandboxProcesses)),
    leaseMs: integer(env, "WORKER_LEASE_MS", WORKER_DEFAULTS.leaseMs),
    sweepMs: integer(env, "WORKER_SWEEP_MS", WORKER_DEFAULTS.sweepMs),
    resendMs: integer(env, "WORKER_RESEND_MS", WORKER_DEFAULTS.resendMs),
    drainMs: integer(env, "WORKER_DRAIN_MS", WORKER_DEFAULTS.drainMs),
    retentionDays: integer(env, "RUN_RETENTION_DAYS", WORKER_DEFAULTS.retentionDays),
    egressAllow: parseEgressAllow(env.EGRESS_ALLOW ?? ""),
    egress: egressLimits(env),
    mcpStdio: env.MCP_STDIO === "1",
    opsPort: integer(env, "WORKER_OPS_PORT", 8082),
    logLevel: env.LOG_LEVEL ?? "info",
    node: env.HOSTNAME ? `${env.HOSTNAME}-${process.pid}` : randomUUID(),
  };
}

/** The installation's model hosts, else the simulator. @throws Error naming the variable that is wrong */
function hosts(env: NodeJS.ProcessEnv): readonly ModelHost[] {
  const hosts = readModelHosts(env);
  if (hosts.length > 0) return hosts;
  if (!env.SIMULATOR_URL)
    throw new Error("Set MODEL_BASE_URL to an OpenAI-compatible endpoint of K-EXAONE, or SIMULATOR_URL to a simulator");
  if (!URL.canParse(env.SIMULATOR_URL)) throw new Error(`SIMULATOR_URL is not a URL: ${env.SIMULATOR_URL}`);
  return [simulatedHost(env.SIMULATOR_URL.replace(/\/+$/, ""))];
}

function integer(env: NodeJS.ProcessEnv, name: string, fallback: number): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!Number.isInteger(value) || value < 0) throw new Error(`${name} must be a whole number, not ${text}`);
  return value;
}
