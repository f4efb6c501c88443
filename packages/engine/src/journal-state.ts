import type { ModelAnswer, ToolCall } from "@maru/contract";
import { storableText } from "@maru/domain";
import type { Claim, ModelOutput, StepDone, StepIntent, StoredStep } from "@maru/store";
import type { End } from "./end.ts";
import { isSummary } from "./summary.ts";

// The engine's view of a run's journal: what stands in it, and what a step becomes when it opens, closes or is given up.

export const maxSeq = (steps: readonly StoredStep[]) => steps.reduce((max, { seq }) => Math.max(max, seq), 0);
export const usedTokens = (steps: readonly StoredStep[]) =>
  steps.reduce(
    (sum, step) =>
      step.kind === "model" && step.output !== null
        ? sum + step.output.usage.inputTokens + step.output.usage.outputTokens
        : sum,
    0,
  );
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
  // It may have been sent: only a call that is safe to repeat is known to have had no effect.
  const state = step.effect === "safe" ? "error" : "unknown";
  return { seq: step.seq, state, output: { output: message, isError: true, code: "aborted" } };
}

export function opened(intent: StepIntent, claim: Claim, at: string): StoredStep {
  return {
    ...intent,
    state: "started",
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

export const started = ({ seq, kind, name, input }: StepIntent) => ({
  type: "step.started",
  data: { step: seq, kind, name, ...(input === null ? {} : { call: input }) },
});
/** The event carries the journal row; the gateway renders it, so both read the same. */
export const finished = (steps: readonly StoredStep[], { seq }: StepDone) => ({
  type: "step.finished",
  data: { step: steps.find((step) => step.seq === seq) as StoredStep },
});
