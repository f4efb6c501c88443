import { LIMITS, Problem, type ProblemCode, type ProblemDetail } from "@maru/contract";
import {
  type Document,
  isAlias,
  isCollection,
  isMap,
  isPair,
  isScalar,
  LineCounter,
  type Node,
  parseAllDocuments,
  visit,
} from "yaml";
import { escapePointer } from "../canonical.ts";

export interface Place {
  readonly line: number;
  readonly column: number;
}
export interface ParsedManifest {
  readonly value: unknown;
  /** Bytes of its part of the text. */
  readonly bytes: number;
  /**
   * Where a JSON pointer's value (or, failing that, its parent) stands in the text. With a place inside a string: that
   * place's own, where the string stands as it is (a `|` block).
   */
  locate(pointer: string, within?: Place): Place | undefined;
}

const MAX_KEY_SHOWN = 64;
/** Several times as many as there may be manifests: empty ones are left out. */
const MAX_SEPARATORS = 100;
/** Lists and keys that begin on one line, each inside the one before (`- - - a`); so many as no text has that only looks like it. */
const NESTED_ON_A_LINE = /^ *(?:[-?:][ \t]+){200}/m;
const FORBIDDEN_KEYS = new Set(["__proto__", "constructor", "prototype"]);

/**
 * Reads the text of a manifest, or of several with `---` between them. YAML 1.2 core without anchors, aliases, merge keys or
 * tags, since each of them has been a way to make a parser work for its attacker; JSON goes through the same reader, so both
 * know lines and duplicate keys.
 * @throws Problem manifest_syntax, manifest_too_deep, yaml_alias_forbidden, yaml_tag_forbidden, duplicate_key,
 *   forbidden_key, invalid_string, each with line and column
 */
export function parseManifests(written: string, contentType: "yaml" | "json"): ParsedManifest[] {
  // Some editors begin a file with a byte order mark; no editor counts it.
  const text = written.startsWith("\ufeff") ? written.slice(1) : written;
  refuseDepth(text);
  refuseCrowd(text);
  if (contentType === "json") refuseBrokenJson(text);
  const lines = new LineCounter();
  const parsed = parseAllDocuments(text, {
    lineCounter: lines,
    // The reader would compare every key with every other of its map.
    uniqueKeys: false,
    merge: false,
    version: "1.2",
    schema: "core",
    customTags: [],
    prettyErrors: false,
    logLevel: "silent",
  });
  const place = (offset: number): Place => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  const documents = (Array.isArray(parsed) ? parsed : []).filter(
    ({ contents, errors }) => !isNothing(contents) || errors.length > 0,
  );
  if (documents.length === 0)
    throw refusal("manifest_syntax", "The manifest is empty: begin with apiVersion: maru/v1.", { line: 1, column: 1 });
  for (const { errors } of documents)
    if (errors[0] !== undefined) throw syntaxProblem(errors[0], place(errors[0].pos[0]));
  return documents.map((document) => {
    inspect(document as Document.Parsed, place);
    const [start, , end] = document.range;
    return {
      value: document.toJS({ maxAliasCount: 0 }),
      bytes: Buffer.byteLength(text.slice(start, end)),
      locate: (pointer, within) =>
        (within === undefined ? undefined : locateWithin(document as Document.Parsed, pointer, within, text, place)) ??
        locate(document as Document.Parsed, pointer, place),
    };
  });
}

/** What a separator at the end, or a file of comments, leaves. */
const isNothing = (contents: unknown): boolean =>
  contents === null || (isScalar(contents) && contents.value === null && contents.source === "");

/** The reader's own words say what it met; these say what to do about it. */
const ADVICE: Readonly<Record<string, string>> = {
  BAD_DQ_ESCAPE: "Between double quotes a backslash is written \\\\; between single quotes it is itself.",
  BAD_INDENT:
    "Fields of one map begin in the same column, what belongs to a field further right, and a bracket is closed.",
  BAD_SCALAR_START: "Put the text in quotes.",
  BLOCK_AS_IMPLICIT_KEY:
    "A text that has a colon and a space in it must be in quotes, or begin on the next line after `|`.",
  MISSING_CHAR:
    "Look for a missing colon, quote or bracket here or before this place; a text of several lines begins with `|`.",
  IMPOSSIBLE: "Look at the indentation and the brackets before this place.",
  MULTILINE_IMPLICIT_KEY: "Either a field before this place lacks its colon, or a text of several lines lacks its `|`.",
  TAB_AS_INDENT: "Indent with spaces.",
  UNEXPECTED_TOKEN: "Look at the indentation, the quotes and the brackets before this place.",
};

function syntaxProblem(error: { code: string; message: string }, at: Place): Problem {
  switch (error.code) {
    case "TAG_RESOLVE_FAILED":
      return refusal("yaml_tag_forbidden", `${error.message.replace(/\.$/, "")}. Tags are not allowed: remove it.`, at);
    case "BAD_ALIAS":
      return refusal("yaml_alias_forbidden", ALIASES, at);
    default: {
      const advice = ADVICE[error.code];
      const message = error.message.replace(/\.$/, "");
      return refusal("manifest_syntax", `${message}.${advice === undefined ? "" : ` ${advice}`}`, at);
    }
  }
}

const ALIASES =
  "Anchors and aliases are not allowed: write the value out, or put a text that begins with & or * in quotes.";

function refusal(code: ProblemCode, detail: string, at: Place): Problem {
  const error: ProblemDetail = { pointer: "", code, detail, ...at };
  return new Problem(code, `${detail} (line ${at.line}, column ${at.column})`, { errors: [error] });
}

/** Depth is judged on the characters, before any parser recurses into twenty thousand brackets. */
function refuseDepth(text: string): void {
  const tooDeep = (at: Place) =>
    refusal("manifest_too_deep", `A manifest may be nested ${LIMITS.manifestDepth} levels deep: make it flatter.`, at);
  const nested = NESTED_ON_A_LINE.exec(text);
  if (nested !== null) throw tooDeep({ line: text.slice(0, nested.index).split("\n").length, column: 1 });
  let depth = 0;
  let line = 1;
  let start = 0;
  for (let index = 0; index < text.length; index++) {
    const char = text.charCodeAt(index);
    if (char === 10) {
      line++;
      start = index + 1;
    } else if (char === 91 || char === 123) {
      if (++depth > LIMITS.manifestDepth * 2) throw tooDeep({ line, column: index - start + 1 });
    } else if (char === 93 || char === 125) depth = Math.max(0, depth - 1);
  }
}

/** Before it is read, since a document takes as long to read as a line of one. */
function refuseCrowd(text: string): void {
  const separators = text.match(/^---(?=\s|$)/gm)?.length ?? 0;
  if (separators > MAX_SEPARATORS)
    throw new Problem(
      "limit_out_of_range",
      `${LIMITS.manifestsAtOnce} manifests may be deployed together, and this has ${separators} separators.`,
    );
}

function refuseBrokenJson(text: string): void {
  try {
    JSON.parse(text);
  } catch (error) {
    const message = error instanceof Error ? error.message : "is not JSON";
    const offset = Number(/position (\d+)/.exec(message)?.[1] ?? 0);
    const before = text.slice(0, offset).split("\n");
    throw refusal(
      "manifest_syntax",
      `${message.replace(/ (?:in JSON )?at position \d+.*$|, "[\s\S]*$/, "")}. JSON has no comments, no comma after the last entry and no text without quotes; YAML is sent as application/yaml.`,
      {
        line: before.length,
        column: (before.at(-1)?.length ?? 0) + 1,
      },
    );
  }
}

/** Refuses what parses but must not be in a manifest. */
function inspect(document: Document.Parsed, place: (offset: number) => Place): void {
  const at = (node: unknown) => place((node as Node | null)?.range?.[0] ?? 0);
  const keys = new WeakMap<object, Set<string>>();
  visit(document, (_key, node, path) => {
    if (isMap(node)) keys.set(node, new Set());
    if (isPair(node)) {
      const key = isScalar(node.key) ? node.key.value : null;
      if (typeof key !== "string")
        throw refusal("manifest_syntax", "A key must be a text: put it in quotes.", at(node.key));
      if (key === "<<")
        throw refusal("yaml_alias_forbidden", "Merge keys are not allowed: write the fields out.", at(node.key));
      if (FORBIDDEN_KEYS.has(key))
        throw refusal("forbidden_key", `The key ${key} is never allowed: remove it.`, at(node.key));
      const known = keys.get(path.at(-1) as object);
      if (known?.has(key) === true)
        throw refusal(
          "duplicate_key",
          `This map has the key ${key.slice(0, MAX_KEY_SHOWN)} already: keep one of them.`,
          at(node.key),
        );
      known?.add(key);
      return;
    }
    if (isAlias(node)) throw refusal("yaml_alias_forbidden", ALIASES, at(node));
    if (!isScalar(node) && !isCollection(node)) return;
    if (node.anchor !== undefined) throw refusal("yaml_alias_forbidden", ALIASES, at(node));
    // The reader sets a tag only where the text has one.
    if (node.tag !== undefined)
      throw refusal(
        "yaml_tag_forbidden",
        `Tags are not allowed: remove ${node.tag.replace("tag:yaml.org,2002:", "!!")}.`,
        at(node),
      );
    if (path.filter((item) => isCollection(item)).length >= LIMITS.manifestDepth) {
      throw refusal(
        "manifest_too_deep",
        `A manifest may be nested ${LIMITS.manifestDepth} levels deep: make it flatter.`,
        at(node),
      );
    }
    if (isScalar(node)) inspectScalar(node.value, at(node));
  });
}

function inspectScalar(value: unknown, at: Place): void {
  if (typeof value === "string" && (value.includes("\0") || !value.isWellFormed())) {
    throw refusal("invalid_string", "The string has a NUL character or half a surrogate pair: remove it.", at);
  }
  if (typeof value !== "number") return;
  if (!Number.isFinite(value))
    throw refusal("manifest_syntax", "Infinity and NaN are not numbers a manifest can hold: write a finite one.", at);
  if (Math.abs(value) > Number.MAX_SAFE_INTEGER)
    throw refusal(
      "manifest_syntax",
      "The number is too large to be exact: put it in quotes where a text may stand.",
      at,
    );
}

/** A place in a literal block: its lines follow the line of its `|`, each behind the same indentation. */
function locateWithin(
  document: Document.Parsed,
  pointer: string,
  within: Place,
  text: string,
  place: (offset: number) => Place,
): Place | undefined {
  const tokens = pointer
    .split("/")
    .slice(1)
    .map((token) => token.replaceAll("~1", "/").replaceAll("~0", "~"));
  const node = document.getIn(tokens, true);
  if (!isScalar(node) || node.type !== "BLOCK_LITERAL" || typeof node.value !== "string") return undefined;
  const line = place(node.range?.[0] ?? 0).line + within.line;
  const inText = text.split("\n")[line - 1]?.replace(/\r$/, "") ?? "";
  const inValue = node.value.split("\n")[within.line - 1] ?? "";
  return { line, column: Math.max(0, inText.length - inValue.length) + within.column };
}

function locate(document: Document.Parsed, pointer: string, place: (offset: number) => Place): Place | undefined {
  let node: unknown = document.contents;
  let found: number | undefined = (node as Node | null)?.range?.[0];
  for (const token of pointer.split("/").slice(1)) {
    if (isMap(node)) {
      const pair = node.items.find(
        (item) => isPair(item) && isScalar(item.key) && escapePointer(String(item.key.value)) === token,
      );
      if (pair === undefined) break;
      found = (pair.key as Node | null)?.range?.[0] ?? found;
      node = pair.value;
    } else if (isCollection(node)) {
      node = (node.items as unknown[])[Number(token)];
      if (node === undefined) break;
      found = (node as Node | null)?.range?.[0] ?? found;
    } else break;
  }
  return found === undefined ? undefined : place(found);
}
