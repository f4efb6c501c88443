/** Whether a text has Hangul: the model answers such a text in Korean. */
export function hasHangul(text: string): boolean {
  return /[\uac00-\ud7a3\u3131-\u318e]/.test(text);
}

/** Particles and copulas that follow a noun without a space, longest first so that the longest match wins. */
const PARTICLES = [
  "에서는",
  "에서의",
  "으로는",
  "이라는",
  "까지는",
  "부터는",
  "에서도",
  "인가요",
  "이에요",
  "입니다",
  "이랑은",
  "에서",
  "에게",
  "으로",
  "까지",
  "부터",
  "한테",
  "보다",
  "처럼",
  "이랑",
  "하고",
  "이나",
  "이야",
  "예요",
  "라는",
  "에는",
  "에도",
  "인가",
  "라고",
  "의",
  "은",
  "는",
  "이",
  "가",
  "을",
  "를",
  "에",
  "도",
  "와",
  "과",
  "로",
  "랑",
  "만",
  "나",
  "야",
  "요",
].sort((a, b) => b.length - a.length);

/** Whether `rest`, what follows a noun in its word, is nothing but a particle. */
export function isParticle(rest: string): boolean {
  return rest === "" || PARTICLES.includes(rest);
}

/** The word without its particle: `서울의` is `서울`. A stem keeps at least two syllables, as `나이` is not `나` + `이`. */
export function stemOf(word: string): string {
  for (const particle of PARTICLES) {
    if (word.length >= particle.length + 2 && word.endsWith(particle)) return word.slice(0, -particle.length);
  }
  return word;
}

/** Chooses the form of a particle by the sound the word ends in: `josa("서울", "은", "는")` is `서울은`. */
export function josa(word: string, afterConsonant: string, afterVowel: string): string {
  return word + (endsInConsonant(word) ? afterConsonant : afterVowel);
}

/** `“대전”이라고`, `“부산은?”이라고`: a quotation of at most `max` characters with its particle. */
export function quotation(text: string, max: number): string {
  const quote = text.length > max ? `${text.slice(0, max)}…` : text;
  return `“${quote}”${endsInConsonant(text.slice(0, max).replace(/[\s\p{P}]+$/u, "")) ? "이라고" : "라고"}`;
}

function endsInConsonant(word: string): boolean {
  const last = word.at(-1) ?? "";
  const syllable = last.charCodeAt(0) - 0xac00;
  if (syllable >= 0 && syllable < 11_172) return syllable % 28 !== 0;
  // Digits by their Sino-Korean reading (영 일 삼 육 칠 팔), letters by their English one.
  return /[013678lmnr]/i.test(last);
}
