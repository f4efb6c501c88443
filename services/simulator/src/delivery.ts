import type { ChatDeps, Said } from "./call.ts";
import type { Completion } from "./completion.ts";
import type { Fault, Transmission } from "./faults/fault.ts";
import type { Host } from "./options.ts";
import { paceOf } from "./pacing.ts";
import type { ChatRequest } from "./request.ts";
import { numbersFrom } from "./seeded.ts";
import type { Dialect, WireContext } from "./wire/dialect.ts";
import { completionBody, type Envelope, slicer, streamEvents, streamItems } from "./wire/envelope.ts";

export const JSON_TYPE = "application/json; charset=utf-8";
const SSE_HEADERS = { "content-type": "text/event-stream; charset=utf-8", "cache-control": "no-cache" };

/** An answer with status 200, ready to be sent. */
export interface Delivery {
  readonly transmission: Transmission;
  /** Pieces of a stream that are thinking. */
  readonly thoughts: number;
  readonly stream: boolean;
}

/** What is known of a call once the model has spoken. */
export interface Answered {
  readonly dialect: Dialect;
  readonly request: ChatRequest;
  readonly digest: string;
  readonly completion: Completion;
  readonly said: Said;
  readonly fault: Fault | null;
}

/** Puts the raw text through the dialect's parsers and on the wire; wire and transport faults come in here. */
export function deliver(deps: ChatDeps, answered: Answered): Delivery {
  const { request, digest, completion, said, fault } = answered;
  const { counts } = completion;
  const created = Math.floor(deps.now().getTime() / 1_000);
  const envelope = { id: `chatcmpl-${digest.slice(0, 24)}`, created, model: request.model };
  const body = request.stream ? streamed(deps.host, answered, envelope) : whole(deps.host, answered, envelope);
  const thinks = counts.reasoningTokens > 0;
  const pace = paceOf(deps.latency, counts.completionTokens, said.directives.slowMs, deps.timing, thinks);
  const { headers, pieces, thoughts } = body;
  const transmission: Transmission = { headers, pieces, pace, separate: false, ending: "end" };
  return {
    transmission: fault?.layer === "transport" ? fault.transmit(transmission, deps.timing.scale) : transmission,
    thoughts,
    stream: request.stream,
  };
}

type Body = Pick<Transmission, "headers" | "pieces"> & Pick<Delivery, "thoughts">;

function streamed(host: Host, answered: Answered, envelope: Envelope): Body {
  const { dialect, request, digest, completion, fault } = answered;
  const steps = dialect.stream(completion.raw, contextOf(host, answered), slicer(numbersFrom(digest)));
  const items = streamItems(dialect, steps, request.includeUsage ? completion.counts : null);
  const changed = fault?.layer === "wire" && fault.items !== undefined ? fault.items(structuredClone(items)) : items;
  const thoughts = Math.max(
    0,
    steps.findIndex(({ delta }) => isVisible(delta)),
  );
  return { headers: SSE_HEADERS, pieces: streamEvents(envelope, changed), thoughts };
}

function whole(host: Host, answered: Answered, envelope: Envelope): Body {
  const { dialect, completion, fault } = answered;
  const answer = dialect.message(completion.raw, contextOf(host, answered));
  const body = completionBody(dialect, envelope, answer, completion.counts);
  const changed = fault?.layer === "wire" && fault.body !== undefined ? fault.body(structuredClone(body)) : body;
  const text = JSON.stringify(changed);
  const headers = { "content-type": JSON_TYPE, "content-length": String(Buffer.byteLength(text)) };
  return { headers, pieces: [text], thoughts: 0 };
}

function isVisible(delta: { readonly content?: unknown; readonly tool_calls?: unknown }): boolean {
  return Boolean(delta.content) || Boolean(delta.tool_calls);
}

/** What the parsers are told; a wire fault may tell them something else. */
function contextOf(host: Host, { request, digest, completion, fault }: Answered): WireContext {
  const context: WireContext = {
    thinking: request.thinking,
    parseReasoning: request.parseReasoning,
    includeReasoning: request.includeReasoning,
    digest,
    complete: completion.complete,
    kwargs: request.kwargs,
    toolNames: request.tools.map((tool) => tool.function.name),
    toolChoice: request.toolChoice,
    parallel: request.parallelToolCalls,
    versions: host.versions,
  };
  return fault?.layer === "wire" && fault.parsers !== undefined ? fault.parsers(context) : context;
}
