/**
 * JSON text as Python's `json.dumps(value, ensure_ascii=False)` writes it: `", "` between members, `": "` after keys.
 * K-EXAONE's chat template renders tools and arguments with it, so the prompt's token count depends on it.
 * One difference is left: a float without fraction (`1.0`) has lost its `.0` when JavaScript parsed it.
 */
export function pythonJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(pythonJson).join(", ")}]`;
  if (value !== null && typeof value === "object") {
    let members = "";
    for (const key of Object.keys(value)) {
      const member = (value as Record<string, unknown>)[key];
      if (member === undefined) continue;
      members += `${members === "" ? "" : ", "}${JSON.stringify(key)}: ${pythonJson(member)}`;
    }
    return `{${members}}`;
  }
  return JSON.stringify(value) ?? "null";
}

/** A parsed JSON object, or null when `text` is no JSON, no object, or nested deeper than `maxDepth`. */
export function parseObject(text: string, maxDepth = 64): Record<string, unknown> | null {
  const value = parseJson(text);
  if (value === undefined || value === null || typeof value !== "object" || Array.isArray(value)) return null;
  return deeperThan(value, maxDepth) ? null : (value as Record<string, unknown>);
}

/** The value of a JSON text; undefined when it is not JSON. */
export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * Whether a JSON value is nested deeper than `maxDepth` levels. Walks with its own stack: the point is to find values
 * that would overflow the call stack of anything recursive, so this must not recurse itself.
 */
export function deeperThan(value: unknown, maxDepth: number): boolean {
  const stack: { readonly node: unknown; readonly depth: number }[] = [{ node: value, depth: 1 }];
  for (let top = stack.pop(); top !== undefined; top = stack.pop()) {
    if (top.node === null || typeof top.node !== "object") continue;
    if (top.depth > maxDepth) return true;
    for (const child of Object.values(top.node)) {
      if (child !== null && typeof child === "object") stack.push({ node: child, depth: top.depth + 1 });
    }
  }
  return false;
}
