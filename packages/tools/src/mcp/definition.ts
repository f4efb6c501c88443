import { createHash } from "node:crypto";
import { canonicalJson, storableText } from "@maru/domain";
import type { Tool } from "@modelcontextprotocol/client";
import type { ToolAnnotations } from "../kind.ts";

const MAX_DESCRIPTION = 2_048;
const MAX_TITLE = 128;
const NO_DESCRIPTION = "(The server does not say what this tool does.)";

const sha256 = (value: unknown): string => createHash("sha256").update(canonicalJson(value)).digest("hex");

interface Digests {
  readonly digest: string;
  readonly aboutDigest: string;
}

/** Of definitions as sessions list them, which are looked at by every call. */
const known = { trusting: new WeakMap<Tool, Digests>(), careful: new WeakMap<Tool, Digests>() };

/**
 * What of a definition a call relies on, and the rest. Hints count where they decide how a call is repeated; else they are what
 * the server says about itself.
 */
export function digestsOf(tool: Tool, trustAnnotations: boolean): Digests {
  const cache = trustAnnotations ? known.trusting : known.careful;
  const found = cache.get(tool);
  if (found !== undefined) return found;
  const { name, inputSchema, annotations = {}, title, description, outputSchema } = tool;
  const { readOnlyHint, idempotentHint, destructiveHint } = annotations;
  const digests = {
    digest: sha256([
      name,
      inputSchema,
      ...(trustAnnotations ? [{ readOnlyHint, idempotentHint, destructiveHint }] : []),
    ]),
    aboutDigest: sha256([title, description, annotations, outputSchema]),
  };
  cache.set(tool, digests);
  return digests;
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
