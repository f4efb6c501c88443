import { createHash } from "node:crypto";
import { join } from "node:path";
import { createGateway } from "@maru/gateway";
import { CATALOGUE, servingOf, simulatedHost } from "@maru/model";
import { createLiveBus, prepareQueue } from "@maru/queue";
import { createSimulator } from "@maru/simulator";
import { startEmbeddedPostgres } from "@maru/store/embedded";
import { ensureRuntimeLogin, migrate, seedModels, withLogin } from "@maru/store/migrate";
import { parseEgressAllow } from "@maru/tools";
import { createWorker, WORKER_DEFAULTS } from "@maru/worker";
import type { Logger } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { queueOf, type StandaloneConfig } from "./config.ts";
import type { LocalState } from "./state.ts";

export interface Running {
  readonly url: string;
  readonly simulated: boolean;
  /** Drains and closes everything, the database last. */
  stop(): Promise<void>;
}

/** The name under which the simulator's demonstration API is reachable for tools. */
const DEMO_HOST = "weather.maru.internal";

/** Starts database, simulator, worker and gateway in this process. @throws Error in words for a person */
export async function startAll(config: StandaloneConfig, state: LocalState, logger: Logger): Promise<Running> {
  const opened: (() => Promise<unknown>)[] = [];
  const stop = async () => {
    for (const close of opened.splice(0).reverse()) await close();
  };
  try {
    let ownerUrl = config.databaseUrl;
    if (ownerUrl === null) {
      const postgres = await startEmbeddedPostgres({
        dataDir: join(config.dataDir, "postgres"),
        superuserPassword: state.superuserPassword,
      });
      opened.push(() => postgres.stop());
      ownerUrl = postgres.url;
    }
    // A cluster may hold several Maru databases: each gets a login of its own.
    const user = `maru_app_${createHash("sha256").update(new URL(ownerUrl).pathname).update(state.secret).digest("hex").slice(0, 10)}`;
    await migrate({ ownerUrl, migrationsDir: join(config.root, "prisma/migrations") });
    await seedModels({ ownerUrl, models: CATALOGUE });
    if (config.redisUrl === null) await prepareQueue({ ownerUrl, runtimeRole: "maru_runtime" });
    await ensureRuntimeLogin({ ownerUrl, user, password: state.runtimePassword });
    const databaseUrl = withLogin(ownerUrl, user, state.runtimePassword);

    const simulator = createSimulator({
      latency: config.simulator,
      onError: (error) => logger.error({ err: error }, "simulator"),
    });
    const demo = await simulator.listen({ host: "127.0.0.1", port: 0 });
    opened.push(() => simulator.close());

    const queue = queueOf(config.redisUrl, databaseUrl);
    const egressAllow = { [DEMO_HOST]: demo.url, ...parseEgressAllow(config.egressAllow) };
    const metrics = new Registry();
    collectDefaultMetrics({ register: metrics });
    const serving = servingOf(config.hosts);
    const bus = createLiveBus(queue, `standalone-${process.pid}-${Date.now()}`);
    opened.push(() => bus.close());
    const worker = await createWorker({
      bus,
      config: {
        ...WORKER_DEFAULTS,
        databaseUrl,
        queue,
        hosts: serving.simulated ? [simulatedHost(demo.url)] : config.hosts,
        secret: state.secret,
        previousSecret: null,
        concurrency: config.concurrency,
        drainMs: config.drainMs,
        retentionDays: config.retentionDays,
        egressAllow,
        egress: config.egress,
        mcpStdio: config.mcpStdio,
        opsPort: 0,
        logLevel: config.logLevel,
        node: "standalone",
      },
      logger: logger.child({ service: "worker" }),
      metrics,
    });
    opened.push(() => worker.stop());
    const gateway = await createGateway({
      bus,
      config: {
        host: config.host,
        port: config.port,
        databaseUrl,
        queue,
        secret: state.secret,
        previousSecret: null,
        serving,
        operator: { token: state.operatorToken, databaseUrl: ownerUrl },
        rateLimit: { perMinute: 60_000, burst: 5_000 },
        trustedProxies: [],
        corsOrigins: config.corsOrigins,
        egressAllow,
        egress: config.egress,
        mcpStdio: config.mcpStdio,
        logLevel: config.logLevel,
        node: "standalone",
      },
      logger: logger.child({ service: "gateway" }),
      metrics,
    });
    // Closed after the worker has drained: whoever follows a run hears its end.
    opened.splice(-1, 0, () => gateway.close());
    let url: string;
    try {
      url = await gateway.listen();
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
        throw new Error(`Port ${config.port} is taken by another process. Set PORT to a free one: PORT=8090 npm start`);
      }
      throw error;
    }
    await worker.start();
    return { url: url.replace("0.0.0.0", "127.0.0.1"), simulated: serving.simulated, stop };
  } catch (error) {
    await stop().catch(() => {});
    throw error;
  }
}
