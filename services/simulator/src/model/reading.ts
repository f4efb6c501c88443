import { citiesIn, cityNamed } from "./cities.ts";
import { contentWords } from "./concepts.ts";
import { expressionsIn } from "./expression.ts";
import { hasHangul, stemOf } from "./korean.ts";

/** A number of the text with the word that follows it, e.g. `3` and `days`. */
export interface NumberRead {
  readonly value: number;
  readonly unit: string;
}

/** What one user text offers to fill arguments with. Everything is in the order of the text. */
export interface Reading {
  readonly text: string;
  readonly cities: readonly string[];
  readonly expressions: readonly string[];
  readonly quoted: readonly string[];
  /** `YYYY-MM-DD`; relative words are resolved against `today`. */
  readonly dates: readonly string[];
  readonly numbers: readonly NumberRead[];
  /** Words with a digit, such as `A-1234`, and plain numbers. */
  readonly identifiers: readonly string[];
  readonly emails: readonly string[];
  readonly urls: readonly string[];
  readonly phones: readonly string[];
  readonly currencies: readonly string[];
  readonly languages: readonly Language[];
  /** Best guess at what the text is about once request words are gone. */
  readonly topic: string;
}

export interface Language {
  readonly code: string;
  readonly en: string;
  readonly ko: string;
}

const LANGUAGES: readonly (Language & { readonly pattern: RegExp })[] = [
  { code: "ko", en: "Korean", ko: "한국어", pattern: /\bkorean\b|한국어|국문/i },
  { code: "en", en: "English", ko: "영어", pattern: /\benglish\b|영어|영문/i },
  { code: "ja", en: "Japanese", ko: "일본어", pattern: /\bjapanese\b|일본어/i },
  { code: "zh", en: "Chinese", ko: "중국어", pattern: /\bchinese\b|중국어/i },
  { code: "es", en: "Spanish", ko: "스페인어", pattern: /\bspanish\b|스페인어/i },
  { code: "fr", en: "French", ko: "프랑스어", pattern: /\bfrench\b|프랑스어|불어/i },
  { code: "de", en: "German", ko: "독일어", pattern: /\bgerman\b|독일어/i },
  { code: "vi", en: "Vietnamese", ko: "베트남어", pattern: /\bvietnamese\b|베트남어/i },
];
const CURRENCY =
  /\b(?:KRW|USD|EUR|JPY|CNY|GBP)\b|\b(?:won|dollars?|euros?|yen|yuan)\b|(?<=\d ?[만억]?)원(?!주)|원화|달러|유로|엔화|엔(?=으로|을|화|은|$|\s)|위안/gi;
const CURRENCY_CODES: readonly (readonly [RegExp, string])[] = [
  [/^(?:krw|won|원)/i, "KRW"],
  [/^(?:usd|dollar|달러)/i, "USD"],
  [/^(?:eur|유로)/i, "EUR"],
  [/^(?:jpy|yen|엔)/i, "JPY"],
  [/^(?:cny|yuan|위안)/i, "CNY"],
  [/^gbp/i, "GBP"],
];
const RELATIVE_DAYS: readonly (readonly [RegExp, number])[] = [
  [/그저께|그제/, -2],
  [/어제|\byesterday\b/i, -1],
  [/오늘|\btoday\b/i, 0],
  [/내일|\btomorrow\b/i, 1],
  [/모레/, 2],
];
const REQUEST_KO =
  /\s*(?:에 대(?:해서?|한))?\s*(?:을|를|좀)?\s*(?:검색|찾아|알려|번역|조회|요약|설명|말해|보여|확인|계산|보내|등록|추가|저장)(?:해|하|을|를|봐|줘)?[\s가-힣]*[.?!]*$/;
const REQUEST_EN =
  /^(?:please|could you|can you|would you|i want to|i'd like to|help me)?\s*(?:please)?\s*(?:search(?: the web)?(?: for)?|look up|find(?: out)?|google|translate|summari[sz]e|tell me(?: about)?|show me|explain|what (?:is|are)|who is)\s+/i;

/** Reads a text of at most 4,000 characters (the rest is not looked at). `today` is the model's date, `YYYY-MM-DD`. */
export function readText(whole: string, today: string): Reading {
  const text = whole.slice(0, 4_000);
  const expressions = expressionsIn(text);
  const dates = datesIn(text, today);
  const phones = all(text, /(?<!\d)0\d{1,2}-\d{3,4}-\d{4}(?!\d)/g);
  const bare = text.replace(/\d{4}-\d{1,2}-\d{1,2}|0\d{1,2}-\d{3,4}-\d{4}|https?:\/\/\S+/g, " ");
  const quoted = [
    ...text.matchAll(/"([^"\n]+)"|“([^”\n]+)”|‘([^’\n]+)’|「([^」\n]+)」|(?<![\w])'([^'\n]+)'(?!\w)/g),
  ].map((match) => match.slice(1).find((group) => group !== undefined) ?? "");
  return {
    text,
    cities: citiesIn(text),
    expressions,
    quoted,
    dates,
    numbers: expressions.length > 0 ? [] : numbersIn(bare),
    identifiers: all(bare, /(?<![\w-])(?:[A-Za-z]+[-_]?)?\d[\w-]*/g),
    emails: all(text, /[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,64})+/g),
    urls: all(text, /https?:\/\/[^\s"'<>)\]가-힣]+/g).map((url) => url.replace(/[.,;!?]+$/, "")),
    phones,
    currencies: all(text, CURRENCY).map((word) => CURRENCY_CODES.find(([pattern]) => pattern.test(word))?.[1] ?? word),
    languages: LANGUAGES.filter((language) => language.pattern.test(text)),
    topic: topicOf(text),
  };
}

function all(text: string, pattern: RegExp): string[] {
  return [...new Set([...text.matchAll(pattern)].map((match) => match[0]))];
}

function numbersIn(text: string): NumberRead[] {
  return [...text.matchAll(/(?<![\w.-])(-?\d[\d,]*(?:\.\d+)?) ?([만천백]?[가-힣]{0,3}|[a-zA-Z%]*)/g)].flatMap(
    (match) => {
      const value = Number((match[1] ?? "").replaceAll(",", ""));
      const unit = match[2] ?? "";
      return Number.isFinite(value) ? [{ value: unit.startsWith("만") ? value * 10_000 : value, unit }] : [];
    },
  );
}

function datesIn(text: string, today: string): string[] {
  const year = today.slice(0, 4);
  const dates = [
    ...text.matchAll(/\b(\d{4})[-./년] ?(\d{1,2})[-./월] ?(\d{1,2})(?:일)?|(?<!\d)(\d{1,2})월 ?(\d{1,2})일/g),
  ].map((match) => {
    const [month, day] = match[4] === undefined ? [match[2], match[3]] : [match[4], match[5]];
    return `${match[1] ?? year}-${(month ?? "").padStart(2, "0")}-${(day ?? "").padStart(2, "0")}`;
  });
  for (const [pattern, days] of RELATIVE_DAYS) {
    if (pattern.test(text)) dates.push(new Date(Date.parse(today) + days * 86_400_000).toISOString().slice(0, 10));
  }
  return dates;
}

function topicOf(whole: string): string {
  const text = whole.replace(/\s+/g, " ").trim();
  const topic = hasHangul(text) ? text.replace(REQUEST_KO, "") : text.replace(REQUEST_EN, "");
  const cleaned = topic.replace(/[?!.\s]+$/, "").trim();
  return cleaned === "" ? text : cleaned;
}

/**
 * A place the text names though the model does not know it: English after `in`, `at`, `for`; Korean the first word that
 * is not about anything else (`강남역 날씨`). Undefined when there is none.
 */
export function unknownPlaceIn(text: string): string | undefined {
  const english = /\b(?:in|at|for|of|near) ((?:[A-Z][\w'-]*)(?: [A-Z][\w'-]*){0,3})/.exec(text)?.[1];
  if (english !== undefined) return english;
  if (!hasHangul(text)) return undefined;
  const first =
    /^\s*(?:(?:그럼|그러면|혹시|오늘|내일|모레|어제|지금|이번|다음|주말|주)(?:은|는|의)?\s+){0,3}([가-힣A-Za-z][가-힣A-Za-z0-9]{1,19})\s+\S/.exec(
      text,
    )?.[1];
  if (first === undefined) return undefined;
  const stem = stemOf(first.replace(/의$/, ""));
  return contentWords(stem).size > 0 && !NOT_A_PLACE.test(stem) ? stem : undefined;
}

const NOT_A_PLACE =
  /^(?:날씨|기온|온도|미세먼지|공기|대기|내일|어제|모레|이번|다음|주말|안녕|우리|나는|내가|여기|거기|저기|어디|그곳|혹시|비|눈|습도|바람|제가|저는|네가|얼마|좋은|시간|요즘|밖)/;

/** The IANA zone a text asks for: a city's, a named one, or Korea's when Korea is meant. */
export function timezoneIn(reading: Reading): string | undefined {
  const named = /\b[A-Z][a-z]+\/[A-Z][A-Za-z_]+\b|\bUTC\b|\bGMT\b/.exec(reading.text)?.[0];
  if (named !== undefined) return named === "GMT" ? "UTC" : named;
  const city = reading.cities[0];
  if (city !== undefined) return cityNamed(city)?.timezone;
  return /한국|\bkorea\b|\bKST\b/i.test(reading.text) ? "Asia/Seoul" : undefined;
}
