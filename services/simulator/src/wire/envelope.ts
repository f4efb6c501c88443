import type { Counts, Dialect, StreamStep } from "./dialect.ts";

export interface Envelope {
  readonly id: string;
  /** Unix seconds. */
  readonly created: number;
  readonly model: string;
}

/** Any JSON object of the wire, open to be changed by a fault. */
export type WireObject = Record<string, unknown>;

/** One event of a stream: an object, or `[DONE]`. A chunk, which has `choices`, gets the envelope when it is written. */
export type StreamItem = WireObject | "[DONE]";

/** The body of a call that does not stream. */
export function completionBody(
  dialect: Dialect,
  { id, created, model }: Envelope,
  answer: ReturnType<Dialect["message"]>,
  counts: Counts,
): WireObject {
  const { message, finish } = answer;
  const choice = { index: 0, message, logprobs: null, finish_reason: finish, ...dialect.choiceExtras(finish) };
  const body = { id, object: "chat.completion", created, model, choices: [choice] };
  return { ...body, usage: dialect.usage(counts), ...dialect.bodyExtras };
}

/** The chunks of a stream: one for each step, with `counts` one more that has usage and no choices, then `[DONE]`. */
export function streamItems(dialect: Dialect, steps: readonly StreamStep[], counts: Counts | null): StreamItem[] {
  const noUsage = dialect.nullUsage ? { usage: null } : {};
  const items: StreamItem[] = steps.map(({ delta, finish }) => ({
    choices: [{ index: 0, delta, logprobs: null, finish_reason: finish, ...dialect.choiceExtras(finish) }],
    ...noUsage,
  }));
  if (counts !== null) items.push({ choices: [], usage: dialect.usage(counts) });
  return [...items, "[DONE]"];
}

/** The items as server-sent events, each with its closing blank line. Chunks share id, time and model. */
export function streamEvents({ id, created, model }: Envelope, items: readonly StreamItem[]): string[] {
  // The envelope is the same in each event; written once, since streams are mostly made of it.
  const head = JSON.stringify({ id, object: "chat.completion.chunk", created, model }).slice(0, -1);
  return items.map((item) => {
    if (item === "[DONE]") return "data: [DONE]\n\n";
    const json = JSON.stringify(item);
    return "choices" in item ? `data: ${head},${json.slice(1)}\n\n` : `data: ${json}\n\n`;
  });
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
