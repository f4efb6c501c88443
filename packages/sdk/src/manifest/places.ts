import { type Document, isCollection, isMap, isScalar, type LineCounter, type Node, type Pair } from "yaml";

/** A place in a text, both from 1. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

export const placeAt = (lines: LineCounter, offset: number): Place => {
  const { line, col } = lines.linePos(offset);
  return { line: Math.max(1, line), column: Math.max(1, col) };
};

export const tokensOf = (pointer: string): string[] =>
  pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));

export const pointerOf = (path: readonly (string | number)[]): string =>
  path.map((token) => `/${String(token).replaceAll("~", "~0").replaceAll("/", "~1")}`).join("");

/** The node a pointer leads to, or the last one on its way that is there, with where its key (or the item itself) stands. */
export function nodeAt(document: Document, pointer: string): { node: unknown; offset: number; found: boolean } {
  let node: unknown = document.contents;
  let offset = (node as Node | null)?.range?.[0] ?? 0;
  for (const token of tokensOf(pointer)) {
    if (isMap(node)) {
      const pair = node.items.find((item: Pair) => isScalar(item.key) && String(item.key.value) === token);
      if (pair === undefined) return { node, offset, found: false };
      offset = (pair.key as Node | null)?.range?.[0] ?? offset;
      node = pair.value;
    } else if (isCollection(node)) {
      const item = (node.items as unknown[])[Number(token)];
      if (item === undefined) return { node, offset, found: false };
      node = item;
      offset = (item as Node).range?.[0] ?? offset;
    } else return { node, offset, found: false };
  }
  return { node, offset, found: true };
}
