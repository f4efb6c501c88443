import type { HttpToolSpec } from "@maru/contract";
import type { ToolCallContext } from "../kind.ts";
import { needSecrets, secretNamesIn, secretsOf } from "../secrets/reference.ts";
import type { OutgoingRequest } from "./exchange.ts";
import { CallFailed } from "./failure.ts";
import { fillForm, parseForm } from "./form.ts";
import { CONTROL_CHARACTERS, headerValue } from "./header.ts";
import { argumentOf, fillTemplate, parseTemplate, placesOf, type SecretValues } from "./template.ts";
import { fillUrl, parseQueryEntry, parseUrlTemplate } from "./url.ts";

const BODY_METHODS: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);
/** What every call says of itself. */
export const callHeaders = ({ epoch, idempotencyKey }: ToolCallContext): Record<string, string> => ({
  "user-agent": "maru",
  accept: "application/json, text/*;q=0.9, */*;q=0.1",
  "x-run-epoch": String(epoch),
  "idempotency-key": idempotencyKey,
});

/** Fills a request in. @throws CallFailed when arguments or secrets do not fit, SecretUnavailable */
export type FillRequest = (args: Record<string, unknown>, context: ToolCallContext) => Promise<OutgoingRequest>;

/** A request's templates, read once. The spec was checked at deploy, so they parse. */
export function createRequest(request: HttpToolSpec["request"]): FillRequest {
  const { method } = request;
  const url = parseUrlTemplate(request.url);
  const query = Object.entries(request.query).map(([key, value]) => parseQueryEntry(key, value));
  const headers = Object.entries(request.headers).map(([name, value]) => ({ name, value: parseTemplate(value) }));
  const form = request.form === undefined ? null : parseForm(request.form);
  const used = new Set([
    ...url.places,
    ...query.flatMap(({ value }) => placesOf(value)),
    ...headers.flatMap(({ value }) => placesOf(value)),
    ...(form ?? []).flatMap(({ value }) => placesOf(value)),
    ...bodyPlaces(request.body),
  ]);
  const secretNames = secretNamesIn(request);
  const takesRest = BODY_METHODS.has(method);
  const hasBody = takesRest || (method === "DELETE" && (request.body !== null || form !== null));

  const fillHeaders = (args: Record<string, unknown>, secrets: SecretValues): Record<string, string> => {
    const filled: Record<string, string> = {};
    for (const { name, value } of headers) {
      const text = fillTemplate(value, args, secrets, (item) => item);
      if (text === null) continue;
      const broken = secretsOf(value).filter((secret) => CONTROL_CHARACTERS.test(secrets.get(secret) as string));
      if (broken.length > 0)
        throw new CallFailed("tool_failed", `The secret ${broken.join(", ")} goes into a header and is not one line.`);
      if (CONTROL_CHARACTERS.test(text))
        throw new CallFailed(
          "tool_arguments_invalid",
          `${placesOf(value).join(", ")} goes into a header: it must be one line.`,
        );
      filled[name.toLowerCase()] = headerValue(text);
    }
    return filled;
  };

  const fillContent = (
    args: Record<string, unknown>,
    secrets: SecretValues,
    rest: readonly string[],
  ): { type: string; text: string } | null => {
    if (!hasBody) return null;
    if (form !== null) return { type: "application/x-www-form-urlencoded", text: fillForm(form, args, secrets) };
    const content =
      request.body === null
        ? Object.fromEntries(rest.map((name) => [name, argumentOf(args, name)]))
        : fillBody(request.body, args, secrets);
    return content === undefined ? null : { type: "application/json", text: JSON.stringify(content) };
  };

  return async (args, context) => {
    // Arguments no template mentions still have to go somewhere: into the body, or where there is none into the query.
    const rest = Object.keys(args).filter((name) => !used.has(name));
    const secrets = await needSecrets(secretNames, context.secrets);
    let target: string;
    try {
      target = fillUrl(url, query, args, secrets, takesRest ? [] : rest);
    } catch (error) {
      throw new CallFailed("tool_arguments_invalid", error instanceof Error ? error.message : String(error));
    }
    const content = fillContent(args, secrets, rest);
    return {
      method,
      url: target,
      headers: {
        ...callHeaders(context),
        ...(content === null ? {} : { "content-type": content.type }),
        ...fillHeaders(args, secrets),
      },
      body: content?.text ?? null,
    };
  };
}

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
