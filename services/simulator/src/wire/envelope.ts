import type { WireFinish, WireMessage } from "./friendli.ts";

/** Token counts of one call; thinking is part of the completion. */
export interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

export interface Envelope {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

/** The JSON body of a call that does not stream. */
export function completionBody(envelope: Envelope, message: WireMessage, finish: WireFinish, usage: Usage): string {
  const { id, created, model } = envelope;
  const choices = [{ index: 0, message, logprobs: null, finish_reason: finish }];
  return JSON.stringify({ id, object: "chat.completion", created, model, choices, usage });
}

/**
 * The server-sent events of a stream, each with its closing blank line: one for each delta, one with an empty delta
 * and the finish reason, with `usage` one more that has no choices, then `[DONE]`. The others say `usage: null`.
 */
export function streamEvents(
  envelope: Envelope,
  deltas: readonly object[],
  finish: WireFinish,
  usage: Usage | null,
): string[] {
  const { id, created, model } = envelope;
  // Everything but the delta is the same in each event; built once, since streams are mostly made of this.
  const head = `data: ${JSON.stringify({ id, object: "chat.completion.chunk", created, model }).slice(0, -1)},"choices":[`;
  const open = `${head}{"index":0,"delta":`;
  const events = deltas.map(
    (delta) => `${open}${JSON.stringify(delta)},"logprobs":null,"finish_reason":null}],"usage":null}\n\n`,
  );
  events.push(`${open}{},"logprobs":null,"finish_reason":"${finish}"}],"usage":null}\n\n`);
  if (usage !== null) events.push(`${head}],"usage":${JSON.stringify(usage)}}\n\n`);
  events.push("data: [DONE]\n\n");
  return events;
}

/** Cuts a text into pieces of 3 to 10 code points, as the host was seen to; `next` gives the sizes. */
export function slicer(next: (min: number, max: number) => number): (text: string) => string[] {
  return (text) => {
    const pieces: string[] = [];
    for (let at = 0; at < text.length; ) {
      let end = at;
      for (let points = next(3, 10); points > 0 && end < text.length; points--) {
        const code = text.charCodeAt(end);
        end += code >= 0xd800 && code <= 0xdbff && end + 1 < text.length ? 2 : 1;
      }
      pieces.push(text.slice(at, end));
      at = end;
    }
    return pieces;
  };
}
