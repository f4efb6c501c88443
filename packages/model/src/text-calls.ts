/** A call the model wrote as text instead of, or beside, a structured one. */
export interface TextCall {
  readonly name: string;
  readonly text: string;
}

const BLOCK = /<tool_call>([\s\S]*?)(?:<\/tool_call>|$)/g;

/**
 * Reads the four shapes in which K-EXAONE was seen to write calls into its text, and answers the text without them. Only
 * offered names count as calls; the blocks are never shown to anyone either way.
 */
export function textToolCalls(content: string, offered: readonly string[]): { calls: TextCall[]; rest: string } {
  if (!content.includes("<tool_call>")) return { calls: [], rest: content };
  const calls: TextCall[] = [];
  const rest = content.replace(BLOCK, (_block, body: string) => {
    const call = readBlock(body.trim(), offered);
    if (call !== null) calls.push(call);
    return "";
  });
  return { calls, rest };
}

function readBlock(body: string, offered: readonly string[]): TextCall | null {
  const json = parseObject(body);
  if (json !== null) {
    if (typeof json.name === "string") return accept(json.name, json.arguments ?? {}, offered);
    // {"name_TOOL": {…}}
    const [key, value] = Object.entries(json)[0] ?? [];
    if (key?.startsWith("name_") && typeof value === "object" && value !== null)
      return accept(key.slice(5), value, offered);
    return null;
  }
  // {"TOOL" name="TOOL" arguments={…}}
  const attributes = /name\s*=\s*"([^"]+)"\s+arguments\s*=\s*(\{[\s\S]*\})\s*\}?$/.exec(body);
  if (attributes !== null) {
    const [, name = "", text = ""] = attributes;
    return accept(name, parseObject(text) ?? parseObject(text.slice(0, -1)), offered);
  }
  // TOOL<arg_key>k</arg_key><arg_value>v</arg_value>
  const head = /^([A-Za-z0-9_-]{1,64})\s*(?=<arg_key>|$)/.exec(body);
  if (head === null) return null;
  const args: Record<string, unknown> = {};
  for (const [, key = "", value = ""] of body.matchAll(
    /<arg_key>([\s\S]*?)<\/arg_key>\s*<arg_value>([\s\S]*?)<\/arg_value>/g,
  )) {
    args[key.trim()] = literal(value.trim());
  }
  return accept(head[1] as string, args, offered);
}

function accept(name: string, args: unknown, offered: readonly string[]): TextCall | null {
  if (!offered.includes(name) || args === null) return null;
  return { name, text: typeof args === "string" ? args : JSON.stringify(args) };
}

function parseObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : null;
  } catch {
    return null;
  }
}

/** The XML shape has no types: a JSON literal other than a string stands for itself. */
function literal(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "string" ? text : value;
  } catch {
    return text;
  }
}
