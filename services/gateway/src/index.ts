import { randomUUID } from "node:crypto";
import { newId, Problem } from "@maru/contract";
import {
  createEnvelopeSealer,
  createSealer,
  deriveKey,
  ENDPOINT_KEYS,
  type RateStore,
  SECRETS,
  TRIGGER_SECRETS,
  WEBHOOK_SECRETS,
} from "@maru/domain";
import { createLiveBus, createRedisRates, createWakeUps, type LiveBus } from "@maru/queue";
import { createSecretReader, openRates, openStore } from "@maru/store";
import { openAdmin } from "@maru/store/admin";
import { createEgress, createSandbox } from "@maru/tools";
import { Ajv2020 } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";
import Fastify, { type FastifyBaseLogger, type FastifyInstance } from "fastify";
import type { Logger } from "pino";
import type { Registry } from "prom-client";
import { createAuthenticator } from "./auth/authenticate.ts";
import { signingKey } from "./auth/keys.ts";
import { accessTokens } from "./auth/tokens.ts";
import { type GatewayConfig, STREAM_TIMES, workspaceRate } from "./config.ts";
import { installDocs } from "./docs.ts";
import { bindRoutes, type Handlers, installBodyParsers } from "./http/bind.ts";
import { installCors } from "./http/cors.ts";
import { createIdempotentReplies } from "./http/idempotency.ts";
import { installMetrics } from "./http/metrics.ts";
import { createPages } from "./http/pages.ts";
import { answerClientError, installProblems, sendProblem } from "./http/problems.ts";
import { installReplies } from "./http/replies.ts";
import { createRateLimits, installRateLimits } from "./rates/callers.ts";
import { createTally } from "./rates/local.ts";
import { artifactRoutes } from "./routes/artifacts.ts";
import { authRoutes } from "./routes/auth.ts";
import { deploymentRoutes } from "./routes/deployments.ts";
import { hookRoutes } from "./routes/hooks.ts";
import { memoryRoutes } from "./routes/memory.ts";
import { modelRoutes } from "./routes/models.ts";
import { operationsRoutes } from "./routes/operations.ts";
import { operatorRoutes } from "./routes/operator.ts";
import { policyRoutes } from "./routes/policy.ts";
import { quotaRoutes } from "./routes/quota.ts";
import { runRoutes } from "./routes/runs.ts";
import { scheduleRoutes } from "./routes/schedules.ts";
import { secretRoutes } from "./routes/secrets.ts";
import { threadRoutes } from "./routes/threads.ts";
import { triggerRoutes } from "./routes/triggers.ts";
import { webhookRoutes } from "./routes/webhooks.ts";
import { createRunControl } from "./runs.ts";
import { createHeads } from "./streams/heads.ts";

export { type GatewayConfig, gatewayConfig } from "./config.ts";
export { parseOrigins } from "./http/cors.ts";

export interface Gateway {
  readonly app: FastifyInstance;
  /** Answers the base URL. @throws Error when the port is taken */
  listen(): Promise<string>;
  /** SQL statements of the hot path so far, for tests and benches. */
  roundTrips(): number;
  /** Stops accepting, lets calls under way finish, closes what was opened. */
  close(): Promise<void>;
}

/** The REST API as one Fastify app over its own store, queue and live bus. */
export async function createGateway(deps: {
  config: GatewayConfig;
  logger: Logger;
  metrics: Registry;
  /** Shared with a worker in the same process, if there is one: its messages then need not travel. */
  bus?: LiveBus;
  /** Where callers' limits are kept; by default where the queue is. Closed with the gateway. */
  rates?: RateStore;
  now?: () => number;
}): Promise<Gateway> {
  const { config, logger, metrics, now = Date.now } = deps;
  const store = await openStore({ url: config.databaseUrl });
  const wakeUps = createWakeUps(config.queue);
  const bus = deps.bus ?? createLiveBus(config.queue, `gateway-${config.node}-${randomUUID()}`);
  const policyOf = async (workspaceId: string) => (await store.policies.read(workspaceId)).policy;
  const egress = createEgress({ ...config.egress, allow: config.egressAllow, policy: policyOf });
  // For loading the functions of manifests; most gateways never start it.
  const sandbox = createSandbox({
    processes: 1,
    onLost: (error) => logger.warn({ err: error }, "sandbox process lost"),
  });
  const heads = createHeads(store.runs);
  const rateLimits = createRateLimits({
    key: config.rateLimit,
    workspace: workspaceRate(config),
    store: deps.rates ?? openSharedRates(config, now),
    logger,
    now,
  });
  const closing = new AbortController();

  // Fastify's own defaults coerce types, drop unknown keys and wait for ever: all three are turned round. headersTimeout
  // must not exceed requestTimeout, and both are only looked at every connectionsCheckingInterval.
  const app: FastifyInstance = Fastify({
    loggerInstance: logger as FastifyBaseLogger,
    logController: new Fastify.LogController({ disableRequestLogging: true }),
    bodyLimit: 1_048_576,
    requestTimeout: 15_000,
    connectionTimeout: 0,
    keepAliveTimeout: 65_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 2_000, maxHeaderSize: 16_384 },
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: false },
    trustProxy: config.trustedProxies.length === 0 ? false : [...config.trustedProxies],
    onProtoPoisoning: "error",
    onConstructorPoisoning: "error",
    forceCloseConnections: "idle",
    return503OnClosing: true,
    requestIdHeader: false,
    genReqId: (request) => requestId(request.headers["x-request-id"]),
    clientErrorHandler: answerClientError,
    // A path the router itself refuses (bad escapes, endless ids) names nothing.
    frameworkErrors: (_error, request, reply) => {
      rateLimits.showAddress(reply, request);
      return sendProblem(reply, new Problem("not_found", "There is nothing at this path."), request);
    },
  });
  installValidators(app);
  installBodyParsers(app);
  installProblems(app);
  await installCors(app, config.corsOrigins ?? []);
  installReplies(app);
  installRateLimits(app, rateLimits);
  installMetrics(app, metrics);
  app.decorateRequest("caller", null);

  const keys = [
    signingKey(config.secret),
    ...(config.previousSecret === null ? [] : [signingKey(config.previousSecret)]),
  ] as const;
  const tokens = await accessTokens(app, keys as [ReturnType<typeof signingKey>, ...ReturnType<typeof signingKey>[]]);
  const operatorToken = config.operator?.token ?? null;
  const authenticator = createAuthenticator({ store, tokens, operatorToken, now });
  const admin = config.operator === null ? null : openAdmin(config.operator.databaseUrl);
  const pages = createPages(deriveKey(config.secret, "cursors"));
  const keysFor = (purpose: string): [Buffer, ...Buffer[]] => [
    deriveKey(config.secret, purpose),
    ...(config.previousSecret === null ? [] : [deriveKey(config.previousSecret, purpose)]),
  ];
  const sealerFor = (purpose: string) => createSealer(keysFor(purpose));
  const secretSealer = createEnvelopeSealer(keysFor(SECRETS));
  const secretReader = createSecretReader({ secrets: store.secrets, sealer: secretSealer, logger: app.log });
  const { serving } = config;
  const allowedHosts = Object.keys(config.egressAllow);
  const triggerSealer = sealerFor(TRIGGER_SECRETS);
  const control = createRunControl({ store, wakeUps, bus });
  const handlers: Handlers = {
    ...authRoutes({
      store,
      tokens,
      keys,
      authenticator,
      attempts: createTally({ perMinute: 1, burst: 10 }, now),
      registrations: createTally({ perMinute: 10, burst: 50 }, now),
      maxRate: workspaceRate(config),
      pages,
      now,
    }),
    ...deploymentRoutes({
      store,
      control,
      pages,
      serving,
      allowedHosts,
      mcpStdio: config.mcpStdio ?? false,
      egress,
      sandbox,
      secrets: secretReader.read,
      closing: closing.signal,
    }),
    ...runRoutes({
      store,
      control,
      bus,
      heads,
      pages,
      serving,
      times: config.streams ?? STREAM_TIMES,
      closing: closing.signal,
    }),
    ...artifactRoutes({ artifacts: store.artifacts }),
    ...threadRoutes({ store, pages }),
    ...modelRoutes({
      models: store.models,
      policies: store.policies,
      serving,
      sealer: sealerFor(ENDPOINT_KEYS),
      allowedHosts,
      now,
    }),
    ...policyRoutes({ policies: store.policies }),
    ...memoryRoutes({ memory: store.memory, pages }),
    ...secretRoutes({ secrets: store.secrets, pages, sealer: secretSealer }),
    ...quotaRoutes({ store, pages, simulated: serving.simulated, now }),
    ...operatorRoutes(admin),
    ...webhookRoutes({
      webhooks: store.webhooks,
      policies: store.policies,
      pages,
      sealer: sealerFor(WEBHOOK_SECRETS),
      allowedHosts,
    }),
    ...scheduleRoutes({ store, pages, control, simulated: serving.simulated }),
    ...triggerRoutes({ store, pages, sealer: triggerSealer }),
    ...hookRoutes({
      triggers: store.triggers,
      sealer: triggerSealer,
      rateLimits,
      control,
      simulated: serving.simulated,
      now,
    }),
    ...operationsRoutes({ store, bus, draining: () => closing.signal.aborted }),
  };
  bindRoutes(app, handlers, {
    authenticator,
    rateLimits,
    replies: createIdempotentReplies({ store, sealer: sealerFor("idempotent replies") }),
  });
  await installDocs(app);

  return {
    app,
    listen: () => app.listen({ host: config.host, port: config.port }),
    roundTrips: () => store.roundTrips(),
    close: async () => {
      closing.abort();
      heads.close();
      await app.close();
      await wakeUps.close();
      if (deps.bus === undefined) await bus.close();
      await egress.close();
      await sandbox.close();
      await admin?.close();
      await rateLimits.close();
      await store.close();
    },
  };
}

const openSharedRates = ({ queue, databaseUrl }: GatewayConfig, now: () => number): RateStore =>
  queue.kind === "redis" ? createRedisRates(queue) : openRates({ url: databaseUrl, now });

/** Bodies, paths and headers are judged as they are; only the query, which is text by nature, is read as its schema says. */
function installValidators(app: FastifyInstance): void {
  const strict = new Ajv2020({
    coerceTypes: false,
    removeAdditional: false,
    useDefaults: true,
    allErrors: false,
    strict: false,
    discriminator: false,
  });
  const query = new Ajv2020({
    coerceTypes: true,
    removeAdditional: false,
    useDefaults: true,
    allErrors: false,
    strict: false,
  });
  for (const ajv of [strict, query]) (ajvFormats as unknown as (target: Ajv2020) => void)(ajv);
  app.setValidatorCompiler(({ schema, httpPart }) =>
    (httpPart === "querystring" || httpPart === "params" ? query : strict).compile(schema as object),
  );
}

/** A caller's request id is kept when it is harmless to log, so that a call can be followed through both sides. */
function requestId(given: string | string[] | undefined): string {
  return typeof given === "string" && /^[\w.:-]{1,128}$/.test(given) ? given : newId("request");
}
