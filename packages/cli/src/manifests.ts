import { readFileSync } from "node:fs";
import type { Cli } from "./cli.ts";
import { UsageError } from "./exit.ts";
import type { Source } from "./mistakes.ts";

/** The manifests that were named, `-` being standard input. Client-side includes are resolved here. @throws UsageError */
export async function readSources(files: readonly string[], { prompt }: Cli): Promise<Source[]> {
  const sources: Source[] = [];
  for (const file of files) {
    try {
      sources.push({ name: file, text: file === "-" ? await prompt.readAll() : readFileSync(file, "utf8") });
    } catch (error) {
      if (!(error instanceof Error) || !("code" in error)) throw error;
      throw new UsageError(
        error.code === "ENOENT" ? `There is no file ${file}.` : `${file} can't be read: ${error.message}`,
      );
    }
  }
  return sources;
}
