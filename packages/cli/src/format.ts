import { eastAsianWidth } from "get-east-asian-width";

/** Characters that move the cursor or change the terminal: what agents and tools say must not do that. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069]/g;

/** Text of others as a terminal may show it. */
export const harmless = (text: string): string => text.replaceAll("\r\n", "\n").replace(CONTROL, "�");

/** On one line. */
export const oneLine = (text: string): string => harmless(text).replace(/\s*\n\s*/g, " ");

/** Columns a text takes in a terminal. Of a grapheme the first character counts: what follows it stands on it. */
export function widthOf(text: string): number {
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    const code = segment.codePointAt(0) ?? 0;
    width += segment.includes("\ufe0f") ? 2 : eastAsianWidth(code);
  }
  return width;
}

/** At most so many columns, the last one an ellipsis where something is left out. */
export function cut(text: string, columns: number): string {
  if (widthOf(text) <= columns) return text;
  let kept = "";
  let width = 0;
  for (const { segment } of new Intl.Segmenter().segment(text)) {
    width += widthOf(segment);
    if (width > columns - 1) break;
    kept += segment;
  }
  return `${kept}…`;
}

export const pad = (text: string, columns: number, right = false): string => {
  const space = " ".repeat(Math.max(0, columns - widthOf(text)));
  return right ? space + text : text + space;
};

export const count = (value: number): string => value.toLocaleString("en-US");
export const counted = (value: number, what: string): string => `${count(value)} ${what}${value === 1 ? "" : "s"}`;

/** Millionths of a dollar as dollars, to the last one. */
export const dollars = (micros: number): string => `$${(micros / 1_000_000).toFixed(6)}`;

/** The same for prices, without noughts that say nothing. */
export const price = (micros: number): string => dollars(micros).replace(/(\.\d\d\d*?)0+$/, "$1");

/** To the second, as UTC. */
export const instant = (text: string): string => text.replace(/\.\d+Z$/, "Z");

export function duration(ms: number): string {
  if (ms < 1_000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(1)} s`;
  const minutes = Math.floor(ms / 60_000);
  return minutes < 60
    ? `${minutes} min ${Math.floor((ms % 60_000) / 1_000)} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/** Between two instants, the later one now where it is not known yet. */
export const elapsed = (from: string, to: string | null): string =>
  duration((to === null ? Date.now() : Date.parse(to)) - Date.parse(from));

export function bytes(size: number): string {
  if (size < 1_024) return `${size} B`;
  return size < 1_048_576 ? `${(size / 1_024).toFixed(1)} KiB` : `${(size / 1_048_576).toFixed(1)} MiB`;
}
