/** Bytes, and for each where in the original it comes from: `at[i]` to `at[i + 1]`. Null: the original itself. */
export interface View {
  readonly bytes: Buffer;
  readonly at: Uint32Array | null;
  /** Where each ends, where that is not where the next one begins. */
  readonly ends?: Uint32Array;
}

/** Levels of escapes in escapes that are undone: an error body in a JSON string in a JSON string has two. */
const MAX_LEVELS = 4;

/** The text, then with one level of escapes undone after the other, as long as there are any. */
export function viewsOf(bytes: Buffer): View[] {
  const views: View[] = [{ bytes, at: null }];
  for (let level = 0; level < MAX_LEVELS; level++) {
    const next = unescaped(views[level] as View);
    if (next === null) break;
    views.push(next);
  }
  return views;
}

const PERCENT = 0x25;
const AMPERSAND = 0x26;
const BACKSLASH = 0x5c;
const SEMICOLON = 0x3b;
/** `&`, `#`, eight characters and `;`. */
const LONGEST_ENTITY = 11;
const ENTITIES: Readonly<Record<string, number>> = { amp: 0x26, lt: 0x3c, gt: 0x3e, quot: 0x22, apos: 0x27 };
const SHORT: Readonly<Record<string, number>> = {
  '"': 0x22,
  "'": 0x27,
  "/": 0x2f,
  "\\": 0x5c,
  b: 0x08,
  f: 0x0c,
  n: 0x0a,
  r: 0x0d,
  t: 0x09,
};

/**
 * One level of escapes undone: percent-encoding, backslash escapes of JSON and programming languages, entities of HTML.
 * Null when there are none. All kinds at once: a text may have been through several, and what is looked for in it is
 * undone in the same way (forms.ts).
 */
export function unescaped({ bytes, at }: View): View | null {
  if (!bytes.includes(PERCENT) && !bytes.includes(BACKSLASH) && !bytes.includes(AMPERSAND)) return null;
  const out = Buffer.allocUnsafe(bytes.length);
  const from = new Uint32Array(bytes.length + 1);
  let length = 0;
  let changed = false;
  const put = (byte: number, index: number) => {
    from[length] = at === null ? index : (at[index] as number);
    out[length++] = byte;
  };
  for (let index = 0; index < bytes.length; ) {
    const byte = bytes[index] as number;
    const written = byte === PERCENT || byte === BACKSLASH || byte === AMPERSAND ? escapeAt(bytes, index, byte) : null;
    if (written === null) put(byte, index++);
    else {
      changed = true;
      // All bytes of one escape come from its beginning, but for the last, whose end is the escape's.
      for (const item of written.bytes) put(item, index);
      index += written.length;
    }
  }
  from[length] = at === null ? bytes.length : (at[bytes.length] as number);
  return changed ? { bytes: out.subarray(0, length), at: from.subarray(0, length + 1) } : null;
}

/** What stands escaped at a place. Never more bytes than it takes there. */
function escapeAt(bytes: Buffer, index: number, kind: number): { bytes: readonly number[]; length: number } | null {
  if (kind === PERCENT) {
    const byte = hexAt(bytes, index + 1, 2);
    return byte === null ? null : { bytes: [byte], length: 3 };
  }
  if (kind === AMPERSAND) {
    let close = index + 2;
    while (close < index + LONGEST_ENTITY && bytes[close] !== SEMICOLON) close++;
    if (bytes[close] !== SEMICOLON) return null;
    const [whole, name = ""] = /^&(#?\w{1,8});/.exec(bytes.toString("latin1", index, close + 1)) ?? [];
    if (whole === undefined) return null;
    const code = name.startsWith("#")
      ? /^#x/i.test(name)
        ? Number.parseInt(name.slice(2), 16)
        : Number(name.slice(1))
      : ENTITIES[name];
    if (code === undefined || !(code >= 0 && code <= 0x10ffff)) return null;
    return { bytes: utf8(code), length: whole.length };
  }
  const letter = String.fromCharCode(bytes[index + 1] ?? 0);
  const short = SHORT[letter];
  if (short !== undefined) return { bytes: [short], length: 2 };
  if (letter === "x") {
    const byte = hexAt(bytes, index + 2, 2);
    return byte === null ? null : { bytes: [byte], length: 4 };
  }
  if (letter !== "u") return null;
  const unit = hexAt(bytes, index + 2, 4);
  if (unit === null) return null;
  const low =
    unit >= 0xd800 && unit < 0xdc00 && bytes[index + 6] === BACKSLASH && bytes[index + 7] === 0x75
      ? hexAt(bytes, index + 8, 4)
      : null;
  if (low === null) return { bytes: utf8(unit), length: 6 };
  return { bytes: [...Buffer.from(String.fromCharCode(unit, low))], length: 12 };
}

const utf8 = (code: number): number[] => (code < 0x80 ? [code] : [...Buffer.from(String.fromCodePoint(code))]);

function hexAt(bytes: Buffer, index: number, digits: number): number | null {
  let value = 0;
  for (let end = index + digits; index < end; index++) {
    const digit = hexDigit(bytes[index] ?? 0);
    if (digit < 0) return null;
    value = value * 16 + digit;
  }
  return value;
}

const hexDigit = (byte: number): number =>
  byte >= 0x30 && byte <= 0x39
    ? byte - 0x30
    : byte >= 0x41 && byte <= 0x46
      ? byte - 0x37
      : byte >= 0x61 && byte <= 0x66
        ? byte - 0x57
        : -1;

/** Without white space, and with the URL alphabet of base64 turned into the standard one: lines of encoded text as one. */
export function squeezed({ bytes, at }: View): View {
  const out = Buffer.allocUnsafe(bytes.length);
  const from = new Uint32Array(bytes.length);
  const ends = new Uint32Array(bytes.length);
  let length = 0;
  for (let index = 0; index < bytes.length; index++) {
    const byte = bytes[index] as number;
    if (byte === 0x20 || (byte >= 0x09 && byte <= 0x0d)) continue;
    from[length] = at === null ? index : (at[index] as number);
    ends[length] = at === null ? index + 1 : (at[index + 1] as number);
    out[length++] = byte === 0x2d ? 0x2b : byte === 0x5f ? 0x2f : byte;
  }
  return { bytes: out.subarray(0, length), at: from, ends };
}
