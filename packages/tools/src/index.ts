import type { ProblemDetail, ToolSpec } from "@maru/contract";
import { deeperThan } from "@maru/domain";
import { prepareAgentTool } from "./agent.ts";
import { approvalTest } from "./approval.ts";
import { prepareBuiltin } from "./builtin/index.ts";
import { prepareClientTool } from "./client.ts";
import type { Sandbox } from "./code/sandbox.ts";
import { prepareCodeTool, prepareFunctionTool } from "./code/tool.ts";
import type { Egress } from "./egress/index.ts";
import { fetchHostProblems } from "./fetch-page/hosts.ts";
import { prepareFetchPage } from "./fetch-page/index.ts";
import { checkHttpTool } from "./http/check.ts";
import { prepareHttpTool } from "./http/index.ts";
import type { PreparedTool, ToolSet } from "./kind.ts";
import { checkMcpTool } from "./mcp/check.ts";
import type { McpSessions } from "./mcp/pool.ts";
import { prepareMcpTools } from "./mcp/tool.ts";
import { type MemoryAccess, prepareMemoryTools } from "./memory/index.ts";
import { checkOpenApiTool } from "./openapi/check.ts";
import { prepareOpenApiTools } from "./openapi/index.ts";
import { type ToolPolicy, underPolicy } from "./policy.ts";
import { schemaProblems } from "./schema/admit.ts";
import { createGuard } from "./secrets/guard.ts";
import { secretNamesIn } from "./secrets/reference.ts";

export { SandboxLost } from "./code/process.ts";
export { createSandbox, SANDBOX_DEFAULTS, type Sandbox } from "./code/sandbox.ts";
export { checkSources } from "./code/tool.ts";
export { type EgressLimits, egressLimits } from "./egress/config.ts";
export {
  blockedBy,
  createEgress,
  type Egress,
  EgressBlocked,
  type EgressGate,
  egressFetch,
  PolicyDenied,
  parseEgressAllow,
} from "./egress/index.ts";
export { isPublicAddress, urlRefusal } from "./egress/verdict.ts";
export type {
  Attachment,
  PreparedTool,
  Progress,
  ToolAnnotations,
  ToolCallContext,
  ToolCaller,
  ToolResult,
  ToolSet,
} from "./kind.ts";
export { cutToBytes } from "./kind.ts";
export { createMcpSessions, type McpFinding, type McpOptions, type McpSessions } from "./mcp/pool.ts";
export type { MemoryAccess } from "./memory/index.ts";
export { type PinDeps, type Pinned, pinTools } from "./pin.ts";
export { hostProblems, policyProblems, type ToolPolicy } from "./policy.ts";
export { schemaProblems } from "./schema/admit.ts";
export { createArgumentCheck } from "./schema/check.ts";
export { type SecretAccess, secretNamesIn } from "./secrets/reference.ts";

export interface ToolDeps {
  readonly egress: Egress;
  readonly policy: ToolPolicy;
  /** Where code runs; who only looks at declarations and arguments needs none. */
  readonly sandbox?: Sandbox;
  /** Sessions with MCP servers; the same holds. */
  readonly mcp?: McpSessions;
  /** What agents remember; the same holds. */
  readonly memory?: MemoryAccess;
}

const uncalled = () => Promise.reject(new Error("These tools are looked at, and not to be called."));
/** For tools nobody calls: somebody looks at their declarations, or at arguments. */
export const UNCALLED: ToolDeps = { egress: { request: uncalled }, policy: uncalled };

/**
 * Makes a revision's tools callable, whatever their kind: a call passes the workspace's policy, and its result the guard, where
 * secrets end.
 */
export function prepareTools(specs: readonly ToolSpec[], deps: ToolDeps): ToolSet {
  const tools = new Map<string, PreparedTool>();
  // What others declared and a revision keeps may look like a reference, and is none.
  const guard = createGuard(secretNamesIn(specs.map((spec) => ({ ...spec, document: null, pinned: null }))));
  const all = specs.flatMap((spec) =>
    prepared(spec, deps).map((tool) => underPolicy({ ...tool, ...policyOf(spec, tool) }, spec.type, deps.policy)),
  );
  for (const tool of all.sort((a, b) => (a.declaration.name < b.declaration.name ? -1 : 1)))
    tools.set(tool.declaration.name, guard(tool));
  return {
    declarations: [...tools.values()].map(({ declaration }) => declaration),
    names: [...tools.keys()],
    get: (name) => tools.get(name),
  };
}

/** The tools of one entry of a manifest: one, but for entries that stand for what somebody else declared. */
function prepared(spec: ToolSpec, { egress, sandbox, mcp, memory }: ToolDeps): PreparedTool[] {
  switch (spec.type) {
    case "agent":
      return [prepareAgentTool(spec)];
    case "builtin":
      return [
        spec.name === "http_fetch" ? prepareFetchPage(spec, egress) : prepareBuiltin({ ...spec, name: spec.name }),
      ];
    case "client":
      return [prepareClientTool(spec)];
    case "code":
      return [prepareCodeTool(spec, sandbox)];
    case "function":
      return [prepareFunctionTool(spec, sandbox)];
    case "http":
      return [prepareHttpTool(spec, egress)];
    case "mcp":
      return prepareMcpTools(spec, mcp);
    case "memory":
      return prepareMemoryTools(spec, memory);
    case "openapi":
      return prepareOpenApiTools(spec, egress);
  }
}

/**
 * What the manifest says of approval and of outcomes that can't be known, where it says the same of all tools of an entry. Of a
 * memory, only what changes it is approved.
 */
function policyOf(
  spec: ToolSpec,
  { effect, declaration }: PreparedTool,
): Pick<PreparedTool, "needsApproval" | "onUnknown"> {
  if (spec.type === "client" || spec.type === "openapi" || (spec.type === "memory" && effect === "safe")) return {};
  const { approval } = spec.type === "mcp" ? (spec.pinned?.tools[declaration.name] ?? {}) : spec;
  return {
    ...(approval === undefined ? {} : { needsApproval: approvalTest(approval) }),
    ...((spec.type === "http" || spec.type === "mcp") && spec.onUnknown !== undefined
      ? { onUnknown: spec.onUnknown }
      : {}),
  };
}

/** What is wrong with a tool beyond its shape, at deploy: nothing is resolved, connected or run. */
export function checkToolSpec(
  spec: ToolSpec,
  pointer: string,
  options: {
    allowedHosts?: readonly string[];
    /** Whether the agent has a secret of the name; by default it has none. */
    hasSecret?: (name: string) => boolean;
    /** Whether MCP servers may be started as commands. */
    mcpStdio?: boolean;
  } = {},
): ProblemDetail[] {
  if (spec.type === "code" || spec.type === "memory") return [];
  if (spec.type === "builtin") return fetchHostProblems(spec.hosts, pointer, options.allowedHosts ?? []);
  if (spec.type === "client" || spec.type === "function" || spec.type === "agent")
    return spec.parameters === undefined ? [] : schemaProblems(spec.parameters, `${pointer}/parameters`);
  const { allowedHosts = [], hasSecret = () => false, mcpStdio = false } = options;
  if (spec.type === "openapi") return checkOpenApiTool(spec, pointer, allowedHosts, hasSecret);
  if (spec.type === "mcp") return checkMcpTool(spec, pointer, allowedHosts, hasSecret, mcpStdio);
  return [
    ...schemaProblems(spec.parameters, `${pointer}/parameters`),
    ...checkHttpTool(spec, pointer, allowedHosts, hasSecret),
  ];
}

/** Far more than a schema describes (8 levels), and far less than would overflow the stack of what walks it. */
const ARGUMENT_DEPTH = 64;

/** The arguments a model wrote, which must be a JSON object; nothing at all stands for no arguments. */
export function parseArguments(
  text: string,
): { ok: true; value: Record<string, unknown> } | { ok: false; message: string } {
  const trimmed = text.trim();
  if (trimmed === "" || trimmed === "null") return { ok: true, value: {} };
  try {
    const value: unknown = JSON.parse(trimmed);
    if (deeperThan(value, ARGUMENT_DEPTH))
      return { ok: false, message: `The arguments are nested deeper than ${ARGUMENT_DEPTH} levels.` };
    if (typeof value === "object" && value !== null && !Array.isArray(value))
      return { ok: true, value: value as Record<string, unknown> };
    return { ok: false, message: "The arguments must be a JSON object." };
  } catch (error) {
    return { ok: false, message: `The arguments are not valid JSON: ${error instanceof Error ? error.message : ""}` };
  }
}
