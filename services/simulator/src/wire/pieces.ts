const TAGS = /(<\/?think>|<\/?tool_call>)/;

/**
 * The model's text as the tokens of a stream bring it: the tags are single tokens, so no piece ever holds part of one;
 * what lies between them is cut by `slice`, inside long calls more coarsely.
 */
export function tokenPieces(raw: string, slice: (text: string) => readonly string[]): string[] {
  const parts = raw.split(TAGS);
  return parts.flatMap((part, index) => {
    if (index % 2 === 1) return [part];
    return parts[index - 1] === "<tool_call>" ? growing(slice(part)) : slice(part);
  });
}

/**
 * The same pieces, joined the more the longer the call already is. The parsers read a call again for every piece; with
 * pieces of one size a call of a hundred thousand characters would take minutes. Calls of up to some 400 are unchanged.
 */
function growing(pieces: readonly string[]): string[] {
  const joined: string[] = [];
  let length = 0;
  let held = "";
  for (const piece of pieces) {
    held += piece;
    length += piece.length;
    if (held.length * 64 < length) continue;
    joined.push(held);
    held = "";
  }
  return held === "" ? joined : [...joined, held];
}

/** How many characters at the end of `text` could begin `tag`. */
export function partialTag(text: string, tag: string): number {
  for (let length = Math.min(text.length, tag.length - 1); length > 0; length--) {
    if (tag.startsWith(text.slice(-length))) return length;
  }
  return 0;
}
