import type { SpokenCall } from "./utterance.ts";

/** One scripted model step: the calls it makes. `bad` and `vary` are made from the offered tools when they are due. */
export type ScriptedBatch =
  | { readonly kind: "calls"; readonly calls: readonly SpokenCall[] }
  | { readonly kind: "bad" }
  | { readonly kind: "vary"; readonly step: number };

/** All that `#sim` lines of one request ask for; see the package's README for the language. */
export interface Directives {
  /** Steps to play before the final answer, in the order of the lines. */
  readonly script: readonly ScriptedBatch[];
  /** Call the same tool with the same arguments for ever. */
  readonly loop: boolean;
  /** The final answer: nothing at all, or this many words; null = as the model would answer. */
  readonly answer: "empty" | number | null;
  /** Milliseconds added before the first byte. */
  readonly slowMs: number;
  /** A named fault of the wire; `times` counts tries of the same request. */
  readonly fault?: { readonly name: string; readonly times: number } | undefined;
  readonly error: { readonly status: number; readonly times: number; readonly retryAfterSeconds: number | null } | null;
}

const LINE = /^#sim[ \t]+(\S+)(.*)$/gm;
const NONE: Directives = { script: [], loop: false, answer: null, slowMs: 0, error: null };
const MAX_STEPS = 1_000;
const MAX_WORDS = 200_000;
const MAX_SLOW_MS = 3_600_000;

/** The text without its directive lines; trimmed. */
export function withoutDirectives(text: string): string {
  return text.includes("#sim") ? text.replace(LINE, "").trim() : text.trim();
}

/** Reads the lines that begin with `#sim `; unknown words and senseless numbers are passed over. */
export function readDirectives(texts: readonly string[]): Directives {
  if (!texts.some((text) => text.includes("#sim"))) return NONE;
  const script: ScriptedBatch[] = [];
  let { loop, answer, slowMs, error, fault } = NONE;
  for (const text of texts) {
    for (const [, word, tail = ""] of text.matchAll(LINE)) {
      const rest = tail.trim();
      const number = Number.parseInt(rest, 10);
      if (word === "loop") loop = true;
      else if (word === "empty") answer = "empty";
      else if (word === "long" && number > 0) answer = Math.min(number, MAX_WORDS);
      else if (word === "slow" && number > 0) slowMs = Math.min(number, MAX_SLOW_MS);
      else if (word === "error" && number >= 400 && number <= 599) error = readError(number, rest);
      else if (word === "fault" && rest !== "") fault = { name: rest.split(/\s+/, 1)[0] ?? "", times: timesIn(rest) };
      else if (word === "tool") script.push({ kind: "calls", calls: readCalls(rest, true) });
      else if (word === "parallel") script.push({ kind: "calls", calls: readCalls(rest, false) });
      else if (word === "badargs") script.push({ kind: "bad" });
      else if (word === "steps" && number > 0) {
        for (let step = 1; step <= Math.min(number, MAX_STEPS); step++) script.push({ kind: "vary", step });
      }
    }
  }
  return { script, loop, answer, slowMs, error, fault };
}

function readError(status: number, rest: string): Directives["error"] {
  const retryAfter = /\bretry-after=(\d{1,6})/.exec(rest)?.[1];
  return {
    status,
    times: timesIn(rest),
    retryAfterSeconds: retryAfter === undefined ? null : Number(retryAfter),
  };
}

/** The `times=N` of a line; without it there is no end. */
function timesIn(rest: string): number {
  const times = /\btimes=(\d{1,6})/.exec(rest)?.[1];
  return times === undefined ? Number.POSITIVE_INFINITY : Number(times);
}

/** `NAME {json} NAME {json}`; with `single`, all after the first name is its arguments, verbatim, valid or not. */
function readCalls(rest: string, single: boolean): SpokenCall[] {
  const calls: SpokenCall[] = [];
  for (let at = 0; at < rest.length; ) {
    const name = /^\s*([^\s{]+)\s*/.exec(rest.slice(at));
    if (name?.[1] === undefined) break;
    at += name[0].length;
    const length = single ? rest.length - at : jsonLength(rest.slice(at));
    const json = rest.slice(at, at + length).trim();
    calls.push({ name: name[1], json: json === "" ? "{}" : json });
    at += length;
  }
  return calls;
}

/** Length of the object a text starts with; 0 when it starts with something else. */
function jsonLength(text: string): number {
  if (!text.startsWith("{")) return 0;
  let depth = 0;
  let inString = false;
  for (let at = 0; at < text.length; at++) {
    const char = text[at];
    if (inString && char === "\\") at++;
    else if (char === '"') inString = !inString;
    else if (inString) continue;
    else if (char === "{") depth++;
    else if (char === "}" && --depth === 0) return at + 1;
  }
  return text.length;
}
