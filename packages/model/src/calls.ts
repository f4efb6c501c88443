import { ModelError } from "./errors.ts";
import { createObjectEnd, type ObjectEnd } from "./json.ts";
import type { WireToolDelta } from "./wire.ts";

/** More calls than a run has steps: nobody means such an answer. */
const MAX_CALLS = 256;
/** Stands for arguments that can't be written down; no JSON, so the model is told. */
const UNWRITABLE = "(nested too deeply)";

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
    if (index === null) {
      // Without an index a new id or name opens a call. An id alone may be noise: it counts where the last call is whole.
      if (otherName) return undefined;
      return otherId && (name !== "" || call.end.reached()) ? undefined : call;
    }
    // A server that always sends the same index: a new id with a name, or a name with arguments behind a whole call.
    if (name === "" || call.name === "") return call;
    if (otherId) return undefined;
    return (otherName || text.trim() !== "") && call.end.reached() ? undefined : call;
  };

  return {
    calls: calls as readonly OpenCall[],

    push(delta: WireToolDelta): { index: number; name: string; text: string } {
      const index = typeof delta.index === "number" ? delta.index : null;
      const id = typeof delta.id === "string" ? delta.id : "";
      const name = typeof delta.function?.name === "string" ? delta.function.name : "";
      const given = delta.function?.arguments;
      const text = typeof given === "string" ? given : given ? written(given) : "";
      let call = openFor(index, id, name, text);
      if (call === undefined) {
        if (calls.length >= MAX_CALLS)
          throw new ModelError("stream_interrupted", "The model's host sent more calls than any answer has.", {
            retryable: false,
          });
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

function written(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return UNWRITABLE;
  }
}
