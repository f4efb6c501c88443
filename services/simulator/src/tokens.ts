// Units are 1/44 of a token, so that both rates are whole numbers: 44 / 20 = 2.2 Korean characters, 44 / 11 = 4 Latin.
const UNITS_PER_TOKEN = 44;
const LATIN_UNITS = 11;
const WIDE_UNITS = 20;

/** Hangul, kana and hanja start here; everything below is counted as Latin. Half of a surrogate pair counts as wide. */
const FIRST_WIDE = 0x1100;

function unitsOf(text: string): number {
  let wide = 0;
  for (let at = 0; at < text.length; at++) if (text.charCodeAt(at) >= FIRST_WIDE) wide++;
  return (text.length - wide) * LATIN_UNITS + wide * WIDE_UNITS;
}

/**
 * Tokens of a text by a fixed rule: one for 2.2 Korean (CJK) or 4 other characters, rounded up. A stand-in for
 * K-EXAONE's tokenizer, which cannot run offline: right in size, not in any single number.
 */
export function countTokens(text: string): number {
  return Math.ceil(unitsOf(text) / UNITS_PER_TOKEN);
}

/** The longest start of `text` that counts at most `maxTokens` tokens; never ends inside a surrogate pair. */
export function firstTokens(text: string, maxTokens: number): string {
  const budget = maxTokens * UNITS_PER_TOKEN;
  let units = 0;
  for (let at = 0; at < text.length; at++) {
    units += text.charCodeAt(at) >= FIRST_WIDE ? WIDE_UNITS : LATIN_UNITS;
    if (units > budget) return text.slice(0, isLowSurrogate(text.charCodeAt(at)) ? at - 1 : at);
  }
  return text;
}

function isLowSurrogate(code: number): boolean {
  return code >= 0xdc00 && code <= 0xdfff;
}
