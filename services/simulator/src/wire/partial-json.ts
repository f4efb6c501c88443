/** A JSON value of which maybe only the start is there. */
export interface Partial {
  readonly value: unknown;
  /** Where the value ended, or the length of the text when it goes on. */
  readonly end: number;
  readonly complete: boolean;
}

/** Deeper values count as malformed: Python's reader gives up at about this depth too. */
const MAX_DEPTH = 900;

/** Ends the reading: `value` is what stood there so far, undefined = nothing to keep. */
class Cut extends Error {
  value: unknown;
  constructor(value?: unknown) {
    super("the text ends inside the value");
    this.value = value;
  }
}

/**
 * Reads a JSON value whose text may end anywhere: objects and arrays keep what is complete in them, strings keep their
 * start when `cutStrings` is set. Undefined when the text is malformed, or too short to say anything.
 */
export function readPartialJson(text: string, cutStrings: boolean): Partial | undefined {
  let at = 0;
  const space = (): void => {
    while (/\s/.test(text[at] ?? "")) at++;
  };
  const expect = (char: string): void => {
    space();
    if (at >= text.length) throw new Cut();
    if (text[at++] !== char) throw new SyntaxError(`expected ${char}`);
  };
  const string = (cut: boolean): string => {
    const start = at++;
    while (at < text.length && text[at] !== '"') at += text[at] === "\\" ? 2 : 1;
    if (at < text.length) return JSON.parse(text.slice(start, ++at)) as string;
    if (!cut) throw new Cut();
    throw new Cut(JSON.parse(`${text.slice(start).replace(/\\(?:u[0-9a-fA-F]{0,3})?$/, "")}"`));
  };
  const scalar = (): unknown => {
    const word = /^[-+.\w]*/.exec(text.slice(at))?.[0] ?? "";
    at += word.length;
    if (at >= text.length) throw new Cut(/^-?\d+$/.test(word) ? Number(word) : undefined);
    return JSON.parse(word);
  };
  const members = <T>(holder: T, close: string, one: () => void): T => {
    at++;
    try {
      space();
      if (text[at] === close) at++;
      else {
        for (;;) {
          one();
          space();
          if (at >= text.length) throw new Cut();
          if (text[at++] === close) break;
          if (text[at - 1] !== ",") throw new SyntaxError("expected a comma");
        }
      }
    } catch (error) {
      // One error for the whole way out: making one is dear, and there may be hundreds of levels.
      if (error instanceof Cut) error.value = holder;
      throw error;
    }
    return holder;
  };
  /** Keeps the value even if it is cut, then goes on cutting. */
  const into = (keep: (value: unknown) => void): void => {
    try {
      keep(value());
    } catch (error) {
      if (error instanceof Cut && error.value !== undefined) keep(error.value);
      throw error;
    }
  };
  let depth = 0;
  const value = (): unknown => {
    if (++depth > MAX_DEPTH) throw new SyntaxError("nested too deeply");
    try {
      return valueHere();
    } finally {
      depth--;
    }
  };
  const valueHere = (): unknown => {
    space();
    if (at >= text.length) throw new Cut();
    const char = text[at];
    if (char === '"') return string(cutStrings);
    if (char === "[") {
      const list: unknown[] = [];
      return members(list, "]", () => into((item) => list.push(item)));
    }
    if (char !== "{") return scalar();
    const object: Record<string, unknown> = {};
    return members(object, "}", () => {
      space();
      if (at >= text.length) throw new Cut();
      if (text[at] !== '"') throw new SyntaxError("expected a key");
      const key = string(false);
      expect(":");
      into((item) => {
        // Assigned, "__proto__" would not be a key like others, as it is for JSON.parse.
        Object.defineProperty(object, key, { value: item, writable: true, enumerable: true, configurable: true });
      });
    });
  };
  try {
    return { value: value(), end: at, complete: true };
  } catch (error) {
    if (error instanceof Cut)
      return error.value === undefined ? undefined : { value: error.value, end: text.length, complete: false };
    if (error instanceof SyntaxError) return undefined;
    throw error;
  }
}
