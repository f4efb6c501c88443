import { parseJson } from "../python-json.ts";

/** A call as it stands in the model's text; `arguments` is the raw slice, which may be no JSON. */
export interface ParsedCall {
  readonly name: string;
  readonly arguments: string;
}

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";
const HEAD = /^\s*\{\s*"name"\s*:\s*"((?:[^"\\]|\\.)*)"\s*(?:,\s*"arguments"\s*:\s*)?/;

/**
 * Splits an answer into the text before its first call and the calls. Text after the first call is dropped, as the
 * Hermes parsers do. Arguments are passed on as written, never repaired or re-serialised: the host's own contract says
 * they may be invalid JSON. An answer that was cut inside a call yields that call with the arguments so far, provided
 * its name was complete. Without one call that can be read everything stays text, as the host was seen to do.
 */
export function splitToolCalls(content: string): { readonly text: string; readonly calls: readonly ParsedCall[] } {
  const first = content.indexOf(OPEN);
  if (first < 0) return { text: content, calls: [] };
  const calls: ParsedCall[] = [];
  for (let at = first; at >= 0; ) {
    const start = at + OPEN.length;
    const end = closingTag(content, start);
    const call = readCall(content.slice(start, end < 0 ? undefined : end), end >= 0);
    if (call !== null) calls.push(call);
    at = end < 0 ? -1 : content.indexOf(OPEN, end + CLOSE.length);
  }
  return { text: calls.length > 0 ? content.slice(0, first) : content, calls };
}

/**
 * Where the call that starts at `start` closes, -1 when it never does. A closing tag inside an argument string is not
 * the end: the first tag that leaves valid JSON before it is. If none does, the call is broken anyway and ends at the first.
 */
function closingTag(content: string, start: number): number {
  const first = content.indexOf(CLOSE, start);
  for (let at = first, tries = 0; at >= 0 && tries < 8; at = content.indexOf(CLOSE, at + 1), tries++) {
    if (parseJson(content.slice(start, at)) !== undefined) return at;
  }
  return first;
}

function readCall(body: string, closed: boolean): ParsedCall | null {
  const head = HEAD.exec(body);
  const name = head?.[1] === undefined ? undefined : parseJson(`"${head[1]}"`);
  if (head === null || typeof name !== "string" || name === "") return null;
  let args = body.slice(head[0].length);
  // The last brace closes the call, not its arguments; an answer cut short may not have got that far.
  if (closed || parseJson(body) !== undefined) args = args.trimEnd().replace(/\}$/, "");
  return { name, arguments: args };
}
