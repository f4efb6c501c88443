import { randomUUID } from "node:crypto";
import type { RatePolicy } from "@maru/domain";
import { readModelHosts, servingOf } from "@maru/model";
import type { QueueBackend } from "@maru/queue";
import { type EgressLimits, egressLimits, parseEgressAllow } from "@maru/tools";
import { parseOrigins } from "./http/cors.ts";

/** All the gateway may be told; read once, here. */
export interface GatewayConfig {
  readonly host: string;
  readonly port: number;
  readonly databaseUrl: string;
  readonly queue: QueueBackend;
  /** At least 32 characters: signing keys, cursor and reply encryption keys are derived from it. */
  readonly secret: string;
  /** The secret before the last rotation: what it signed stays valid until it expires. */
  readonly previousSecret: string | null;
  /** Which models this installation's hosts serve, and whether the built-in simulator stands in for them. */
  readonly serving: { readonly served: readonly string[]; readonly simulated: boolean };
  /** The API operators change quota policy by; null: there is none. The login is a member of maru_operator. */
  readonly operator: { readonly token: string; readonly databaseUrl: string } | null;
  /** Calls a caller may make in a minute, and how many at once: of each API key without a limit of its own, person or address. */
  readonly rateLimit: RatePolicy;
  /** The same of all of a workspace's callers together, and the most a key's own limit may be. Five times `rateLimit` if left out. */
  readonly workspaceRateLimit?: RatePolicy;
  /** Proxies whose X-Forwarded-For is believed, as addresses or CIDR ranges. */
  readonly trustedProxies: readonly string[];
  /** Origins whose pages may call the API from a browser; `*` is all. None if left out. */
  readonly corsOrigins?: readonly string[];
  /** Hosts that HTTP tools may reach although they are private: name → origin. */
  readonly egressAllow: Readonly<Record<string, string>>;
  readonly egress?: EgressLimits;
  /** Lets manifests have MCP servers that are started as commands: local development only. */
  readonly mcpStdio?: boolean;
  /** Event streams: how often a quiet one says that it is still there, and after how long a reader that takes nothing is cut. */
  readonly streams?: StreamTimes;
  readonly logLevel: string;
  readonly node: string;
}

export interface StreamTimes {
  readonly heartbeatMs: number;
  readonly stallMs: number;
}
/** Proxies cut a silent connection after a minute, often sooner. */
export const STREAM_TIMES: StreamTimes = { heartbeatMs: 15_000, stallMs: 30_000 };

export const workspaceRate = ({ rateLimit, workspaceRateLimit }: GatewayConfig): RatePolicy =>
  workspaceRateLimit ?? { perMinute: rateLimit.perMinute * 5, burst: rateLimit.burst * 5 };

/** @throws Error naming the variable that is missing or wrong */
export function gatewayConfig(env: NodeJS.ProcessEnv): GatewayConfig {
  const databaseUrl = env.DATABASE_RUNTIME_URL ?? env.DATABASE_URL;
  if (!databaseUrl) throw new Error("DATABASE_RUNTIME_URL is not set: the connection string of a maru_runtime login");
  const secret = env.MARU_SECRET ?? "";
  if (secret.length < 32) throw new Error("MARU_SECRET must have at least 32 characters");
  const rateLimit = {
    perMinute: integer(env, "RATE_LIMIT_PER_MINUTE", 6_000, 1),
    burst: integer(env, "RATE_LIMIT_BURST", 1_000, 1),
  };
  return {
    host: env.HOST ?? "0.0.0.0",
    port: integer(env, "PORT", 8080),
    databaseUrl,
    queue: env.REDIS_URL ? { kind: "redis", url: env.REDIS_URL } : { kind: "postgres", url: databaseUrl },
    secret,
    previousSecret: env.MARU_SECRET_PREVIOUS || null,
    serving: servingOf(readModelHosts(env)),
    operator: operatorOf(env),
    rateLimit,
    workspaceRateLimit: {
      perMinute: integer(env, "RATE_LIMIT_WORKSPACE_PER_MINUTE", 5 * rateLimit.perMinute, 1),
      burst: integer(env, "RATE_LIMIT_WORKSPACE_BURST", 5 * rateLimit.burst, 1),
    },
    trustedProxies: (env.TRUSTED_PROXIES ?? "").split(",").filter(Boolean),
    corsOrigins: parseOrigins(env.CORS_ORIGINS ?? ""),
    egressAllow: parseEgressAllow(env.EGRESS_ALLOW ?? ""),
    egress: egressLimits(env),
    mcpStdio: env.MCP_STDIO === "1",
    streams: {
      heartbeatMs: integer(env, "STREAM_HEARTBEAT_MS", STREAM_TIMES.heartbeatMs),
      stallMs: integer(env, "STREAM_STALL_MS", STREAM_TIMES.stallMs),
    },
    logLevel: env.LOG_LEVEL ?? "info",
    node: env.HOSTNAME ? `${env.HOSTNAME}-${process.pid}` : randomUUID(),
  };
}

function operatorOf(env: NodeJS.ProcessEnv): GatewayConfig["operator"] {
  const { OPERATOR_TOKEN: token, OPERATOR_DATABASE_URL: databaseUrl } = env;
  if (!token && !databaseUrl) return null;
  if (!token || !databaseUrl) throw new Error("OPERATOR_TOKEN and OPERATOR_DATABASE_URL must be set together");
  if (!/^[\x21-\x7e]{32,}$/.test(token))
    throw new Error("OPERATOR_TOKEN must be 32 printable characters or more, without spaces");
  return { token, databaseUrl };
}

function integer(env: NodeJS.ProcessEnv, name: string, fallback: number, min = 0): number {
  const text = env[name];
  if (text === undefined || text === "") return fallback;
  const value = Number(text);
  if (!Number.isSafeInteger(value) || value < min)
    throw new Error(`${name} must be a whole number${min > 0 ? ` of at least ${min}` : ""}, not ${text}`);
  return value;
}
