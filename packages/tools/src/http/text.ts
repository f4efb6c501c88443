const TEXTUAL =
  /^(?:text\/|application\/(?:[\w.+-]*\+)?(?:json|xml|yaml|javascript|x-www-form-urlencoded|problem\+json)\b)/i;

/** The media type of a Content-Type, in lower case and without parameters; empty when there is none. */
export const mediaTypeOf = (contentType: string): string =>
  (contentType.split(";", 1)[0] as string).trim().toLowerCase();

/** Whether bytes are text by the type they came with, or where they came without by their look. */
export const isText = (bytes: Buffer, contentType: string): boolean =>
  mediaTypeOf(contentType) === "" ? !bytes.includes(0) : TEXTUAL.test(contentType);

export const charsetOf = (contentType: string): string | undefined =>
  /charset\s*=\s*"?([\w:.-]+)/i.exec(contentType)?.[1];

/** In its charset, by default UTF-8; what is not valid in it becomes U+FFFD. */
export function decode(bytes: Buffer, charset = "utf-8"): string {
  try {
    return new TextDecoder(charset).decode(bytes);
  } catch {
    return new TextDecoder("latin1").decode(bytes);
  }
}
