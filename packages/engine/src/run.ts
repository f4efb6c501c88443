import { LIMITS, type ToolCall } from "@maru/contract";
import { storableText } from "@maru/domain";
import type { Claim, JournalWrite, ModelOutput, StepDone, StoredStep, ToolOutput } from "@maru/store";
import { approvalIntent, deniedAmong, intentsOf } from "./calls.ts";
import type { End } from "./end.ts";
import { ClaimLost, openJournal, type RunOutcome } from "./journal-run.ts";
import { approvalOf, isAsked, lastTurn, maxSeq, ownSteps, usedTokens } from "./journal-state.ts";
import { type Charge, createModelSteps } from "./model-step.ts";
import { type EnginePorts, Stop } from "./ports.ts";
import { repeatedCall } from "./repeated-call.ts";
import { withSubmission } from "./submit.ts";
import { inParallel, OUTCOME_UNKNOWN, runTool, type ToolStep, UNKNOWN_AFTER_CRASH } from "./tool-step.ts";

export type { RunOutcome } from "./journal-run.ts";

type ChildStep = Extract<StoredStep, { kind: "run" }>;
type CallStep = ToolStep | ChildStep;

/** Thrown inside when the run's time is over. */
class OutOfTime extends Error {}

const TOOL_RESULT_TOKENS = 1_024;

/**
 * Runs the agent loop from wherever the journal stands until the run ends or waits: model step, tool steps in parallel, model
 * step …
 *
 * `signal` aborts with a `Stop`: `cancel` ends the run, `drain` hands it back, `lost` lets go of it. `held` says whether the
 * claim is surely still this worker's: a process that was stopped and woke up late must send nothing before it knows.
 */
export async function executeRun(
  claim: Claim,
  ports: EnginePorts,
  signal: AbortSignal,
  held: () => boolean = () => true,
): Promise<RunOutcome> {
  const { spec } = claim;
  ports.pass?.("claimed");
  const journal = openJournal(claim, ports);
  const { steps } = journal;
  const prepared = ports.tools.prepare(claim.workspaceId, spec.tools);
  const submission =
    spec.output === undefined
      ? null
      : withSubmission(prepared, spec.output.schema, ports.tools.checker, ports.tools.parseArguments);
  const tools = submission?.tools ?? prepared;

  const begun = ports.clock.now() - (claim.now.getTime() - claim.startedAt.getTime() - claim.waitedMs);
  const timeLeftMs = Math.max(0, spec.limits.durationMs - (ports.clock.now() - begun));
  const outOfTime = new AbortController();
  const stopClock = ports.clock.after(timeLeftMs, () => outOfTime.abort());
  const live = AbortSignal.any([signal, outOfTime.signal]);
  const mustHold = () => {
    if (!held()) throw new Stop("lost");
  };

  const names = [spec.model.name, ...(spec.model.fallbacks ?? [])];
  const routes = await ports.model.resolve(claim.workspaceId, names);

  const callTools = async (step: StoredStep, output: ModelOutput, charge: Charge): Promise<RunOutcome | null> => {
    const done: StepDone[] = [{ seq: step.seq, state: "done", output }];
    if (repeatedCall(output.toolCalls, steps, spec.limits.identicalCalls) !== null) {
      return journal.finish(journal.incomplete("repeated_call", output.text === "" ? null : output.text), {
        ...charge,
        done,
      });
    }
    return openCalls(output, output.toolCalls, { ...charge, done });
  };

  /** Opens the steps of calls; those that ask nobody are carried out. */
  const openCalls = async (
    output: ModelOutput,
    calls: readonly ToolCall[],
    entry: Partial<JournalWrite> & { done: readonly StepDone[] },
  ): Promise<RunOutcome | null> => {
    if (ownSteps(steps) + calls.length > spec.limits.steps)
      return journal.finish(journal.incomplete("max_steps"), entry);
    const spent = usedTokens(journal.after(entry.done));
    const spare = Math.max(0, spec.limits.tokens - spent - spec.model.maxOutputTokens);
    const denied = await deniedAmong(calls, tools);
    const { begun, all } = intentsOf(calls, maxSeq(steps) + 1, tools, ports.tools.parseArguments, spare, denied);
    if (begun.length === 0) return journal.wait({ ...entry, start: all });
    const result = await journal.append({ ...entry, start: all, reserveTokens: reserveAfter(output, calls.length) });
    if (!result.room) {
      const unsent = { output: "Not sent: the quota is used up.", isError: true, code: "quota_exhausted" };
      return journal.finish(journal.incomplete("quota"), {
        done: begun.map(({ seq }) => ({ seq, state: "error", output: unsent })),
      });
    }
    return toolSteps(begun.map(({ seq }) => steps.find((item) => item.seq === seq) as CallStep));
  };

  /** Tokens to hold for the model step that reads the results of a turn. */
  const reserveAfter = ({ usage }: ModelOutput, calls: number): number =>
    usage.inputTokens + usage.outputTokens + spec.model.maxOutputTokens + calls * TOOL_RESULT_TOKENS;

  /** The turn is complete: the model reads its results. What a run that waited let go of is held again. */
  const nextModelStep = (done: readonly StepDone[]): Promise<RunOutcome | null> => {
    const turn = lastTurn(steps);
    if (turn === null || !(turn.asked || turn.step.reused)) return journal.next({ done }, 0);
    const tokens = reserveAfter(turn.output, turn.results.length);
    return journal.next({ done, hold: { step: maxSeq(steps), tokens } }, 0);
  };

  /** Runs open tool steps; the last one to finish opens the model step that reads the results. */
  const toolSteps = async (open: readonly CallStep[]): Promise<RunOutcome | null> => {
    let left = open.length;
    let outcome: RunOutcome | null = null;
    let failed = false;
    let asked = steps.filter((step) => isAsked(step, steps)).length;
    let children = 0;
    const first = maxSeq(steps) + 1;
    const before = asked;
    const modelOpen = steps.some((step) => step.kind === "model" && step.state === "started");
    await inParallel(open, spec.limits.parallelTools, async (step) => {
      const output = step.kind === "run" ? await startChild(step) : await resultOf(step);
      if (output === null) {
        left--;
        children++;
        await journal.append({ done: [], halt: [step.seq] });
        return;
      }
      const isUnknown = output.code === OUTCOME_UNKNOWN;
      const policy = isUnknown ? (tools.get(step.name)?.onUnknown ?? "tell_model") : "tell_model";
      left--;
      if (policy === "ask") {
        const annotations = tools.get(step.name)?.annotations;
        const question = approvalIntent(first + asked++ - before, step.seq, step.input, "outcome", annotations);
        await journal.append({ done: [], halt: [step.seq], start: [question] });
        return;
      }
      failed ||= policy === "fail";
      const done: StepDone[] = [
        { seq: step.seq, state: isUnknown ? "unknown" : output.isError ? "error" : "done", output },
      ];
      if (left === 0 && !modelOpen && !failed && asked + children === 0) outcome = await nextModelStep(done);
      else await journal.append({ done });
    });
    // Only now: every result is written, and nothing is lost with the claim.
    if (failed) return journal.finish(UNKNOWN_FAILS);
    return asked + children > 0 ? journal.wait({ done: [] }) : outcome;
  };

  /**
   * Whether nobody approved a call that needs it. Of a tool that was denied nobody was asked, and it may be allowed again by the
   * time the call's turn has come.
   */
  const isUnapproved = (step: CallStep): boolean => {
    const tool = tools.get(step.name);
    if (tool?.needsApproval === undefined || approvalOf(steps, step.seq)?.output?.decision === "approve") return false;
    const parsed = ports.tools.parseArguments(step.input.arguments);
    return parsed.ok && tool.checkArguments(parsed.value) === null && tool.needsApproval(parsed.value);
  };

  /** A tool step's result; one that was sent before a crash and must not be sent twice is unknown instead. */
  const resultOf = async (step: ToolStep) => {
    if (step.effect === "at_most_once" && step.epoch < claim.epoch) return UNKNOWN_AFTER_CRASH;
    if (isUnapproved(step)) return UNAPPROVED;
    try {
      mustHold();
      const approved = approvalOf(steps, step.seq)?.output?.arguments;
      return await runTool(
        approved ? { ...step, input: { ...step.input, arguments: approved } } : step,
        claim,
        tools,
        ports,
        live,
      );
    } catch (error) {
      if (live.aborted) throw stopReason(signal);
      throw error;
    }
  };

  /** Starts the run a call of another agent stands for; what it can't be started for is the call's result. */
  const startChild = async (step: ChildStep): Promise<ToolOutput | null> => {
    const tool = tools.get(step.name);
    const { agent } = tool ?? {};
    const refuse = (code: string, output: string): ToolOutput => ({ output, isError: true, code });
    const parsed = ports.tools.parseArguments(approvalOf(steps, step.seq)?.output?.arguments ?? step.input.arguments);
    if (agent === undefined || !parsed.ok) return refuse("unknown_tool", `There is no tool named ${step.name}.`);
    if (step.input.tokens < LIMITS.tokens.min)
      return refuse("budget_exhausted", "Too little is left of this run's budget to ask another agent.");
    if (isUnapproved(step)) return UNAPPROVED;
    const denied = (await tool?.denied?.()) ?? false;
    mustHold();
    const input = storableText(agent.inputOf(parsed.value));
    const result = await ports.children.start(claim, {
      step: step.seq,
      call: step.input,
      deployment: agent.deployment,
      input,
      mayBegin: !denied,
    });
    if (result.kind === "lost") throw new ClaimLost();
    if (result.kind === "cancelled") throw new Stop("cancel");
    return result.kind === "refused" ? refuse(result.code, storableText(result.message)) : null;
  };

  /** No step is begun: what waited is answered, or a fork goes on from what it reuses. */
  const resume = async (): Promise<RunOutcome | null> => {
    const turn = lastTurn(steps);
    if (turn === null) return nextModelStep([]);
    const missing = turn.output.toolCalls.slice(turn.results.length);
    if (missing.length > 0)
      return openCalls(turn.output, missing, {
        done: [],
        hold: { step: maxSeq(steps), tokens: reserveAfter(turn.output, missing.length) },
      });
    const approved = turn.results.filter(
      (step) => step.state === "waiting" && approvalOf(steps, step.seq)?.output?.decision === "approve",
    );
    if (steps.some((step) => isAsked(step, steps))) return journal.wait({ done: [] });
    if (approved.length === 0) return nextModelStep([]);
    // Sent before, and approved to be sent again: another attempt.
    const begin = approved.map(({ seq, attempt }) => ({
      seq,
      attempt: attempt + (approvalOf(steps, seq)?.input.question === "outcome" ? 1 : 0),
    }));
    await journal.append({ done: [], begin });
    return null;
  };

  const modelSteps = createModelSteps({ journal, ports, routes, names, tools, submission, live, mustHold, callTools });

  try {
    for (;;) {
      if (live.aborted) throw stopReason(signal);
      const open = steps.filter((step) => step.state === "started").sort((a, b) => a.seq - b.seq);
      const openTools = open.filter((step) => step.kind === "tool" || step.kind === "run");
      const step = open[0];
      const outcome =
        openTools.length > 0
          ? await toolSteps(openTools)
          : step === undefined
            ? await resume()
            : await modelSteps.step(step);
      if (outcome !== null) return outcome;
    }
  } catch (thrown) {
    const error = live.aborted && !(thrown instanceof ClaimLost) ? stopReason(signal) : thrown;
    if (error instanceof ClaimLost) return "lost";
    if (error instanceof Stop && error.kind === "lost") return "lost";
    if (error instanceof Stop && error.kind === "drain") return "handed_back";
    const end: End | null =
      error instanceof Stop
        ? { status: "cancelled", output: null }
        : error instanceof OutOfTime
          ? journal.incomplete("max_duration")
          : null;
    if (end === null) throw error;
    try {
      return await journal.finish(end, modelSteps.aborted());
    } catch (failure) {
      if (failure instanceof ClaimLost) return "lost";
      throw failure;
    }
  } finally {
    stopClock();
  }
}

const UNAPPROVED: ToolOutput = {
  output: "The workspace's policy did not allow this tool, so nobody was asked to approve the call: it was not made.",
  isError: true,
  code: "policy_denied",
};

const UNKNOWN_FAILS: End = {
  status: "failed",
  output: null,
  error: {
    code: OUTCOME_UNKNOWN,
    message: "A call that must not be repeated may have taken effect or not: it was sent, and its answer was lost.",
  },
};

const stopReason = (signal: AbortSignal): Error =>
  signal.aborted ? (signal.reason instanceof Stop ? signal.reason : new Stop("cancel")) : new OutOfTime();
