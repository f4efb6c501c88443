import { createHash } from "node:crypto";
import { canonicalJson, storableText } from "@maru/domain";
import type { Tool } from "@modelcontextprotocol/client";
import type { ToolAnnotations } from "../kind.ts";

const MAX_DESCRIPTION = 2_048;
const MAX_TITLE = 128;
const NO_DESCRIPTION = "(The server does not say what this tool does.)";

const sha256 = (value: unknown): string => createHash("sha256").update(canonicalJson(value)).digest("hex");

/**
 * What of a definition a call relies on, and the rest. Hints count where they decide how a call is repeated; else they are what
 * the server says about itself.
 */
export function digestsOf(tool: Tool, trustAnnotations: boolean): { digest: string; aboutDigest: string } {
  const { name, inputSchema, annotations = {}, title, description, outputSchema } = tool;
  const { readOnlyHint, idempotentHint, destructiveHint } = annotations;
  return {
    digest: sha256([
      name,
      inputSchema,
      ...(trustAnnotations ? [{ readOnlyHint, idempotentHint, destructiveHint }] : []),
    ]),
    aboutDigest: sha256([title, description, annotations, outputSchema]),
  };
}

/**
 * A server's text as it may stand in a prompt and a database: without characters that are not seen, by which instructions are hidden
 * from whoever reads a deployment's plan, and not longer than it has to be. Template marks are the model layer's (R9).
 */
export function plainText(text: string, most: number): string {
  const plain = storableText(text)
    .replace(/\r\n?/g, "\n")
    .replace(/[\p{Cc}\p{Cf}\p{Co}\p{Cn}\u2028\u2029]/gu, (character) =>
      character === "\n" || character === "\t" ? character : "",
    )
    .trim();
  if (plain.length <= most) return plain;
  return `${plain
    .slice(0, most - 1)
    .toWellFormed()
    .replace(/\ufffd$/, "")}…`;
}

export const descriptionOf = (tool: Tool): string =>
  plainText(tool.description ?? tool.annotations?.title ?? tool.title ?? "", MAX_DESCRIPTION) || NO_DESCRIPTION;

/** For the person who approves a call. */
export function annotationsOf({ title, annotations }: Tool): ToolAnnotations | undefined {
  const shown = plainText(title ?? annotations?.title ?? "", MAX_TITLE);
  const found = {
    ...(shown === "" ? {} : { title: shown }),
    ...(annotations?.readOnlyHint === undefined ? {} : { readOnly: annotations.readOnlyHint }),
    ...(annotations?.destructiveHint === undefined ? {} : { destructive: annotations.destructiveHint }),
  };
  return Object.keys(found).length === 0 ? undefined : found;
}
