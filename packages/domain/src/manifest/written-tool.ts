import {
  type AgentToolSpec,
  type ApprovalSpec,
  type BuiltinToolSpec,
  type ClientToolSpec,
  type CodeToolSpec,
  durationText,
  type FunctionToolSpec,
  type HttpToolSpec,
  LIMITS,
  type McpToolSpec,
  type MemoryToolSpec,
  type OnUnknown,
  type OpenApiToolSpec,
  sizeText,
  type ToolSpec,
} from "@maru/contract";
import { canonicalJson } from "../canonical.ts";
import { defaultEffect, defaultRetries, EVERYTHING, NO_PARAMETERS } from "./tool.ts";
import { anyOf, fields, filled, without } from "./written.ts";

/** A tool as a person writes it: what the normaliser makes this spec of. */
export function writtenTool(spec: ToolSpec): object {
  switch (spec.type) {
    case "agent":
      return agent(spec);
    case "builtin":
      return builtin(spec);
    case "client":
      return client(spec);
    case "code":
      return code(spec);
    case "function":
      return func(spec);
    case "http":
      return http(spec);
    case "mcp":
      return mcp(spec);
    case "memory":
      return memory(spec);
    case "openapi":
      return openApi(spec);
  }
}

const head = ({ name, type, description }: { name: string; type: string; description?: string }) => ({
  name,
  type,
  description,
});
const parameters = (schema: object): object | undefined =>
  canonicalJson(schema) === canonicalJson(NO_PARAMETERS) ? undefined : schema;
const approvals = ({ approval, onUnknown }: { approval?: ApprovalSpec; onUnknown?: OnUnknown }) => ({
  approval,
  on_unknown: onUnknown,
});
const toolTimeout = (ms: number) => without(LIMITS.toolTimeoutMs.default, ms, durationText);
const codeLimits = ({ timeoutMs, memoryBytes }: CodeToolSpec | FunctionToolSpec) => ({
  timeout: without(LIMITS.codeTimeoutMs.default, timeoutMs, durationText),
  memory: without(LIMITS.codeMemoryBytes.default, memoryBytes, sizeText),
});

const agent = (spec: AgentToolSpec) =>
  fields({
    ...head(spec),
    deployment: spec.deployment,
    parameters: spec.parameters,
    budget: spec.maxTokens === undefined ? undefined : { tokens: spec.maxTokens },
    ...approvals(spec),
  });

const builtin = (spec: BuiltinToolSpec) => fields({ ...head(spec), hosts: spec.hosts, ...approvals(spec) });

const client = (spec: ClientToolSpec) => fields({ ...head(spec), parameters: parameters(spec.parameters) });

const code = (spec: CodeToolSpec) => fields({ ...head(spec), ...codeLimits(spec), ...approvals(spec) });

const func = (spec: FunctionToolSpec) =>
  fields({
    ...head(spec),
    parameters: parameters(spec.parameters),
    source: spec.source,
    ...codeLimits(spec),
    ...approvals(spec),
  });

const http = (spec: HttpToolSpec) =>
  fields({
    ...head(spec),
    parameters: parameters(spec.parameters),
    request: fields({
      method: without("GET", spec.request.method),
      url: spec.request.url,
      headers: filled(spec.request.headers),
      query: filled(spec.request.query),
      body: spec.request.body ?? undefined,
      form: spec.request.form,
    }),
    response: response(spec),
    pagination: pagination(spec),
    retries: without(defaultRetries(spec.effect), spec.retries),
    redirects: spec.redirects,
    timeout: toolTimeout(spec.timeoutMs),
    effect: without(defaultEffect(spec.request.method), spec.effect),
    ...approvals(spec),
    annotations: spec.annotations,
  });

const response = ({ response: spec }: HttpToolSpec) =>
  spec && fields({ select: spec.select, type: spec.type, maxBytes: without(undefined, spec.maxBytes, sizeText) });

const pagination = ({ pagination: spec }: HttpToolSpec) =>
  spec &&
  fields({
    next: spec.next,
    as: without("url", spec.as),
    items: without("", spec.items),
    maxPages: without(LIMITS.pages.default, spec.maxPages),
  });

/** Without what the server said at deploy. */
const mcp = (spec: McpToolSpec) =>
  fields({
    ...head(spec),
    ...("url" in spec.server
      ? {
          url: spec.server.url,
          transport: without("auto", spec.server.transport),
          headers: filled(spec.server.headers),
        }
      : { command: spec.server.command, args: filled(spec.server.args), env: filled(spec.server.env) }),
    allow: spec.allow,
    deny: spec.deny,
    timeout: toolTimeout(spec.timeoutMs),
    effect: spec.effect,
    effects: spec.effects,
    trustAnnotations: spec.trustAnnotations,
    approval: spec.approval,
    approvals: spec.approvals,
    on_unknown: spec.onUnknown,
  });

/** Without what the document said at deploy. */
const openApi = (spec: OpenApiToolSpec) =>
  fields({
    ...head(spec),
    document: spec.document,
    server: spec.server,
    operations: anyOf({
      include:
        canonicalJson(spec.operations.include) === canonicalJson(EVERYTHING) ? undefined : spec.operations.include,
      exclude: filled(spec.operations.exclude),
    }),
    headers: filled(spec.headers),
    query: filled(spec.query),
    auth: filled(spec.auth),
    timeout: toolTimeout(spec.timeoutMs),
    ...approvals(spec),
    overrides: filled(spec.overrides),
    toolPrefix: without(`${spec.name}_`, spec.toolPrefix),
  });

const memory = (spec: MemoryToolSpec) =>
  fields({
    ...head(spec),
    scope: spec.scope,
    mode: without("readwrite", spec.mode),
    maxResults: without(LIMITS.memoryResults.default, spec.maxResults),
    ttl: without(undefined, spec.ttlMs, durationText),
    ...approvals(spec),
  });
