/** The text without what Postgres cannot store: NUL characters go, half surrogate pairs become U+FFFD. */
export function storableText(text: string): string {
  return text.replaceAll("\0", "").toWellFormed();
}
