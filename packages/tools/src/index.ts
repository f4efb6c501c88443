import type { ProblemDetail, ToolSpec } from "@maru/contract";
import { deeperThan } from "@maru/domain";
import { prepareAgentTool } from "./agent.ts";
import { prepareBuiltin } from "./builtin/index.ts";
import { prepareClientTool } from "./client.ts";
import type { Sandbox } from "./code/sandbox.ts";
import { prepareCodeTool, prepareFunctionTool } from "./code/tool.ts";
import type { Egress } from "./egress/index.ts";
import { checkHttpTool } from "./http/check.ts";
import { prepareHttpTool } from "./http/index.ts";
import type { PreparedTool, ToolSet } from "./kind.ts";
import { type MemoryAccess, prepareMemoryTools } from "./memory/index.ts";
import { schemaProblems } from "./schema/admit.ts";
import { createArgumentCheck } from "./schema/check.ts";
import { createGuard } from "./secrets/guard.ts";
import { secretNamesIn } from "./secrets/reference.ts";

export { SandboxLost } from "./code/process.ts";
export { createSandbox, SANDBOX_DEFAULTS, type Sandbox } from "./code/sandbox.ts";
export { checkSources } from "./code/tool.ts";
export {
  createEgress,
  type Egress,
  EgressBlocked,
  type EgressOptions,
  egressFetch,
  parseEgressAllow,
} from "./egress/index.ts";
export { isPublicAddress, urlRefusal } from "./egress/verdict.ts";
export type {
  Attachment,
  PreparedTool,
  ToolAnnotations,
  ToolCallContext,
  ToolCaller,
  ToolResult,
  ToolSet,
} from "./kind.ts";
export { cutToBytes } from "./kind.ts";
export type { MemoryAccess } from "./memory/index.ts";
export { type PinDeps, type Pinned, pinTools } from "./pin.ts";
export { schemaProblems } from "./schema/admit.ts";
export { createArgumentCheck } from "./schema/check.ts";
export { type SecretAccess, secretNamesIn } from "./secrets/reference.ts";

export interface ToolDeps {
  readonly egress: Egress;
  /** Where code runs; who only looks at declarations and arguments needs none. */
  readonly sandbox?: Sandbox;
  /** What agents remember; the same. */
  readonly memory?: MemoryAccess;
}

/** Makes a revision's tools callable. Whatever its kind, a tool's result passes the guard: that is where secrets end. */
export function prepareTools(specs: readonly ToolSpec[], deps: ToolDeps): ToolSet {
  const tools = new Map<string, PreparedTool>();
  const guard = createGuard(secretNamesIn(specs));
  const all = specs.flatMap((spec) => prepared(spec, deps).map((tool) => ({ ...tool, ...policyOf(spec, tool) })));
  for (const tool of all.sort((a, b) => (a.declaration.name < b.declaration.name ? -1 : 1)))
    tools.set(tool.declaration.name, guard(tool));
  return {
    declarations: [...tools.values()].map(({ declaration }) => declaration),
    names: [...tools.keys()],
    get: (name) => tools.get(name),
  };
}

/** The tools of one entry of a manifest: one, but for entries that stand for what somebody else declared. */
function prepared(spec: ToolSpec, { egress, sandbox, memory }: ToolDeps): PreparedTool[] {
  switch (spec.type) {
    case "agent":
      return [prepareAgentTool(spec)];
    case "builtin":
      return [prepareBuiltin(spec)];
    case "client":
      return [prepareClientTool(spec)];
    case "code":
      return [prepareCodeTool(spec, sandbox)];
    case "function":
      return [prepareFunctionTool(spec, sandbox)];
    case "http":
      return [prepareHttpTool(spec, egress)];
    case "memory":
      return prepareMemoryTools(spec, memory);
  }
}

/** What the manifest says of approval and of outcomes that can't be known. Of a memory, only what changes it is approved. */
function policyOf(spec: ToolSpec, { effect }: PreparedTool): Pick<PreparedTool, "needsApproval" | "onUnknown"> {
  if (spec.type === "client" || (spec.type === "memory" && effect === "safe")) return {};
  const { approval } = spec;
  const wrongWith = typeof approval === "object" ? createArgumentCheck({ type: "object", ...approval.when }) : null;
  return {
    ...(approval === undefined
      ? {}
      : { needsApproval: (args: unknown) => wrongWith === null || wrongWith(args) === null }),
    ...(spec.type === "http" && spec.onUnknown !== undefined ? { onUnknown: spec.onUnknown } : {}),
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
  } = {},
): ProblemDetail[] {
  if (spec.type === "builtin" || spec.type === "code" || spec.type === "memory") return [];
  if (spec.type === "client" || spec.type === "function" || spec.type === "agent")
    return spec.parameters === undefined ? [] : schemaProblems(spec.parameters, `${pointer}/parameters`);
  return [
    ...schemaProblems(spec.parameters, `${pointer}/parameters`),
    ...checkHttpTool(spec, pointer, options.allowedHosts ?? [], options.hasSecret ?? (() => false)),
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
