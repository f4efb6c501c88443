import {
  type AgentToolSpec,
  type ApprovalSpec,
  type BuiltinToolSpec,
  type ClientToolSpec,
  type CodeToolSpec,
  type FunctionToolSpec,
  type HttpMethod,
  type HttpToolSpec,
  LIMITS,
  type MemoryToolSpec,
  type ProblemDetail,
  type ToolManifest,
  type ToolSpec,
} from "@maru/contract";
import { milliseconds, type Range, type Report } from "./range.ts";
import { byteSize, durationMs } from "./units.ts";

interface Context {
  readonly report: Report;
  readonly range: Range;
  approval(written: Written, pointer: string): { approval?: ApprovalSpec };
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
    case "memory":
      return memory(tool, pointer, context);
  }
}

/** Reads who has to approve. Left out where it is the default, so that a revision of before has the same digest. */
export const approvalReader =
  (
    errors: ProblemDetail[],
    checkSchema: (schema: Schema, pointer: string) => readonly ProblemDetail[],
  ): Context["approval"] =>
  (approval, pointer) => {
    if (approval === undefined || approval === "never") return {};
    if (approval === "always") return { approval };
    const when = approval.when as Schema;
    errors.push(...checkSchema({ type: "object", ...when }, `${pointer}/approval/when`));
    return { approval: { when } };
  };

const parametersOf = (tool: { parameters?: object }): Schema =>
  (tool.parameters as Schema | undefined) ?? { type: "object", properties: {} };

const agent = (tool: Of<"agent">, pointer: string, { approval }: Context): AgentToolSpec => ({
  type: "agent",
  name: tool.name,
  description: tool.description,
  deployment: tool.deployment,
  ...(tool.parameters === undefined ? {} : { parameters: parametersOf(tool) }),
  ...(tool.budget === undefined ? {} : { maxTokens: tool.budget.tokens }),
  ...approval(tool.approval, pointer),
});

const builtin = (tool: Of<"builtin">, pointer: string, { approval }: Context): BuiltinToolSpec => ({
  type: "builtin",
  name: tool.name,
  ...approval(tool.approval, pointer),
});

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
    milliseconds,
  ),
  memoryBytes: range(
    `${pointer}/memory`,
    tool.memory === undefined ? LIMITS.codeMemoryBytes.default : byteSize(tool.memory),
    LIMITS.codeMemoryBytes,
    (bytes) => `${bytes / 1_048_576}MiB`,
  ),
});

function http(tool: Of<"http">, pointer: string, context: Context): HttpToolSpec {
  const method: HttpMethod = tool.request.method ?? "GET";
  const effect = tool.effect ?? (method === "GET" || method === "HEAD" ? "safe" : "at_most_once");
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
    },
    timeoutMs: toolTimeout(tool, pointer, context),
    effect,
    ...context.approval(tool.approval, pointer),
    ...(tool.on_unknown === undefined || tool.on_unknown === "tell_model" ? {} : { onUnknown: tool.on_unknown }),
  };
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
    : { ttlMs: context.range(`${pointer}/ttl`, durationMs(tool.ttl), LIMITS.memoryTtlMs, milliseconds) }),
  ...context.approval(tool.approval, pointer),
});

const toolTimeout = (tool: { timeout?: string }, pointer: string, { range }: Context): number =>
  range(
    `${pointer}/timeout`,
    tool.timeout === undefined ? LIMITS.toolTimeoutMs.default : durationMs(tool.timeout),
    LIMITS.toolTimeoutMs,
    milliseconds,
  );
