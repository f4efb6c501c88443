import type { CallBlock } from "./content.ts";
import { isObject, jsonObject, jsonText } from "./json.ts";

/** A call the model wrote as text instead of, or beside, a structured one. */
export interface TextCall {
  readonly name: string;
  readonly text: string;
}

/**
 * Reads the four shapes in which K-EXAONE was seen to write calls into its text. Only offered names count: the model also
 * writes calls of other programs' tools, above all when it was given none. A block without its end counts only when its
 * JSON is whole, and never when the answer was cut: arguments may be missing.
 */
export function textToolCalls(blocks: readonly CallBlock[], offered: readonly string[], cut: boolean): TextCall[] {
  return blocks.flatMap(({ body, closed }) => {
    if (cut && !closed) return [];
    const call = readJson(body.trim()) ?? (closed ? (readAttributes(body.trim()) ?? readXml(body.trim())) : null);
    return call !== null && offered.includes(call.name) ? [call] : [];
  });
}

/** `{"name": "TOOL", "arguments": {…}}`, and `{"name_TOOL": {…}}` */
function readJson(body: string): TextCall | null {
  const json = jsonObject(body);
  if (json === null) return null;
  if (typeof json.name === "string") {
    const { name, arguments: args = {} } = json;
    return { name, text: typeof args === "string" ? args : jsonText(args) };
  }
  const [[key, value] = ["", null], ...others] = Object.entries(json);
  return key.startsWith("name_") && isObject(value) && others.length === 0
    ? { name: key.slice("name_".length), text: jsonText(value) }
    : null;
}

/** `{"TOOL" name="TOOL" arguments={…}}`, with or without the outer brace */
function readAttributes(body: string): TextCall | null {
  // Without this the pattern would look for the end from each beginning.
  if (!body.endsWith("}")) return null;
  const [, name = "", text = ""] = /\bname\s*=\s*"([^"]+)"\s+arguments\s*=\s*(\{[\s\S]*\})$/.exec(body) ?? [];
  if (name === "") return null;
  const whole = [text, text.slice(0, -1)].find((each) => jsonObject(each) !== null);
  return whole === undefined ? null : { name, text: whole.trim() };
}

/** `TOOL<arg_key>k</arg_key><arg_value>v</arg_value>…`, the shape of GLM and HyperCLOVA X */
function readXml(body: string): TextCall | null {
  const [, name = ""] = /^([A-Za-z0-9_-]{1,64})\s*(?=<arg_key>|$)/.exec(body) ?? [];
  if (name === "") return null;
  return { name, text: jsonText(Object.fromEntries(xmlPairs(body))) };
}

/** By position and not by one pattern: that would try every end with every beginning. */
function* xmlPairs(body: string): Generator<[string, unknown]> {
  const between = /\s*<arg_value>/y;
  for (let at = body.indexOf(KEY); at >= 0; at = body.indexOf(KEY, at)) {
    const keyEnd = body.indexOf(KEY_END, at);
    if (keyEnd < 0) return;
    const key = body.slice(at + KEY.length, keyEnd).trim();
    at = between.lastIndex = keyEnd + KEY_END.length;
    if (!between.test(body)) continue;
    const valueEnd = body.indexOf(VALUE_END, between.lastIndex);
    if (valueEnd < 0) return;
    yield [key, literal(body.slice(between.lastIndex, valueEnd).trim())];
    at = valueEnd + VALUE_END.length;
  }
}
const KEY = "<arg_key>";
const KEY_END = "</arg_key>";
const VALUE_END = "</arg_value>";

/** The XML shape has no types: a JSON literal other than a string stands for itself. */
function literal(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? text : value;
  } catch {
    return text;
  }
}
