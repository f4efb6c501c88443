import { cutToBytes } from "../kind.ts";
import { type Form, formsOf } from "./forms.ts";
import { squeezed, type View, viewsOf } from "./views.ts";

/** A value that must not be read, and the name by which it is known. A name may have several: those before a change. */
export interface KnownSecret {
  readonly name: string;
  readonly value: string;
}

export interface Redactor {
  /** Bytes that must be read beyond a limit, so that what begins before it is seen whole. */
  readonly margin: number;
  redact(text: string): string;
  /** Whether bytes of whatever kind hold a secret, or can't be told not to. */
  holds(bytes: Uint8Array): boolean;
  /**
   * Redacted, then cut to a number of bytes: a secret cut in half would not be found any more. With `cutBefore` the text was
   * cut already, not before `maxBytes + margin`; its last part is then left out, since half a secret may stand there.
   */
  redactAndCut(text: string, maxBytes: number, cutBefore?: boolean): { text: string; truncated: boolean };
}

/** In place of a text in which secrets can't be told from the rest at a reasonable cost. */
const WITHHELD = "[withheld: it may hold a secret]";
/** Of bytes compared without a match, beyond some for each byte of the text: only a text made for it comes near. */
const COMPARISONS = 16_000_000;
/** Bytes that one of a secret takes at most where it is escaped several times over. */
const ESCAPED_BYTES = 16;
const ROUNDS = 3;

/** Replaces secrets, in whatever form forms.ts knows, by `[secret NAME]`. One pass over the text, however many they are. */
export function createRedactor(secrets: readonly KnownSecret[]): Redactor {
  const forms = secrets.map(({ value }, index) => formsOf(value, index));
  const plain = createMatcher(forms.flatMap((form) => form.plain));
  const encoded = createMatcher(forms.flatMap((form) => form.encoded));
  const longest = Math.max(0, ...secrets.map(({ value }) => Buffer.byteLength(value)));

  const find = (bytes: Buffer): Span[] => {
    const budget = { left: COMPARISONS + bytes.length * 16 };
    const spans: Span[] = [];
    for (const view of viewsOf(bytes)) {
      plain(view, budget, spans);
      encoded(squeezed(view), budget, spans);
    }
    return merged(spans);
  };
  const markers = secrets.map(({ name }) => {
    // A value may be part of the words that stand for it: NAME = "NAME".
    const words = [`[secret ${name}]`, "[secret]"].find((marker) => find(Buffer.from(marker)).length === 0);
    return Buffer.from(words ?? "***");
  });

  /** The bytes before `limit` with secrets replaced; null when there is no way to be rid of them. */
  const replaced = (source: Buffer, limit: number): Buffer | null => {
    let bytes = source;
    let end = limit;
    // What stands around a replaced secret can make another one with the words in its place.
    for (let round = 0; round < ROUNDS; round++) {
      const spans = find(bytes).filter(({ start }) => start < end);
      if (spans.length === 0) return bytes.subarray(0, end);
      const parts: Buffer[] = [];
      let from = 0;
      for (const { start, end: to, secret } of spans) {
        parts.push(bytes.subarray(from, start), markers[secret] as Buffer);
        from = to;
      }
      if (from < end) parts.push(bytes.subarray(from, end));
      bytes = Buffer.concat(parts);
      end = bytes.length;
    }
    return find(bytes).length === 0 ? bytes : null;
  };

  const margin = longest * ESCAPED_BYTES + 256;
  const redactAndCut: Redactor["redactAndCut"] = (text, maxBytes, cutBefore = false) => {
    const source = Buffer.from(text);
    const whole = source.length <= maxBytes + margin && !(cutBefore && source.length > maxBytes);
    const limit = whole ? source.length : characterEdge(source, maxBytes);
    try {
      const bytes = replaced(source.subarray(0, maxBytes + margin), limit);
      if (bytes !== null) return cutToBytes(bytes.toString("utf8"), maxBytes, source.length - limit);
    } catch (error) {
      if (!(error instanceof TooManyComparisons)) throw error;
    }
    return { text: WITHHELD, truncated: true };
  };
  return {
    margin,
    redactAndCut,
    holds: (bytes) => {
      try {
        return find(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)).length > 0;
      } catch (error) {
        if (error instanceof TooManyComparisons) return true;
        throw error;
      }
    },
    redact: (text) => redactAndCut(text, Buffer.byteLength(text) * ESCAPED_BYTES + 1_024).text,
  };
}

interface Span {
  readonly start: number;
  end: number;
  readonly secret: number;
}

class TooManyComparisons extends Error {}

/**
 * Finds every form in one pass: the first four bytes of each are in a filter that nearly all places of a text fail.
 * @throws TooManyComparisons when a text is made of beginnings of secrets
 */
function createMatcher(forms: readonly Form[]) {
  const filter = new Uint8Array(65_536);
  const byHead = new Map<number, Form[]>();
  for (const form of forms) {
    const head = form.bytes.readInt32LE(0);
    filter[slot(head)] = 1;
    byHead.set(head, [...(byHead.get(head) ?? []), form]);
  }
  return ({ bytes, at, ends }: View, budget: { left: number }, found: Span[]): void => {
    if (forms.length === 0 || bytes.length < 4) return;
    // The four bytes at `index`, little-endian: each step takes the next one in.
    let head = bytes.readInt32LE(0) << 8;
    for (let index = 0; index + 4 <= bytes.length; index++) {
      head = (head >>> 8) | ((bytes[index + 3] as number) << 24);
      if (filter[slot(head)] === 0) continue;
      for (const form of byHead.get(head) ?? []) {
        let length = 4;
        while (length < form.bytes.length && form.bytes[length] === bytes[index + length]) length++;
        budget.left -= length;
        if (budget.left < 0) throw new TooManyComparisons();
        if (length < form.bytes.length) continue;
        const start = form.before && isBase64(bytes[index - 1]) ? index - 1 : index;
        const end = index + length + (form.after && isBase64(bytes[index + length]) ? 1 : 0);
        found.push(
          at === null
            ? { start, end, secret: form.secret }
            : {
                start: at[start] as number,
                end: (ends === undefined ? at[end] : ends[end - 1]) as number,
                secret: form.secret,
              },
        );
      }
    }
  };
}

const slot = (head: number): number => Math.imul(head, 0x9e3779b1) >>> 16;

const isBase64 = (byte: number | undefined): boolean =>
  byte !== undefined &&
  ((byte >= 0x30 && byte <= 0x39) ||
    (byte >= 0x41 && byte <= 0x5a) ||
    (byte >= 0x61 && byte <= 0x7a) ||
    byte === 0x2b ||
    byte === 0x2f);

/** In order, those that overlap as one, which has the name of the longest. */
function merged(spans: Span[]): Span[] {
  const sorted = spans.sort((a, b) => a.start - b.start || b.end - a.end);
  const result: Span[] = [];
  for (const span of sorted) {
    const last = result.at(-1);
    if (last !== undefined && span.start < last.end) last.end = Math.max(last.end, span.end);
    else result.push({ ...span });
  }
  return result;
}

/** The last edge between characters at or before a byte. */
function characterEdge(bytes: Buffer, index: number): number {
  let edge = index;
  while (edge > 0 && ((bytes[edge] as number) & 0xc0) === 0x80) edge--;
  return edge;
}
