/** What RFC 9110 §5.5 keeps out of a field value. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are the characters looked for
export const CONTROL_CHARACTERS = /[\0-\x08\x0a-\x1f\x7f]/;

/** Headers that are Maru's or the connection's own. */
const OWN_HEADERS = new Set([
  "host",
  "content-length",
  "transfer-encoding",
  "connection",
  "keep-alive",
  "upgrade",
  "te",
  "trailer",
  "expect",
  "proxy-authorization",
  "proxy-connection",
  "accept-encoding",
  "idempotency-key",
  "x-run-epoch",
  "user-agent",
]);
export const isOwnHeader = (name: string): boolean => OWN_HEADERS.has(name.toLowerCase());

/** Whether a text is a token of RFC 9110 §5.6.2, as the names of headers and cookies are. */
export const isToken = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/.test(text);

/** What is wrong with a header as a manifest gives it, beyond its template; null when nothing is. `own`: others that are Maru's. */
export function headerRefusal(name: string, value: string, own?: ReadonlySet<string>): string | null {
  if (!isToken(name)) return "This is not the name of a header.";
  if (isOwnHeader(name) || own?.has(name.toLowerCase())) return "Maru sets this header itself: leave it out.";
  return CONTROL_CHARACTERS.test(value) ? "A header's value must be one line." : null;
}

/** A text as the value of a header: UTF-8, for HTTP knows bytes only. */
export const headerValue = (text: string): string => Buffer.from(text, "utf8").toString("latin1");
