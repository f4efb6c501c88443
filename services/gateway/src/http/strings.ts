import { isUtf8 } from "node:buffer";
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

/** The text of a body. @throws Problem invalid_string, with the place of the first byte that is not UTF-8 */
export function utf8(bytes: Buffer): string {
  const text = bytes.toString("utf8");
  if (isUtf8(bytes)) return text;
  const { line, column } = placeOf(text.slice(0, firstBroken(text, bytes)));
  const detail = "This is not UTF-8: save the file in that encoding.";
  throw new Problem("invalid_string", `${detail} (line ${line}, column ${column})`, {
    errors: [{ pointer: "", code: "invalid_string", detail, line, column }],
  });
}

/** Where in the decoded text a replacement character stands that the bytes do not have. */
function firstBroken(text: string, bytes: Buffer): number {
  let offset = 0;
  let from = 0;
  for (;;) {
    const index = text.indexOf("\ufffd", from);
    offset += Buffer.byteLength(text.slice(from, index));
    if (index < 0 || !REPLACEMENT.equals(bytes.subarray(offset, offset + REPLACEMENT.length))) return index;
    offset += REPLACEMENT.length;
    from = index + 1;
  }
}
const REPLACEMENT = Buffer.from("\ufffd");

function placeOf(before: string): { line: number; column: number } {
  const lines = before.split("\n");
  return { line: lines.length, column: (lines.at(-1)?.length ?? 0) + 1 };
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
