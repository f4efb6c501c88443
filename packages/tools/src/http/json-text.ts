/**
 * JSON that stays the text it is: parsing it and writing it anew would round the long numbers that are ids. All of these
 * take text that `isJson` has judged.
 */
export function isJson(text: string): boolean {
  if (!nestsWithin(text, MAX_DEPTH)) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** Levels of nesting beyond which a text counts as none: what no server means takes the parser seconds. */
const MAX_DEPTH = 1_000;

function nestsWithin(text: string, most: number): boolean {
  let depth = 0;
  let quoted = false;
  for (let at = 0; at < text.length; at++) {
    const char = text.charCodeAt(at);
    if (quoted && char === BACKSLASH) at++;
    else if (char === QUOTE) quoted = !quoted;
    else if (quoted) continue;
    else if (char === OPEN_BRACE || char === OPEN_BRACKET) {
      if (++depth > most) return false;
    } else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--;
  }
  return true;
}

/** Without its white space: the model pays for every token of it. */
export function compactJson(json: string): string {
  let output = "";
  let from = 0;
  for (let at = 0; at < json.length; ) {
    const char = json.charCodeAt(at);
    if (char === QUOTE) at = stringEnd(json, at);
    else if (isSpace(char)) {
      output += json.slice(from, at);
      at = pastSpace(json, at);
      from = at;
    } else at++;
  }
  return output + json.slice(from);
}

/** The reference tokens of a JSON pointer (RFC 6901). */
export type Pointer = readonly string[];

/** Reads a pointer whose shape the manifest's schema has judged. */
export const parsePointer = (text: string): Pointer =>
  text
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));

interface Branch {
  /** Pointers that end here. */
  readonly ends: number[];
  readonly children: Map<string, Branch>;
}

/**
 * Finds the text of what each pointer leads to, null where that is nothing: what `JSON.parse` and a walk would find, of a key
 * that stands twice the last. One pass over the text for all pointers.
 */
export function createPicker(pointers: readonly Pointer[]): (json: string) => (string | null)[] {
  const root: Branch = { ends: [], children: new Map() };
  for (const [index, pointer] of pointers.entries()) {
    let branch = root;
    for (const token of pointer) {
      const next = branch.children.get(token) ?? { ends: [], children: new Map() };
      branch.children.set(token, next);
      branch = next;
    }
    branch.ends.push(index);
  }
  return (json) => {
    const found = pointers.map((): string | null => null);
    const forget = ({ ends, children }: Branch): void => {
      for (const index of ends) found[index] = null;
      children.forEach(forget);
    };
    /** Answers where the value that begins at `start` ends. */
    const visit = (start: number, branch: Branch): number => {
      const member = (token: string, at: number): number => {
        const child = branch.children.get(token);
        if (child === undefined) return valueEnd(json, at);
        forget(child);
        return visit(at, child);
      };
      const end = branch.children.size === 0 ? valueEnd(json, start) : eachMember(json, start, member);
      for (const index of branch.ends) found[index] = json.slice(start, end);
      return end;
    };
    visit(pastSpace(json, 0), root);
    return found;
  };
}

/** The text of each element of a list; null when it is no list. */
export function elementsOf(json: string): string[] | null {
  const start = pastSpace(json, 0);
  if (json[start] !== "[") return null;
  const elements: string[] = [];
  eachMember(json, start, (_token, at) => {
    const end = valueEnd(json, at);
    elements.push(json.slice(at, end));
    return end;
  });
  return elements;
}

/** Calls `member` with each key or index and where its value begins; it answers where that ends. Answers the end of it all. */
function eachMember(json: string, start: number, member: (token: string, at: number) => number): number {
  const isObject = json[start] === "{";
  if (!isObject && json[start] !== "[") return valueEnd(json, start);
  let at = pastSpace(json, start + 1);
  if (json[at] === "}" || json[at] === "]") return at + 1;
  for (let index = 0; ; index++) {
    let token = String(index);
    if (isObject) {
      const end = stringEnd(json, at);
      token = keyOf(json.slice(at, end));
      at = pastSpace(json, pastSpace(json, end) + 1);
    }
    at = pastSpace(json, member(token, at));
    if (json[at] !== ",") return at + 1;
    at = pastSpace(json, at + 1);
  }
}

const keyOf = (written: string): string =>
  written.includes("\\") ? (JSON.parse(written) as string) : written.slice(1, -1);

function valueEnd(json: string, start: number): number {
  let depth = 0;
  for (let at = start; ; ) {
    const char = json.charCodeAt(at);
    if (char === QUOTE) at = stringEnd(json, at);
    else {
      if (char === OPEN_BRACE || char === OPEN_BRACKET) depth++;
      else if (char === CLOSE_BRACE || char === CLOSE_BRACKET) depth--;
      else if (depth === 0) return scalarEnd(json, at);
      at++;
    }
    if (depth === 0) return at;
  }
}

function scalarEnd(json: string, start: number): number {
  let at = start;
  for (; at < json.length; at++) {
    const char = json.charCodeAt(at);
    if (char === COMMA || char === CLOSE_BRACE || char === CLOSE_BRACKET || isSpace(char)) break;
  }
  return at;
}

function stringEnd(json: string, start: number): number {
  let end = json.indexOf('"', start + 1);
  while (isEscaped(json, end)) end = json.indexOf('"', end + 1);
  return end + 1;
}

function pastSpace(json: string, start: number): number {
  let at = start;
  while (isSpace(json.charCodeAt(at))) at++;
  return at;
}

const [QUOTE, COMMA, BACKSLASH] = [0x22, 0x2c, 0x5c];
const [OPEN_BRACE, CLOSE_BRACE, OPEN_BRACKET, CLOSE_BRACKET] = [0x7b, 0x7d, 0x5b, 0x5d];
const isSpace = (char: number): boolean => char === 0x20 || char === 0x0a || char === 0x0d || char === 0x09;

/** Whether an odd number of backslashes stands before. */
function isEscaped(text: string, index: number): boolean {
  let start = index;
  while (text[start - 1] === "\\") start--;
  return (index - start) % 2 === 1;
}
