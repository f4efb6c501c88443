import { type ModelEndpointChange, type NewModelEndpoint, Problem, type ProblemCode } from "@maru/contract";
import type { Sealer } from "@maru/domain";
import { dialectOf } from "@maru/model";
import type { Endpoint, EndpointFields } from "@maru/store";
import { urlRefusal } from "@maru/tools";

/** What a caller says of an endpoint, as it is stored. Nothing is connected: a wrong key shows at the first run. */
export interface EndpointRules {
  readonly sealer: Sealer;
  /** Private hosts the operator lets workspaces reach. */
  readonly allowedHosts: readonly string[];
}

/** @throws Problem url_not_allowed, limit_out_of_range */
export function newEndpointFields(body: NewModelEndpoint, rules: EndpointRules): Omit<EndpointFields, "sealedKey"> {
  const baseUrl = checkedUrl(body.base_url, rules.allowedHosts);
  const fields = {
    name: body.name,
    settings: {
      upstream_model: body.upstream_model,
      context_tokens: body.context_tokens,
      ...(body.max_output_tokens === undefined ? {} : { max_output_tokens: body.max_output_tokens }),
      ...(body.thinking === undefined ? {} : { thinking: body.thinking }),
      ...(body.tools === undefined ? {} : { tools: body.tools }),
    },
    baseUrl,
    dialect: body.dialect ?? dialectOf(baseUrl, false),
    stream: body.stream ?? true,
    callsPerMinute: body.calls_per_minute ?? null,
    inFlight: body.in_flight ?? null,
    keyHint: body.api_key === undefined ? null : hintOf(body.api_key),
  };
  checkLimits(fields.settings);
  return fields;
}

/**
 * An endpoint with a caller's changes.
 * @throws Problem url_not_allowed (also when the stored key would go to another host than it was given for), limit_out_of_range
 */
export function changedEndpointFields(
  before: Endpoint,
  change: ModelEndpointChange,
  rules: EndpointRules,
): EndpointFields {
  const baseUrl = change.base_url === undefined ? before.baseUrl : checkedUrl(change.base_url, rules.allowedHosts);
  const moved = new URL(baseUrl).origin !== new URL(before.baseUrl).origin;
  if (moved && before.sealedKey !== null && change.api_key === undefined)
    throw refusal(
      "/base_url",
      "url_not_allowed",
      "A stored key is not sent to another host: send api_key along, or null for none.",
    );
  const { api_key: key } = change;
  const fields = {
    name: before.name,
    settings: {
      ...before.settings,
      ...(change.upstream_model === undefined ? {} : { upstream_model: change.upstream_model }),
      ...(change.context_tokens === undefined ? {} : { context_tokens: change.context_tokens }),
      ...(change.max_output_tokens === undefined ? {} : { max_output_tokens: change.max_output_tokens }),
      ...(change.thinking === undefined ? {} : { thinking: change.thinking }),
      ...(change.tools === undefined ? {} : { tools: change.tools }),
    },
    baseUrl,
    dialect: change.dialect ?? before.dialect,
    stream: change.stream ?? before.stream,
    callsPerMinute: change.calls_per_minute === undefined ? before.callsPerMinute : change.calls_per_minute,
    inFlight: change.in_flight === undefined ? before.inFlight : change.in_flight,
    keyHint: key === undefined ? before.keyHint : key === null ? null : hintOf(key),
    sealedKey: key === undefined ? before.sealedKey : key === null ? null : rules.sealer.seal(key, before.id),
  };
  checkLimits(fields.settings);
  return fields;
}

function checkedUrl(text: string, allowedHosts: readonly string[]): string {
  const url = text.replace(/\/+$/, "");
  const wrong =
    urlRefusal(url, allowedHosts) ??
    (url.includes("?") ? "must not have a query" : null) ??
    (/\/chat\/completions$/.test(url) ? "must end before /chat/completions, which is added to it" : null);
  if (wrong !== null)
    throw refusal(
      "/base_url",
      "url_not_allowed",
      `base_url ${wrong}. A model in a private network is set up by the operator (MODEL_BASE_URL, MODEL_HOSTS).`,
    );
  const { protocol, host } = new URL(url);
  if (protocol !== "https:" && !allowedHosts.includes(host))
    throw refusal(
      "/base_url",
      "url_not_allowed",
      "base_url must begin with https://, since the key travels with every call.",
    );
  return url;
}

function checkLimits({ context_tokens, max_output_tokens }: EndpointFields["settings"]): void {
  if (max_output_tokens !== undefined && max_output_tokens >= context_tokens)
    throw refusal("/max_output_tokens", "limit_out_of_range", "max_output_tokens must be less than context_tokens.");
}

const refusal = (pointer: string, code: ProblemCode, detail: string) =>
  new Problem(code, detail, { errors: [{ pointer, code, detail }] });

/** Enough to tell keys apart, and too little to be of use; short keys show nothing. */
const hintOf = (key: string): string => (key.length < 12 ? "…" : `…${key.slice(-4)}`);
