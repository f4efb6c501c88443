import {
  type EffectClass,
  LIMITS,
  type McpPinnedTool,
  type McpToolSpec,
  type ProblemCode,
  type ProblemDetail,
} from "@maru/contract";
import { escapePointer } from "@maru/domain";
import type { Tool } from "@modelcontextprotocol/client";
import { closest, distance } from "fastest-levenshtein";
import { type Egress, egressFetch } from "../egress/index.ts";
import { createRedactor } from "../secrets/redact.ts";
import { needSecrets, type SecretAccess, SecretUnavailable, secretNamesIn } from "../secrets/reference.ts";
import { annotationsOf, descriptionOf, digestsOf, plainText } from "./definition.ts";
import { StdioOff } from "./errors.ts";
import { reasonOf } from "./failure.ts";
import { fits, isPattern, modelName } from "./names.ts";
import { simplified } from "./server-schema.ts";
import { openSession, type Session } from "./session.ts";
import { targetOf } from "./target.ts";

const MAX_TOOL_NAME = 1_024;
const MAX_SHOWN = 20;

interface PinMcpDeps {
  readonly egress: Egress;
  readonly secrets: SecretAccess;
  readonly signal: AbortSignal;
  readonly mcpStdio?: boolean;
}

interface Findings {
  readonly problems: ProblemDetail[];
  readonly warnings: ProblemDetail[];
}

/**
 * Asks a server for its tools and keeps those the manifest admits, as the model will know them for as long as the revision is
 * in use. What can't be had is a problem; what is left out of what was had is a warning.
 */
export async function pinMcpTools(
  spec: McpToolSpec,
  pointer: string,
  deps: PinMcpDeps,
): Promise<Findings & { readonly spec: McpToolSpec }> {
  const found: Findings = { problems: [], warnings: [] };
  const report = (list: keyof Findings, place: string, code: ProblemCode, detail: string, suggestion?: string) =>
    void found[list].push({
      pointer: `${pointer}${place}`,
      code,
      detail,
      ...(suggestion === undefined ? {} : { suggestion }),
    });
  let session: Session | null = null;
  try {
    if ("command" in spec.server && !deps.mcpStdio) throw new StdioOff();
    const target = await targetOf(spec.server, deps.secrets);
    session = await openSession(target, {
      fetch: egressFetch(deps.egress),
      signal: deps.signal,
      now: () => performance.now(),
    });
    const holdsSecret = await secretFinder(spec, deps.secrets);
    const listed = [...(await session.tools(deps.signal)).values()];
    const tools = admitted(spec, listed, holdsSecret, report);
    const shown = (text: string) => (holdsSecret(plainText(text, 128)) ? "" : plainText(text, 128));
    const pinned = {
      server: { name: shown(session.server.name), version: shown(session.server.version) },
      protocol: session.protocol,
      transport: session.transport,
      tools,
    };
    if (found.problems.length === 0 && Object.keys(tools).length === 0)
      report("problems", "", "mcp_tool_not_found", "No tool of the server is left for the agent.");
    if (Buffer.byteLength(JSON.stringify(pinned)) > LIMITS.mcpPinnedBytes)
      report(
        "problems",
        "",
        "limit_out_of_range",
        `The definitions of a server's tools may have ${LIMITS.mcpPinnedBytes} bytes together: name the ones you need in allow.`,
      );
    return { ...found, spec: { ...spec, pinned } };
  } catch (error) {
    if (error instanceof SecretUnavailable)
      report(
        "problems",
        "url" in spec.server ? "/headers" : "/env",
        "secret_not_found",
        `This agent has no secret named ${error.names.join(", ")}.`,
      );
    else if (error instanceof StdioOff) report("problems", "/command", "mcp_transport_forbidden", error.message);
    else
      report(
        "problems",
        "url" in spec.server ? "/url" : "/command",
        "mcp_unreachable",
        `The MCP server ${spec.name} could not be asked for its tools. ${reasonOf(error)}`,
      );
    return { ...found, spec };
  } finally {
    await session?.close();
  }
}

type ReportFinding = (
  list: keyof Findings,
  place: string,
  code: ProblemCode,
  detail: string,
  suggestion?: string,
) => void;

/** The server was given secrets, and may say them again where a revision would show them to everybody. */
async function secretFinder({ server }: McpToolSpec, access: SecretAccess): Promise<(value: unknown) => boolean> {
  const values = await needSecrets(secretNamesIn(server), access);
  if (values.size === 0) return () => false;
  const redactor = createRedactor([...values].map(([name, value]) => ({ name, value })));
  return (value) => redactor.holds(Buffer.from(JSON.stringify(value)));
}

/** The tools an entry stands for, by the model's names. */
function admitted(
  spec: McpToolSpec,
  all: readonly Tool[],
  holdsSecret: (value: unknown) => boolean,
  report: ReportFinding,
): Readonly<Record<string, McpPinnedTool>> {
  const listed = all.filter(({ name }) => !holdsSecret(plainText(name, name.length)));
  const names = listed.map(({ name }) => name);
  for (const [place, name] of namesIn(spec)) {
    if (names.some((existing) => fits(name, existing))) continue;
    if (isPattern(name)) {
      report("warnings", place, "mcp_tool_not_found", `No tool of the server fits ${name}.`);
      continue;
    }
    const near = names.length === 0 ? undefined : closest(name, names);
    const shown = names.slice(0, MAX_SHOWN).map((existing) => plainText(existing, 64));
    report(
      "problems",
      place,
      "mcp_tool_not_found",
      `The server has no tool ${name}; it has ${shown.join(", ") || "none"}${names.length > MAX_SHOWN ? " and others" : ""}.`,
      near !== undefined && near.length <= 128 && distance(name, near) <= Math.max(2, name.length / 2)
        ? near
        : undefined,
    );
  }
  const tools: [string, McpPinnedTool][] = [];
  for (const tool of listed) {
    const { name } = tool;
    if (spec.allow !== undefined && !spec.allow.some((pattern) => fits(pattern, name))) continue;
    if (spec.deny?.some((pattern) => fits(pattern, name))) continue;
    const unusable = (why: string) =>
      report("warnings", "", "mcp_tool_unusable", `The server's tool ${plainText(name, 64)} is left out: ${why}`);
    if (name.length > MAX_TOOL_NAME || name.includes("\0") || !name.isWellFormed()) {
      unusable("its name can't be kept.");
      continue;
    }
    const parameters = simplified(tool.inputSchema);
    if (parameters === null) {
      unusable("its input schema is none that can be used.");
      continue;
    }
    const annotations = annotationsOf(tool);
    const approval = own(spec.approvals, name) ?? spec.approval;
    const pinned: McpPinnedTool = {
      tool: name,
      description: descriptionOf(tool),
      parameters: parameters.schema,
      effect: effectOf(spec, tool),
      ...(approval === undefined || approval === "never" ? {} : { approval }),
      ...(annotations === undefined ? {} : { annotations }),
      ...digestsOf(tool, spec.trustAnnotations === true),
    };
    if (holdsSecret([pinned, parameters.dropped])) {
      unusable("a secret that the server was sent stands in it.");
      continue;
    }
    if (parameters.dropped.length > 0)
      report(
        "warnings",
        "",
        "tool_schema_invalid",
        `Of the parameters of ${plainText(name, 64)} this is left out, and judged by the server alone: ${plainText(parameters.dropped.slice(0, MAX_SHOWN).join(", "), 512)}.`,
      );
    tools.push([modelName(spec.name, name), pinned]);
  }
  return Object.fromEntries(tools.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A server's tool may have the name of something objects inherit. */
const own = <T>(record: Readonly<Record<string, T>> = {}, name: string): T | undefined =>
  Object.hasOwn(record, name) ? record[name] : undefined;

/** Every name of a server's tool that an entry has, with its place. */
function namesIn({ allow = [], deny = [], effects = {}, approvals = {} }: McpToolSpec): [string, string][] {
  return [
    ...allow.map((name, index): [string, string] => [`/allow/${index}`, name]),
    ...deny.map((name, index): [string, string] => [`/deny/${index}`, name]),
    ...Object.keys(effects).map((name): [string, string] => [`/effects/${escapePointer(name)}`, name]),
    ...Object.keys(approvals).map((name): [string, string] => [`/approvals/${escapePointer(name)}`, name]),
  ];
}

/** What a repeat may do: what the manifest says, then what the server hints where it is trusted, then the worst. */
function effectOf({ effects, effect, trustAnnotations }: McpToolSpec, { name, annotations }: Tool): EffectClass {
  const written = own(effects, name) ?? effect;
  if (written !== undefined) return written;
  if (!trustAnnotations) return "at_most_once";
  return annotations?.readOnlyHint ? "safe" : annotations?.idempotentHint ? "idempotent" : "at_most_once";
}
