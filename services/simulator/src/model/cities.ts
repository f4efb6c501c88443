import { isParticle } from "./korean.ts";

/** A place the model knows by its Korean and its English name. */
export interface City {
  readonly ko: string;
  readonly en: string;
  readonly timezone: string;
  /** Only Korean cities have weather in the demo API. */
  readonly korean: boolean;
}

const SEOUL = "Asia/Seoul";

const KOREAN: readonly (readonly [string, string])[] = [
  ["서울", "Seoul"],
  ["부산", "Busan"],
  ["인천", "Incheon"],
  ["대구", "Daegu"],
  ["대전", "Daejeon"],
  ["광주", "Gwangju"],
  ["울산", "Ulsan"],
  ["세종", "Sejong"],
  ["수원", "Suwon"],
  ["고양", "Goyang"],
  ["용인", "Yongin"],
  ["성남", "Seongnam"],
  ["창원", "Changwon"],
  ["청주", "Cheongju"],
  ["전주", "Jeonju"],
  ["포항", "Pohang"],
  ["천안", "Cheonan"],
  ["강릉", "Gangneung"],
  ["춘천", "Chuncheon"],
  ["원주", "Wonju"],
  ["여수", "Yeosu"],
  ["순천", "Suncheon"],
  ["목포", "Mokpo"],
  ["경주", "Gyeongju"],
  ["안동", "Andong"],
  ["속초", "Sokcho"],
  ["김해", "Gimhae"],
  ["평택", "Pyeongtaek"],
  ["제주", "Jeju"],
  ["서귀포", "Seogwipo"],
];

const ABROAD: readonly (readonly [string, string, string])[] = [
  ["도쿄", "Tokyo", "Asia/Tokyo"],
  ["오사카", "Osaka", "Asia/Tokyo"],
  ["베이징", "Beijing", "Asia/Shanghai"],
  ["상하이", "Shanghai", "Asia/Shanghai"],
  ["홍콩", "Hong Kong", "Asia/Hong_Kong"],
  ["싱가포르", "Singapore", "Asia/Singapore"],
  ["방콕", "Bangkok", "Asia/Bangkok"],
  ["하노이", "Hanoi", "Asia/Ho_Chi_Minh"],
  ["뉴욕", "New York", "America/New_York"],
  ["런던", "London", "Europe/London"],
  ["파리", "Paris", "Europe/Paris"],
  ["베를린", "Berlin", "Europe/Berlin"],
  ["시드니", "Sydney", "Australia/Sydney"],
  ["샌프란시스코", "San Francisco", "America/Los_Angeles"],
];

export const CITIES: readonly City[] = [
  ...KOREAN.map(([ko, en]) => ({ ko, en, timezone: SEOUL, korean: true })),
  ...ABROAD.map(([ko, en, timezone]) => ({ ko, en, timezone, korean: false })),
];

/** What may stand between a Korean city name and its particle: `부산광역시의`, `제주도는`. */
const SUFFIX = /^(?:특별자치시|특별자치도|특별시|광역시|시|도)?/;
/** Words people glue to a city name without a space. */
const GLUED = /^(?:날씨|기온|온도|미세먼지|대기질|공기|시간|시각|현재)/;

const BY_NAME = new Map(
  CITIES.flatMap(
    (city) =>
      [
        [city.ko, city],
        [city.en.toLowerCase(), city],
      ] as const,
  ),
);
const ENGLISH = new RegExp(`\\b(?:${CITIES.map((city) => city.en).join("|")})\\b`, "gi");
const HANGUL = new RegExp(
  `(?<![\\uac00-\\ud7a3])(?:${CITIES.map((city) => city.ko)
    .sort((a, b) => b.length - a.length)
    .join("|")})`,
  "g",
);

/** The city a name means, in either language, with or without 시 and the like; undefined when unknown. */
export function cityNamed(name: string): City | undefined {
  const key = name.trim().toLowerCase();
  return (
    BY_NAME.get(key) ??
    BY_NAME.get(key.replace(/(?:특별자치시|특별자치도|특별시|광역시|시|도)$/, "")) ??
    BY_NAME.get(key.replace(/[- ](?:si|do|city)$/, ""))
  );
}

/** The cities a text names, each once, in the order of the text, written in the language they were written in. */
export function citiesIn(text: string): string[] {
  const found: { readonly at: number; readonly name: string }[] = [];
  for (const match of text.matchAll(ENGLISH)) {
    const city = BY_NAME.get(match[0].toLowerCase());
    if (city !== undefined) found.push({ at: match.index, name: city.en });
  }
  for (const match of text.matchAll(HANGUL)) {
    const word = /^[\uac00-\ud7a3]*/.exec(text.slice(match.index + match[0].length, match.index + 32))?.[0] ?? "";
    const rest = word.replace(SUFFIX, "");
    // 대구 is a city, 대구탕 is a soup: what follows must be a particle or a word known to be glued on.
    if (isParticle(word) || isParticle(rest) || GLUED.test(word) || GLUED.test(rest))
      found.push({ at: match.index, name: match[0] });
  }
  return [...new Set(found.sort((a, b) => a.at - b.at).map((entry) => entry.name))];
}
