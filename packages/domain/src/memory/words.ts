/**
 * How a search in memory reads texts. Korean puts endings and particles on its words (서울, 서울에서, 서울의) and joins
 * words (서울대학교), so a word must be found by parts of it; Postgres' own ways do not do that: its text search knows whole
 * words only, and trigrams of pg_trgm see no Korean letter at all in a database of locale C, which the embedded one is.
 */

/** A form in which a word of a query may stand in a text, and how much finding it says. */
export interface MemoryTerm {
  /** Which word of the query. */
  readonly w: number;
  readonly t: string;
  /** From 0 to 1. */
  readonly s: number;
  /** A part: what the parts found say is added up. */
  readonly part: boolean;
}

/** How much a form says: the whole word, one that begins with it, one that has it inside, all of its parts. */
const SAYS = { whole: 1, begins: 0.9, inside: 0.75, parts: 0.6 } as const;
export const MEMORY_SEARCH = {
  /** Parts that say less together are chance. */
  leastParts: 0.3,
  /** Items that score less are not found. */
  leastScore: 0.2,
} as const;

const MAX_WORDS = 16;
const MAX_TERMS = 96;
/** What is stored for searching is at most so many times as long as the texts: some characters stand for eighteen others. */
const LONGER = 2;
/** Scripts whose words are known by two letters. */
const SYLLABLES =
  /[\p{Script=Hangul}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+|[^\p{Script=Hangul}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]+/gu;
const IS_SYLLABLES = /^[\p{Script=Hangul}\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}]/u;

const words = (text: string): string[] =>
  text
    .normalize("NFKC")
    .toLowerCase()
    .split(/[^\p{L}\p{M}\p{N}]+/u)
    .filter((word) => word !== "");

/** What a search reads of an item: the words of its key and of all texts, names and numbers of its value, between single spaces. */
export function memoryWords(key: string, value: unknown): string {
  const texts: string[] = [key];
  const open: unknown[] = [value];
  for (let node = open.pop(); node !== undefined; node = open.pop()) {
    if (typeof node === "string" || typeof node === "number") texts.push(String(node));
    else if (Array.isArray(node)) open.push(...node.toReversed());
    else if (typeof node === "object" && node !== null)
      for (const [name, item] of Object.entries(node).toReversed()) open.push(item, name);
  }
  const all = texts.join(" ");
  return ` ${words(all)
    .join(" ")
    .slice(0, LONGER * all.length)
    .toWellFormed()} `;
}

/** The forms of a query's words; of a long query the first words'. */
export function memoryTerms(query: string): MemoryTerm[] {
  const all = [...new Set(words(query).flatMap((word) => word.match(SYLLABLES) ?? []))];
  // A single letter or syllable says little beside words.
  const long = all.filter((word) => [...word].length > 1);
  const chosen = (long.length > 0 ? long : all).slice(0, MAX_WORDS);
  return chosen.flatMap((word, w) => formsOf(word).map((form) => ({ w, ...form }))).slice(0, MAX_TERMS);
}

function formsOf(word: string): Omit<MemoryTerm, "w">[] {
  const letters = [...word];
  const exact = [
    { t: ` ${word} `, s: SAYS.whole, part: false },
    { t: ` ${word}`, s: SAYS.begins, part: false },
  ];
  if (letters.length === 1) return exact;
  const forms = [...exact, { t: word, s: SAYS.inside, part: false }];
  const size = IS_SYLLABLES.test(word) ? 2 : 3;
  if (letters.length <= size) return forms;
  const parts = letters.slice(0, 1 - size).map((_, index) => letters.slice(index, index + size).join(""));
  // A word's meaning is at its beginning and its grammar at its end, in Korean above all: each part says less than the one before.
  const weights = parts.map((_, index) => (size === 2 ? 1 / (index + 1) : 1));
  const sum = weights.reduce((total, weight) => total + weight, 0);
  return [
    ...forms,
    ...parts.map((t, index) => ({ t, s: (SAYS.parts * (weights[index] as number)) / sum, part: true })),
  ];
}
