import type { IncompleteReason } from "@maru/contract";
import type { Claim, JournalWrite, StepDone, StepIntent, StoredStep } from "@maru/store";
import { threadMessages } from "./conversation.ts";
import type { End } from "./end.ts";
import { abandon, close, finished, lastText, maxSeq, opened, started } from "./journal-state.ts";
import type { EnginePorts } from "./ports.ts";

/** How the worker's hold on the run ended: the run is terminal, another worker has it, or it must be handed back. */
export type RunOutcome = "ended" | "lost" | "handed_back";

/** Thrown inside when a write found the claim gone. */
export class ClaimLost extends Error {}

/**
 * A run as its journal: the steps so far, and the writes that move it on. Every finished step is one append, and the same
 * append holds the intents of the steps that follow, so no side effect happens before its intent is committed and the
 * cost of a step does not grow with the run.
 */
export function openJournal(claim: Claim, ports: EnginePorts) {
  const { spec } = claim;
  const steps: StoredStep[] = claim.steps.map((step) => ({ ...step }));

  const write = async (entry: Partial<JournalWrite> & { events: JournalWrite["events"] }) => {
    const result = await ports.journal.write(claim, {
      done: [],
      start: [],
      usage: null,
      reserveTokens: 0,
      end: null,
      ...entry,
    });
    if (!result.ok) throw new ClaimLost();
    const at = result.events[0]?.at ?? ports.clock.date().toISOString();
    for (const done of entry.done ?? []) close(steps, done, at);
    for (const intent of entry.start ?? []) steps.push(opened(intent, claim, at));
    ports.live.committed(claim.runId, result.events);
    return result;
  };

  /** The steps as they will stand once these are done. */
  const after = (done: readonly StepDone[]): StoredStep[] => {
    const copy = steps.map((step) => ({ ...step }));
    for (const item of done) close(copy, item, "");
    return copy;
  };

  /** Appends finished steps and opens others. */
  const append = (entry: Partial<JournalWrite> & { done: readonly StepDone[] }) => {
    const then = after(entry.done);
    return write({
      ...entry,
      events: [...entry.done.map((item) => finished(then, item)), ...(entry.start ?? []).map(started)],
    });
  };

  /** The run's last write: its end together with whatever steps are still open. */
  const finish = async (end: End, extra: Partial<JournalWrite> & { done?: readonly StepDone[] } = {}) => {
    const closing = new Set((extra.done ?? []).map(({ seq }) => seq));
    const abandoned = steps
      .filter((step) => step.state === "started" && !closing.has(step.seq))
      .map((step) => abandon(step, end));
    const done = [...(extra.done ?? []), ...abandoned];
    const then = after(done);
    const messages =
      end.output === null || claim.threadId === null
        ? []
        : threadMessages(claim.input, then, spec.output !== undefined);
    // A conversation must end with an answer: an incomplete run's partial answer takes that place.
    const last = messages.at(-1);
    if (last !== undefined && (last.role !== "assistant" || last.toolCalls !== undefined))
      messages.push({ role: "assistant", content: end.output ?? "" });
    await write({
      ...extra,
      done,
      events: [...done.map((item) => finished(then, item)), { type: `run.${end.status}`, data: {} }],
      end: {
        status: end.status,
        output: end.output,
        reason: end.reason ?? null,
        error: end.error ?? null,
        messages,
        ...summaryOf(claim, then),
        tokens: messages.reduce((sum, message) => sum + ports.model.estimateText(null, message.content) + 8, 0),
      },
    });
    return "ended" as const;
  };

  const incomplete = (reason: IncompleteReason, output: string | null = lastText(steps)): End => ({
    status: "incomplete",
    output,
    reason,
  });

  /** Appends what a step gave and opens the model step that follows it. Null = the run goes on. */
  const next = async (
    step: StoredStep,
    entry: Partial<JournalWrite> & { done: readonly StepDone[] },
    reserveTokens: number,
  ): Promise<RunOutcome | null> => {
    if (steps.length + 1 > spec.limits.steps) return finish(incomplete("max_steps"), entry);
    const intent: StepIntent = {
      seq: maxSeq(steps) + 1,
      kind: "model",
      name: spec.model.name,
      effect: "model",
      input: null,
    };
    const result = await append({ ...entry, start: [intent], reserveTokens });
    if (step.kind === "model" && !result.room) return finish(incomplete("quota"));
    return null;
  };

  return { claim, spec, steps, append, finish, incomplete, next };
}
/** The summary a run made of its thread is kept however the run ended: the next one need not make it again. */
function summaryOf(claim: Claim, steps: readonly StoredStep[]) {
  const step = steps.find((item) => item.kind === "model" && item.output?.summarised !== undefined);
  if (step?.kind !== "model" || step.output?.summarised === undefined) return {};
  return { summary: { text: step.output.text, upto: claim.threadFrom + step.output.summarised } };
}

export type RunJournal = ReturnType<typeof openJournal>;
