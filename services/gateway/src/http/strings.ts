import { Problem } from "@maru/contract";

/** Escapes that may stand for what Postgres cannot store: NUL, and half of a surrogate pair. */
const SUSPECT = /\\u(?:0000|d[89a-f])/i;

/**
 * Refuses strings that cannot be stored. JSON can only bring them in as escapes, so the tree is walked only when the text
 * has one.
 * @throws Problem invalid_string with the pointer of the first
 */
export function refuseUnstorable(text: string, value: unknown): void {
  if (SUSPECT.test(text)) walk(value, "");
}

function walk(value: unknown, pointer: string): void {
  if (typeof value === "string") {
    if (value.includes("\0") || !value.isWellFormed()) {
      throw new Problem("invalid_string", "The string has a NUL character or half a surrogate pair.", {
        errors: [{ pointer, code: "invalid_string", detail: "NUL and unpaired surrogates cannot be stored." }],
      });
    }
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) {
      const place = `${pointer}/${key.replaceAll("~", "~0").replaceAll("/", "~1")}`;
      walk(key, place);
      walk(item, place);
    }
  }
}
