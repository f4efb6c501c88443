import { unescaped } from "./views.ts";

/** Bytes to look for. */
export interface Form {
  readonly bytes: Buffer;
  /** Index of the secret it is a form of. */
  readonly secret: number;
  /** Whether the base64 character before, or after, holds some of the secret's bits too. */
  readonly before?: boolean;
  readonly after?: boolean;
}

/** Shorter than this it would be found in ordinary text. */
const MIN_BYTES = 8;

/**
 * How a secret can stand in a text: `plain` forms, looked for in the text and in what it says with its escapes undone, and
 * `encoded` ones (hex, base64), looked for in the same without white space.
 */
export function formsOf(value: string, secret: number): { plain: Form[]; encoded: Form[] } {
  const plain = new Map<string, Form>();
  const encoded: Form[] = [];
  const add = (bytes: Buffer) => {
    if (bytes.length >= MIN_BYTES) plain.set(bytes.toString("latin1"), { bytes, secret });
  };
  // A header's bytes that a server reads as Latin-1, as Node does, and writes as UTF-8.
  const misread = Buffer.from(value, "utf8").toString("latin1");
  for (const text of new Set([value, misread])) {
    const json = JSON.stringify(text).slice(1, -1);
    const component = encodeURIComponent(text);
    const form = new URLSearchParams([["", text]]).toString().slice(1);
    // Most are found where escapes are undone, too; but there what stands before or after can be taken for part of one.
    for (const written of [text, json, asciiJson(json), asciiJson(json, true), component, form, ...htmlForms(text)])
      add(Buffer.from(written));
    for (const written of everyCharacter(text)) add(Buffer.from(written));
    add(Buffer.from(JSON.stringify(json).slice(1, -1)));
    add(Buffer.from(encodeURIComponent(component)));
    for (const written of [component, form]) add(Buffer.from(written.replace(/%../g, (hex) => hex.toLowerCase())));
    // A value that itself looks escaped is undone together with the text around it.
    for (let bytes = Buffer.from(text); ; ) {
      const next = unescaped({ bytes, at: null });
      if (next === null) break;
      bytes = Buffer.from(next.bytes);
      add(bytes);
    }
    const bytes = Buffer.from(text);
    for (const hex of [bytes.toString("hex"), bytes.toString("hex").toUpperCase()])
      encoded.push({ bytes: Buffer.from(hex), secret });
    for (const written of new Set([text, json, component])) encoded.push(...base64Forms(Buffer.from(written), secret));
  }
  return { plain: [...plain.values()], encoded };
}

/** As HTML's content, or an attribute of it, with the quotes that different libraries escape. */
function htmlForms(text: string): string[] {
  const content = text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
  const attribute = content.replaceAll('"', "&quot;");
  return [
    content,
    attribute,
    ...["&#39;", "&#x27;", "&#039;", "&apos;"].map((quote) => attribute.replaceAll("'", quote)),
  ];
}

/** With each character escaped, needed or not. */
function everyCharacter(text: string): string[] {
  const units = Array.from({ length: text.length }, (_, at) => text.charCodeAt(at).toString(16).padStart(4, "0"));
  const bytes = [...Buffer.from(text)].map((byte) => byte.toString(16).padStart(2, "0"));
  const points = Array.from(text, (char) => char.codePointAt(0) as number);
  return [
    ...[units, units.map((unit) => unit.toUpperCase())].map((hex) => hex.map((unit) => `\\u${unit}`).join("")),
    ...[bytes, bytes.map((byte) => byte.toUpperCase())].map((hex) => hex.map((byte) => `%${byte}`).join("")),
    points.map((point) => `&#${point};`).join(""),
    points.map((point) => `&#x${point.toString(16)};`).join(""),
  ];
}

/** JSON in ASCII only, as Python writes it. */
const asciiJson = (json: string, upper = false): string =>
  // biome-ignore lint/suspicious/noControlCharactersInRegex: everything beyond ASCII
  json.replace(/[^\x00-\x7f]/g, (unit) => {
    const hex = unit.charCodeAt(0).toString(16).padStart(4, "0");
    return `\\u${upper ? hex.toUpperCase() : hex}`;
  });

/**
 * Base64 takes three bytes at a time, so within a longer encoded text there are three ways to stand; of each the characters
 * that the bytes alone decide.
 */
function base64Forms(bytes: Buffer, secret: number): Form[] {
  return [
    { ahead: 0, skipChars: 0, skipBits: 0 },
    { ahead: 1, skipChars: 2, skipBits: 4 },
    { ahead: 2, skipChars: 3, skipBits: 2 },
  ].map(({ ahead, skipChars, skipBits }) => {
    const bits = bytes.length * 8 - skipBits;
    const text = Buffer.concat([Buffer.alloc(ahead), bytes]).toString("base64");
    return {
      bytes: Buffer.from(text.slice(skipChars, skipChars + Math.floor(bits / 6))),
      secret,
      before: skipBits > 0,
      after: bits % 6 > 0,
    };
  });
}
