import type { AgentManifest } from "@maru/contract";
import { Document, visit } from "yaml";

/** What can stand as it is in a `|` block: lines of printable characters, none of which ends in blanks. */
const BLOCK =
  /^(?:[\t\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*\n)+[^\n]*$/u;
const PLAIN = /^[\t\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u;

/** A manifest as YAML that reads the same on every line: texts of several lines as `|` blocks, nothing folded. */
export function manifestYaml(manifest: AgentManifest): string {
  const document = new Document(manifest, { version: "1.2", schema: "core", aliasDuplicateObjects: false });
  visit(document, {
    Scalar(key, node) {
      if (typeof node.value !== "string" || key === "key") return;
      if (node.value.includes("\n") && BLOCK.test(node.value) && !/[ \t]\n|^[ \t]|^\n/.test(node.value))
        node.type = "BLOCK_LITERAL";
      else if (!PLAIN.test(node.value)) node.type = "QUOTE_DOUBLE";
    },
  });
  return document.toString({ lineWidth: 0, doubleQuotedAsJSON: true, blockQuote: "literal" });
}
