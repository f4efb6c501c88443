import {
  type AgentToolSpec,
  type ApprovalSpec,
  type BuiltinToolSpec,
  byteSize,
  type ClientToolSpec,
  type CodeToolSpec,
  durationMs,
  durationText,
  type EffectClass,
  type FunctionToolSpec,
  type HttpMethod,
  type HttpResponseSpec,
  type HttpToolSpec,
  LIMITS,
  type McpServer,
  type McpToolSpec,
  type MemoryToolSpec,
  type OpenApiToolSpec,
  type PaginationSpec,
  type ProblemDetail,
  sizeText,
  type ToolManifest,
  type ToolSpec,
} from "@maru/contract";
import { escapePointer } from "../canonical.ts";
import type { Range, Report } from "./range.ts";

interface Context {
  readonly report: Report;
  readonly range: Range;
  /** `field` is where it is written, when not in `approval`. */
  approval(written: Written, pointer: string, field?: string): { approval?: ApprovalSpec };
}
type Written = "always" | "never" | { when: object } | undefined;
type Schema = { readonly [key: string]: unknown };
type Of<Kind extends ToolManifest["type"]> = Extract<ToolManifest, { type: Kind }>;

/** A tool with every default filled in and every unit converted. */
export function normaliseTool(tool: ToolManifest, pointer: string, context: Context): ToolSpec {
  switch (tool.type) {
    case "agent":
      return agent(tool, pointer, context);
    case "builtin":
      return builtin(tool, pointer, context);
    case "client":
      return client(tool);
    case "code":
      return code(tool, pointer, context);
    case "function":
      return func(tool, pointer, context);
    case "http":
      return http(tool, pointer, context);
    case "mcp":
      return mcp(tool, pointer, context);
    case "memory":
      return memory(tool, pointer, context);
    case "openapi":
      return openApi(tool, pointer, context);
  }
}

/** Reads who has to approve. Left out where it is the default, so that a revision of before has the same digest. */
export const approvalReader =
  (
    errors: ProblemDetail[],
    checkSchema: (schema: Schema, pointer: string) => readonly ProblemDetail[],
  ): Context["approval"] =>
  (approval, pointer, field = "approval") => {
    if (approval === undefined || approval === "never") return {};
    if (approval === "always") return { approval };
    const when = approval.when as Schema;
    errors.push(...checkSchema({ type: "object", ...when }, `${pointer}/${field}/when`));
    return { approval: { when } };
  };

export const NO_PARAMETERS: Schema = { type: "object", properties: {} };
const parametersOf = (tool: { parameters?: object }): Schema =>
  (tool.parameters as Schema | undefined) ?? NO_PARAMETERS;

const agent = (tool: Of<"agent">, pointer: string, { approval }: Context): AgentToolSpec => ({
  type: "agent",
  name: tool.name,
  description: tool.description,
  deployment: tool.deployment,
  ...(tool.parameters === undefined ? {} : { parameters: parametersOf(tool) }),
  ...(tool.budget === undefined ? {} : { maxTokens: tool.budget.tokens }),
  ...approval(tool.approval, pointer),
});

function builtin(tool: Of<"builtin">, pointer: string, { approval, report }: Context): BuiltinToolSpec {
  if (tool.hosts !== undefined && tool.name !== "http_fetch")
    report(`${pointer}/hosts`, "unknown_field", `Only http_fetch has hosts, not ${tool.name}.`);
  return {
    type: "builtin",
    name: tool.name,
    ...(tool.hosts === undefined ? {} : { hosts: tool.hosts.map((host) => host.toLowerCase()) }),
    ...approval(tool.approval, pointer),
  };
}

const client = (tool: Of<"client">): ClientToolSpec => ({
  type: "client",
  name: tool.name,
  description: tool.description,
  parameters: parametersOf(tool),
});

const code = (tool: Of<"code">, pointer: string, context: Context): CodeToolSpec => ({
  type: "code",
  name: tool.name,
  ...(tool.description === undefined ? {} : { description: tool.description }),
  ...codeLimits(tool, pointer, context),
  ...context.approval(tool.approval, pointer),
});

function func(tool: Of<"function">, pointer: string, context: Context): FunctionToolSpec {
  if (Buffer.byteLength(tool.source) > LIMITS.sourceBytes)
    context.report(`${pointer}/source`, "limit_out_of_range", `A source may have at most ${LIMITS.sourceBytes} bytes.`);
  return {
    type: "function",
    name: tool.name,
    description: tool.description,
    parameters: parametersOf(tool),
    source: tool.source,
    ...codeLimits(tool, pointer, context),
    ...context.approval(tool.approval, pointer),
  };
}

const codeLimits = (
  tool: { timeout?: string; memory?: number | string },
  pointer: string,
  { range }: Context,
): { timeoutMs: number; memoryBytes: number } => ({
  timeoutMs: range(
    `${pointer}/timeout`,
    tool.timeout === undefined ? LIMITS.codeTimeoutMs.default : durationMs(tool.timeout),
    LIMITS.codeTimeoutMs,
    durationText,
  ),
  memoryBytes: range(
    `${pointer}/memory`,
    tool.memory === undefined ? LIMITS.codeMemoryBytes.default : byteSize(tool.memory),
    LIMITS.codeMemoryBytes,
    sizeText,
  ),
});

/** What a repeat of a request may do, as far as its method says. */
export const defaultEffect = (method: HttpMethod): EffectClass =>
  method === "GET" || method === "HEAD" ? "safe" : "at_most_once";

function http(tool: Of<"http">, pointer: string, context: Context): HttpToolSpec {
  const method: HttpMethod = tool.request.method ?? "GET";
  const effect = tool.effect ?? defaultEffect(method);
  if (tool.on_unknown !== undefined && effect !== "at_most_once")
    context.report(
      `${pointer}/on_unknown`,
      "effect_class_invalid",
      `A call that is ${effect} may be repeated, so its outcome is never unknown: leave on_unknown out.`,
    );
  return {
    type: "http",
    name: tool.name,
    description: tool.description,
    parameters: parametersOf(tool),
    request: {
      method,
      url: tool.request.url,
      headers: tool.request.headers ?? {},
      query: tool.request.query ?? {},
      body: tool.request.body ?? null,
      ...(tool.request.form === undefined ? {} : { form: tool.request.form }),
    },
    ...response(tool.response, pointer, context),
    ...pagination(tool.pagination),
    ...(tool.retries === undefined || tool.retries === defaultRetries(effect) ? {} : { retries: tool.retries }),
    ...(tool.redirects ? { redirects: tool.redirects } : {}),
    timeoutMs: toolTimeout(tool, pointer, context),
    effect,
    ...context.approval(tool.approval, pointer),
    ...(tool.on_unknown === undefined || tool.on_unknown === "tell_model" ? {} : { onUnknown: tool.on_unknown }),
    ...(Object.keys(tool.annotations ?? {}).length === 0 ? {} : { annotations: tool.annotations }),
  };
}

function mcp(tool: Of<"mcp">, pointer: string, context: Context): McpToolSpec {
  const effects = Object.values(tool.effects ?? {});
  if (tool.on_unknown !== undefined && tool.effect !== undefined && ![tool.effect, ...effects].includes("at_most_once"))
    context.report(
      `${pointer}/on_unknown`,
      "effect_class_invalid",
      "All these calls may be repeated, so their outcome is never unknown: leave on_unknown out.",
    );
  const approvals = Object.entries(tool.approvals ?? {}).map(([name, written]) => {
    const { approval } = context.approval(written, pointer, `approvals/${escapePointer(name)}`);
    return [name, approval ?? "never"] as const;
  });
  return {
    type: "mcp",
    name: tool.name,
    server: mcpServer(tool, pointer, context),
    ...(tool.allow === undefined ? {} : { allow: tool.allow }),
    ...(tool.deny === undefined ? {} : { deny: tool.deny }),
    timeoutMs: toolTimeout(tool, pointer, context),
    ...(tool.effect === undefined ? {} : { effect: tool.effect }),
    ...(effects.length === 0 ? {} : { effects: tool.effects as Readonly<Record<string, EffectClass>> }),
    ...(tool.trustAnnotations ? { trustAnnotations: true } : {}),
    ...context.approval(tool.approval, pointer),
    ...(approvals.length === 0 ? {} : { approvals: Object.fromEntries(approvals) }),
    ...(tool.on_unknown === undefined || tool.on_unknown === "tell_model" ? {} : { onUnknown: tool.on_unknown }),
  };
}

function mcpServer(tool: Of<"mcp">, pointer: string, { report }: Context): McpServer {
  const { url, command } = tool;
  const misplaced = (fields: readonly (keyof typeof tool)[], of: string) => {
    for (const field of fields)
      if (tool[field] !== undefined)
        report(`${pointer}/${field}`, "validation_failed", `Goes with ${of}, which this entry does not have.`);
  };
  if (url !== undefined && command !== undefined)
    report(`${pointer}/command`, "validation_failed", "An entry has a url or a command, not both.");
  if (url === undefined && command === undefined)
    report(`${pointer}/url`, "validation_failed", "This field is required.");
  if (command === undefined) {
    misplaced(["args", "env"], "a command");
    return { url: url ?? "", transport: tool.transport ?? "auto", headers: tool.headers ?? {} };
  }
  misplaced(["transport", "headers"], "a url");
  return { command, args: tool.args ?? [], env: tool.env ?? {} };
}

const memory = (tool: Of<"memory">, pointer: string, context: Context): MemoryToolSpec => ({
  type: "memory",
  name: tool.name,
  ...(tool.description === undefined ? {} : { description: tool.description }),
  scope: tool.scope,
  mode: tool.mode ?? "readwrite",
  maxResults: tool.maxResults ?? LIMITS.memoryResults.default,
  ...(tool.ttl === undefined
    ? {}
    : { ttlMs: context.range(`${pointer}/ttl`, durationMs(tool.ttl), LIMITS.memoryTtlMs, durationText) }),
  ...context.approval(tool.approval, pointer),
});
/** Of an OpenAPI document's operations. */
export const EVERYTHING: readonly string[] = ["*"];

function openApi(tool: Of<"openapi">, pointer: string, context: Context): OpenApiToolSpec {
  const { url, inline } = tool.document;
  if ((url === undefined) === (inline === undefined))
    context.report(`${pointer}/document`, "validation_failed", "Must have url or inline, one of them.");
  return {
    type: "openapi",
    name: tool.name,
    document: url === undefined ? { inline: (inline ?? {}) as Schema } : { url },
    ...(tool.server === undefined ? {} : { server: tool.server }),
    operations: { include: tool.operations?.include ?? EVERYTHING, exclude: tool.operations?.exclude ?? [] },
    headers: tool.headers ?? {},
    query: tool.query ?? {},
    auth: tool.auth ?? {},
    timeoutMs: toolTimeout(tool, pointer, context),
    ...context.approval(tool.approval, pointer),
    ...(tool.on_unknown === undefined || tool.on_unknown === "tell_model" ? {} : { onUnknown: tool.on_unknown }),
    overrides: (tool.overrides ?? []).map(({ operations, effect, approval }, index) => ({
      operations,
      ...(effect === undefined ? {} : { effect }),
      ...(approval === "never" ? { approval } : context.approval(approval, `${pointer}/overrides/${index}`)),
    })),
    toolPrefix: tool.toolPrefix ?? `${tool.name}_`,
  };
}

/** Times a call is sent again, where a manifest does not say. */
export const defaultRetries = (effect: EffectClass): number => (effect === "at_most_once" ? 0 : LIMITS.retries.default);

/** What is said of a reply beyond the defaults. */
function response(
  written: Of<"http">["response"],
  pointer: string,
  { range }: Context,
): { response?: HttpResponseSpec } {
  const { select, type, maxBytes } = written ?? {};
  const bytes = range(
    `${pointer}/response/maxBytes`,
    maxBytes === undefined ? LIMITS.responseBytes.default : byteSize(maxBytes),
    LIMITS.responseBytes,
    sizeText,
  );
  const spec: HttpResponseSpec = {
    ...(select === undefined ? {} : { select }),
    ...(type === undefined || type === "any" || (type === "json" && select !== undefined) ? {} : { type }),
    ...(bytes === LIMITS.responseBytes.default ? {} : { maxBytes: bytes }),
  };
  return Object.keys(spec).length === 0 ? {} : { response: spec };
}

const pagination = (written: Of<"http">["pagination"]): { pagination?: PaginationSpec } =>
  written === undefined
    ? {}
    : {
        pagination: {
          next: written.next,
          as: written.as ?? "url",
          items: written.items ?? "",
          maxPages: written.maxPages ?? LIMITS.pages.default,
        },
      };

const toolTimeout = (tool: { timeout?: string }, pointer: string, { range }: Context): number =>
  range(
    `${pointer}/timeout`,
    tool.timeout === undefined ? LIMITS.toolTimeoutMs.default : durationMs(tool.timeout),
    LIMITS.toolTimeoutMs,
    durationText,
  );
