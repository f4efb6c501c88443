import type { MaruError } from "@maru/sdk";
import { inWords } from "./failure.ts";
import { harmless, widthOf } from "./format.ts";
import type { Output } from "./output.ts";

/** A manifest as it is sent, and the name it goes by in messages. */
export interface Source {
  readonly name: string;
  readonly text: string;
}

/** Shows what is wrong with a manifest in its own lines, with a caret under each place. */
export function showMistakes(error: MaruError, { name: file, text }: Source, { err, note }: Output): void {
  const name = file === "-" ? "standard input" : file;
  const lines = text.split(/\r?\n/);
  note(
    `${err.style("red", "error:")} ${harmless(error.problem.errors === undefined ? inWords(error) : error.problem.title)} ${err.style("dim", `(${error.code})`)}`,
  );
  for (const { pointer, detail, line, column, suggestion } of error.problem.errors ?? []) {
    const said = `${detail}${suggestion === undefined ? "" : ` Did you mean ${suggestion}?`}`;
    if (line === undefined || column === undefined || lines[line - 1] === undefined) {
      note(`\n  ${err.style("bold", `${name} ${harmless(pointer)}`)}\n    ${harmless(said)}`);
      continue;
    }
    const shown = harmless(lines[line - 1] ?? "").replaceAll("\t", " ");
    const number = String(line);
    const gutter = (left: string) => err.style("dim", `  ${left.padStart(number.length)} │ `);
    // A caret stands under a character, whatever width those before it have.
    const before = " ".repeat(widthOf(shown.slice(0, column - 1)));
    note(`\n  ${err.style("bold", `${name}:${line}:${column}`)} ${err.style("dim", harmless(pointer))}`);
    note(`${gutter(number)}${shown}`);
    note(`${gutter("")}${before}${err.style("red", `^ ${harmless(said)}`)}`);
  }
}
