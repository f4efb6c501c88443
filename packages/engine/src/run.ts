import type { Claim, ModelOutput, StepDone, StepIntent, StoredStep, ToolOutput } from "@maru/store";
import type { ToolSet } from "@maru/tools";
import type { End } from "./end.ts";
import { ClaimLost, openJournal, type RunOutcome } from "./journal-run.ts";
import { maxSeq } from "./journal-state.ts";
import { type Charge, createModelSteps } from "./model-step.ts";
import { type EnginePorts, Stop } from "./ports.ts";
import { repeatedCall } from "./repeated-call.ts";
import { withSubmission } from "./submit.ts";
import { inParallel, runTool, type ToolStep } from "./tool-step.ts";

export type { RunOutcome } from "./journal-run.ts";

/** Thrown inside when the run's time is over. */
class OutOfTime extends Error {}

const TOOL_RESULT_TOKENS = 1_024;
const OUTCOME_UNKNOWN = "outcome_unknown";

/**
 * Runs the agent loop from wherever the journal stands until the run ends: model step, tool steps in parallel, model
 * step …
 *
 * `signal` aborts with a `Stop`: `cancel` ends the run, `drain` hands it back, `lost` lets go of it.
 */
export async function executeRun(claim: Claim, ports: EnginePorts, signal: AbortSignal): Promise<RunOutcome> {
  const { spec } = claim;
  const journal = openJournal(claim, ports);
  const { steps } = journal;
  const prepared = ports.tools.prepare(spec.tools);
  const submission =
    spec.output === undefined
      ? null
      : withSubmission(prepared, spec.output.schema, ports.tools.checker, ports.tools.parseArguments);
  const tools = submission?.tools ?? prepared;

  const begun = ports.clock.now() - (claim.now.getTime() - claim.startedAt.getTime());
  const timeLeftMs = Math.max(0, spec.limits.durationMs - (ports.clock.now() - begun));
  const outOfTime = new AbortController();
  const stopClock = ports.clock.after(timeLeftMs, () => outOfTime.abort());
  const live = AbortSignal.any([signal, outOfTime.signal]);

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
    if (steps.length + output.toolCalls.length > spec.limits.steps)
      return journal.finish(journal.incomplete("max_steps"), { ...charge, done });
    const first = maxSeq(steps) + 1;
    const start = output.toolCalls.map(
      (call, index): StepIntent => ({
        seq: first + index,
        kind: "tool",
        name: call.name,
        effect: tools.get(call.name)?.effect ?? "safe",
        input: call,
      }),
    );
    const spent = output.usage.inputTokens + output.usage.outputTokens;
    const result = await journal.append({
      ...charge,
      done,
      start,
      reserveTokens: spent + spec.model.maxOutputTokens + start.length * TOOL_RESULT_TOKENS,
    });
    if (!result.room) {
      const unsent: ToolOutput = { output: "Not sent: the quota is used up.", isError: true, code: "quota_exhausted" };
      return journal.finish(journal.incomplete("quota"), {
        done: start.map(({ seq }) => ({ seq, state: "error", output: unsent })),
      });
    }
    return toolSteps(start.map(({ seq }) => steps.find((item) => item.seq === seq) as ToolStep));
  };

  /** Runs open tool steps; the last one to finish opens the model step that reads the results. */
  const toolSteps = async (open: readonly ToolStep[]): Promise<RunOutcome | null> => {
    let left = open.length;
    let outcome: RunOutcome | null = null;
    const modelOpen = steps.some((step) => step.kind === "model" && step.state === "started");
    await inParallel(open, spec.limits.parallelTools, async (step) => {
      const output = await toolOutput(step, claim, tools, ports, live, signal);
      const state = output.code === OUTCOME_UNKNOWN ? "unknown" : output.isError ? "error" : "done";
      const done: StepDone[] = [{ seq: step.seq, state, output }];
      left--;
      if (left === 0 && !modelOpen) outcome = await journal.next(step, { done }, modelSteps.reserve());
      else await journal.append({ done });
    });
    return outcome;
  };

  const modelSteps = createModelSteps({ journal, ports, routes, names, tools, submission, live, callTools });

  try {
    for (;;) {
      if (live.aborted) throw stopReason(signal);
      const open = steps.filter((step) => step.state === "started").sort((a, b) => a.seq - b.seq);
      const openTools = open.filter((step) => step.kind === "tool");
      const step = open[0];
      if (step === undefined) throw new Error(`run ${claim.runId} has no open step`);
      const outcome = openTools.length > 0 ? await toolSteps(openTools) : await modelSteps.step(step);
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

/** A tool step's result; one that was sent before a crash and must not be sent twice is reported as unknown instead. */
async function toolOutput(
  step: ToolStep,
  claim: Claim,
  tools: ToolSet,
  ports: EnginePorts,
  live: AbortSignal,
  signal: AbortSignal,
): Promise<ToolOutput> {
  if (step.effect === "at_most_once" && step.epoch < claim.epoch) {
    return {
      output:
        "The outcome of this call is unknown: the worker was lost while it ran, and it must not be sent twice. It may have taken effect.",
      isError: true,
      code: OUTCOME_UNKNOWN,
    };
  }
  try {
    return await runTool(step, claim, tools, ports, live);
  } catch (error) {
    if (live.aborted) throw stopReason(signal);
    throw error;
  }
}

const stopReason = (signal: AbortSignal): Error =>
  signal.aborted ? (signal.reason instanceof Stop ? signal.reason : new Stop("cancel")) : new OutOfTime();
