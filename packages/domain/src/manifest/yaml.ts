import type { AgentManifest } from "@maru/contract";
import { Document, visit } from "yaml";

/** What stands as it is in YAML's lines. */
const PRINTABLE = /^[\t\n\u0020-\u007e\u00a0-\u2027\u202a-\ud7ff\ue000-\ufefe\uff00-\ufffd\u{10000}-\u{10ffff}]*$/u;

/** A manifest as YAML that reads the same on every line: texts of several lines as `|` blocks, nothing folded. */
export function manifestYaml(manifest: AgentManifest): string {
  const document = new Document(manifest, { version: "1.2", schema: "core", aliasDuplicateObjects: false });
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
