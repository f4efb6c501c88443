import { type Completion, complete, type Prompt, readPrompt } from "./completion.ts";
import type { Fault, Subject, Transmission } from "./faults/fault.ts";
import { FAULTS, type FaultName, isFaultName } from "./faults/faults.ts";
import { lenient } from "./lenient.ts";
import { readConversation } from "./model/conversation.ts";
import type { Directives } from "./model/directives.ts";
import { speak } from "./model/model.ts";
import type { Utterance } from "./model/utterance.ts";
import type { Host } from "./options.ts";
import { type Latency, paceOf, type Timing } from "./pacing.ts";
import { parseJson, pythonJson } from "./python-json.ts";
import type { Refusal } from "./refusal.ts";
import type { ChatRequest } from "./request.ts";
import { adaptiveRefusal } from "./request-window.ts";
import { ruleFor, unknownFault, utteranceOf } from "./scenario.ts";
import { numbersFrom } from "./seeded.ts";
import type { State } from "./state.ts";
import { readChatRequest } from "./validation.ts";
import type { ValidationError } from "./validation-error.ts";
import type { Dialect, WireContext } from "./wire/dialect.ts";
import { completionBody, slicer, streamEvents, streamItems } from "./wire/envelope.ts";

/** A chat call, already let in. */
export interface ChatCall {
  readonly body: string;
  readonly dialect: Dialect;
  /** Whose requests are counted and whose prompt is cached. */
  readonly key: string;
  readonly team: string | null;
  /** A fault named in a header. */
  readonly fault: string | null;
}

export interface Delivery {
  readonly transmission: Transmission;
  /** Pieces of a stream that are thinking. */
  readonly thoughts: number;
  readonly stream: boolean;
}

export interface Outcome {
  readonly answer: Refusal | Delivery;
  readonly digest: string | null;
  readonly fault: FaultName | null;
}

export interface ChatDeps {
  readonly host: Host;
  readonly state: State;
  readonly latency: Latency;
  readonly timing: Timing;
  readonly now: () => Date;
}

const KOREA_AHEAD_MS = 9 * 3_600_000;

/** Answers one call: reads it, lets the model speak, puts that through the dialect's parsers, and lets a fault in. */
export function answerChat(deps: ChatDeps, call: ChatCall): Outcome {
  const read = readCall(deps.host, call);
  if ("status" in read) return refused(read);
  const { request } = read;
  const prompt = promptOf(deps.host, call.dialect, request);
  if ("status" in prompt) return refused(prompt);
  const limited = overLimit(deps, call, prompt.digest);
  if (limited !== null) return refused(limited, prompt.digest);

  const said = sayings(deps, request, prompt);
  const chosen = chooseFault(deps.state, call, request, prompt, said);
  if ("unknown" in chosen) {
    return refused({ status: 400, body: call.dialect.errorBody(400, chosen.unknown) }, prompt.digest);
  }
  const { name } = chosen;
  const forced = forcedError(deps.state, call.dialect, prompt.digest, said.directives);
  if (forced !== null) return refused(forced, prompt.digest);
  const fault = name === null ? null : FAULTS[name];
  if (fault?.layer === "http") {
    return { answer: fault.refuse(call.dialect, request.model, deps.now()), digest: prompt.digest, fault: name };
  }
  const completion = complete(
    request,
    prompt,
    said.utterance,
    { prefixes: deps.state.prefixes, key: call.key },
    fault?.layer === "raw" ? (raw) => fault.rewrite(subjectOf(request, said.utterance, raw)) : null,
  );
  return {
    answer: deliver(deps, call.dialect, request, prompt, completion, said, fault),
    digest: prompt.digest,
    fault: name,
  };
}

function refused(answer: Refusal, digest: string | null = null): Outcome {
  return { answer, digest, fault: null };
}

function readCall(host: Host, { body: text, dialect }: ChatCall): { readonly request: ChatRequest } | Refusal {
  const body = parseJson(text);
  const invalid = (errors: readonly ValidationError[]): Refusal =>
    dialect.strict
      ? { status: 422, body: { detail: errors } }
      : {
          status: 400,
          body: dialect.errorBody(400, errors.map(({ loc, msg }) => `${loc.join(".")}: ${msg}`).join("; ")),
        };
  if (body === undefined) return invalid([{ type: "json_invalid", loc: ["body", 0], msg: "JSON decode error" }]);
  const given = dialect.strict ? body : lenient(body, dialect.name, host.versions);
  const read = readChatRequest(given, host.parseReasoning, dialect.strict);
  if ("errors" in read) return invalid(read.errors);
  const stray = host.matchToolCallIds ? strayResult(read.request) : -1;
  if (stray < 0) return read;
  const msg = "Value error, tool_call_id matches no call of the assistant message before it";
  return invalid([{ type: "value_error", loc: ["body", "messages", stray, "tool_call_id"], msg }]);
}

/** The first result whose id no earlier call has; -1 when there is none. */
function strayResult({ messages }: ChatRequest): number {
  const ids = new Set<string>();
  return messages.findIndex((message) => {
    if (message.role === "assistant") for (const { id } of message.calls) ids.add(id);
    return message.role === "tool" && !ids.has(message.toolCallId);
  });
}

function promptOf(host: Host, dialect: Dialect, request: ChatRequest): Prompt | Refusal {
  const model = host.models.find(({ id }) => id === request.model);
  if (model === undefined) {
    const message = `The model ${request.model.slice(0, 200)} does not exist.`;
    return { status: 404, body: dialect.errorBody(404, message) };
  }
  const prompt = readPrompt(request, model, host.hostCap, host.seed);
  if (prompt !== null) return prompt;
  const message = `This model's maximum context length is ${model.contextTokens} tokens, the messages are longer.`;
  return { status: 400, body: dialect.errorBody(400, message, "context_length_exceeded") };
}

/** Requests are counted for the team where one is named, across all models. */
function overLimit({ host, state, now }: ChatDeps, call: ChatCall, digest: string): Refusal | null {
  const { requestsPerMinute, adaptive, retryAfter } = host.limits;
  const waitSeconds =
    requestsPerMinute !== null
      ? state.window.refuses(call.team ?? call.key, requestsPerMinute, now().getTime())
      : adaptive && adaptiveRefusal(digest) && state.tries.within(`${digest} adaptive`, 1)
        ? 1
        : null;
  if (waitSeconds === null) return null;
  return {
    status: 429,
    body: call.dialect.errorBody(429, "Too many requests."),
    ...(retryAfter ? { headers: { "retry-after": String(waitSeconds) } } : {}),
  };
}

interface Said {
  readonly utterance: Utterance & { readonly raw?: string };
  readonly directives: Directives;
  /** A fault the scenario's rule asks for. */
  readonly fault: FaultName | null;
}

function sayings({ state, now }: ChatDeps, request: ChatRequest, prompt: Prompt): Said {
  const today = new Date(now().getTime() + KOREA_AHEAD_MS).toISOString().slice(0, 10);
  const spoken = speak(request, prompt.toolTurn, today);
  const rule = ruleFor(state.scenario, request);
  const scripted = rule === null ? null : utteranceOf(rule);
  return { ...spoken, utterance: scripted ?? spoken.utterance, fault: rule?.fault ?? null };
}

/**
 * The fault of this try, if any: the header's, else the scenario's, the script's, the one that is set. An unknown name is
 * an answer of its own. A fault that this answer cannot have is left out and not counted.
 */
function chooseFault(
  state: State,
  call: ChatCall,
  request: ChatRequest,
  { digest }: Prompt,
  said: Said,
): { readonly name: FaultName | null } | { readonly unknown: string } {
  const forever = Number.POSITIVE_INFINITY;
  const asked =
    call.fault !== null
      ? { name: call.fault, times: forever }
      : said.fault !== null
        ? { name: said.fault, times: forever }
        : (said.directives.fault ?? state.fault);
  const none = { name: null };
  if (asked === null || asked === undefined) return none;
  const { name, times } = asked;
  if (!isFaultName(name)) return { unknown: unknownFault(name) };
  const { on, streams } = FAULTS[name];
  const calls = said.utterance.calls.length > 0 || said.utterance.raw?.includes("<tool_call>") === true;
  if (on !== "any" && (on === "call") !== calls) return none;
  if (streams !== "both" && (streams === "stream") !== request.stream) return none;
  return state.tries.within(`${digest} ${name}`, times) ? { name } : none;
}

function forcedError(state: State, dialect: Dialect, digest: string, { error }: Directives): Refusal | null {
  if (error === null || !state.tries.within(`${digest} error`, error.times)) return null;
  const { status, retryAfterSeconds } = error;
  return {
    status,
    body: dialect.errorBody(status, `Forced by #sim error ${status}.`),
    ...(retryAfterSeconds === null ? {} : { headers: { "retry-after": String(retryAfterSeconds) } }),
  };
}

function subjectOf(request: ChatRequest, utterance: Said["utterance"], raw: string): Subject {
  const made = readConversation(request.messages).current.calls[0];
  const { think, text, calls } = utterance;
  return {
    raw,
    think,
    text,
    calls,
    thinking: request.thinking,
    repeatable: made === undefined ? (calls[0] ?? null) : { name: made.name, json: pythonJson(made.args ?? {}) },
  };
}

function deliver(
  deps: ChatDeps,
  dialect: Dialect,
  request: ChatRequest,
  prompt: Prompt,
  completion: Completion,
  { directives }: Said,
  fault: Fault | null,
): Delivery {
  const { digest } = prompt;
  const { raw, counts } = completion;
  const wire = fault?.layer === "wire" ? fault : null;
  const context = (wire?.parsers ?? same)(contextOf(deps.host, request, digest, completion.complete));
  const created = Math.floor(deps.now().getTime() / 1_000);
  const envelope = { id: `chatcmpl-${digest.slice(0, 24)}`, created, model: request.model };
  const pace = paceOf(
    deps.latency,
    counts.completionTokens,
    directives.slowMs,
    deps.timing,
    counts.reasoningTokens > 0,
  );

  const sent = { pace, separate: false, ending: "end" as const };
  let delivery: Delivery;
  if (request.stream) {
    const steps = dialect.stream(raw, context, slicer(numbersFrom(digest)));
    const items = streamItems(dialect, steps, request.includeUsage ? counts : null);
    const changed = wire?.items === undefined ? items : wire.items(structuredClone(items));
    const pieces = streamEvents(envelope, changed);
    const thoughts = steps.findIndex(({ delta }) => isVisible(delta));
    delivery = {
      transmission: { ...sent, headers: SSE_HEADERS, pieces },
      thoughts: Math.max(0, thoughts),
      stream: true,
    };
  } else {
    const body = completionBody(dialect, envelope, dialect.message(raw, context), counts);
    const text = JSON.stringify(wire?.body === undefined ? body : wire.body(structuredClone(body)));
    const headers = { "content-type": JSON_TYPE, "content-length": String(Buffer.byteLength(text)) };
    delivery = { transmission: { ...sent, headers, pieces: [text] }, thoughts: 0, stream: false };
  }
  if (fault?.layer !== "transport") return delivery;
  return { ...delivery, transmission: fault.transmit(delivery.transmission, deps.timing.scale) };
}

export const JSON_TYPE = "application/json; charset=utf-8";
const SSE_HEADERS = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };
const isVisible = (delta: { content?: unknown; tool_calls?: unknown }): boolean =>
  !!delta.content || !!delta.tool_calls;
const same = (context: WireContext): WireContext => context;

function contextOf(host: Host, request: ChatRequest, digest: string, whole: boolean): WireContext {
  return {
    thinking: request.thinking,
    parseReasoning: request.parseReasoning,
    includeReasoning: request.includeReasoning,
    digest,
    complete: whole,
    kwargs: request.kwargs,
    toolNames: request.tools.map((tool) => tool.function.name),
    toolChoice: request.toolChoice,
    parallel: request.parallelToolCalls,
    versions: host.versions,
  };
}
