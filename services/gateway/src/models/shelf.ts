import type { CatalogueModel, Deployment, Model } from "@maru/contract";
import { DEFAULT_MODEL_ID, endpointModel, priceAt } from "@maru/model";
import type { Endpoint, Models, StoredDeployment, ToolDrift, Withdrawal } from "@maru/store";

/** One model a workspace may name, and whether it can be had. */
export interface Shelved {
  readonly model: CatalogueModel;
  readonly endpoint: Endpoint | null;
  readonly status: "available" | "withdrawn" | "unserved";
  readonly withdrawn: Withdrawal | null;
}

/** What of the models this installation has hosts for. */
export interface Serving {
  /** Ids of the catalogue's models that a host serves. */
  readonly served: readonly string[];
  /** True while the simulator stands in for every host. */
  readonly simulated: boolean;
}

/** The models of one workspace as they stand now. */
export interface Shelf {
  readonly models: readonly Shelved[];
  find(id: string): Shelved | undefined;
}

/** Reads the catalogue and the workspace's endpoints. A catalogue's name wins: an upgrade may bring a model of that name. */
export async function readShelf(store: Models, workspaceId: string, { served }: Serving): Promise<Shelf> {
  const [catalogue, endpoints] = await Promise.all([store.catalogue(), store.endpoints(workspaceId)]);
  const shelved = catalogue.map(({ model, withdrawn }): Shelved => {
    const status = !served.includes(model.id) ? "unserved" : withdrawn === null ? "available" : "withdrawn";
    return { model, endpoint: null, status, withdrawn };
  });
  const own = endpoints.map((endpoint): Shelved => {
    const model = endpointModel(endpoint.name, endpoint.id, endpoint.settings);
    return {
      model,
      endpoint,
      status: endpoint.withdrawn === null ? "available" : "withdrawn",
      withdrawn: endpoint.withdrawn,
    };
  });
  const models = [...shelved, ...own];
  return { models, find: (id) => models.find(({ model }) => model.id === id) };
}

/** A deployment with what is wrong with its models now. */
export function deploymentObject(deployment: StoredDeployment, shelf: Shelf, { simulated }: Serving): Deployment {
  const { drifts, ...shown } = deployment;
  const { model, fallbacks } = shown;
  const trouble = [model, ...fallbacks].map((name) => [name, troubleOf(name, shelf)] as const);
  const able = trouble.filter(([, wrong]) => wrong === null).map(([name]) => name);
  const reasons = trouble.flatMap(([name, wrong]) =>
    wrong === null ? [] : [`${wrong} ${consequence(name === model, able)}`],
  );
  const { paused } = shown;
  if (paused !== null)
    reasons.unshift(`It is paused${paused.reason === null ? "" : ` (${paused.reason})`}: it takes no runs.`);
  reasons.push(...drifts.map(driftReason));
  const status =
    paused !== null ? "paused" : able.length === 0 ? "failed" : reasons.length === 0 ? "ready" : "degraded";
  return {
    ...shown,
    health: { status, reasons },
    simulated: simulated && shelf.find(model)?.endpoint === null,
  };
}

/** In words for whoever has the deployment; the server's name for its tool is a stranger's text. */
function driftReason({ entry, tool, what, since }: ToolDrift): string {
  const name = `${entry}'s tool ${tool.slice(0, 64)}`;
  const again = "Deploy again to take over what the server says now.";
  if (what === "gone") return `Since ${since} ${name} is gone: it is not called. ${again}`;
  if (what === "parameters") return `Since ${since} ${name} has other parameters: it is not called. ${again}`;
  return `Since ${since} ${name} says something else of itself; the model goes by what it said at deploy. ${again}`;
}

function troubleOf(name: string, shelf: Shelf): string | null {
  const found = shelf.find(name);
  if (found === undefined) return `There is no model ${name} any more.`;
  if (found.status === "unserved") return `No host of this installation serves ${name}.`;
  if (found.withdrawn !== null) return `${name} was withdrawn at ${found.withdrawn.since}: ${found.withdrawn.reason}`;
  return null;
}

const consequence = (isFirst: boolean, able: readonly string[]): string =>
  able.length === 0 ? "Runs fail." : isFirst ? `Runs are answered by ${able[0]}.` : "It can't stand in for the others.";

export function modelObject(shelved: Shelved, { simulated }: Serving, now: number): Model {
  const { model, endpoint, status, withdrawn } = shelved;
  const price = priceAt(model, new Date(now));
  return {
    id: model.id,
    display_name: model.displayName,
    owner: endpoint === null ? "catalogue" : "workspace",
    provider: model.provider,
    upstream_model: model.upstreamModel,
    parameters: model.parameters,
    default: model.id === DEFAULT_MODEL_ID,
    simulated: simulated && endpoint === null,
    availability: {
      status,
      reason:
        status === "unserved" ? "No host of this installation is set up to serve it." : (withdrawn?.reason ?? null),
      since: withdrawn?.since ?? null,
    },
    market:
      endpoint === null ? { status: model.market.status, note: model.market.note, as_of: model.market.asOf } : null,
    context_tokens: model.contextTokens,
    max_output_tokens: model.maxOutputTokens.max,
    thinking: {
      supported: model.thinking.control !== "never",
      control: model.thinking.control,
      default: model.thinking.default,
      history: model.thinking.history,
    },
    tools: { ...model.tools },
    sampling: {
      temperature: model.sampling.temperature,
      top_p: model.sampling.topP,
      presence_penalty: model.sampling.presencePenalty,
    },
    price:
      price === undefined
        ? null
        : {
            currency: price.currency,
            input_micros_per_mtok: price.inputMicrosPerMTok,
            cached_input_micros_per_mtok: price.cachedInputMicrosPerMTok,
            output_micros_per_mtok: price.outputMicrosPerMTok,
            from: new Date(price.from).toISOString(),
            to: price.to === null ? null : new Date(price.to).toISOString(),
            note: price.note,
          },
    licence: endpoint === null ? { ...model.licence } : null,
    languages: [...model.languages],
    benchmarks: model.benchmarks.map((score) => ({ ...score })),
    assumed: { ...model.assumed },
    endpoint:
      endpoint === null
        ? null
        : {
            base_url: endpoint.baseUrl,
            dialect: endpoint.dialect,
            stream: endpoint.stream,
            key_hint: endpoint.keyHint,
            calls_per_minute: endpoint.callsPerMinute,
            in_flight: endpoint.inFlight,
            created_at: endpoint.createdAt,
            updated_at: endpoint.updatedAt,
          },
  };
}
