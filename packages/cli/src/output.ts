import { styleText } from "node:util";
import { cut, harmless, oneLine, pad, widthOf } from "./format.ts";

export type Style = "bold" | "dim" | "red" | "green" | "yellow" | "cyan";
export type Cell = string | { readonly text: string; readonly style?: Style; readonly right?: true };
/** A table's columns by their titles. */
export type Columns<T> = Readonly<Record<string, (item: T) => Cell>>;

/** One of the process's two streams. */
export interface Channel {
  readonly isTTY: boolean;
  readonly columns: number;
  write(text: string): void;
  style(style: Style, text: string): string;
}

/** What the command answers goes to `out`; what it says about that goes to `err`, so that a pipe has only the former. */
export interface Output {
  readonly out: Channel;
  readonly err: Channel;
  /** A line of the answer. */
  line(text?: string): void;
  /** A line about it, always. */
  note(text: string): void;
  /** A line about it that only somebody who watches wants. */
  progress(text: string): void;
  json(value: unknown): void;
  /** One value on one line, of many. */
  ndjson(value: unknown): void;
  table<T>(items: readonly T[], columns: Columns<T>): void;
  /** Names and values, one a line. */
  facts(facts: Readonly<Record<string, Cell | null>>): void;
  colour(wanted: boolean): void;
}

interface Stream {
  readonly isTTY?: boolean;
  readonly columns?: number;
  write(text: string): boolean;
}

export function createOutput(stdout: Stream, stderr: Stream, wanted: boolean | undefined): Output {
  let colour = wanted;
  const channel = (stream: Stream): Channel => ({
    isTTY: stream.isTTY === true,
    get columns() {
      return stream.columns ?? 80;
    },
    write: (text) => void stream.write(text),
    // Whether there are colours is decided here: Node's own look at the environment would decide anew.
    style: (style, text) =>
      text === "" || !(colour ?? stream.isTTY === true) ? text : styleText(style, text, { validateStream: false }),
  });
  const out = channel(stdout);
  const err = channel(stderr);
  const line = (text = "") => out.write(`${text}\n`);
  const parts = (cell: Cell) => (typeof cell === "string" ? { text: cell } : cell);

  return {
    out,
    err,
    line,
    note: (text) => err.write(`${text}\n`),
    progress(text) {
      if (err.isTTY) err.write(`${text}\n`);
    },
    json: (value) => line(JSON.stringify(value, null, 2)),
    ndjson: (value) => line(JSON.stringify(value)),
    table(items, columns) {
      const titles = Object.keys(columns);
      const rows = items.map((item) =>
        titles.map((title) => {
          const { text, ...how } = parts(columns[title]?.(item) ?? "");
          return { text: oneLine(text), ...how } as { text: string; style?: Style; right?: true };
        }),
      );
      const widths = titles.map((title, index) =>
        Math.max(widthOf(title), ...rows.map((row) => widthOf(row[index]?.text ?? ""))),
      );
      const show = (cells: readonly { text: string; style?: Style; right?: true }[]) => {
        let used = 0;
        const shown = cells.map(({ text, style, right }, index) => {
          const last = index === cells.length - 1;
          // Only a person's window has an edge; what reads a pipe wants all of it.
          const room = last && out.isTTY ? Math.max(10, out.columns - used) : Number.POSITIVE_INFINITY;
          const padded = last && right !== true ? cut(text, room) : pad(text, widths[index] ?? 0, right);
          used += (widths[index] ?? 0) + 2;
          return style === undefined ? padded : out.style(style, padded);
        });
        line(shown.join("  ").trimEnd());
      };
      show(
        titles.map((title, index) => ({
          text: title,
          style: "dim" as const,
          ...(rows.some((row) => row[index]?.right) ? { right: true as const } : {}),
        })),
      );
      for (const row of rows) show(row);
    },
    facts(facts) {
      const known = Object.entries(facts).filter((entry): entry is [string, Cell] => entry[1] !== null);
      const width = Math.max(...known.map(([name]) => widthOf(name)));
      for (const [name, cell] of known) {
        const { text, style } = parts(cell) as { text: string; style?: Style };
        const shown = harmless(text).replaceAll("\n", `\n${" ".repeat(width + 2)}`);
        line(`${out.style("dim", pad(name, width))}  ${style === undefined ? shown : out.style(style, shown)}`);
      }
    },
    colour(value) {
      colour = value;
    },
  };
}
