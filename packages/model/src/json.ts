/** The text's JSON value if that is an object, else null. */
export function jsonObject(text: string): Record<string, unknown> | null {
  try {
    const value: unknown = JSON.parse(text);
    return isObject(value) ? value : null;
  } catch {
    return null;
  }
}

export const isObject = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Stands for a value that can't be written down; no JSON, so whoever reads it as such is told. */
const UNWRITABLE = "(nested too deeply)";

/** A value as JSON text. */
export function jsonText(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return UNWRITABLE;
  }
}

/** Follows a text that may be a JSON object, piece by piece. */
export interface ObjectEnd {
  push(text: string): void;
  /** Whether the text so far is one object by its braces and strings, and nothing after it. */
  reached(): boolean;
}

export function createObjectEnd(): ObjectEnd {
  let depth = 0;
  let inString = false;
  let escaped = false;
  let begun = false;
  let wrong = false;
  return {
    push(text) {
      for (let at = 0; at < text.length && !wrong; at++) {
        const char = text.charCodeAt(at);
        if (escaped) escaped = false;
        else if (inString) {
          if (char === 92) escaped = true;
          else if (char === 34) inString = false;
        } else if (char > 32) {
          // Before the object there is nothing, and nothing after it.
          if (depth === 0 && (begun || char !== 123)) wrong = true;
          else if (char === 34) inString = true;
          else if (char === 123 || char === 91) depth++;
          else if (char === 125 || char === 93) depth--;
          begun = true;
        }
      }
    },
    reached: () => begun && depth === 0 && !wrong,
  };
}
