import { InvalidRequest } from "@maru/sdk";
import { inWords } from "./failure.ts";
import { harmless, widthOf } from "./format.ts";
import { type Bundle, IncompleteManifests } from "./manifests.ts";
import type { Output } from "./output.ts";

/** A mistake in a file, at its place as far as that is known. */
export interface Mistake {
  readonly file: string;
  readonly line?: number;
  readonly column?: number;
  readonly pointer: string;
  readonly detail: string;
  readonly suggestion?: string;
}

/** The mistakes an error says manifests have; null for errors of other kinds. */
export function mistakesOf(error: unknown, bundle: Bundle | null): readonly Mistake[] | null {
  if (error instanceof IncompleteManifests) return error.mistakes;
  if (!(error instanceof InvalidRequest) || error.problem.errors === undefined || bundle === null) return null;
  return error.problem.errors.map(({ pointer, detail, suggestion, ...place }) => ({
    ...bundle.place({ pointer, ...place }),
    pointer,
    detail,
    ...(suggestion === undefined ? {} : { suggestion }),
  }));
}

/** Shows what is wrong with manifests in their own lines, with a caret under each place. */
export function showMistakes(
  error: unknown,
  mistakes: readonly Mistake[],
  textOf: (file: string) => string | null,
  { err, note }: Output,
): void {
  const title = error instanceof InvalidRequest ? error.problem.title : inWords(error);
  const code = error instanceof InvalidRequest ? err.style("dim", ` (${error.code})`) : "";
  note(`${err.style("red", "error:")} ${title}${code}`);
  for (const { file, line, column, pointer, detail, suggestion } of mistakes) {
    const said = harmless(`${detail}${suggestion === undefined ? "" : ` Did you mean ${suggestion}?`}`);
    const text = line === undefined ? undefined : textOf(file)?.split(/\r?\n/)[line - 1];
    if (line === undefined || column === undefined || text === undefined) {
      note(`\n  ${err.style("bold", `${file} ${harmless(pointer)}`)}\n    ${said}`);
      continue;
    }
    const shown = harmless(text).replaceAll("\t", " ");
    const number = String(line);
    const gutter = (left: string) => err.style("dim", `  ${left.padStart(number.length)} │ `);
    // A caret stands under a character, whatever width those before it have.
    const before = " ".repeat(widthOf(shown.slice(0, column - 1)));
    note(`\n  ${err.style("bold", `${file}:${line}:${column}`)} ${err.style("dim", harmless(pointer))}`);
    note(`${gutter(number)}${shown}`);
    note(`${gutter("")}${before}${err.style("red", `^ ${said}`)}`);
  }
}
