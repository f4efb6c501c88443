import {
  LIMITS,
  type OpenApiToolSpec,
  type PinnedDocument,
  type PinnedOperation,
  type PinnedParameter,
} from "@maru/contract";
import { approvalTest } from "../approval.ts";
import type { Egress } from "../egress/index.ts";
import { withinTimeout } from "../http/call.ts";
import { exchange, type OutgoingRequest, REAL_PACE } from "../http/exchange.ts";
import { CallFailed } from "../http/failure.ts";
import { CONTROL_CHARACTERS, headerValue, isToken } from "../http/header.ts";
import { callHeaders } from "../http/request.ts";
import { createReplyReader } from "../http/response.ts";
import { argumentOf } from "../http/template.ts";
import { isDots } from "../http/url.ts";
import type { PreparedTool, ToolCallContext } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { fillSecrets } from "../secrets/reference.ts";
import { bodyOf } from "./body.ts";
import { BODY } from "./parameters.ts";
import { inHeader, inPath, inQuery } from "./serialise.ts";

/** The tools of an OpenAPI document, as they were pinned; none of an entry that was not. */
export function prepareOpenApiTools(spec: OpenApiToolSpec, egress: Egress): PreparedTool[] {
  const { pinned } = spec;
  if (pinned === undefined) return [];
  const reader = createReplyReader();
  const { timeoutMs } = spec;
  return Object.entries(pinned.operations).map(([name, operation]): PreparedTool => {
    const { method, effect, approval } = operation;
    return {
      declaration: { name, description: operation.description, parameters: operation.parameters },
      effect,
      annotations: { readOnly: method === "GET" || method === "HEAD", destructive: method === "DELETE" },
      ...(approval === undefined ? {} : { needsApproval: approvalTest(approval) }),
      ...(spec.onUnknown === undefined ? {} : { onUnknown: spec.onUnknown }),
      checkArguments: createArgumentCheck(operation.parameters),
      call: (args, context) =>
        withinTimeout(context, timeoutMs, REAL_PACE, async (limits) => {
          const request = await build(spec, pinned, operation, args, context);
          const reply = await exchange(request, {
            egress,
            retries: effect === "at_most_once" ? 0 : LIMITS.retries.default,
            redirects: null,
            headersTimeoutMs: timeoutMs,
            pace: REAL_PACE,
            budget: { left: LIMITS.responseBytes.default, max: LIMITS.responseBytes.default },
            ...limits,
          });
          return reader.read(reply);
        }),
    };
  });
}

/** @throws CallFailed when arguments or secrets make no request, SecretUnavailable */
async function build(
  spec: OpenApiToolSpec,
  pinned: PinnedDocument,
  operation: PinnedOperation,
  args: Readonly<Record<string, unknown>>,
  context: ToolCallContext,
): Promise<OutgoingRequest> {
  const given = (place: PinnedParameter["in"]) =>
    operation.places
      .filter((rule) => rule.in === place)
      .map((rule) => ({ rule, value: argumentOf(args, rule.argument) }))
      .filter(({ value }) => value !== null);

  const path = filledPath(operation.path, given("path"));
  if ("wrong" in path) throw new CallFailed("tool_arguments_invalid", path.wrong);
  let query = given("query").flatMap(({ rule, value }) => inQuery(rule, value));
  const headers: Record<string, string> = {};
  for (const { rule, value } of given("header")) {
    const text = inHeader(rule, value);
    if (CONTROL_CHARACTERS.test(text))
      throw new CallFailed("tool_arguments_invalid", `${rule.argument} goes into a header: it must be one line.`);
    headers[rule.name.toLowerCase()] = headerValue(text);
  }
  let cookies = given("cookie").flatMap(({ rule, value }) => inQuery(rule, value));

  // An object's own names can be those of entries, so what the manifest says is taken out of what the model wrote.
  const credentials = await credentialsOf(spec, pinned, operation, context);
  const fixed = (place: Filled["place"]) =>
    new Set(credentials.filter((item) => item.place === place).map(({ name }) => encodeURIComponent(name)));
  const [fixedQuery, fixedCookies] = [fixed("query"), fixed("cookie")];
  query = query.filter(([name]) => !fixedQuery.has(name));
  cookies = cookies.filter(([name]) => !fixedCookies.has(name));
  for (const { place, name, value } of credentials) {
    if (place === "query") query.push([encodeURIComponent(name), encodeURIComponent(value)]);
    else if (place === "cookie") cookies.push([encodeURIComponent(name), encodeURIComponent(value)]);
    else if (CONTROL_CHARACTERS.test(value))
      throw new CallFailed(
        "tool_failed",
        `What the manifest says of the header ${name} is not one line with its secrets in.`,
      );
    else headers[name] = headerValue(value);
  }
  if (cookies.length > 0)
    headers.cookie = [headers.cookie ?? [], cookies.map(([name, value]) => `${cookieName(name)}=${value}`)]
      .flat()
      .join("; ");

  let body: string | null = null;
  const value = operation.body === undefined ? null : argumentOf(args, BODY);
  if (operation.body !== undefined && (value !== null || Object.hasOwn(args, BODY))) {
    const { type, text } = bodyOf(operation.body, value);
    if (operation.body.kind === "multipart") headers["content-type"] = type;
    else headers["content-type"] ??= type;
    body = text;
  }
  const search = query.map((pair) => pair.join("=")).join("&");
  return {
    method: operation.method,
    url: `${operation.server}${path.filled}${search === "" ? "" : `?${search}`}`,
    headers: { ...callHeaders(context), ...headers },
    body,
  };
}

/** A cookie's name as it is, where it can be one. */
function cookieName(encoded: string): string {
  const name = decodeURIComponent(encoded);
  return isToken(name) ? name : encoded;
}

interface Filled {
  readonly place: "header" | "query" | "cookie";
  readonly name: string;
  readonly value: string;
}

/** The manifest's headers and query, and what its credentials make, secrets in. @throws SecretUnavailable */
async function credentialsOf(
  { headers, query, auth }: OpenApiToolSpec,
  { schemes }: PinnedDocument,
  operation: PinnedOperation,
  { secrets }: ToolCallContext,
): Promise<Filled[]> {
  const filled: Filled[] = [];
  for (const [name, value] of Object.entries(await fillSecrets(headers, secrets)))
    filled.push({ place: "header", name: name.toLowerCase(), value });
  for (const [name, value] of Object.entries(await fillSecrets(query, secrets)))
    filled.push({ place: "query", name, value });
  for (const scheme of operation.auth) {
    const rule = schemes[scheme];
    const written = auth[scheme];
    if (rule === undefined || written === undefined) throw new Error(`The revision has no credentials for ${scheme}.`);
    const texts = await fillSecrets(typeof written === "string" ? { credential: written } : written, secrets);
    const credential =
      rule.basic === true
        ? Buffer.from(`${texts.username}:${texts.password}`, "utf8").toString("base64")
        : (texts.credential as string);
    filled.push({ place: rule.in, name: rule.name, value: `${rule.prefix}${credential}` });
  }
  return filled;
}

/** Whatever its style, an argument stays within its segment of the path. */
function filledPath(
  path: string,
  given: readonly { readonly rule: PinnedParameter; readonly value: unknown }[],
): { readonly filled: string } | { readonly wrong: string } {
  const segments: string[] = [];
  for (const segment of path.split("/")) {
    const names: string[] = [];
    let wrong: string | null = null;
    const filled = segment.replace(/\{([^{}]*)\}/g, (_whole, name: string) => {
      const found = given.find(({ rule }) => rule.name === name);
      const argument = found?.rule.argument ?? name;
      names.push(argument);
      if (found === undefined) wrong ??= `${argument} is required.`;
      const text = found === undefined ? "" : inPath(found.rule, found.value);
      if (found !== undefined && isDots(text)) wrong ??= `${argument} must not be empty, "." or "..".`;
      return text;
    });
    if (names.length > 0 && isDots(filled)) wrong ??= `${names.join(", ")} must not make "." or ".." here.`;
    if (wrong !== null) return { wrong };
    segments.push(filled);
  }
  return { filled: segments.join("/") };
}
