import { Document, isScalar, LineCounter, parseAllDocuments, visit } from "yaml";
import { nodeAt, type Place, placeAt, pointerOf } from "./places.ts";

export interface Rendered {
  readonly text: string;
  /** A place of the rendered text within the text that stands at a path; null when it is not inside, or can't be told. */
  within(document: number, path: readonly (string | number)[], place: Place): Place | null;
}

/** Manifests with values put in at some paths, as YAML in which a text of several lines keeps its lines. */
export function render(
  documents: readonly Document[],
  replacements: readonly (readonly { readonly path: readonly (string | number)[]; readonly value: unknown }[])[],
): Rendered {
  const text = documents
    .map((document, index) => {
      const value = document.toJS({ maxAliasCount: 0 });
      for (const { path, value: put } of replacements[index] ?? []) setIn(value, path, put);
      return written(value);
    })
    .join("---\n");
  const lines = new LineCounter();
  const rendered = parseAllDocuments(text, { lineCounter: lines, prettyErrors: false, version: "1.2", schema: "core" });
  return {
    text,
    within(number, path, { line, column }) {
      const document = Array.isArray(rendered) ? rendered[number] : undefined;
      if (document === undefined) return null;
      const { node, found } = nodeAt(document, pointerOf(path));
      if (!found || !isScalar(node) || node.type !== "BLOCK_LITERAL" || typeof node.value !== "string") return null;
      const inside = line - placeAt(lines, node.range?.[0] ?? 0).line;
      if (inside < 1) return null;
      const indented = text.split("\n")[line - 1] ?? "";
      const original = node.value.split("\n")[inside - 1];
      if (original === undefined) return null;
      return { line: inside, column: Math.max(1, column - (indented.length - original.length)) };
    },
  };
}

/** What stands as it is in YAML's lines. */
const PRINTABLE = /^[\t\n\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u;

function written(value: unknown): string {
  const document = new Document(value, { version: "1.2", schema: "core", aliasDuplicateObjects: false });
  visit(document, {
    Scalar(key, node) {
      if (typeof node.value !== "string" || key === "key") return;
      if (!PRINTABLE.test(node.value)) node.type = "QUOTE_DOUBLE";
      // A block of nothing but blanks would be read as none.
      else if (node.value.includes("\n")) node.type = /\S/.test(node.value) ? "BLOCK_LITERAL" : "QUOTE_DOUBLE";
    },
  });
  return document.toString({ lineWidth: 0, doubleQuotedAsJSON: true, blockQuote: "literal" });
}

function setIn(root: unknown, path: readonly (string | number)[], value: unknown): void {
  let parent = root as Record<string | number, unknown>;
  for (const token of path.slice(0, -1)) parent = parent[token] as Record<string | number, unknown>;
  parent[path.at(-1) as string | number] = value;
}
