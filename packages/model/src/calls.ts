import { jsonObject } from "./json.ts";
import type { WireToolDelta } from "./wire.ts";

export interface OpenCall {
  readonly index: number | null;
  id: string;
  name: string;
  text: string;
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
      return otherId && (name !== "" || jsonObject(call.text) !== null) ? undefined : call;
    }
    // A server that always sends the same index: a new id with a name, or a name with arguments behind a whole call.
    if (name === "" || call.name === "") return call;
    if (otherId) return undefined;
    return (otherName || text.trim() !== "") && jsonObject(call.text) !== null ? undefined : call;
  };

  return {
    calls: calls as readonly OpenCall[],

    push(delta: WireToolDelta): { index: number; name: string; text: string } {
      const index = typeof delta.index === "number" ? delta.index : null;
      const id = typeof delta.id === "string" ? delta.id : "";
      const name = typeof delta.function?.name === "string" ? delta.function.name : "";
      const given = delta.function?.arguments;
      const text = typeof given === "string" ? given : given ? JSON.stringify(given) : "";
      let call = openFor(index, id, name, text);
      if (call === undefined) {
        call = { index, id: "", name: "", text: "" };
        calls.push(call);
      }
      if (call.id === "") call.id = id;
      if (call.name === "") call.name = name;
      call.text += text;
      return { index: calls.indexOf(call), name: call.name, text };
    },
  };
}
