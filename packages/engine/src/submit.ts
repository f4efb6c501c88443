import { type JsonSchema, SUBMIT_TOOL } from "@maru/contract";
import { canonicalJson } from "@maru/domain";
import type { StoredStep } from "@maru/store";
import type { PreparedTool, ToolSet } from "@maru/tools";
import { isSummary } from "./summary.ts";

/**
 * Structured answers. K-EXAONE's hosts forbid tools together with a response format, so an answer of a given shape is
 * handed in by calling a tool of Maru's own: it goes through the same validator as every call, and a wrong one can be
 * put right by the model with the validator's message before it.
 */
export { SUBMIT_TOOL };

/** Once: a model that fails twice with the message before it will not get it right. */
const REPAIRS = 1;

export interface Submission {
  readonly tools: ToolSet;
  /** The answer as canonical JSON, or what is wrong with it. */
  check(argumentsText: string): { readonly output: string } | { readonly wrong: string };
  /** Text that is itself the answer, as models write it when they forget the tool; null when it is not. */
  fromText(text: string): string | null;
}

type Parse = (text: string) => { ok: true; value: Record<string, unknown> } | { ok: false; message: string };

export function withSubmission(
  set: ToolSet,
  schema: JsonSchema,
  checker: (schema: JsonSchema) => (value: unknown) => string | null,
  parse: Parse,
): Submission {
  const wrongWith = checker(schema);
  const submit: PreparedTool = {
    declaration: {
      name: SUBMIT_TOOL,
      description: "Hands in the final answer and ends the task. Call it alone, once every other result is in.",
      parameters: schema,
    },
    effect: "safe",
    checkArguments: wrongWith,
    // Only reached beside other calls: alone it ends the run before any tool step.
    call: async () => ({
      output: `Nothing was handed in: call ${SUBMIT_TOOL} alone, after the results of the other calls.`,
      isError: true,
      code: "submitted_too_early",
      truncated: false,
    }),
  };
  const check: Submission["check"] = (text) => {
    const parsed = parse(text);
    if (!parsed.ok) return { wrong: parsed.message };
    const wrong = wrongWith(parsed.value);
    if (wrong !== null) return { wrong };
    try {
      return { output: canonicalJson(parsed.value) };
    } catch {
      return { wrong: "It is nested too deeply." };
    }
  };
  return {
    tools: {
      declarations: [...set.declarations, submit.declaration],
      names: [...set.names, SUBMIT_TOOL],
      get: (name) => (name === SUBMIT_TOOL ? submit : set.get(name)),
    },
    check,
    fromText(text) {
      const bare = /^```(?:json)?\s*\n([\s\S]*?)\n```$/.exec(text.trim())?.[1] ?? text.trim();
      const checked = bare.startsWith("{") ? check(bare) : { wrong: "" };
      return "output" in checked ? checked.output : null;
    },
  };
}

/** Whether the model has used up its chances to hand in what was asked for. */
export const repairsLeft = (steps: readonly StoredStep[]): boolean =>
  steps.filter(
    (step) =>
      (step.kind === "tool" && step.name === SUBMIT_TOOL && step.output?.code === "tool_arguments_invalid") ||
      isStrayText(step),
  ).length < REPAIRS;

/** An answer in words where a call of the tool was asked for. */
export const isStrayText = (step: StoredStep): boolean =>
  step.kind === "model" &&
  step.state === "done" &&
  step.output !== null &&
  step.output.toolCalls.length === 0 &&
  !isSummary(step);

export const NUDGE = `Hand your answer in by calling ${SUBMIT_TOOL}. Nothing else is read.`;
