import { createTwoFilesPatch, diffArrays, FILE_HEADERS_ONLY } from "diff";
import { type Builtin, Refusal } from "./builtin.ts";

const MAX_TEXT = 50_000;
/**
 * Lines, words or characters that may differ: the time goes with the square, some 0.2 s. The library could stop by the
 * clock too, but then a busy machine would give other answers.
 */
const MAX_EDITS = 1_500;
const MAX_CONTEXT = 10;
/** Characters of an unchanged stretch that stand before and after a change. */
const AROUND = 80;

export const textDiff: Builtin = {
  description:
    "Compares two texts. mode lines (the default) gives a unified diff; words and characters give the text with changes " +
    "marked as [-removed-]{+added+}. " +
    'Example: {"before": "빨간 사과", "after": "파란 사과", "mode": "words"} gives [-빨간-]{+파란+} 사과',
  parameters: {
    type: "object",
    properties: {
      before: { type: "string", maxLength: MAX_TEXT },
      after: { type: "string", maxLength: MAX_TEXT },
      mode: { type: "string", enum: ["lines", "words", "characters"] },
      context: {
        type: "integer",
        description: "Unchanged lines around a change, for mode lines; default 3",
        minimum: 0,
        maximum: MAX_CONTEXT,
      },
    },
    required: ["before", "after"],
    additionalProperties: false,
  },
  run({ before, after, mode = "lines", context = 3 }) {
    const [old, now] = [String(before), String(after)];
    if (old === now) return "The texts are the same.";
    if (old.replaceAll("\r\n", "\n") === now.replaceAll("\r\n", "\n"))
      return "The texts differ only in their line ends (CRLF and LF).";
    if (old.normalize("NFC") === now.normalize("NFC"))
      return "The texts look the same: they differ only in how letters are composed (Unicode normalisation).";
    return mode === "lines"
      ? unified(old, now, Number(context))
      : marked(old, now, mode === "words" ? "word" : "grapheme");
  },
};

const different = (what: string): Refusal =>
  new Refusal(`The texts differ in more than ${MAX_EDITS} ${what}: compare smaller parts of them.`);

function unified(before: string, after: string, context: number): string {
  const patch = createTwoFilesPatch("before", "after", before, after, undefined, undefined, {
    context,
    maxEditLength: MAX_EDITS,
    headerOptions: FILE_HEADERS_ONLY,
  });
  if (patch === undefined) throw different("lines");
  return patch;
}

/**
 * Words are what lies between spaces and punctuation in Korean, and found by dictionary in Japanese and Chinese; characters are what a
 * reader sees as one, so that a syllable or an emoji is never taken apart.
 */
const SEGMENTERS = {
  word: new Intl.Segmenter("ko", { granularity: "word" }),
  grapheme: new Intl.Segmenter("ko", { granularity: "grapheme" }),
};

function marked(before: string, after: string, granularity: "word" | "grapheme"): string {
  const tokens = (text: string) => Array.from(SEGMENTERS[granularity].segment(text), ({ segment }) => segment);
  const changes = diffArrays(tokens(before), tokens(after), { maxEditLength: MAX_EDITS });
  if (changes === undefined) throw different(granularity === "word" ? "words" : "characters");
  return changes
    .map(({ added, removed, value }, index) => {
      const text = value.join("");
      if (added) return `{+${text}+}`;
      if (removed) return `[-${text}-]`;
      return shortened(value, index > 0, index < changes.length - 1);
    })
    .join("");
}

/** Leaves out the middle of a long stretch, and what is not beside a change at all. */
function shortened(tokens: readonly string[], afterChange: boolean, beforeChange: boolean): string {
  const text = tokens.join("");
  const kept = (afterChange ? AROUND : 0) + (beforeChange ? AROUND : 0);
  if (text.length <= kept + AROUND) return text;
  const head = afterChange ? take(tokens, AROUND) : "";
  const tail = beforeChange ? take(tokens.toReversed(), AROUND, true) : "";
  return `${head}[${text.length - head.length - tail.length} characters the same]${tail}`;
}

/** As many whole tokens from the start as have so many characters; `reversed` when the start is the end. */
function take(tokens: readonly string[], most: number, reversed = false): string {
  let text = "";
  for (const token of tokens) {
    if (text.length + token.length > most) break;
    text = reversed ? token + text : text + token;
  }
  return text;
}
