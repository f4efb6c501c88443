import { ModelError } from "./errors.ts";
import { createObjectEnd, jsonText, type ObjectEnd } from "./json.ts";
import type { WireToolDelta } from "./wire.ts";

/** More calls than a run has steps: nobody means such an answer. */
const MAX_CALLS = 256;

/** @throws ModelError for more calls than any answer has */
export function limitCalls(count: number): void {
  if (count > MAX_CALLS)
    throw new ModelError("stream_interrupted", "The model's host sent more calls than any answer has.", {
      retryable: false,
    });
}

export interface OpenCall {
  readonly index: number | null;
  id: string;
  name: string;
  text: string;
  /** Follows the text, to know when its object is whole without reading it anew with every piece. */
  readonly end: ObjectEnd;
}

/**
 * Puts structured calls together from their deltas. OpenAI's rule is the index; but hosts leave it out, always send 0,
 * send a new id with every piece of arguments, or repeat the name with each.
 */
export function createCallList() {
  const calls: OpenCall[] = [];

  /** The call a delta belongs to, if it is one already open. */
  const openFor = (index: number | null, id: string, name: string, text: string): OpenCall | undefined => {
    const call = index === null ? calls.at(-1) : calls.findLast((each) => each.index === index);
    if (call === undefined) return undefined;
    const otherId = id !== "" && call.id !== "" && id !== call.id;
    const otherName = name !== "" && call.name !== "" && name !== call.name;
    // Without an index a new name opens a call. An id alone may be noise: it counts where the last call is whole.
    if (index === null && otherName) return undefined;
    if (index === null && otherId && (name !== "" || call.end.reached())) return undefined;
    // A server that sends no index, or always the same: a new id with a name, or a name with arguments behind a whole call.
    if (name === "" || call.name === "") return call;
    if (otherId) return undefined;
    return (otherName || text.trim() !== "") && call.end.reached() ? undefined : call;
  };

  return {
    calls: calls as readonly OpenCall[],

    /**
     * `whole`: it is no delta but a call of a body that was not streamed, where each stands for itself.
     * @throws ModelError for more calls than any answer has
     */
    push(delta: WireToolDelta, whole = false): { index: number; name: string; text: string } {
      const index = typeof delta.index === "number" ? delta.index : null;
      const id = typeof delta.id === "string" ? delta.id : "";
      const name = typeof delta.function?.name === "string" ? delta.function.name : "";
      const given = delta.function?.arguments;
      const text = typeof given === "string" ? given : given ? jsonText(given) : "";
      let call = whole ? undefined : openFor(index, id, name, text);
      if (call === undefined) {
        limitCalls(calls.length + 1);
        call = { index, id: "", name: "", text: "", end: createObjectEnd() };
        calls.push(call);
      }
      if (call.id === "") call.id = id;
      if (call.name === "") call.name = name;
      call.text += text;
      call.end.push(text);
      return { index: calls.indexOf(call), name: call.name, text };
    },
  };
}
