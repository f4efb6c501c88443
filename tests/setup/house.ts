import { randomBytes } from "node:crypto";
import { SCOPES } from "@maru/contract";
import { createGateway, type Gateway, type GatewayConfig } from "@maru/gateway";
import { servingOf, simulatedHost } from "@maru/model";
import { createRedisRates, type QueueBackend } from "@maru/queue";
import { createSimulator, type Simulator } from "@maru/simulator";
import { openRates } from "@maru/store";
import { createWorker, WORKER_DEFAULTS, type Worker, type WorkerConfig } from "@maru/worker";
import { type Logger, pino } from "pino";
import { Registry } from "prom-client";
import { type BackendName, backendFor, createTestDatabase, type TestDatabase } from "./database.ts";
import { checkReply } from "./openapi.ts";

export interface Reply {
  readonly status: number;
  readonly headers: Headers;
  // biome-ignore lint/suspicious/noExplicitAny: replies are checked against the OpenAPI document, tests then read fields
  readonly body: any;
}
export interface CallOptions {
  readonly key?: string | null;
  readonly body?: unknown;
  /** Sent as it is, with this type. */
  readonly raw?: { readonly type: string; readonly text: string | Buffer };
  readonly headers?: Readonly<Record<string, string>>;
  readonly signal?: AbortSignal;
}
export interface Person {
  readonly email: string;
  readonly password: string;
  readonly workspaceId: string;
  readonly accessToken: string;
  readonly refreshToken: string;
  /** An API key with every scope. */
  readonly key: string;
}

/** A whole Maru on its own database: gateway and worker in this process, on one of the queue backends. */
export interface House {
  readonly url: string;
  readonly database: TestDatabase;
  readonly backend: BackendName;
  readonly gateway: Gateway;
  readonly worker: Worker | null;
  readonly workerConfig: WorkerConfig;
  /** Of its gateways; port 0. */
  readonly gatewayConfig: GatewayConfig;
  readonly simulator: Simulator;
  readonly secret: string;
  /** Starts a gateway more on the same database and queue, with a bus of its own; answers its URL. */
  anotherGateway(): Promise<string>;
  /** Calls the API; every reply is checked against the OpenAPI document. */
  api(method: string, path: string, options?: CallOptions): Promise<Reply>;
  register(): Promise<Person>;
  deploy(person: Person, manifest: string): Promise<Reply>;
  /** Starts a run and waits for its end. */
  run(person: Person, deployment: string, input: string, extra?: object): Promise<Reply["body"]>;
  close(): Promise<void>;
}

/** Of every house of the tests. */
export const OPERATOR_TOKEN = "operator-token-of-the-tests-0123456789";

const quiet = pino({ level: process.env.TEST_LOG ?? "silent" });

export async function openHouse(
  backend: BackendName,
  options: {
    worker?: boolean;
    workerConfig?: Partial<WorkerConfig>;
    serving?: GatewayConfig["serving"];
    /** Private hosts that may be reached besides the simulator. */
    egressAllow?: Readonly<Record<string, string>>;
    rateLimit?: GatewayConfig["rateLimit"];
    workspaceRateLimit?: NonNullable<GatewayConfig["workspaceRateLimit"]>;
    /** The gateways open the store of rate limits themselves, and give up on it as soon as they do elsewhere. */
    ownRates?: true;
    /** A queue of the test's own instead of the backend's. */
    queue?: QueueBackend;
    apiKeys?: string[];
    streams?: NonNullable<GatewayConfig["streams"]>;
    corsOrigins?: readonly string[];
    /** Of gateways and worker; by default nothing is logged. */
    logger?: Logger;
  } = {},
): Promise<House> {
  const { logger = quiet } = options;
  const database = await createTestDatabase();
  const simulator = createSimulator();
  const demo = await simulator.listen({ port: 0 });
  const queue = options.queue ?? backendFor(backend, database);
  const secret = randomBytes(32).toString("hex");
  const egressAllow = { "weather.maru.internal": demo.url, ...options.egressAllow };
  const gatewayConfig: GatewayConfig = {
    host: "127.0.0.1",
    port: 0,
    databaseUrl: database.runtimeUrl,
    queue,
    secret,
    previousSecret: null,
    serving: options.serving ?? servingOf([]),
    operator: { token: OPERATOR_TOKEN, databaseUrl: database.ownerUrl },
    rateLimit: options.rateLimit ?? { perMinute: 600_000, burst: 100_000 },
    ...(options.workspaceRateLimit === undefined ? {} : { workspaceRateLimit: options.workspaceRateLimit }),
    trustedProxies: [],
    egressAllow,
    logLevel: "silent",
    node: "test",
    ...(options.streams === undefined ? {} : { streams: options.streams }),
    corsOrigins: options.corsOrigins ?? [],
  };
  // The stores of every day, but more patient: a machine that stands still must not look like a store that is away.
  const openRatesOf = () =>
    queue.kind === "redis"
      ? createRedisRates({ ...queue, answerMs: 20_000 })
      : openRates({ url: database.runtimeUrl, answerMs: 20_000 });
  const openGateway = () =>
    createGateway({
      config: gatewayConfig,
      logger,
      metrics: new Registry(),
      ...(options.ownRates === true ? {} : { rates: openRatesOf() }),
    });
  const gateway = await openGateway();
  const others: Gateway[] = [];
  const url = await gateway.listen();
  const workerConfig: WorkerConfig = {
    ...WORKER_DEFAULTS,
    databaseUrl: database.runtimeUrl,
    queue,
    hosts: [simulatedHost(demo.url)],
    secret,
    previousSecret: null,
    concurrency: 50,
    egressAllow,
    opsPort: 0,
    logLevel: "silent",
    node: "test",
    sweepMs: 200,
    ...options.workerConfig,
  };
  const worker =
    options.worker === false ? null : await createWorker({ config: workerConfig, logger, metrics: new Registry() });
  await worker?.start();

  const api: House["api"] = async (method, path, { key, body, raw, headers, signal } = {}) => {
    const response = await fetch(new URL(path, url), {
      method,
      headers: {
        ...(key ? { authorization: `Bearer ${key}` } : {}),
        ...(raw === undefined
          ? body === undefined
            ? {}
            : { "content-type": "application/json" }
          : { "content-type": raw.type }),
        ...headers,
      },
      ...(raw === undefined
        ? body === undefined
          ? {}
          : { body: JSON.stringify(body) }
        : { body: raw.text as string }),
      ...(signal === undefined ? {} : { signal }),
    });
    const text = await response.text();
    const json = /json/.test(response.headers.get("content-type") ?? "");
    const reply = {
      status: response.status,
      headers: response.headers,
      body: json && text !== "" ? JSON.parse(text) : text,
    };
    checkReply(method, path, reply);
    return reply;
  };
  let people = 0;

  const house: House = {
    url,
    database,
    backend,
    gateway,
    worker,
    workerConfig,
    gatewayConfig,
    simulator,
    secret,
    async anotherGateway() {
      const other = await openGateway();
      others.push(other);
      return other.listen();
    },
    api,
    async register() {
      const email = `person${people++}-${randomBytes(4).toString("hex")}@example.com`;
      const password = "correct horse battery";
      const { body } = await api("POST", "/v1/auth/register", { body: { email, password } });
      const created = await api("POST", "/v1/api-keys", {
        key: body.tokens.access_token,
        body: {
          name: "test",
          scopes: [...SCOPES],
        },
      });
      return {
        email,
        password,
        workspaceId: body.workspace.id,
        accessToken: body.tokens.access_token,
        refreshToken: body.tokens.refresh_token,
        key: created.body.key,
      };
    },
    deploy: (person, manifest) =>
      api("POST", "/v1/deployments", { key: person.key, raw: { type: "application/yaml", text: manifest } }),
    async run(person, deployment, input, extra = {}) {
      const reply = await api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment, input, ...extra },
        headers: { prefer: "wait=30" },
      });
      if (reply.status !== 200) throw new Error(`the run did not end: ${reply.status} ${JSON.stringify(reply.body)}`);
      return reply.body;
    },
    async close() {
      await worker?.stop(2_000);
      for (const other of others) await other.close();
      await gateway.close();
      await simulator.close();
      await database.drop();
    },
  };
  return house;
}

/** A manifest of an agent with the tools the simulator's model can use. */
export function manifest(
  name: string,
  spec: {
    instructions?: string;
    limits?: string;
    tools?: string;
    model?: string;
    output?: string;
    memory?: string;
    deploy?: string;
  } = {},
): string {
  return `apiVersion: maru/v1
kind: Agent
metadata: { name: ${name} }
spec:
  instructions: ${JSON.stringify(spec.instructions ?? "You are a helpful assistant.")}
${spec.model === undefined ? "" : `  model: ${spec.model}\n`}${spec.limits === undefined ? "" : `  limits: ${spec.limits}\n`}${spec.output === undefined ? "" : `  output: ${spec.output}\n`}${spec.memory === undefined ? "" : `  memory: ${spec.memory}\n`}  tools:
${spec.tools ?? WEATHER}${spec.deploy === undefined ? "" : `deploy: ${spec.deploy}\n`}`;
}

export const WEATHER = `    - name: get_weather
      type: http
      description: Current weather of a city
      parameters: { type: object, properties: { city: { type: string } }, required: [city] }
      request: { url: "http://weather.maru.internal/demo/weather?city={city}" }
    - { name: calculator, type: builtin }
    - { name: current_time, type: builtin }
`;

/** Waits until a condition holds, looking often; fails after a minute. */
export async function until(what: string, holds: () => Promise<boolean> | boolean): Promise<void> {
  for (let tries = 0; tries < 3_000; tries++) {
    if (await holds()) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`never happened: ${what}`);
}

export interface StreamedEvent {
  readonly id: string | null;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read the fields they assert
  readonly data: any;
}

/** Reads an event stream to its end. */
export async function readEvents(response: Response): Promise<StreamedEvent[]> {
  const text = await response.text();
  return text
    .split("\n\n")
    .filter((block) => block.includes("data: "))
    .map((block) => {
      const field = (name: string) =>
        block
          .split("\n")
          .find((line) => line.startsWith(`${name}: `))
          ?.slice(name.length + 2) ?? null;
      return { id: field("id"), event: field("event") ?? "", data: JSON.parse(field("data") ?? "null") };
    });
}
