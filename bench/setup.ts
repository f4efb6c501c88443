import { type ChildProcess, fork } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { createGateway, type GatewayConfig } from "@maru/gateway";
import { CATALOGUE, servingOf, simulatedHost } from "@maru/model";
import { createLiveBus, prepareQueue, type QueueBackend } from "@maru/queue";
import { startEmbeddedPostgres } from "@maru/store/embedded";
import { ensureRuntimeLogin, migrate, seedModels, withLogin } from "@maru/store/migrate";
import { createWorker, WORKER_DEFAULTS, type WorkerConfig } from "@maru/worker";
import pg from "pg";
import { pino } from "pino";
import { Registry } from "prom-client";

export interface Bench {
  readonly url: string;
  readonly key: string;
  readonly modelUrl: string;
  readonly queue: string;
  /** As the owner of the tables. */
  readonly ownerUrl: string;
  readonly workerConfig: WorkerConfig;
  readonly gatewayConfig: GatewayConfig;
  deploy(manifest: string): Promise<void>;
  /** Milliseconds each model call takes from now on. */
  latency(callMs: number): Promise<void>;
  close(): Promise<void>;
}

const MANIFEST = `apiVersion: maru/v1
kind: Agent
metadata: { name: bench }
spec:
  instructions: You are a helpful assistant.
  model: { thinking: false, maxOutputTokens: 256 }
  tools: [{ name: calculator, type: builtin }]
`;

/** A whole Maru in this process on an embedded Postgres with fsync on; the model in a process of its own. */
export async function openBench(options: { concurrency?: number; worker?: false } = {}): Promise<Bench> {
  const folder = mkdtempSync(join(tmpdir(), "maru-bench-"));
  const postgres = await startEmbeddedPostgres({
    dataDir: join(folder, "data"),
    superuserPassword: randomBytes(8).toString("hex"),
  });
  const ownerUrl = postgres.url;
  await migrate({ ownerUrl, migrationsDir: resolve("prisma/migrations") });
  await seedModels({ ownerUrl, models: CATALOGUE });
  await prepareQueue({ ownerUrl, runtimeRole: "maru_runtime" });
  await ensureRuntimeLogin({ ownerUrl, user: "maru_bench", password: "bench" });
  const databaseUrl = withLogin(ownerUrl, "maru_bench", "bench");
  const simulator = fork(resolve("bench/simulator-process.ts"), { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const [modelUrl] = (await once(simulator, "message")) as [string];
  const redisUrl = process.env.REDIS_URL;
  const queue: QueueBackend = redisUrl
    ? { kind: "redis", url: redisUrl, prefix: `bench-${randomBytes(4).toString("hex")}` }
    : { kind: "postgres", url: databaseUrl };
  const logger = pino({ level: "warn" });
  const bus = createLiveBus(queue, "bench");
  const secret = randomBytes(32).toString("hex");
  const workerConfig: WorkerConfig = {
    ...WORKER_DEFAULTS,
    databaseUrl,
    queue,
    hosts: [simulatedHost(modelUrl)],
    secret,
    previousSecret: null,
    concurrency: options.concurrency ?? WORKER_DEFAULTS.concurrency,
    egressAllow: {},
    opsPort: 0,
    logLevel: "warn",
    node: "bench",
  };
  const worker =
    options.worker === false
      ? null
      : await createWorker({ bus, config: workerConfig, logger, metrics: new Registry() });
  const gatewayConfig: GatewayConfig = {
    host: "127.0.0.1",
    port: 0,
    databaseUrl,
    queue,
    secret,
    previousSecret: null,
    serving: servingOf([]),
    operator: null,
    rateLimit: { perMinute: 100_000_000, burst: 10_000_000 },
    trustedProxies: [],
    egressAllow: {},
    logLevel: "warn",
    node: "bench",
  };
  const gateway = await createGateway({ bus, config: gatewayConfig, logger, metrics: new Registry() });
  const url = await gateway.listen();
  await worker?.start();

  const owner = new pg.Client({ connectionString: ownerUrl });
  await owner.connect();
  await owner.query("UPDATE plan_limits SET amount = 1000000000000");
  await owner.end();
  const call = async (path: string, key: string | null, body: string, type = "application/json") => {
    const response = await fetch(new URL(path, url), {
      method: "POST",
      headers: { "content-type": type, ...(key === null ? {} : { authorization: `Bearer ${key}` }) },
      body,
    });
    if (!response.ok) throw new Error(`${path}: ${response.status} ${await response.text()}`);
    return response.json() as Promise<Record<string, never>>;
  };
  const registered = (await call(
    "/v1/auth/register",
    null,
    JSON.stringify({ email: "bench@example.com", password: "bench bench bench" }),
  )) as unknown as { tokens: { access_token: string } };
  const { key } = (await call(
    "/v1/api-keys",
    registered.tokens.access_token,
    JSON.stringify({ name: "bench", scopes: ["agents:write", "runs:write", "runs:read"] }),
  )) as unknown as { key: string };
  await call("/v1/deployments", key, MANIFEST, "application/yaml");

  return {
    url,
    key,
    modelUrl,
    queue: queue.kind,
    ownerUrl,
    workerConfig,
    gatewayConfig,
    deploy: async (manifest) => {
      await call("/v1/deployments", key, manifest, "application/yaml");
    },
    latency: (callMs) => ask(simulator, { callMs }),
    close: async () => {
      await worker?.stop(1_000);
      await gateway.close();
      await bus.close();
      simulator.kill("SIGTERM");
      await postgres.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function ask(child: ChildProcess, message: object): Promise<void> {
  child.send(message);
  await once(child, "message");
}
