import type { IncompleteReason, ModelAnswer, ModelRequest, TokenUsage } from "@maru/contract";
import { storableText } from "@maru/domain";
import type { Claim, JournalWrite, ModelOutput, StepDone, StepIntent, StoredStep, ToolOutput } from "@maru/store";
import type { ToolSet } from "@maru/tools";
import { conversation, repeatedCall, threadMessages } from "./conversation.ts";
import type { End } from "./end.ts";
import {
  abandon,
  close,
  emptyOutput,
  finished,
  lastText,
  maxSeq,
  opened,
  started,
  storableAnswer,
  trailingFailures,
  usedTokens,
} from "./journal-state.ts";
import { type EnginePorts, Stop } from "./ports.ts";
import { inParallel, runTool, type ToolStep } from "./tool-step.ts";

/** How the worker's hold on the run ended: the run is terminal, another worker has it, or it must be handed back. */
export type RunOutcome = "ended" | "lost" | "handed_back";

/** Thrown inside when a write found the claim gone. */
class ClaimLost extends Error {}
/** Thrown inside when the run's time is over. */
class OutOfTime extends Error {}

/**
 * Runs the agent loop from wherever the journal stands until the run ends: model step, tool steps in parallel, model
 * step … Every finished step is one append, and the same append holds the intents of the steps that follow, so no side
 * effect happens before its intent is committed and the cost of a step does not grow with the run.
 *
 * `signal` aborts with a `Stop`: `cancel` ends the run, `drain` hands it back, `lost` lets go of it.
 */
export async function executeRun(claim: Claim, ports: EnginePorts, signal: AbortSignal): Promise<RunOutcome> {
  const { spec } = claim;
  const model = ports.model.find(spec.model.name);
  const tools = ports.tools.prepare(spec.tools);
  const steps: StoredStep[] = claim.steps.map((step) => ({ ...step }));
  const begun = ports.clock.now() - (claim.now.getTime() - claim.startedAt.getTime());
  const timeLeftMs = Math.max(0, spec.limits.durationMs - (ports.clock.now() - begun));
  const outOfTime = new AbortController();
  const stopClock = ports.clock.after(timeLeftMs, () => outOfTime.abort());
  const live = AbortSignal.any([signal, outOfTime.signal]);
  /** Text of the model step in flight, to charge for when it is aborted. */
  let written = "";
  let prompt = 0;

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

  /** The run's last write: its end together with whatever steps are still open. */
  const finish = async (end: End, extra: Partial<JournalWrite> & { done?: readonly StepDone[] } = {}) => {
    const closing = new Set((extra.done ?? []).map(({ seq }) => seq));
    const abandoned = steps
      .filter((step) => step.state === "started" && !closing.has(step.seq))
      .map((step) => abandon(step, end));
    const done = [...(extra.done ?? []), ...abandoned];
    const after = steps.map((step) => ({ ...step }));
    for (const item of done) close(after, item, "");
    const messages = end.output === null || claim.threadId === null ? [] : threadMessages(claim.input, after);
    // A conversation must end with an answer: an incomplete run's partial answer takes that place.
    if (messages.length > 0 && messages.at(-1)?.role !== "assistant")
      messages.push({ role: "assistant", content: end.output ?? "" });
    await write({
      ...extra,
      done,
      events: [...done.map((item) => finished(after, item)), { type: `run.${end.status}`, data: {} }],
      end: {
        status: end.status,
        output: end.output,
        reason: end.reason ?? null,
        error: end.error ?? null,
        messages,
        tokens: messages.reduce((sum, message) => sum + ports.model.estimateText(message.content) + 8, 0),
      },
    });
    return "ended" as const;
  };

  const incomplete = (reason: IncompleteReason): End => ({ status: "incomplete", output: lastText(steps), reason });

  const modelStep = async (step: StoredStep): Promise<RunOutcome | null> => {
    if (model === undefined) {
      return finish({
        status: "failed",
        output: null,
        error: { code: "model_not_found", message: `The catalogue has no model ${spec.model.name}.` },
      });
    }
    const failures = trailingFailures(steps);
    const request: ModelRequest = {
      model,
      messages: conversation(claim, steps, ports.model.estimateText),
      tools: tools.declarations,
      thinking: spec.model.thinking && !failures.some((failure) => failure === "thinking_ate_budget"),
      temperature: spec.model.temperature,
      topP: spec.model.topP,
      presencePenalty: spec.model.presencePenalty,
      seed: spec.model.seed,
      maxOutputTokens: spec.model.maxOutputTokens,
      parallelToolCalls: model.tools.parallel,
    };
    prompt = ports.model.estimateRequest(request);
    const room = spec.limits.tokens - usedTokens(steps) - prompt;
    if (room < 1) return finish(incomplete("max_tokens"));
    written = "";
    let answer: ModelAnswer;
    try {
      answer = await ports.model.complete(
        { ...request, maxOutputTokens: Math.min(request.maxOutputTokens, room) },
        {
          signal: live,
          onDelta: (delta) => {
            written += delta.text;
            ports.live.delta(claim.runId, step.seq, delta.kind, delta.text);
          },
        },
      );
    } catch (error) {
      if (live.aborted) throw stopReason(signal);
      const described = ports.model.describeError(error);
      return finish(
        { status: "failed", output: null, error: described },
        {
          done: [{ seq: step.seq, state: "error", output: { ...emptyOutput(model.upstreamModel), error: described } }],
        },
      );
    }
    const output = storableAnswer(answer);
    const verdict = ports.model.classify(answer, { thinking: request.thinking });
    const charge = {
      usage: {
        step: step.seq,
        model: spec.model.name,
        ...answer.usage,
        costMicros: ports.model.price(model, answer.usage, ports.clock.date()),
      },
    };
    const done = (state: "done" | "error", failure?: string): StepDone[] => [
      {
        seq: step.seq,
        state,
        output:
          failure === undefined
            ? output
            : { ...output, error: { code: failure, message: FAILURES[failure] ?? failure } },
      },
    ];
    written = "";
    switch (verdict) {
      case "final":
        return finish({ status: "completed", output: output.text }, { ...charge, done: done("done") });
      case "tools":
        return callTools(step, output, charge);
      case "truncated":
        return finish(
          { status: "incomplete", output: output.text, reason: "output_truncated" },
          { ...charge, done: done("done") },
        );
      case "filtered":
      case "failed":
        return finish(
          {
            status: "failed",
            output: null,
            error: {
              code: verdict === "filtered" ? "content_filtered" : "model_failed",
              message: FAILURES[verdict] ?? verdict,
            },
          },
          { ...charge, done: done("error", verdict) },
        );
      default: {
        // Empty, only thinking, or a broken protocol: worth exactly one more try, which the journal remembers.
        if (failures.length > 0) {
          return finish(
            { status: "failed", output: null, error: { code: verdict, message: FAILURES[verdict] ?? verdict } },
            { ...charge, done: done("error", verdict) },
          );
        }
        return next(step, { done: done("error", verdict), ...charge }, 0);
      }
    }
  };

  /** Appends what a step gave and opens the model step that follows it. */
  const next = async (
    step: StoredStep,
    entry: Partial<JournalWrite> & { done: readonly StepDone[] },
    extraTokens: number,
  ): Promise<RunOutcome | null> => {
    if (steps.length + 1 > spec.limits.steps) return finish(incomplete("max_steps"), entry);
    const intent: StepIntent = {
      seq: maxSeq(steps) + 1,
      kind: "model",
      name: spec.model.name,
      effect: "model",
      input: null,
    };
    const after = steps.map((item) => ({ ...item }));
    for (const item of entry.done) close(after, item, "");
    const result = await write({
      ...entry,
      start: [intent],
      events: [...entry.done.map((item) => finished(after, item)), started(intent)],
      reserveTokens: prompt + extraTokens + spec.model.maxOutputTokens,
    });
    if (step.kind === "model" && !result.room) return finish(incomplete("quota"));
    return null;
  };

  const callTools = async (
    step: StoredStep,
    output: ModelOutput,
    charge: Pick<JournalWrite, "usage">,
  ): Promise<RunOutcome | null> => {
    const done: StepDone[] = [{ seq: step.seq, state: "done", output }];
    if (repeatedCall(output.toolCalls, steps, spec.limits.identicalCalls) !== null) {
      return finish(
        { status: "incomplete", output: output.text === "" ? null : output.text, reason: "repeated_call" },
        { ...charge, done },
      );
    }
    if (steps.length + output.toolCalls.length > spec.limits.steps)
      return finish(incomplete("max_steps"), { ...charge, done });
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
    const after = steps.map((item) => ({ ...item }));
    for (const item of done) close(after, item, "");
    const spent = output.usage.inputTokens + output.usage.outputTokens;
    const result = await write({
      ...charge,
      done,
      start,
      events: [...done.map((item) => finished(after, item)), ...start.map(started)],
      reserveTokens: spent + spec.model.maxOutputTokens + start.length * TOOL_RESULT_TOKENS,
    });
    if (!result.room) {
      const unsent: ToolOutput = { output: "Not sent: the quota is used up.", isError: true, code: "quota_exhausted" };
      return finish(incomplete("quota"), { done: start.map(({ seq }) => ({ seq, state: "error", output: unsent })) });
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
      if (left === 0 && !modelOpen) {
        outcome = await next(step, { done }, 0);
        return;
      }
      const after = steps.map((item) => ({ ...item }));
      for (const item of done) close(after, item, "");
      await write({ done, events: done.map((item) => finished(after, item)) });
    });
    return outcome;
  };

  try {
    for (;;) {
      if (live.aborted) throw stopReason(signal);
      const open = steps.filter((step) => step.state === "started").sort((a, b) => a.seq - b.seq);
      const openTools = open.filter((step) => step.kind === "tool");
      const step = open[0];
      if (step === undefined) throw new Error(`run ${claim.runId} has no open step`);
      const outcome = openTools.length > 0 ? await toolSteps(openTools) : await modelStep(step);
      if (outcome !== null) return outcome;
    }
  } catch (error) {
    if (error instanceof ClaimLost) return "lost";
    if (error instanceof Stop && error.kind === "lost") return "lost";
    if (error instanceof Stop && error.kind === "drain") return "handed_back";
    const end: End | null =
      error instanceof Stop
        ? { status: "cancelled", output: null }
        : error instanceof OutOfTime
          ? incomplete("max_duration")
          : null;
    if (end === null) throw error;
    try {
      return await finish(end, abortedCharge());
    } catch (failure) {
      if (failure instanceof ClaimLost) return "lost";
      throw failure;
    }
  } finally {
    stopClock();
  }

  /** A model call that was aborted is charged for its prompt and for what it had written, by Maru's own count. */
  function abortedCharge(): Partial<JournalWrite> & { done: readonly StepDone[] } {
    const step = steps.find((item) => item.kind === "model" && item.state === "started");
    if (step === undefined || prompt === 0 || model === undefined) return { done: [] };
    const usage: TokenUsage = {
      inputTokens: prompt,
      cachedInputTokens: 0,
      outputTokens: ports.model.estimateText(written),
      estimated: true,
    };
    return {
      done: [
        {
          seq: step.seq,
          state: "error",
          output: {
            ...emptyOutput(model.upstreamModel),
            text: storableText(written),
            usage,
            error: { code: "aborted", message: "The call was aborted." },
          },
        },
      ],
      usage: {
        step: step.seq,
        model: spec.model.name,
        ...usage,
        costMicros: ports.model.price(model, usage, ports.clock.date()),
      },
    };
  }
}

const TOOL_RESULT_TOKENS = 1_024;
const OUTCOME_UNKNOWN = "outcome_unknown";
const FAILURES: Record<string, string> = {
  empty: "The model answered nothing, twice.",
  thinking_ate_budget: "The model used its whole output on thinking, twice.",
  protocol_error: "The model's answer broke the protocol, twice.",
  filtered: "The model's host withheld the answer.",
  failed: "The model's host ended the answer with an error.",
};

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
