import { type ModelAnswer, questionId, type ToolCall } from "@maru/contract";
import { storableText } from "@maru/domain";
import type { Claim, ModelOutput, StepDone, StepIntent, StoredStep } from "@maru/store";
import type { End } from "./end.ts";
import { isSummary } from "./summary.ts";

// The engine's view of a run's journal: what stands in it, and what a step becomes when it opens, closes or is given up.

/** A step that stands for a call of the model: its result is what the model reads next. */
export const isResult = (step: StoredStep): step is Extract<StoredStep, { kind: "tool" | "input" | "run" }> =>
  step.kind === "tool" || step.kind === "input" || step.kind === "run";

/**
 * A step that is closed from outside: by a person, the run's caller, or another run's end. A call of an agent that had to be
 * approved is not: it may not have begun, and beginning it again starts no second run.
 */
export const isAsked = (step: StoredStep, steps: readonly StoredStep[]): boolean =>
  step.state === "waiting" &&
  (step.kind === "approval" ||
    step.kind === "input" ||
    (step.kind === "run" && approvalOf(steps, step.seq) === undefined));

/** Steps that count towards the run's limit: what was reused is free, and a decision is no work. */
export const ownSteps = (steps: readonly StoredStep[]): number =>
  steps.filter((step) => step.reused !== true && step.kind !== "approval").length;

/** The approval of a tool step, where somebody was asked: the latest. */
export const approvalOf = (steps: readonly StoredStep[], seq: number) =>
  steps.findLast(
    (step): step is Extract<StoredStep, { kind: "approval" }> => step.kind === "approval" && step.input.step === seq,
  );

/** The last model step that made calls, and what came after it. Null when the model has the word. */
export function lastTurn(steps: readonly StoredStep[]) {
  const ordered = [...steps].sort((a, b) => a.seq - b.seq);
  const index = ordered.findLastIndex((step) => step.kind === "model");
  const step = ordered[index];
  if (step?.kind !== "model" || step.state !== "done" || step.output === null || step.output.toolCalls.length === 0)
    return null;
  const after = ordered.slice(index + 1);
  return {
    step,
    output: step.output,
    results: after.filter(isResult),
    asked: after.some((item) => item.kind !== "tool"),
  };
}

export const maxSeq = (steps: readonly StoredStep[]) => steps.reduce((max, { seq }) => Math.max(max, seq), 0);
export const usedTokens = (steps: readonly StoredStep[]) =>
  steps.reduce((sum, step) => {
    if (step.output === null || step.reused === true) return sum;
    if (step.kind === "run") return sum + (step.output.tokens ?? 0);
    return step.kind === "model" ? sum + step.output.usage.inputTokens + step.output.usage.outputTokens : sum;
  }, 0);
export const lastText = (steps: readonly StoredStep[]) => {
  const step = steps.findLast((item) => item.kind === "model" && item.state === "done" && !isSummary(item));
  return step?.kind === "model" && step.output !== null && step.output.text !== "" ? step.output.text : null;
};

/** What went wrong with the model steps since the last good one, oldest first: at most one is forgiven. */
export function trailingFailures(steps: readonly StoredStep[]): string[] {
  const failures: string[] = [];
  for (const step of steps.toReversed()) {
    if (step.state === "started" || isSummary(step)) continue;
    if (step.kind !== "model" || step.state !== "error") break;
    failures.unshift(step.output?.error?.code ?? "failed");
  }
  return failures;
}

export const emptyOutput = (model: string): ModelOutput => ({
  reasoning: "",
  text: "",
  toolCalls: [],
  finishReason: "error",
  usage: { inputTokens: 0, cachedInputTokens: 0, outputTokens: 0, estimated: true },
  model,
});

export const storableAnswer = (answer: ModelAnswer): ModelOutput => ({
  reasoning: storableText(answer.reasoning).trim(),
  text: storableText(answer.text).trim(),
  toolCalls: answer.toolCalls.map(
    (call): ToolCall => ({
      id: storableText(call.id),
      name: storableText(call.name),
      arguments: storableText(call.arguments),
    }),
  ),
  finishReason: answer.finishReason,
  usage: answer.usage,
  model: storableText(answer.model),
});

export function abandon(step: StoredStep, end: End): StepDone {
  const message = end.status === "cancelled" ? "The run was cancelled." : "The run ended before this step.";
  if (step.kind === "model")
    return {
      seq: step.seq,
      state: "error",
      output: { ...emptyOutput(step.name), error: { code: "aborted", message } },
    };
  if (step.kind === "approval") return { seq: step.seq, state: "error", output: { decision: "none", reason: message } };
  // The run that was started is cancelled with this one.
  if (step.kind === "run")
    return { seq: step.seq, state: "error", output: { output: message, isError: true, code: "aborted" } };
  if (step.state === "waiting")
    return { seq: step.seq, state: "error", output: { output: message, isError: true, code: "not_sent" } };
  // It may have been sent: only a call that is safe to repeat is known to have had no effect.
  const state = step.effect === "safe" ? "error" : "unknown";
  return { seq: step.seq, state, output: { output: message, isError: true, code: "aborted" } };
}

export function opened(intent: StepIntent, claim: Claim, at: string): StoredStep {
  return {
    state: "started",
    ...intent,
    epoch: claim.epoch,
    attempt: 1,
    startedAt: at,
    finishedAt: null,
    output: null,
  } as StoredStep;
}

export function close(steps: StoredStep[], done: StepDone, at: string): void {
  const index = steps.findIndex(({ seq }) => seq === done.seq);
  const step = steps[index];
  if (step !== undefined)
    steps[index] = { ...step, state: done.state, output: done.output, finishedAt: at } as StoredStep;
}

export const started = ({ seq, kind, name, input }: Pick<StoredStep, "seq" | "kind" | "name" | "input">) => {
  const isCall = kind === "tool" || kind === "run";
  return {
    type: "step.started",
    data: {
      step: seq,
      kind,
      name,
      ...(input === null
        ? {}
        : { call: { id: isCall ? input.id : questionId(seq), name: input.name, arguments: input.arguments } }),
      ...(input !== null && "run" in input ? { child_run_id: input.run } : {}),
    },
  };
};
/** The event carries the journal row; the gateway renders it, so both read the same. */
export const finished = (steps: readonly StoredStep[], { seq }: StepDone) => ({
  type: "step.finished",
  data: { step: steps.find((step) => step.seq === seq) as StoredStep },
});
