import type { HttpToolSpec } from "@maru/contract";
import { type Egress, EgressBlocked } from "../egress/index.ts";
import { failed, type PreparedTool, type ToolCallContext, type ToolResult } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { needSecrets, SecretUnavailable, secretNamesIn, secretsOf } from "../secrets/reference.ts";
import { readResponse } from "./response.ts";
import { argumentOf, fillTemplate, parseTemplate, placesOf, type SecretValues } from "./template.ts";
import { fillUrl, parseQueryEntry, parseUrlTemplate } from "./url.ts";

const BODY_METHODS: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);
/** What RFC 9110 §5.5 keeps out of a field value. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters looked for
export const CONTROL_CHARACTERS = /[\0-\x08\x0a-\x1f\x7f]/;

/** An HTTP call as a tool. The spec was checked at deploy, so its templates parse. */
export function prepareHttpTool(spec: HttpToolSpec, egress: Egress): PreparedTool {
  const { request } = spec;
  const url = parseUrlTemplate(request.url);
  const query = Object.entries(request.query).map(([key, value]) => parseQueryEntry(key, value));
  const headers = Object.entries(request.headers).map(([name, value]) => ({ name, value: parseTemplate(value) }));
  const used = new Set([
    ...url.places,
    ...query.flatMap(({ value }) => placesOf(value)),
    ...headers.flatMap(({ value }) => placesOf(value)),
    ...bodyPlaces(request.body),
  ]);
  const secretNames = secretNamesIn(request);
  const hasBody = BODY_METHODS.has(request.method) || (request.method === "DELETE" && request.body !== null);

  const send = async (
    args: Record<string, unknown>,
    context: ToolCallContext,
    signal: AbortSignal,
  ): Promise<ToolResult> => {
    // Arguments no template mentions still have to go somewhere: into the body, or where there is none into the query.
    const rest = Object.keys(args).filter((name) => !used.has(name));
    const secrets = await needSecrets(secretNames, context.secrets);
    let target: string;
    try {
      target = fillUrl(url, query, args, secrets, BODY_METHODS.has(request.method) ? [] : rest);
    } catch (error) {
      return failed("tool_arguments_invalid", error instanceof Error ? error.message : String(error));
    }
    const sent: Record<string, string> = {
      "user-agent": "maru",
      accept: "application/json, text/*;q=0.9, */*;q=0.1",
      "accept-encoding": "identity",
      "x-run-epoch": String(context.epoch),
      "idempotency-key": context.idempotencyKey,
    };
    for (const { name, value } of headers) {
      const text = fillTemplate(value, args, secrets, (item) => item);
      if (text === null) continue;
      const broken = secretsOf(value).filter((secret) => CONTROL_CHARACTERS.test(secrets.get(secret) as string));
      if (broken.length > 0)
        return failed("tool_failed", `The secret ${broken.join(", ")} goes into a header and is not one line.`);
      if (CONTROL_CHARACTERS.test(text))
        return failed(
          "tool_arguments_invalid",
          `${placesOf(value).join(", ")} goes into a header: it must be one line.`,
        );
      sent[name.toLowerCase()] = Buffer.from(text, "utf8").toString("latin1");
    }
    const content =
      request.body === null
        ? Object.fromEntries(rest.map((name) => [name, argumentOf(args, name)]))
        : fillBody(request.body, args, secrets);
    const body = hasBody && content !== undefined ? JSON.stringify(content) : null;
    if (body !== null) sent["content-type"] ??= "application/json";
    const response = await egress.request({ method: request.method, url: target, headers: sent, body, signal });
    return readResponse(response);
  };

  return {
    declaration: { name: spec.name, description: spec.description, parameters: spec.parameters },
    effect: spec.effect,
    checkArguments: createArgumentCheck(spec.parameters),
    async call(args, context) {
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), spec.timeoutMs);
      try {
        return await send(args, context, AbortSignal.any([context.signal, late.signal]));
      } catch (error) {
        if (context.signal.aborted) throw context.signal.reason;
        if (error instanceof SecretUnavailable) throw error;
        if (late.signal.aborted)
          return { ...failed("tool_timeout", `No complete answer in ${spec.timeoutMs} ms.`), uncertain: true };
        if (isBlocked(error)) return failed("egress_blocked", "The destination is not allowed.");
        const answer = failed("tool_failed", "The request failed: the server could not be reached or broke off.");
        return wasNotSent(error) ? answer : { ...answer, uncertain: true };
      } finally {
        clearTimeout(timer);
      }
    },
  };
}

/** Failures of finding and reaching a server, which come before anything is sent. */
const BEFORE_SENDING: ReadonlySet<string> = new Set([
  "ECONNREFUSED",
  "ENOTFOUND",
  "EAI_AGAIN",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "UND_ERR_CONNECT_TIMEOUT",
]);
export const wasNotSent = (error: unknown): boolean =>
  error instanceof Error &&
  (("code" in error && BEFORE_SENDING.has(String(error.code))) ||
    (error.cause !== undefined && wasNotSent(error.cause)));

export const isBlocked = (error: unknown): boolean =>
  error instanceof EgressBlocked || (error instanceof Error && error.cause !== undefined && isBlocked(error.cause));

/**
 * A body template filled in: a string that is just `{name}` becomes the argument itself, whatever its type. Undefined
 * where an argument is absent, which leaves a property out of its object, as it leaves an entry out of a query.
 */
function fillBody(value: unknown, args: Readonly<Record<string, unknown>>, secrets: SecretValues): unknown {
  if (typeof value === "string") {
    const template = parseTemplate(value);
    const [only] = template;
    if (template.length === 1 && typeof only === "object" && "name" in only)
      return Object.hasOwn(args, only.name) ? args[only.name] : undefined;
    return fillTemplate(template, args, secrets, (item) => item) ?? undefined;
  }
  if (Array.isArray(value)) return value.map((item) => fillBody(item, args, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, fillBody(item, args, secrets)]));
}

/** Names of the places in a body template. @throws Error when a string in it is no template */
function bodyPlaces(value: unknown): string[] {
  if (typeof value === "string") return placesOf(parseTemplate(value));
  if (typeof value !== "object" || value === null) return [];
  return Object.values(value).flatMap(bodyPlaces);
}
