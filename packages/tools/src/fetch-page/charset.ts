import { charsetOf, decode } from "../http/text.ts";

/** Bytes in which a page says what it is written in (HTML §13.2.3.2). */
const PRESCAN_BYTES = 1_024;

/** A page's text: by its byte order mark, the header's charset, the page's own word, or as UTF-8. */
export function decodePage(bytes: Buffer, contentType: string): string {
  return decode(bytes, markOf(bytes) ?? charsetOf(contentType) ?? declaredIn(bytes)).replaceAll("\0", "");
}

function markOf(bytes: Buffer): string | undefined {
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) return "utf-8";
  if (bytes[0] === 0xfe && bytes[1] === 0xff) return "utf-16be";
  if (bytes[0] === 0xff && bytes[1] === 0xfe) return "utf-16le";
  return undefined;
}

function declaredIn(bytes: Buffer): string | undefined {
  const head = bytes.toString("latin1", 0, PRESCAN_BYTES);
  const charset = /<meta\s[^>]*charset\s*=\s*["']?\s*([\w:.-]+)/i.exec(head)?.[1];
  // Who can be read so far is not written in two bytes a character.
  return charset !== undefined && /^utf-?16/i.test(charset) ? "utf-8" : charset;
}
