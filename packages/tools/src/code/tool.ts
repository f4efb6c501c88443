import {
  type CodeToolSpec,
  type FunctionToolSpec,
  type JsonSchema,
  LIMITS,
  type ProblemDetail,
  type ToolSpec,
} from "@maru/contract";
import { failed, type PreparedTool, type ToolCallContext, type ToolResult } from "../kind.ts";
import { createArgumentCheck } from "../schema/check.ts";
import { SandboxLost } from "./process.ts";
import type { CodeFailure, CodeJob, CodeOutcome } from "./protocol.ts";
import type { Sandbox } from "./sandbox.ts";

/** Loading a module is compiling it and running what stands outside its functions. */
const LOAD_MS = 2_000;
/** Sources that take too long hold up other callers' deployments: after so many the others are not looked at. */
const MAX_LATE = 3;

const PARAMETERS: JsonSchema = {
  type: "object",
  properties: {
    code: {
      type: "string",
      minLength: 1,
      maxLength: LIMITS.sourceBytes,
      description: "The body of an async function with the parameter `input`; end it with `return value`",
    },
    input: { description: "Any JSON: what `input` is in the code" },
  },
  required: ["code"],
  additionalProperties: false,
};

const described = ({ timeoutMs, memoryBytes }: CodeToolSpec): string =>
  "Runs JavaScript and gives back, as JSON, what it returned and what it printed with console.log. " +
  "Standard ECMAScript only: no network, no files, no timers, no packages, no import. " +
  `It may take ${timeoutMs / 1_000} s and ${Math.floor(memoryBytes / 1_048_576)} MiB.`;

/** A tool whose arguments are JavaScript the model wrote. */
export function prepareCodeTool(spec: CodeToolSpec, sandbox: Sandbox | undefined): PreparedTool {
  return {
    declaration: { name: spec.name, description: spec.description ?? described(spec), parameters: PARAMETERS },
    effect: "safe",
    checkArguments: createArgumentCheck(PARAMETERS),
    call: async ({ code, input = null }, context) =>
      answer(await outcomeOf(sandbox, spec, { kind: "body", source: String(code), input }, context), shown),
  };
}

/** A tool that is a function in the manifest. */
export function prepareFunctionTool(spec: FunctionToolSpec, sandbox: Sandbox | undefined): PreparedTool {
  return {
    declaration: { name: spec.name, description: spec.description, parameters: spec.parameters },
    effect: "safe",
    checkArguments: createArgumentCheck(spec.parameters),
    call: async (args, context) =>
      answer(
        await outcomeOf(sandbox, spec, { kind: "module", source: spec.source, input: args }, context),
        ({ output }) => output ?? "null",
      ),
  };
}

async function outcomeOf(
  sandbox: Sandbox | undefined,
  { timeoutMs, memoryBytes }: CodeToolSpec | FunctionToolSpec,
  { kind, source, input }: Pick<CodeJob, "kind" | "source"> & { input: unknown },
  { signal }: ToolCallContext,
): Promise<CodeOutcome | "lost"> {
  if (sandbox === undefined) return "lost";
  try {
    return await sandbox.run({ kind, source, input: JSON.stringify(input), timeoutMs, memoryBytes }, signal);
  } catch (error) {
    if (error instanceof SandboxLost) return "lost";
    throw error;
  }
}

function answer(outcome: CodeOutcome | "lost", show: (outcome: CodeOutcome & { ok: true }) => string): ToolResult {
  if (outcome === "lost")
    return failed("code_error", "The process that ran the code was lost. Nothing is wrong with the call.");
  if (outcome.ok) return { output: show(outcome), isError: false, code: null, truncated: false };
  const printed = outcome.console === "" ? "" : `\nPrinted before:\n${outcome.console}`;
  return failed(outcome.code, `${saying(outcome)}${printed}`);
}

function shown({ output, console }: CodeOutcome & { ok: true }): string {
  const printed = console === "" ? "" : `,"console":${JSON.stringify(console)}`;
  const note =
    output === null && console === "" ? ',"note":"Nothing was returned: end the code with `return value`."' : "";
  return `{"result":${output ?? "null"}${printed}${note}}`;
}

const saying = ({ message, line, column }: CodeFailure): string =>
  line === null ? message : `${message} (line ${line}, column ${column})`;

/** A source's mistake, with its place inside the source where the engine names one. */
export interface SourceProblem extends ProblemDetail {
  readonly within: { readonly line: number; readonly column: number } | null;
}

/**
 * What is wrong with the functions of a manifest: each is compiled and loaded in the sandbox, never here.
 * @throws SandboxLost, or the signal's reason
 */
export async function checkSources(
  specs: readonly ToolSpec[],
  sandbox: Sandbox,
  signal: AbortSignal,
): Promise<SourceProblem[]> {
  const problems: SourceProblem[] = [];
  let late = 0;
  for (const [index, spec] of specs.entries()) {
    if (spec.type !== "function") continue;
    const { source, memoryBytes } = spec;
    const job: CodeJob = { kind: "load", source, input: "null", timeoutMs: LOAD_MS, memoryBytes };
    const outcome = await sandbox.run(job, signal);
    if (outcome.ok) continue;
    const { line, column } = outcome;
    problems.push({
      pointer: `/spec/tools/${index}/source`,
      code: "source_invalid",
      detail: outcome.code === "code_timeout" ? `The source did not load within ${LOAD_MS} ms.` : saying(outcome),
      within: line === null || column === null ? null : { line, column },
    });
    if (outcome.code === "code_timeout" && ++late === MAX_LATE) break;
  }
  return problems;
}
