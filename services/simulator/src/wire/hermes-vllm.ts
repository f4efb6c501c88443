import { parseJson, parseObject, pythonJson } from "../python-json.ts";
import type { ParsedCall } from "./hermes.ts";
import { partialTag } from "./pieces.ts";

const OPEN = "<tool_call>";
const CLOSE = "</tool_call>";
/** Python gives up on JSON nested more deeply than about its recursion limit. */
const MAX_DEPTH = 900;

/**
 * vLLM's one-time Hermes parser. Each block ends at the first closing tag, the last may stay open; if any block is not
 * JSON with `name` and `arguments`, there are no calls at all and the whole text is content: that is the leak.
 * Arguments are parsed and written again with Python's spacing. Text after the first call is dropped.
 */
export function extractCalls(content: string): { readonly text: string | null; readonly calls: readonly ParsedCall[] } {
  const first = content.indexOf(OPEN);
  if (first < 0) return { text: content, calls: [] };
  const calls: ParsedCall[] = [];
  for (const [, closed, open] of content.matchAll(/<tool_call>([\s\S]*?)<\/tool_call>|<tool_call>([\s\S]*)/g)) {
    const call = parseObject(closed || (open ?? ""), MAX_DEPTH);
    if (typeof call?.name !== "string" || !("arguments" in call)) return { text: content, calls: [] };
    calls.push({ name: call.name, arguments: pythonJson(call.arguments) });
  }
  return { text: first === 0 ? null : content.slice(0, first), calls };
}

/** What one more piece of text lets vLLM send: text, and any number of call parts. */
export interface CallParts {
  readonly content: string;
  readonly parts: readonly { readonly index: number; readonly name?: string; readonly arguments?: string }[];
}

/**
 * vLLM's incremental Hermes parser. It looks at the whole text again for each piece, sends a call's name once the name
 * is there, then raw slices of its arguments as they grow, broken or not. So bad JSON does not leak as text here.
 */
export function createCallStream(): (piece: string) => CallParts {
  const names: string[] = [];
  const sent: string[] = [];
  // Without the content that is already sent: an answer may be long, and each piece looks at all of this.
  let text = "";
  return (piece) => {
    text += piece;
    const first = text.indexOf(OPEN);
    const until = first >= 0 ? first : text.length - partialTag(text, OPEN);
    const content = text.slice(0, until);
    text = text.slice(until);
    const parts: { index: number; name?: string; arguments?: string }[] = [];
    for (const [index, region] of regionsOf(text).entries()) {
      if (names[index] === undefined) {
        const name = /"name"\s*:\s*"([^"]+)"/.exec(region)?.[1];
        // Calls are sent in their order: one whose name is not there yet holds back the next.
        if (name === undefined) break;
        names[index] = name;
        parts.push({ index, name });
      }
      const args = argumentsOf(region);
      const before = sent[index] ?? "";
      if (args === null || args.length <= before.length) continue;
      sent[index] = args;
      parts.push({ index, arguments: args.slice(before.length) });
    }
    return { content, parts };
  };
}

function regionsOf(text: string): string[] {
  const regions: string[] = [];
  for (let at = text.indexOf(OPEN); at >= 0; ) {
    const start = at + OPEN.length;
    const end = text.indexOf(CLOSE, start);
    regions.push(text.slice(start, end < 0 ? text.length - partialTag(text.slice(start), CLOSE) : end).trim());
    at = end < 0 ? -1 : text.indexOf(OPEN, end + CLOSE.length);
  }
  return regions;
}

/** The arguments so far: to the brace that closes them, or as much as there is. */
function argumentsOf(region: string): string | null {
  const head = /"arguments"\s*:\s*/.exec(region);
  if (head === null) return null;
  const raw = region.slice(head.index + head[0].length);
  const close = raw.startsWith("{") ? "}" : raw.startsWith("[") ? "]" : null;
  if (close === null) return parseJson(region) === undefined ? raw : raw.trimEnd().replace(/\}$/, "").trimEnd();
  let depth = 0;
  let inString = false;
  for (let at = 0; at < raw.length; at++) {
    const char = raw[at];
    if (inString && char === "\\") at++;
    else if (char === '"') inString = !inString;
    else if (inString) continue;
    else if (char === raw[0]) depth++;
    else if (char === close && --depth === 0) return raw.slice(0, at + 1);
  }
  return raw;
}
