import { gzipSync } from "node:zlib";
import type { Transmission, TransportFault } from "./fault.ts";

const fault = (
  streams: TransportFault["streams"],
  on: TransportFault["on"],
  summary: string,
  transmit: (transmission: Transmission, scale: number) => Partial<Transmission>,
): TransportFault => ({
  layer: "transport",
  streams,
  on,
  summary,
  transmit: (transmission, scale) => ({ ...transmission, ...transmit(transmission, scale) }),
});

/** How late the first byte is, and how far apart the trickle's are, in milliseconds before the scale. */
const SLOW_FIRST_BYTE_MS = 30_000;
const TRICKLE_MS = 1_000;

const text = ({ pieces }: Transmission): string => pieces.join("");
const eachPiece = ({ pieces }: Transmission, change: (piece: string) => string): string[] =>
  pieces.map((piece) => change(String(piece)));
const firstHalf = <T>(list: readonly T[]): readonly T[] => list.slice(0, Math.ceil(list.length / 2));

export const TRANSPORT_FAULTS = {
  "korean-split-utf8": fault(
    "both",
    "any",
    "Writes end in the middle of every character that is not ASCII, so no read holds one whole.",
    (t) => ({ pieces: splitCharacters(Buffer.from(text(t))), separate: true }),
  ),
  "done-missing": fault("stream", "any", "The stream ends without [DONE].", (t) => ({
    pieces: t.pieces.filter((piece) => piece !== "data: [DONE]\n\n"),
  })),
  "bytes-after-done": fault("stream", "any", "Another chunk and a comment follow [DONE].", (t) => ({
    pieces: [...t.pieces, ': late\n\ndata: {"choices":[]}\n\n'],
  })),
  "truncated-json": fault(
    "both",
    "any",
    "The body ends halfway through its JSON, cleanly; in a stream the last chunk before [DONE] does.",
    (t) => {
      if (t.pieces.length === 1) return wholeBody(t, text(t).slice(0, Math.ceil(text(t).length / 2)));
      const at = t.pieces.length - 2;
      const chunk = String(t.pieces[at]).trimEnd();
      const halved = `${chunk.slice(0, Math.ceil(chunk.length / 2))}\n\n`;
      return { pieces: t.pieces.map((piece, index) => (index === at ? halved : piece)) };
    },
  ),
  "reset-mid-call": fault("both", "call", "The connection breaks inside a call's arguments.", (t) =>
    broken(t, '"tool_calls":['),
  ),
  "reset-mid-text": fault("both", "text", "The connection breaks halfway through the final answer.", (t) =>
    broken(t, '"content":"'),
  ),
  "reset-mid-think": fault(
    "stream",
    "think",
    "The connection breaks halfway through the stream's first half.",
    (t) => ({
      pieces: firstHalf(firstHalf(t.pieces)),
      separate: true,
      ending: "cut",
    }),
  ),
  "empty-body": fault("both", "any", "Status 200 and a body of no bytes.", (t) => wholeBody(t, "")),
  gzip: fault("both", "any", "The body is compressed, with Content-Encoding: gzip, though nobody asked.", (t) => {
    const body = gzipSync(Buffer.from(text(t)));
    const length = "content-length" in t.headers ? { "content-length": String(body.length) } : {};
    return { pieces: [body], headers: { ...t.headers, ...length, "content-encoding": "gzip" } };
  }),
  "slow-first-byte": fault("both", "any", "The first byte comes 30 seconds late.", ({ pace }, scale) => ({
    pace: {
      ...pace,
      firstMs: pace.firstMs + SLOW_FIRST_BYTE_MS * scale,
      lastMs: pace.lastMs + SLOW_FIRST_BYTE_MS * scale,
    },
  })),
  "stall-mid-stream": fault(
    "stream",
    "any",
    "After half of its chunks the stream says nothing more and stays open, until the client gives up.",
    ({ pieces }) => ({ pieces: firstHalf(pieces), ending: "hang" }),
  ),
  "slow-loris": fault(
    "both",
    "any",
    "The answer trickles: a second between any two chunks.",
    ({ pace, pieces }, scale) => ({
      separate: true,
      pace: { firstMs: pace.firstMs, lastMs: pace.firstMs + pieces.length * TRICKLE_MS * scale },
    }),
  ),
  "sse-crlf": fault("stream", "any", "Lines of the stream end with CR LF.", (t) => ({
    pieces: eachPiece(t, (piece) => piece.replaceAll("\n", "\r\n")),
  })),
  "sse-comments": fault("stream", "any", "Comments, event names and ids stand between the chunks.", (t) => ({
    pieces: eachPiece(t, (piece) => `: keep-alive\n\nevent: message\nid: 1\n${piece}`),
  })),
  "sse-no-space": fault("stream", "any", "No space follows data: in the stream's lines.", (t) => ({
    pieces: eachPiece(t, (piece) => piece.replace(/^data: /, "data:")),
  })),
} as const satisfies Record<string, TransportFault>;

/** The same transmission with another body, its length said rightly. */
function wholeBody({ headers }: Transmission, body: string): Partial<Transmission> {
  const length = "content-length" in headers ? { "content-length": String(Buffer.byteLength(body)) } : {};
  return { pieces: [body], headers: { ...headers, ...length } };
}

/** Cut in the middle of what holds `mark`: of the chunks that do in a stream, of the text after it in a whole body. */
function broken(transmission: Transmission, mark: string): Partial<Transmission> {
  const { pieces } = transmission;
  const held = pieces.flatMap((piece, index) => (String(piece).includes(mark) ? [index] : []));
  if (pieces.length > 1) {
    const middle = held[Math.floor(held.length / 2)] ?? Math.floor(pieces.length / 2);
    return { pieces: pieces.slice(0, middle), separate: true, ending: "cut" };
  }
  const body = text(transmission);
  const from = Math.max(0, body.indexOf(mark));
  return { pieces: [body.slice(0, Math.ceil((from + body.length) / 2))], ending: "cut" };
}

/** Cut after the first byte of every character of several bytes. */
function splitCharacters(bytes: Buffer): Buffer[] {
  const pieces: Buffer[] = [];
  let start = 0;
  for (let at = 0; at < bytes.length; at++) {
    // 0b11xxxxxx begins a character of several bytes.
    if (((bytes[at] ?? 0) & 0xc0) !== 0xc0) continue;
    pieces.push(bytes.subarray(start, at + 1));
    start = at + 1;
  }
  return [...pieces, bytes.subarray(start)];
}
