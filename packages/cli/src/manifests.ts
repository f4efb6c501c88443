import { readFileSync } from "node:fs";
import { basename, resolve } from "node:path";
import { ManifestError, type ResolvedManifest, resolveManifest, type ServerMistake } from "@maru/sdk/manifest";
import type { Cli } from "./cli.ts";
import { UsageError } from "./exit.ts";
import type { Mistake } from "./mistakes.ts";
import { filesOf, pathHere, pathIn, projectOf } from "./project.ts";

/** Standard input, as messages name it. */
const STDIN = "standard input";

/** Manifests as they are sent together. */
export interface Bundle {
  readonly text: string;
  /** How many manifests it is. */
  readonly documents: number;
  /** Where in the files what the API says of `text` is. */
  place(mistake: ServerMistake): Pick<Mistake, "file" | "line" | "column">;
  /** The text of a file that is named by `place`; null when it can't be read. */
  textOf(file: string): string | null;
}

/**
 * Reads manifests, puts in the environment and files they refer to, and joins them. `-` is standard input. Every file that is read,
 * or would be, is added to `touched`.
 * @throws UsageError, IncompleteManifests
 */
export async function readManifests(files: readonly string[], cli: Cli, touched = new Set<string>()): Promise<Bundle> {
  const texts = new Map<string, string>();
  const parts: (ResolvedManifest & { readonly named: (path: string) => string })[] = [];
  const mistakes: Mistake[] = [];
  for (const file of files) {
    const stdin = file === "-";
    const text = stdin ? await cli.prompt.readAll() : readFile(file);
    const project = projectOf(stdin ? "stdin.yaml" : file);
    const path = stdin ? pathIn(project, "stdin.yaml") : pathIn(project, file);
    const named = (of: string) => (of === path ? (stdin ? STDIN : file) : pathHere(project, of));
    texts.set(named(path), text);
    if (!stdin) touched.add(resolve(file));
    try {
      const resolved = await resolveManifest({ text, path, env: cli.config.env, files: filesOf(project, touched) });
      parts.push({ ...resolved, named });
    } catch (error) {
      if (!(error instanceof ManifestError)) throw error;
      mistakes.push(...error.mistakes.map((mistake) => ({ ...mistake, file: named(mistake.file) })));
    }
  }
  const textOf = (file: string) => texts.get(file) ?? readText(file);
  if (mistakes.length > 0) throw new IncompleteManifests(mistakes, textOf);

  let text = "";
  const starts: { readonly line: number; readonly document: number }[] = [];
  let documents = 0;
  for (const part of parts) {
    if (text !== "" && !part.text.startsWith("---")) text += "---\n";
    starts.push({ line: text.split("\n").length - 1, document: documents });
    text += part.text.endsWith("\n") ? part.text : `${part.text}\n`;
    documents += part.documents;
  }
  return {
    text,
    documents,
    place({ line, document, ...mistake }) {
      const index = starts.findLastIndex((start) =>
        line !== undefined ? start.line < line : document === undefined || start.document < document,
      );
      const start = starts[Math.max(0, index)] ?? { line: 0, document: 0 };
      const part = parts[Math.max(0, index)];
      const { file, ...place } = part?.place({
        ...mistake,
        ...(line === undefined ? {} : { line: line - start.line }),
        ...(document === undefined ? {} : { document: document - start.document }),
      }) ?? { file: "" };
      return { file: part?.named(file) ?? file, ...place };
    },
    textOf,
  };
}

/** What manifests refer to is not there. */
export class IncompleteManifests extends Error {
  readonly mistakes: readonly Mistake[];
  readonly textOf: (file: string) => string | null;
  constructor(mistakes: readonly Mistake[], textOf: (file: string) => string | null) {
    super("What the manifest refers to is not there");
    this.mistakes = mistakes;
    this.textOf = textOf;
  }
}

/** The text of a file that was named on the command line. @throws UsageError */
export function readFile(file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    const code = error instanceof Error && "code" in error ? error.code : "";
    throw new UsageError(
      code === "ENOENT" ? `There is no file ${file}.` : `${basename(file)} can't be read (${code}).`,
    );
  }
}

function readText(file: string): string | null {
  try {
    return readFileSync(file, "utf8");
  } catch {
    return null;
  }
}
