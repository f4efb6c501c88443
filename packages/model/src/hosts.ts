import { CATALOGUE, DEFAULT_MODEL_ID } from "./catalogue/index.ts";
import { DIALECT_NAMES, type DialectName } from "./dialect.ts";
import { isObject } from "./json.ts";

/** An OpenAI-compatible host of this installation, and the catalogue's models it serves. Plain data: it travels as JSON. */
export interface ModelHost {
  readonly name: string;
  /** Ends before `/chat/completions`. */
  readonly baseUrl: string;
  readonly apiKey: string;
  /** Friendli's `X-Friendli-Team`. */
  readonly team: string | null;
  /** Null: by the host's name. */
  readonly dialect: DialectName | null;
  readonly simulated: boolean;
  readonly stream: boolean;
  readonly maxOutputTokens: number | null;
  readonly callsPerMinute: number | null;
  readonly inFlight: number | null;
  /** Catalogue id → the name the host knows it by; null = the catalogue's own. */
  readonly models: Readonly<Record<string, string | null>>;
}

/** A host that serves the whole catalogue, as the simulator does. */
export const simulatedHost = (url: string): ModelHost => ({
  name: "simulator",
  baseUrl: `${url}/v1`,
  apiKey: "simulator",
  team: null,
  dialect: "friendli",
  simulated: true,
  stream: true,
  maxOutputTokens: null,
  callsPerMinute: null,
  inFlight: null,
  models: Object.fromEntries(CATALOGUE.map(({ id }) => [id, null])),
});

/** The first host that serves a model. */
export const hostOf = (hosts: readonly ModelHost[], modelId: string): ModelHost | undefined =>
  hosts.find(({ models }) => Object.hasOwn(models, modelId));

/** Ids of the models that the hosts serve; without any host the simulator stands in, and serves all. */
export const servingOf = (hosts: readonly ModelHost[]): { served: string[]; simulated: boolean } =>
  hosts.length === 0
    ? { served: CATALOGUE.map(({ id }) => id), simulated: true }
    : { served: [...new Set(hosts.flatMap(({ models }) => Object.keys(models)))], simulated: false };

/**
 * The hosts of an installation: MODEL_BASE_URL and its companions for the first, MODEL_HOSTS (JSON) for further ones.
 * Empty when none is set: then the simulator answers.
 * @throws Error naming the variable that is wrong
 */
export function readModelHosts(env: NodeJS.ProcessEnv): ModelHost[] {
  const more = furtherHosts(env.MODEL_HOSTS ?? "");
  if (!env.MODEL_BASE_URL) return more;
  const first = hostFrom("MODEL_", "main", {
    base_url: env.MODEL_BASE_URL,
    api_key: env.MODEL_API_KEY || undefined,
    team: env.MODEL_TEAM || undefined,
    dialect: env.MODEL_DIALECT || undefined,
    stream: flag("MODEL_STREAM", env.MODEL_STREAM),
    max_output_tokens: number("MODEL_MAX_OUTPUT_TOKENS", env.MODEL_MAX_OUTPUT_TOKENS),
    calls_per_minute: number("MODEL_CALLS_PER_MINUTE", env.MODEL_CALLS_PER_MINUTE),
    in_flight: number("MODEL_IN_FLIGHT", env.MODEL_IN_FLIGHT),
    models: (env.MODEL_MODELS || DEFAULT_MODEL_ID).split(",").map((entry) => entry.trim()),
  });
  return [first, ...more];
}

function furtherHosts(text: string): ModelHost[] {
  if (text === "") return [];
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    value = null;
  }
  if (!Array.isArray(value) || !value.every(isObject)) throw new Error("MODEL_HOSTS must be a JSON array of objects");
  return value.map((entry, index) =>
    hostFrom(`MODEL_HOSTS[${index}].`, String(entry.name ?? `host ${index + 2}`), entry),
  );
}

const FIELDS = new Set([
  "name",
  "base_url",
  "api_key",
  "team",
  "dialect",
  "stream",
  "max_output_tokens",
  "calls_per_minute",
  "in_flight",
  "models",
]);

function hostFrom(prefix: string, name: string, entry: Readonly<Record<string, unknown>>): ModelHost {
  const wrong = (field: string, message: string) => new Error(`${place(prefix, field)} ${message}`);
  const unknown = Object.keys(entry).find((field) => !FIELDS.has(field));
  if (unknown !== undefined) throw wrong(unknown, `is not a setting of a host: ${[...FIELDS].join(", ")}`);
  const text = (field: string): string | null => {
    const value = entry[field];
    if (value === undefined || value === null) return null;
    if (typeof value !== "string" || value === "") throw wrong(field, "must be text");
    return value;
  };
  const count = (field: string): number | null => {
    const value = entry[field];
    if (value === undefined || value === null) return null;
    if (!Number.isInteger(value) || (value as number) < 1) throw wrong(field, "must be a whole number from 1");
    return value as number;
  };
  const baseUrl = text("base_url") ?? "";
  if (!/^https?:\/\//.test(baseUrl) || !URL.canParse(baseUrl))
    throw wrong("base_url", `is not an http(s) URL: ${baseUrl}`);
  const dialect = text("dialect");
  if (dialect !== null && !DIALECT_NAMES.includes(dialect as DialectName))
    throw wrong("dialect", `must be one of ${DIALECT_NAMES.join(", ")}, not ${dialect}`);
  if (entry.stream !== undefined && typeof entry.stream !== "boolean") throw wrong("stream", "must be true or false");
  return {
    name,
    baseUrl: baseUrl.replace(/\/+$/, ""),
    apiKey: text("api_key") ?? "none",
    team: text("team"),
    dialect: dialect as DialectName | null,
    simulated: false,
    stream: entry.stream !== false,
    maxOutputTokens: count("max_output_tokens"),
    callsPerMinute: count("calls_per_minute"),
    inFlight: count("in_flight"),
    models: modelsOf(entry.models, (message) => wrong("models", message)),
  };
}

/** `["k-exaone", "glm-4.7=zai-org/GLM-4.7"]` */
function modelsOf(value: unknown, wrong: (message: string) => Error): ModelHost["models"] {
  if (!Array.isArray(value) || value.length === 0 || !value.every((item) => typeof item === "string"))
    throw wrong('must list the models it serves, as "id" or "id=name at the host"');
  return Object.fromEntries(
    value.map((item: string): [string, string | null] => {
      const at = item.indexOf("=");
      const id = (at < 0 ? item : item.slice(0, at)).trim();
      if (!CATALOGUE.some((model) => model.id === id))
        throw wrong(`names ${id}, which the catalogue does not have: ${CATALOGUE.map((model) => model.id).join(", ")}`);
      return [id, at < 0 ? null : item.slice(at + 1).trim()];
    }),
  );
}

const place = (prefix: string, field: string) =>
  prefix === "MODEL_" ? `MODEL_${field.toUpperCase()}` : prefix + field;

function number(name: string, text: string | undefined): number | undefined {
  if (text === undefined || text === "") return undefined;
  if (!/^\d+$/.test(text)) throw new Error(`${name} must be a whole number, not ${text}`);
  return Number(text);
}

function flag(name: string, text: string | undefined): boolean | undefined {
  if (text === undefined || text === "") return undefined;
  if (text !== "true" && text !== "false") throw new Error(`${name} must be true or false, not ${text}`);
  return text === "true";
}
