import type { ModelRequest, TokenUsage } from "@maru/contract";
import { storableText } from "@maru/domain";
import type { JournalWrite, ModelOutput, StepDone, StoredStep, Tried } from "@maru/store";
import type { ToolSet } from "@maru/tools";
import { type Asked, askModels, mayAskAgain, sum } from "./ask.ts";
import { conversation } from "./conversation.ts";
import { requestDigest } from "./digest.ts";
import type { End } from "./end.ts";
import type { RunJournal, RunOutcome } from "./journal-run.ts";
import { emptyOutput, storableAnswer, trailingFailures, usedTokens } from "./journal-state.ts";
import type { EnginePorts, ModelFailure, ModelRoute } from "./ports.ts";
import { isStrayText, repairsLeft, SUBMIT_TOOL, type Submission } from "./submit.ts";
import { SUMMARY_FAILED, summaryDue, summaryRequest } from "./summary.ts";

export interface ModelStepDeps {
  readonly journal: RunJournal;
  readonly ports: EnginePorts;
  readonly routes: readonly (ModelRoute | null)[];
  readonly names: readonly string[];
  readonly tools: ToolSet;
  readonly submission: Submission | null;
  /** Aborts when the run is to stop or its time is over. */
  readonly live: AbortSignal;
  /** Before anything is sent: the run must still be this worker's. @throws Stop when it may not be */
  readonly mustHold: () => void;
  /** The run has calls to carry out. */
  readonly callTools: (step: StoredStep, output: ModelOutput, charge: Charge) => Promise<RunOutcome | null>;
}
export type Charge = Pick<JournalWrite, "usage">;
type Answered = Extract<Asked, { kind: "answered" }>;

const FAILURES: Readonly<Record<string, string>> = {
  empty: "The model answered nothing, twice.",
  protocol_error: "The model's answer broke the protocol, twice.",
  content_filtered: "The model's host withheld the answer.",
  model_failed: "The model's host ended the answer with an error, twice.",
};
/** Room that is left beside the prompt and the answer: hosts count a little differently. */
const CONTEXT_MARGIN = 256;

/** The run's model steps. What was written so far can be asked for, to charge for a call that is aborted. */
export function createModelSteps(deps: ModelStepDeps) {
  const { journal, ports, routes, names, tools, submission, live } = deps;
  const { claim, spec, steps } = journal;
  let written = "";
  let prompt = 0;
  let asking: ModelRoute | null = null;
  let current = "";

  /** The request for a route: the conversation cut to what its context holds beside the answer. */
  const requestFor = (route: ModelRoute, squeezed: ModelRequest | null): ModelRequest | null => {
    const { model } = route;
    const failures = trailingFailures(steps);
    const estimate = (text: string) => ports.model.estimateText(model, text);
    const primary = model.id === spec.model.name;
    // A cut call, or an answer that was all thinking: once more, with twice the room.
    const cramped = failures.some((failure) => failure === "truncated_call" || failure === "thinking_ate_budget");
    const wanted = primary
      ? spec.model.maxOutputTokens
      : Math.min(spec.model.maxOutputTokens, model.maxOutputTokens.max);
    const base: Omit<ModelRequest, "messages"> = {
      model,
      tools: tools.declarations,
      thinking: spec.model.thinking && !failures.includes("thinking_ate_budget"),
      // Sampling is tuned to a model: another gets what its own makers recommend.
      temperature: primary ? spec.model.temperature : model.sampling.temperature,
      topP: primary ? spec.model.topP : model.sampling.topP,
      presencePenalty: primary ? spec.model.presencePenalty : model.sampling.presencePenalty,
      seed: spec.model.seed,
      maxOutputTokens: cramped ? Math.min(model.maxOutputTokens.max, wanted * 2) : wanted,
      parallelToolCalls: model.tools.parallel,
      ...(submission !== null && wasStray(steps) ? { toolChoice: { named: SUBMIT_TOOL } } : {}),
    };
    const toolTokens = ports.model.estimateRequest({ ...base, messages: [] });
    const context = model.contextTokens - Math.min(base.maxOutputTokens, model.contextTokens / 2) - CONTEXT_MARGIN;
    const limit = squeezed === null ? context : Math.min(context, ports.model.estimateRequest(squeezed)) / 2;
    const request = { ...base, messages: conversation(claim, steps, estimate, limit - toolTokens) };
    const promptTokens = ports.model.estimateRequest(request);
    const room = spec.limits.tokens - usedTokens(steps) - promptTokens;
    if (room < 1) return null;
    prompt = promptTokens;
    asking = route;
    current = requestDigest(request);
    return { ...request, maxOutputTokens: Math.min(request.maxOutputTokens, room) };
  };

  const chargeFor = (step: StoredStep, route: ModelRoute | null, usage: TokenUsage | null): Charge => ({
    usage:
      usage === null || route === null
        ? null
        : {
            step: step.seq,
            model: route.model.id,
            ...usage,
            simulated: route.simulated,
            costMicros: ports.model.price(route.model, usage, ports.clock.date()),
          },
  });

  const reserve = (): number => prompt + spec.model.maxOutputTokens;

  /** The model step as a summary of the thread; whatever comes of it, the run goes on with a step that answers. */
  const summarise = async (step: StoredStep, count: number): Promise<RunOutcome | null> => {
    const request = (route: ModelRoute): ModelRequest | null => {
      const asked = summaryRequest(claim, count, route.model, ports.model);
      prompt = ports.model.estimateRequest(asked);
      asking = route;
      return spec.limits.tokens - usedTokens(steps) < prompt + asked.maxOutputTokens ? null : asked;
    };
    beforeCall();
    const asked = await askModels({ routes, names, port: ports.model, signal: live, request, onDelta: () => {} });
    ports.pass?.("after_model_call");
    const failed = (output: ModelOutput, message: string): StepDone[] => [
      { seq: step.seq, state: "error", output: { ...output, error: { code: SUMMARY_FAILED, message } } },
    ];
    if (asked.kind === "no_room") {
      const done = failed(emptyOutput(spec.model.name), "The run's token limit leaves no room for a summary.");
      return journal.next({ done }, reserve());
    }
    if (asked.kind === "failed") {
      const { failure, route, tried, wasted } = asked;
      const usage = failure.usage === undefined ? wasted : sum(wasted, failure.usage);
      const output = {
        ...emptyOutput(spec.model.name),
        ...(usage === null ? {} : { usage }),
        ...answeredBy(route, tried),
      };
      return journal.next(
        { done: failed(output, failure.message), ...chargeFor(step, route ?? asking, usage) },
        reserve(),
      );
    }
    const { answer, route, tried, wasted } = asked;
    const usage = sum(wasted, answer.usage);
    const output: ModelOutput = { ...storableAnswer(answer), usage, ...answeredBy(route, tried) };
    const good = output.text !== "" && output.toolCalls.length === 0;
    const done: StepDone[] = good
      ? [{ seq: step.seq, state: "done", output: { ...output, summarised: count } }]
      : failed(output, "The model wrote no summary.");
    return journal.next({ done, ...chargeFor(step, route, usage) }, reserve());
  };

  const beforeCall = () => {
    deps.mustHold();
    ports.pass?.("before_model_call");
  };

  /** One model step, to its end in the journal. Null = the run goes on. */
  const step = async (step: StoredStep): Promise<RunOutcome | null> => {
    written = "";
    prompt = 0;
    asking = null;
    current = "";
    const first = routes.find((route) => route !== null);
    const older = first ? summaryDue(claim, steps, first.model, ports.model) : 0;
    if (older > 0) return summarise(step, older);
    beforeCall();
    const asked = await askModels({
      routes,
      names,
      port: ports.model,
      signal: live,
      request: requestFor,
      onDelta: (delta) => {
        written += delta.text;
        ports.live.delta(claim, step.seq, delta.kind, delta.text);
      },
    });
    ports.pass?.("after_model_call");
    if (current !== "") journal.given.set(step.seq, current);
    if (asked.kind === "no_room")
      return journal.finish(journal.incomplete("max_tokens"), chargeFor(step, asking, asked.wasted));
    if (asked.kind === "answered") return verdict(step, asked);

    const { failure, route, shown, tried, wasted } = asked;
    const usage = failure.usage === undefined ? wasted : sum(wasted, failure.usage);
    const charge = chargeFor(step, route ?? asking, usage);
    const output: ModelOutput = {
      ...emptyOutput(route?.model.upstreamModel ?? spec.model.name),
      // What was seen live stays as the failed step's own: nothing that follows is joined to it.
      text: shown ? storableText(written) : "",
      ...(usage === null ? {} : { usage }),
      ...answeredBy(route, tried),
      error: { code: failure.code, message: failure.message },
    };
    const done: StepDone[] = [{ seq: step.seq, state: "error", output }];
    written = "";
    if (shown && mayAskAgain(failure) && trailingFailures(steps).length === 0)
      return journal.next({ done, ...charge }, reserve());
    const error = { code: failure.code, message: failure.message, ...retryAt(failure, ports.clock.date()) };
    return journal.finish({ status: "failed", output: null, error }, { ...charge, done });
  };

  const verdict = (step: StoredStep, asked: Answered): Promise<RunOutcome | null> => {
    const { answer, route, request, tried, wasted } = asked;
    const usage = sum(wasted, answer.usage);
    const output: ModelOutput = { ...storableAnswer(answer), usage, ...answeredBy(route, tried) };
    const charge = chargeFor(step, route, usage);
    const done: StepDone[] = [{ seq: step.seq, state: "done", output }];
    const wrong = (code: string, message = FAILURES[code] ?? code): StepDone[] => [
      { seq: step.seq, state: "error", output: { ...output, error: { code, message } } },
    ];
    const end = (how: End, closed: StepDone[] = done) => journal.finish(how, { ...charge, done: closed });
    const fail = (code: string, message = FAILURES[code] ?? code, closed = wrong(code, message)) =>
      end({ status: "failed", output: null, error: { code, message } }, closed);
    /** Worth exactly one more try, which the journal remembers. */
    const onceMore = (code: string, otherwise: () => Promise<RunOutcome>) =>
      trailingFailures(steps).length > 0
        ? otherwise()
        : journal.next({ done: wrong(code, ONCE_MORE[code] ?? code), ...charge }, reserve());
    written = "";

    switch (ports.model.classify(answer, { thinking: request.thinking })) {
      case "final": {
        if (submission === null) return end({ status: "completed", output: output.text });
        const handedIn = submission.fromText(output.text);
        if (handedIn !== null) return end({ status: "completed", output: handedIn });
        if (repairsLeft(steps)) return journal.next({ done, ...charge }, reserve());
        return fail("output_invalid", "The model answered in words instead of handing in what was asked for.", done);
      }
      case "tools": {
        const [call, ...others] = output.toolCalls;
        if (submission === null || call?.name !== SUBMIT_TOOL || others.length > 0)
          return deps.callTools(step, output, charge);
        const handedIn = submission.check(call.arguments);
        if ("output" in handedIn) return end({ status: "completed", output: handedIn.output });
        if (repairsLeft(steps)) return deps.callTools(step, output, charge);
        return fail("output_invalid", `The answer handed in does not fit its schema: ${handedIn.wrong}`, done);
      }
      case "truncated":
        if (output.toolCalls.length === 0)
          return end({ status: "incomplete", output: output.text, reason: "output_truncated" });
        return onceMore("truncated_call", () => end(truncated(output), wrong("output_truncated", CUT)));
      case "thinking_ate_budget":
        return onceMore("thinking_ate_budget", () => end(truncated(output), wrong("output_truncated", CUT)));
      case "filtered":
        return fail("content_filtered");
      case "failed":
        return onceMore("model_failed", () => fail("model_failed"));
      case "empty":
        return onceMore("empty", () => fail("empty_answer", FAILURES.empty));
      case "protocol_error":
        return onceMore("protocol_error", () => fail("protocol_error"));
    }
  };

  return {
    step,
    reserve,
    /** A call that was aborted is charged for its prompt and for what it had written, by Maru's own count. */
    aborted(): Partial<JournalWrite> & { done: readonly StepDone[] } {
      const step = steps.find((item) => item.kind === "model" && item.state === "started");
      if (step === undefined || asking === null || prompt === 0) return { done: [] };
      const usage: TokenUsage = {
        inputTokens: prompt,
        cachedInputTokens: 0,
        outputTokens: ports.model.estimateText(asking.model, written),
        estimated: true,
      };
      const output: ModelOutput = {
        ...emptyOutput(asking.model.upstreamModel),
        text: storableText(written),
        usage,
        ...answeredBy(asking, []),
        error: { code: "aborted", message: "The call was aborted." },
      };
      return { done: [{ seq: step.seq, state: "error", output }], ...chargeFor(step, asking, usage) };
    },
  };
}

const CUT = "The model's answer was cut off before it was whole, twice.";
const ONCE_MORE: Readonly<Record<string, string>> = {
  truncated_call: "The answer was cut off inside a call, which did not run; asked again with more room.",
  thinking_ate_budget: "The model used its whole output on thinking; asked again with more room and without thinking.",
  model_failed: "The model's host ended the answer with an error; asked again.",
  empty: "The model answered nothing; asked again.",
  protocol_error: "The model announced calls and made none; asked again.",
};

/** The instant a host named; one it can't have meant is left out. */
const retryAt = ({ retryAfterMs }: ModelFailure, now: Date): { retry_at?: string } =>
  retryAfterMs === undefined || retryAfterMs > 366 * 86_400_000
    ? {}
    : { retry_at: new Date(now.getTime() + retryAfterMs).toISOString() };

const truncated = ({ text }: ModelOutput): End => ({
  status: "incomplete",
  output: text === "" ? null : text,
  reason: "output_truncated",
});

const answeredBy = (route: ModelRoute | null, tried: readonly Tried[]) => ({
  ...(route === null ? {} : { answeredBy: route.model.id, simulated: route.simulated }),
  ...(tried.length === 0 ? {} : { tried }),
});

/** Whether the step before this one answered in words where a call was asked for. */
const wasStray = (steps: readonly StoredStep[]): boolean => {
  const last = steps.findLast((step) => step.state !== "started");
  return last !== undefined && isStrayText(last);
};
