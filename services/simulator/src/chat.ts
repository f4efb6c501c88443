import { overLimit, promptOf, readCall } from "./admission.ts";
import type { ChatCall, ChatDeps, Said } from "./call.ts";
import { complete, type Prompt } from "./completion.ts";
import { type Delivery, deliver } from "./delivery.ts";
import type { Subject } from "./faults/fault.ts";
import { FAULTS, type FaultName } from "./faults/faults.ts";
import { chooseFault, forcedError } from "./interference.ts";
import { readConversation } from "./model/conversation.ts";
import { speak } from "./model/model.ts";
import type { Utterance } from "./model/utterance.ts";
import { pythonJson } from "./python-json.ts";
import type { Refusal } from "./refusal.ts";
import type { ChatRequest } from "./request.ts";
import { ruleFor, utteranceOf } from "./scenario.ts";
import { splitToolCalls } from "./wire/hermes.ts";
import { IDENTITY, SPLIT_AT_THINK_END, splitReasoning } from "./wire/reasoning.ts";

export interface Outcome {
  readonly answer: Refusal | Delivery;
  /** Identifies the request; null when it was refused before it was read. */
  readonly digest: string | null;
  /** The fault the answer has. */
  readonly fault: FaultName | null;
}

const KOREA_AHEAD_MS = 9 * 3_600_000;

/** Answers one call: reads it, lets the model speak, puts that through the dialect's parsers, and lets a fault in. */
export function answerChat(deps: ChatDeps, call: ChatCall): Outcome {
  const read = readCall(deps.host, call);
  if ("status" in read) return { answer: read, digest: null, fault: null };
  const prompt = promptOf(deps.host, call.dialect, read.request);
  if ("status" in prompt) return { answer: prompt, digest: null, fault: null };
  const { digest } = prompt;
  const limited = overLimit(deps, call, digest);
  if (limited !== null) return { answer: limited, digest, fault: null };
  return { digest, ...answerRead(deps, call, read.request, prompt) };
}

function answerRead(
  deps: ChatDeps,
  call: ChatCall,
  request: ChatRequest,
  prompt: Prompt,
): Pick<Outcome, "answer" | "fault"> {
  const { dialect, key } = call;
  const { digest } = prompt;
  const said = sayings(deps, request, prompt);
  const forced = forcedError(deps.state, dialect, digest, said.directives);
  if (forced !== null) return { answer: forced, fault: null };
  const chosen = chooseFault(deps.state, call, request, prompt, said);
  if ("unknown" in chosen) {
    return { answer: { status: 400, body: dialect.errorBody(400, chosen.unknown) }, fault: null };
  }
  const fault = chosen.name === null ? null : FAULTS[chosen.name];
  if (fault?.layer === "http") {
    return { answer: fault.refuse(dialect, request.model, deps.now()), fault: chosen.name };
  }
  const rewrite =
    fault?.layer === "raw" ? (raw: string) => fault.rewrite(subjectOf(request, said.utterance, raw)) : null;
  const cache = { prefixes: deps.state.prefixes, key };
  const completion = complete(request, prompt, said.utterance, cache, rewrite);
  return { answer: deliver(deps, { dialect, request, digest, completion, said, fault }), fault: chosen.name };
}

function sayings({ state, now }: ChatDeps, request: ChatRequest, prompt: Prompt): Said {
  const today = new Date(now().getTime() + KOREA_AHEAD_MS).toISOString().slice(0, 10);
  const spoken = speak(request, prompt.toolTurn, today);
  const rule = ruleFor(state.scenario, request);
  const scripted = rule === null ? null : utteranceOf(rule);
  return { ...spoken, utterance: scripted ?? spoken.utterance, fault: rule?.fault ?? null };
}

/** What a raw fault works on; raw text of a scenario is taken apart for it. */
function subjectOf(request: ChatRequest, utterance: Said["utterance"], raw: string): Subject {
  const made = readConversation(request.messages).current.calls[0];
  const { think, text, calls } = utterance.raw === undefined ? utterance : readUtterance(raw, request.thinking);
  return {
    raw,
    think,
    text,
    calls,
    thinking: request.thinking,
    repeatable: made === undefined ? (calls[0] ?? null) : { name: made.name, json: pythonJson(made.args ?? {}) },
  };
}

function readUtterance(raw: string, thinking: boolean): Utterance {
  const { reasoning, content } = splitReasoning(raw, thinking ? SPLIT_AT_THINK_END : IDENTITY);
  const { text, calls } = splitToolCalls(content ?? "");
  return {
    think: (reasoning ?? "").trim(),
    text: text.trim(),
    calls: calls.map((call) => ({ name: call.name, json: call.arguments })),
  };
}
