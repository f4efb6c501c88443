import type { ModelAnswer, ModelRequest } from "@maru/contract";
import { allowsHost, type Sealer } from "@maru/domain";
import type { ModelPort, ModelRoute } from "@maru/engine";
import {
  classifyAnswer,
  createEstimator,
  createModelClient,
  describeModelError,
  endpointModel,
  hostOf,
  type ModelClient,
  ModelError,
  type ModelHost,
  priceMicros,
  type UpstreamSlots,
} from "@maru/model";
import type { CatalogueRow, Endpoint, Models, PolicyReader } from "@maru/store";
import type { Logger } from "pino";
import { Counter, type Registry } from "prom-client";
import { createHostWatch } from "./host-watch.ts";

export interface ModelsDeps {
  readonly hosts: readonly ModelHost[];
  readonly store: Models;
  /** Where calls of the installation's keys are counted, with every other process. */
  readonly slots: UpstreamSlots;
  readonly sealer: Sealer;
  readonly policies: PolicyReader;
  /** A workspace's way through the egress guard: for addresses that users name. */
  readonly fetchFor: (workspaceId: string) => typeof globalThis.fetch;
  readonly logger: Logger;
  readonly metrics: Registry;
  /** Milliseconds that only grow. */
  readonly now: () => number;
}

interface Way {
  /** @throws ModelError when the endpoint's key can't be read, or the workspace's policy denies its host */
  client(): Promise<ModelClient>;
  /** Of the metrics: a workspace's names are not for all to see, and without number. */
  readonly label: string;
  readonly simulated: boolean;
  /** Records that the host has no such model, or has it again (null); true when that is news. */
  withdraw(reason: string | null): Promise<boolean>;
}

/** How long the catalogue is believed without looking again. */
const FRESH_MS = 5_000;
/** Clients of endpoints nobody used for this long are closed. */
const IDLE_MS = 600_000;

/** Models as runs find them: the catalogue's at the installation's hosts, then the workspace's own endpoints. */
export function createModels(deps: ModelsDeps) {
  const { hosts, store, slots, sealer, logger } = deps;
  const estimator = createEstimator();
  const calls = new Counter({
    name: "maru_model_calls_total",
    help: "Model calls by model and outcome",
    labelNames: ["model", "outcome"],
    registers: [deps.metrics],
  });
  const clients = new Map(
    hosts.map((host) => {
      const { dialect, callsPerMinute, inFlight, ...rest } = host;
      const limits = { callsPerMinute, inFlight };
      const named = dialect === null ? {} : { dialect };
      return [host, createModelClient({ ...rest, ...named, modelNames: namesAt(host), limits, slots })];
    }),
  );
  const watch = createHostWatch({ hosts, store, logger });
  const catalogue = remembered(deps.now, () => store.catalogue());
  const endpointClients = new Map<string, { client: ModelClient; generation: number; usedAt: number }>();

  const clientOf = async (workspaceId: string, endpoint: Endpoint): Promise<ModelClient> => {
    // The way out judges this too; said here, the run's error says whose decision it is, and nothing is tried again.
    if (!allowsHost(await deps.policies.of(workspaceId), new URL(endpoint.baseUrl).hostname))
      throw new ModelError("policy_denied", "The workspace's policy does not allow the endpoint's host.", {
        retryable: false,
      });
    const found = endpointClients.get(endpoint.id);
    if (found !== undefined && found.generation === endpoint.generation) {
      found.usedAt = deps.now();
      return found.client;
    }
    const apiKey = endpoint.sealedKey === null ? "none" : sealer.open(endpoint.sealedKey, endpoint.id);
    if (apiKey === null)
      throw new ModelError("model_unauthorized", "The endpoint's key can't be read any more: set it again.", {
        retryable: false,
      });
    // The old one's calls in flight go on; it is collected with the last of them.
    const client = createModelClient({
      baseUrl: endpoint.baseUrl,
      apiKey,
      simulated: false,
      dialect: endpoint.dialect,
      stream: endpoint.stream,
      maxOutputTokens: endpoint.settings.max_output_tokens ?? null,
      limits: { callsPerMinute: endpoint.callsPerMinute, inFlight: endpoint.inFlight },
      slots,
      fetch: deps.fetchFor(workspaceId),
    });
    endpointClients.set(endpoint.id, { client, generation: endpoint.generation, usedAt: deps.now() });
    return client;
  };

  /** A way to a model that learns from every call: token counts, and whether the host still has it. */
  const routeTo = (entry: CatalogueRow, { client, label, simulated, withdraw }: Way): ModelRoute => {
    const { model } = entry;
    let withdrawn = entry.withdrawn !== null;
    /** Before the answer goes on, so that whoever sees the run's end sees this too. */
    const note = async (reason: string | null): Promise<void> => {
      if (withdrawn === (reason !== null)) return;
      withdrawn = reason !== null;
      try {
        const news = await withdraw(reason);
        catalogue.forget();
        if (news) logger.warn({ model: model.id, reason }, withdrawn ? "model withdrawn" : "model is back");
      } catch (error) {
        logger.warn({ err: error, model: model.id }, "model status not recorded");
      }
    };
    return {
      model,
      simulated,
      async complete(request: ModelRequest, options): Promise<ModelAnswer> {
        try {
          const promptTokens = estimator.request(request);
          const answer = await (await client()).complete(request, { ...options, promptTokens });
          calls.inc({ model: label, outcome: "answered" });
          if (!answer.usage.estimated) estimator.observe(request, answer.usage.inputTokens);
          await note(null);
          return answer;
        } catch (error) {
          calls.inc({ model: label, outcome: error instanceof ModelError ? error.code : "stopped" });
          if (error instanceof ModelError && error.code === "model_not_found") await note(error.message);
          throw error;
        }
      },
    };
  };

  const port: ModelPort = {
    async resolve(workspaceId, names) {
      const entries = await catalogue.read();
      const isListed = (name: string) => entries.some(({ model }) => model.id === name);
      // Read anew each time: who has just put an endpoint right expects the next run to use it.
      const endpoints = names.every(isListed) ? [] : await store.endpoints(workspaceId);
      return names.map((name): ModelRoute | null => {
        const entry = entries.find(({ model }) => model.id === name);
        if (entry !== undefined) {
          const host = hostOf(hosts, name);
          const client = host === undefined ? undefined : clients.get(host);
          if (client === undefined) return null;
          return routeTo(entry, {
            client: async () => client,
            label: name,
            simulated: client.simulated,
            withdraw: (reason) => store.withdraw(name, reason),
          });
        }
        const endpoint = endpoints.find((item) => item.name === name);
        if (endpoint === undefined) return null;
        const model = endpointModel(endpoint.name, endpoint.id, endpoint.settings);
        const { withdrawn } = endpoint;
        return routeTo(
          { model, withdrawn },
          {
            client: () => clientOf(workspaceId, endpoint),
            label: "endpoint",
            simulated: false,
            withdraw: (reason) => store.withdrawEndpoint(workspaceId, name, reason),
          },
        );
      });
    },
    classify: classifyAnswer,
    estimateRequest: (request) => estimator.request(request),
    estimateText: (model, text) => estimator.text(model, text),
    overflowed: (request) => estimator.overflowed(request),
    price: priceMicros,
    describeError: describeModelError,
  };

  let sweeper: NodeJS.Timeout | null = null;
  const forget = () => {
    const before = deps.now() - IDLE_MS;
    for (const [id, { usedAt }] of endpointClients) if (usedAt < before) endpointClients.delete(id);
  };

  return {
    port,
    start() {
      watch.start();
      sweeper = setInterval(forget, IDLE_MS).unref();
    },
    close() {
      if (sweeper !== null) clearInterval(sweeper);
      watch.close();
      for (const client of clients.values()) client.close();
      for (const { client } of endpointClients.values()) client.close();
    },
  };
}

const namesAt = ({ models }: ModelHost): Record<string, string> =>
  Object.fromEntries(Object.entries(models).filter((entry): entry is [string, string] => entry[1] !== null));

/** A reading that is believed for a while; readers at the same time share one, and a failure is not kept. */
function remembered<T>(now: () => number, read: () => Promise<T>) {
  let kept: { value: Promise<T>; at: number } | null = null;
  return {
    read(): Promise<T> {
      if (kept !== null && now() - kept.at < FRESH_MS) return kept.value;
      const value = read();
      kept = { value, at: now() };
      value.catch(() => {
        if (kept?.value === value) kept = null;
      });
      return value;
    },
    forget(): void {
      kept = null;
    },
  };
}
