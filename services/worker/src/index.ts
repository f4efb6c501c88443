import { randomUUID } from "node:crypto";
import { LIMITS } from "@maru/contract";
import { createEnvelopeSealer, createSealer, deriveKey, ENDPOINT_KEYS, SECRETS, WEBHOOK_SECRETS } from "@maru/domain";
import type { EnginePorts } from "@maru/engine";
import { createLiveBus, createRedisSlots, createWakeUps, type LiveBus, receiveWakeUps } from "@maru/queue";
import { createPolicyReader, createSecretReader, type NextRun, openStore } from "@maru/store";
import {
  createArgumentCheck,
  createEgress,
  createMcpSessions,
  createSandbox,
  egressFetch,
  parseArguments,
  prepareTools,
} from "@maru/tools";
import type { Logger } from "pino";
import { Counter, Gauge, type Registry } from "prom-client";
import { createCanaryJudge } from "./canaries.ts";
import { createChildRuns } from "./children.ts";
import type { WorkerConfig } from "./config.ts";
import { createHold } from "./hold.ts";
import { createLive } from "./live.ts";
import { createModels } from "./models.ts";
import { createScheduler } from "./schedules.ts";
import { createWebhookSender } from "./webhooks.ts";

export { WORKER_DEFAULTS, type WorkerConfig, workerConfig } from "./config.ts";

export interface Worker {
  start(): Promise<void>;
  /** Runs in flight in this process. */
  inFlight(): number;
  /** Whether the database and the queue answer. */
  ping(): Promise<void>;
  /** SQL statements of the hot path so far. */
  roundTrips(): number;
  /** Takes no more, lets runs finish for `drainMs`, hands the others back, closes what was opened. */
  stop(drainMs?: number): Promise<void>;
}

/** A timer that can be called off; it does not keep the process. */
const after = (ms: number, callback: () => void): (() => void) => {
  const timer = setTimeout(callback, ms).unref();
  return () => clearTimeout(timer);
};

/** Keys of what workspaces gave, which the gateway sealed under the same purpose. */
const keysFor = (purpose: string, { secret, previousSecret }: WorkerConfig): [Buffer, ...Buffer[]] => [
  deriveKey(secret, purpose),
  ...(previousSecret === null ? [] : [deriveKey(previousSecret, purpose)]),
];

/** Runs whose payload is removed at a time: a statement of some milliseconds. */
const EXPIRE_BATCH = 100;
const SWEEP_LIMIT = 200;
const LEAKED_BATCH = 100;
const FORGET_BATCH = 500;
const FORGET_NAMESPACES = 50;

/** Executes runs: wake-ups say which to look at, the database says whether there is anything to do. */
export async function createWorker(deps: {
  config: WorkerConfig;
  logger: Logger;
  metrics: Registry;
  /** Shared with a gateway in the same process, if there is one. */
  bus?: LiveBus;
  /** Hears of every point of the loop a run passes. */
  pass?: EnginePorts["pass"];
}): Promise<Worker> {
  const { config, logger, metrics } = deps;
  const now = () => performance.now();
  const store = await openStore({ url: config.databaseUrl, poolSize: 10 });
  const bus = deps.bus ?? createLiveBus(config.queue, `worker-${config.node}-${randomUUID()}`);
  const wakeUps = createWakeUps(config.queue);
  const policies = createPolicyReader({ policies: store.policies, now });
  const egress = createEgress({ ...config.egress, allow: config.egressAllow, policy: policies.of });
  const sandbox = createSandbox({
    processes: config.sandboxProcesses,
    onLost: (error) => logger.warn({ err: error }, "sandbox process lost"),
  });
  const mcp = createMcpSessions({
    egress,
    stdio: config.mcpStdio ?? false,
    onFinding({ runId, ...found }) {
      if (found.drift !== null)
        logger.warn({ runId, ...found }, "a tool of an MCP server is not what it was at deploy");
      const noted = store.deployments.noteDrift(found.workspaceId, runId, { ...found, what: found.drift });
      noted.catch((error: unknown) => logger.warn({ err: error }, "a drift of tools was not noted"));
    },
  });
  const live = createLive(bus);
  const redisSlots = config.queue.kind === "redis" ? createRedisSlots(config.queue) : null;
  const models = createModels({
    hosts: config.hosts,
    store: store.models,
    slots: redisSlots ?? store.upstream,
    sealer: createSealer(keysFor(ENDPOINT_KEYS, config)),
    policies,
    fetchFor: (workspaceId) => egressFetch(egress.forWorkspace(workspaceId)),
    logger,
    metrics,
    now,
  });
  const secrets = createSecretReader({
    secrets: store.secrets,
    sealer: createEnvelopeSealer(keysFor(SECRETS, config)),
    logger,
  });
  /** A run that was behind another in its thread; unsent, the sweeper finds it. */
  const wake = (workspaceId: string, { runId, epoch }: NextRun) =>
    void wakeUps.send({ workspaceId, runId }, { epoch, recovered: false }).catch(() => {});
  const children = createChildRuns({
    children: store.children,
    bus,
    wake,
    estimateTokens: (text) => models.port.estimateText(null, text),
    logger,
  });
  const judge = createCanaryJudge({ deployments: store.deployments, logger });
  const ports: EnginePorts = {
    model: models.port,
    tools: {
      prepare: (workspaceId, specs) => {
        const policy = () => policies.of(workspaceId);
        return prepareTools(specs, {
          egress: egress.forWorkspace(workspaceId),
          policy,
          sandbox,
          mcp,
          memory: store.memory,
        });
      },
      checker: createArgumentCheck,
      parseArguments,
      secrets: secrets.read,
    },
    journal: {
      async write(claim, entry) {
        const result = await store.journal.write(claim, entry);
        if (result.ok && result.next !== undefined) wake(claim.workspaceId, result.next);
        return result;
      },
    },
    artifacts: { keep: (claim, step, attachment) => store.artifacts.keep(claim, { step, ...attachment }) },
    children: children.port,
    live: live.port,
    clock: { now, date: () => new Date(), after },
    ...(deps.pass === undefined ? {} : { pass: deps.pass }),
  };
  const hold = createHold({
    store,
    bus,
    live,
    ports,
    leaseMs: config.leaseMs,
    maxLostWorkers: config.maxLostWorkers,
    wake,
    children,
    logger,
    now,
  });
  const webhooks = createWebhookSender({
    outbox: store.webhookOutbox,
    sealer: createSealer(keysFor(WEBHOOK_SECRETS, config)),
    egress,
    limits: config.webhooks,
    sweepMs: config.sweepMs,
    logger,
    metrics,
  });
  const scheduler = createScheduler({
    schedules: store.schedules,
    bus,
    wake,
    cancelBelow: children.cancelBelow,
    estimateTokens: (text) => models.port.estimateText(null, text),
    simulated: config.hosts.every(({ simulated }) => simulated),
    sweepMs: config.sweepMs,
    logger,
    metrics,
  });

  new Gauge({
    name: "maru_runs_in_flight",
    help: "Runs this process is executing",
    registers: [metrics],
    collect() {
      this.set(hold.inFlight());
    },
  });
  const taken = new Counter({ name: "maru_wakeups_total", help: "Wake-ups received", registers: [metrics] });

  let receiver: ReturnType<typeof receiveWakeUps> | null = null;
  let sweeper: NodeJS.Timeout | null = null;
  let keeper: NodeJS.Timeout | null = null;
  let stopping = false;
  const direct = new Set<Promise<void>>();

  /**
   * Finds runs nobody is working on. With room for them this worker takes them itself: it would have been given their
   * jobs, were they waiting, so these are lost, or held by a worker that died before it claimed the run (the queue gives
   * such a job out again only when its lock has run out, and takes no second one of the same id until then). Without
   * room their wake-ups are sent again, for whoever has.
   */
  const sweep = async () => {
    try {
      let room = config.concurrency - hold.inFlight();
      for (const { workspaceId, runId, epoch, recovered } of await store.journal.due(SWEEP_LIMIT, config.resendMs)) {
        if (room-- <= 0) {
          await wakeUps.send({ workspaceId, runId }, { epoch, recovered });
          continue;
        }
        const work = hold
          .take(workspaceId, runId)
          .catch((error) => logger.error({ err: error, runId }, "run not taken"));
        direct.add(work);
        void work.finally(() => direct.delete(work));
      }
      await children.sweep(SWEEP_LIMIT);
      await judge(SWEEP_LIMIT);
    } catch (error) {
      logger.warn({ err: error }, "sweep failed");
    }
    if (!stopping) sweeper = setTimeout(() => void sweep(), config.sweepMs * (0.75 + Math.random() / 2));
  };

  /** What is kept only for a time: replies to repeated calls, memory, and the payload of runs that ended long ago. */
  const keep = async () => {
    try {
      await store.idempotency.forgetOld();
      await store.quotas.noticeEnding();
      await store.deployments.forgetRevisions(LIMITS.revisionsKept, FORGET_BATCH);
      const leaked = await store.quotas.expireLeaked(LEAKED_BATCH);
      if (leaked > 0) logger.error({ runs: leaked }, "reservations of runs that had ended were given back");
      while (!stopping && (await store.webhookOutbox.forgetOld(FORGET_BATCH)) >= FORGET_BATCH);
      while (!stopping && (await store.memory.forgetExpired(FORGET_NAMESPACES)) >= FORGET_NAMESPACES);
      if (config.retentionDays === 0) return;
      const before = new Date(Date.now() - config.retentionDays * 86_400_000);
      while (!stopping && (await store.runs.expirePayloads(before, EXPIRE_BATCH)) === EXPIRE_BATCH);
    } catch (error) {
      logger.warn({ err: error }, "housekeeping failed; it is done again later");
    }
  };

  return {
    async start() {
      receiver = receiveWakeUps(config.queue, config.concurrency, async ({ workspaceId, runId }) => {
        taken.inc();
        try {
          await hold.take(workspaceId, runId);
        } catch (error) {
          // The job is done either way: what becomes of the run is decided by its row, and the sweeper looks at that.
          logger.error({ err: error, runId }, "run not taken; the sweeper will send it again");
        }
      });
      hold.start();
      models.start();
      webhooks.start();
      scheduler.start();
      void sweep();
      keeper = setInterval(() => void keep(), config.keepMs);
      // Not waited for: with the queue away the sweeper takes runs all the same.
      void receiver.ready().catch((error: unknown) => logger.warn({ err: error }, "queue not ready yet"));
    },
    inFlight: () => hold.inFlight(),
    async ping() {
      await store.ping();
      await bus.ping();
    },
    roundTrips: () => store.roundTrips(),
    async stop(drainMs = config.drainMs) {
      stopping = true;
      if (sweeper !== null) clearTimeout(sweeper);
      if (keeper !== null) clearInterval(keeper);
      await receiver?.pause();
      await Promise.all([hold.drain(drainMs), webhooks.stop(drainMs), scheduler.stop()]);
      await Promise.allSettled(direct);
      await receiver?.close();
      await wakeUps.close();
      models.close();
      await mcp.close();
      await secrets.close();
      await redisSlots?.close();
      if (deps.bus === undefined) await bus.close();
      await egress.close();
      await sandbox.close();
      await store.close();
    },
  };
}
