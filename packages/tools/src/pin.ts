import { LIMITS, type ProblemDetail, type ToolSpec } from "@maru/contract";
import type { Egress } from "./egress/index.ts";
import { memoryToolNames } from "./memory/index.ts";
import { pinOpenApi } from "./openapi/pin.ts";
import type { SecretAccess } from "./secrets/reference.ts";

export interface PinDeps {
  readonly egress: Egress;
  /** Secrets of the agent that is deployed, for servers that want to know who asks. */
  readonly secrets: SecretAccess;
  /** Private hosts the operator lets tools reach. */
  readonly allowedHosts: readonly string[];
  readonly signal: AbortSignal;
  /** Whether MCP servers may be started as commands. */
  readonly mcpStdio?: boolean;
}

/** A manifest's tools as a revision keeps them. */
export interface Pinned {
  readonly tools: readonly ToolSpec[];
  /** Why they can't be deployed; pointers are those of the manifest. */
  readonly problems: readonly ProblemDetail[];
  /** What does not stand in the way, and the deployer should know. */
  readonly warnings: readonly ProblemDetail[];
}

interface PinnedEntry {
  readonly spec: ToolSpec;
  readonly problems: readonly ProblemDetail[];
  readonly warnings: readonly ProblemDetail[];
}

/** Time for all that has to be fetched for one manifest. */
const PIN_MS = 20_000;

/**
 * Fetches, once and at deploy, what tools refer to and others declare, so that a revision says all the model is ever told
 * and nobody can change it afterwards. Never throws for what others do: that is a problem or a warning.
 */
export async function pinTools(tools: readonly ToolSpec[], deps: PinDeps): Promise<Pinned> {
  const signal = AbortSignal.any([deps.signal, AbortSignal.timeout(PIN_MS)]);
  const entries = await Promise.all(
    tools.map((spec, index) => pinned(spec, `/spec/tools/${index}`, { ...deps, signal })),
  );
  return {
    tools: entries.map(({ spec }) => spec),
    problems: [...entries.flatMap(({ problems }) => problems), ...nameProblems(entries.map(({ spec }) => spec))],
    warnings: entries.flatMap(({ warnings }) => warnings),
  };
}

/** The names the model will know the tools of an entry by. */
export const namesOf = (spec: ToolSpec): readonly string[] => {
  if (spec.type === "mcp") return Object.keys(spec.pinned?.tools ?? {});
  if (spec.type === "openapi") return Object.keys(spec.pinned?.operations ?? {});
  return spec.type === "memory" ? memoryToolNames(spec) : [spec.name];
};

/** Entries that stand for several tools must not take one another's names, nor be too many together. */
function nameProblems(specs: readonly ToolSpec[]): ProblemDetail[] {
  const problems: ProblemDetail[] = [];
  const seen = new Set<string>();
  for (const [index, spec] of specs.entries())
    for (const name of namesOf(spec)) {
      if (seen.has(name))
        problems.push({
          pointer: `/spec/tools/${index}`,
          code: "duplicate_tool",
          detail: `There is a tool named ${name} already: give one of them another name.`,
        });
      seen.add(name);
    }
  if (seen.size > LIMITS.toolsPerAgent)
    problems.push({
      pointer: "/spec/tools",
      code: "limit_out_of_range",
      detail: `An agent may have ${LIMITS.toolsPerAgent} tools, and these entries make ${seen.size}.`,
    });
  return problems;
}

async function pinned(spec: ToolSpec, pointer: string, deps: PinDeps): Promise<PinnedEntry> {
  switch (spec.type) {
    case "openapi":
      return pinOpenApi(spec, pointer, deps);
    case "mcp":
      // Loaded when it is first needed, as in mcp/pool.ts.
      return (await import("./mcp/pin.ts")).pinMcpTools(spec, pointer, deps);
    default:
      return { spec, problems: [], warnings: [] };
  }
}
