import { RE2JS, RE2JSException } from "re2js";
import { Refusal } from "./builtin.ts";

/** Compiling is the costly part of a hostile pattern: so many characters take some 0.1 s at worst. */
const MAX_PATTERN = 256;
/** Instructions of the compiled pattern times characters of the text: what one search takes at most, some 0.2 s. */
const MAX_WORK = 10_000_000;

/** What of other engines RE2 has not, and what to do instead. */
const INSTEAD: readonly (readonly [RegExp, string])[] = [
  [
    /\(\?<?[=!]/,
    "Lookahead and lookbehind are not supported: match the neighbouring text too, and put what you want into a group.",
  ],
  [/\\[1-9]|\\k|\(\?P=/, "Back-references are not supported: capture both parts in groups and compare them yourself."],
  [
    /\(\?>|[*+?}]\+/,
    "Atomic groups and possessive quantifiers are not supported, and not needed: no pattern is slow here.",
  ],
  [/\(\?\(|\(\?R\)|\(\?\d/, "Conditions and recursion are not supported: use several patterns."],
];

/**
 * A pattern whose search takes time in proportion to the text, whatever it is (RE2: no backtracking).
 * @param flags any of i, m, s
 * @throws Refusal in words a model can repair the pattern by
 */
export function compileLinear(pattern: string, flags = ""): RE2JS {
  if (pattern.length > MAX_PATTERN) throw new Refusal(`A pattern may have ${MAX_PATTERN} characters.`);
  try {
    return RE2JS.compile(
      // JavaScript's way to write a character by its number, which RE2 has not and models know best.
      pattern.replace(/\\(?:u\{([\dA-Fa-f]+)\}|u([\dA-Fa-f]{4})|.)/gs, (written, long?: string, short?: string) => {
        const code = long ?? short;
        return code === undefined ? written : `\\x{${code}}`;
      }),
      (flags.includes("i") ? RE2JS.CASE_INSENSITIVE : 0) |
        (flags.includes("m") ? RE2JS.MULTILINE : 0) |
        (flags.includes("s") ? RE2JS.DOTALL : 0),
    );
  } catch (error) {
    if (!(error instanceof RE2JSException)) throw error;
    const instead = INSTEAD.find(([written]) => written.test(pattern));
    throw new Refusal(
      instead?.[1] ?? `The pattern is not valid: ${error.message.replace("error parsing regexp: ", "")}.`,
    );
  }
}

/** @throws Refusal when one search of the text could take too long. */
export function checkWork(pattern: RE2JS, text: string): void {
  const most = Math.floor(MAX_WORK / pattern.programSize());
  if (text.length > most)
    throw new Refusal(
      `This pattern can search a text of ${most} characters: write smaller counts in braces, or search parts of the text.`,
    );
}
