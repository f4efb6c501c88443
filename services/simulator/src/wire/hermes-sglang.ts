import { pythonJson } from "../python-json.ts";
import { isObject } from "../validation-error.ts";
import type { ParsedCall } from "./hermes.ts";
import type { CallParts } from "./hermes-vllm.ts";
import { readPartialJson } from "./partial-json.ts";
import { partialTag } from "./pieces.ts";

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";

/**
 * SGLang's one-time Hermes parser. It reads one JSON value after each opening tag, so a closing tag inside a string
 * does no harm; at the first that is broken it stops and keeps the calls before it. Calls of tools that were not
 * offered are dropped. Without any call left the whole text is content.
 */
export function detectCalls(
  content: string,
  toolNames: readonly string[],
): { readonly text: string; readonly calls: readonly ParsedCall[] } {
  const first = content.indexOf(OPEN);
  const calls: ParsedCall[] = [];
  for (let at = first; at >= 0; ) {
    const start = at + OPEN.length;
    const read = readPartialJson(content.slice(start), false);
    if (read?.complete !== true) break;
    const call = read.value;
    if (isObject(call) && typeof call.name === "string" && toolNames.includes(call.name)) {
      calls.push({ name: call.name, arguments: pythonJson(argumentsOf(call)) });
    }
    at = content.indexOf(OPEN, start + read.end);
  }
  return calls.length > 0 ? { text: content.slice(0, first).trim(), calls } : { text: content, calls };
}

/**
 * SGLang's incremental Hermes parser: the name once its JSON string is closed, then the arguments as far as two
 * successive partial readings agree, the rest when the object closes. Broken JSON sends nothing more. A tool that was
 * not offered empties the buffer, so the rest of its call comes out as text.
 */
export function createDetectorStream(toolNames: readonly string[], ascii: boolean): (piece: string) => CallParts {
  let buffer = "";
  let index = 0;
  let named = false;
  let sent = "";
  let previous: string | null = null;
  const dump = (value: unknown): string => (ascii ? toAscii(pythonJson(value)) : pythonJson(value));

  const step = (): CallParts => {
    const open = buffer.indexOf(OPEN);
    if (open !== 0) {
      const until = open > 0 ? open : buffer.length - partialTag(buffer, OPEN);
      const content = buffer.slice(0, until).replaceAll(CLOSE, "");
      buffer = buffer.slice(until);
      return { content, parts: [] };
    }
    const read = readPartialJson(buffer.slice(OPEN.length), named);
    const call = read?.value;
    if (read === undefined || !isObject(call)) return { content: "", parts: [] };
    if (call.name !== undefined && !toolNames.includes(String(call.name))) {
      buffer = "";
      named = false;
      return { content: "", parts: [] };
    }
    if (!named) {
      if (typeof call.name !== "string") return { content: "", parts: [] };
      named = true;
      return { content: "", parts: [{ index, name: call.name, arguments: "" }] };
    }
    const whole = dump(argumentsOf(call));
    if (!read.complete && (whole === previous || whole === "{}")) return { content: "", parts: [] };
    const until = read.complete ? whole : previous === null ? "" : commonStart(previous, whole);
    const part = { index, arguments: until.slice(sent.length) };
    previous = whole;
    sent = until.length > sent.length ? until : sent;
    if (read.complete) {
      buffer = buffer.slice(OPEN.length + read.end);
      [named, sent, previous, index] = [false, "", null, index + 1];
    }
    return { content: "", parts: part.arguments === "" ? [] : [part] };
  };

  return (piece) => {
    buffer += piece;
    let content = "";
    const parts: CallParts["parts"][number][] = [];
    // SGLang sends one item for each step; steps without a new token only happen here, at a call's end.
    for (let before = -1; before !== buffer.length + parts.length; ) {
      before = buffer.length + parts.length;
      const sentNow = step();
      content += sentNow.content;
      parts.push(...sentNow.parts);
    }
    return { content, parts };
  };
}

/** SGLang takes `parameters` for `arguments`; nothing at all is an empty object. */
function argumentsOf(call: Readonly<Record<string, unknown>>): unknown {
  return call.parameters || (call.arguments ?? {});
}

function commonStart(a: string, b: string): string {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  return a.slice(0, at);
}

function toAscii(json: string): string {
  return json.replace(/[\u0080-\uffff]/g, (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`);
}
