const TAGS = /(<\/?think>|<\/?tool_call>)/;

/**
 * The model's text as the tokens of a stream bring it: the tags are single tokens, so no piece ever holds part of one;
 * what lies between them is cut by `slice`.
 */
export function tokenPieces(raw: string, slice: (text: string) => readonly string[]): string[] {
  return raw.split(TAGS).flatMap((part, index) => (index % 2 === 1 ? [part] : slice(part)));
}

/** How many characters at the end of `text` could begin `tag`. */
export function partialTag(text: string, tag: string): number {
  for (let length = Math.min(text.length, tag.length - 1); length > 0; length--) {
    if (tag.startsWith(text.slice(-length))) return length;
  }
  return 0;
}
