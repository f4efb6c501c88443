import { type IncompleteReason, LIMITS } from "@maru/contract";
import type { Claim, JournalWrite, StepDone, StepIntent, StoredStep } from "@maru/store";
import { threadMessages } from "./conversation.ts";
import type { End } from "./end.ts";
import { abandon, close, finished, lastText, maxSeq, opened, ownSteps, started } from "./journal-state.ts";
import type { EnginePorts } from "./ports.ts";

/** How the worker's hold on the run ended: it is terminal, another worker has it, it must be handed back, or it waits. */
export type RunOutcome =
  | "ended"
  | "lost"
  | "handed_back"
  /** It waits for somebody; whoever answers last queues it again. */
  | "waiting"
  /** It was to wait, but everybody had answered: it is queued again already. */
  | "answered";

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

  /** What model steps were given, by their numbers. */
  const given = new Map<number, string>();

  const write = async (entry: Partial<JournalWrite> & { events: JournalWrite["events"] }) => {
    const place = entry.end ? "end" : entry.wait !== undefined ? "wait" : "append";
    ports.pass?.(`before_${place}`);
    const result = await ports.journal.write(claim, {
      done: [],
      start: [],
      usage: null,
      reserveTokens: 0,
      end: null,
      ...entry,
      ...(entry.done === undefined ? {} : { done: entry.done.map(withDigest) }),
    });
    ports.pass?.(`after_${place}`);
    if (!result.ok) throw new ClaimLost();
    const at = result.events[0]?.at ?? ports.clock.date().toISOString();
    for (const done of entry.done ?? []) close(steps, done, at);
    for (const intent of entry.start ?? []) steps.push(opened(intent, claim, at));
    for (const { seq, attempt } of entry.begin ?? []) change(seq, { state: "started", epoch: claim.epoch, attempt });
    for (const seq of entry.halt ?? []) change(seq, { state: "waiting" });
    ports.live.committed(claim, result.events);
    return result;
  };

  const withDigest = (done: StepDone): StepDone => {
    const digest = given.get(done.seq);
    return digest === undefined ? done : { ...done, digest };
  };
  const change = (seq: number, fields: Partial<Pick<StoredStep, "state" | "epoch" | "attempt">>) => {
    const index = steps.findIndex((step) => step.seq === seq);
    steps[index] = { ...(steps[index] as StoredStep), ...fields } as StoredStep;
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
      events: [
        ...entry.done.map((item) => finished(then, item)),
        // A call that waits for its approval has not begun.
        ...(entry.start ?? [])
          .filter((step) => (step.kind !== "tool" && step.kind !== "run") || step.state !== "waiting")
          .map(started),
        ...(entry.begin ?? []).map(({ seq }) => started(steps.find((step) => step.seq === seq) as StoredStep)),
      ],
    });
  };

  /** The run's last write: its end together with whatever steps are still open. */
  const finish = async (end: End, extra: Partial<JournalWrite> & { done?: readonly StepDone[] } = {}) => {
    const closing = new Set((extra.done ?? []).map(({ seq }) => seq));
    const open = steps.filter((step) => step.state === "started" && !closing.has(step.seq));
    const waiting = steps.filter((step) => step.state === "waiting");
    const done = [...(extra.done ?? []), ...open.map((step) => abandon(step, end))];
    // Waiting steps are closed where they stand, in the database: somebody may have answered just now.
    const then = after([...done, ...waiting.map((step) => abandon(step, end))]);
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
      ...(waiting.length === 0 ? {} : { closeWaiting: true }),
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
    entry: Partial<JournalWrite> & { done: readonly StepDone[] },
    reserveTokens: number,
  ): Promise<RunOutcome | null> => {
    if (ownSteps(steps) + 1 > spec.limits.steps) return finish(incomplete("max_steps"), entry);
    const intent: StepIntent = {
      seq: maxSeq(steps) + 1,
      kind: "model",
      name: spec.model.name,
      effect: "model",
      input: null,
    };
    const result = await append({ ...entry, start: [intent], reserveTokens });
    if (!result.room) return finish(incomplete("quota"));
    return null;
  };

  /** Gives the worker back until somebody has answered what is asked; nothing is held meanwhile. */
  const wait = async (entry: Partial<JournalWrite> & { done: readonly StepDone[] }): Promise<RunOutcome> => {
    const model = steps.findLast(({ kind }) => kind === "model");
    const ms = spec.limits.waitMs ?? LIMITS.waitMs.default;
    const result = await append({ ...entry, wait: { ms, step: model?.seq ?? 0 } });
    return result.waiting === false ? "answered" : "waiting";
  };

  return { claim, spec, steps, given, after, append, finish, incomplete, next, wait };
}
/** The summary a run made of its thread is kept however the run ended: the next one need not make it again. */
function summaryOf(claim: Claim, steps: readonly StoredStep[]) {
  const step = steps.find((item) => item.kind === "model" && item.output?.summarised !== undefined);
  if (step?.kind !== "model" || step.output?.summarised === undefined) return {};
  return { summary: { text: step.output.text, upto: claim.threadFrom + step.output.summarised } };
}

export type RunJournal = ReturnType<typeof openJournal>;
