import { citiesIn } from "./cities.ts";
import { expressionsIn } from "./expression.ts";
import { hasHangul, stemOf } from "./korean.ts";

/** What a text or a tool is about. Latin words must match as words, Hangul ones anywhere (Korean glues words). */
interface Concept {
  readonly id: string;
  readonly latin: RegExp;
  readonly hangul: RegExp;
}

const CONCEPTS: readonly Concept[] = [
  {
    id: "weather",
    latin: /\b(?:weather|forecasts?|temperatures?|rain(?:y|ing)?|snow(?:y|ing)?|humidity|wind(?:y)?|umbrella)\b/,
    hangul: /날씨|일기|예보|기온|온도|습도|우산|바람|비가? ?(?:오|와|올)|눈이? ?(?:오|와|올)|추워|추운|더워|더운/,
  },
  { id: "air", latin: /\b(?:air|pm ?10|pm ?2\.?5|dust|pollution)\b/, hangul: /미세 ?먼지|대기|공기/ },
  {
    id: "calculation",
    latin: /\b(?:calculat\w*|arithmetic|math|comput\w*|evaluate|expression)\b/,
    hangul: /계산|수식|산수|더하|곱하|빼면|나누|몇이야/,
  },
  {
    id: "time",
    latin: /\b(?:times?|clock|what day|date|timezone)\b/,
    hangul: /몇 ?시|(?<!\d ?)시간(?!당)|시각|며칠|요일|날짜/,
  },
  { id: "search", latin: /\b(?:search|find|look ?up|google|browse)\b/, hangul: /검색|찾아/ },
  { id: "translation", latin: /\b(?:translat\w*)\b/, hangul: /번역/ },
  { id: "currency", latin: /\b(?:currency|exchange|convert|krw|usd|eur|jpy)\b/, hangul: /환율|환전|통화/ },
  { id: "mail", latin: /\b(?:e-?mails?|mail)\b/, hangul: /메일/ },
  { id: "message", latin: /\b(?:sms|notify|notification|slack)\b/, hangul: /문자|알림|메시지/ },
  { id: "order", latin: /\b(?:orders?|delivery|shipping|shipment|track(?:ing)?)\b/, hangul: /주문|배송|택배|운송장/ },
  { id: "refund", latin: /\b(?:refunds?|returns?)\b/, hangul: /환불|반품/ },
  { id: "stock", latin: /\b(?:stocks?|shares?|ticker)\b/, hangul: /주가|주식/ },
  { id: "news", latin: /\b(?:news|headlines?)\b/, hangul: /뉴스|기사/ },
  { id: "route", latin: /\b(?:routes?|directions|navigat\w*)\b/, hangul: /경로|길 ?찾|가는 길/ },
  { id: "schedule", latin: /\b(?:schedule|calendar|meetings?|appointments?)\b/, hangul: /일정|회의|약속/ },
  { id: "booking", latin: /\b(?:book(?:ing)?|reserv\w+)\b/, hangul: /예약|예매/ },
  { id: "place", latin: /\b(?:restaurants?|hotels?|cafes?)\b/, hangul: /맛집|식당|호텔|카페/ },
  { id: "file", latin: /\b(?:files?|folders?)\b/, hangul: /파일|폴더/ },
  { id: "dice", latin: /\b(?:dice|roll)\b/, hangul: /주사위/ },
];

/** Ids of the concepts a text touches; `text` in lower case. */
export function conceptsOf(text: string): Set<string> {
  const found = new Set<string>();
  const hangul = hasHangul(text);
  for (const concept of CONCEPTS) {
    if (concept.latin.test(text) || (hangul && concept.hangul.test(text))) found.add(concept.id);
  }
  return found;
}

/** Ids of the concepts of what a user says: arithmetic asks for a calculation without using the word. */
export function conceptsAsked(text: string): Set<string> {
  const found = conceptsOf(text.toLowerCase());
  if (expressionsIn(text).length > 0) found.add("calculation");
  return found;
}

const STOP_WORDS = new Set(
  (
    "a an the of in on at to for from by with and or is are was be do does did it its this that what which who how when where why can could " +
    "will would should please me my you your i we get give tell show returns return use using given list all any current new now today here " +
    "string text value name data information info result results tool api call user number input output id about " +
    "그리고 그럼 알려 알려줘 알려주세요 해줘 해주세요 지금 오늘 현재 정보 결과 값 이름 사용 사용자 도구 조회 주어진 대한 대해 합니다 한다 있는 무엇 뭐 어때 어떤"
  ).split(" "),
);

/** The words of a text that can identify a tool: lower case, particles and plural endings removed, stop words left out. */
export function contentWords(text: string): Set<string> {
  const words = new Set<string>();
  for (const [word] of text.toLowerCase().matchAll(/[a-z][a-z0-9]+|[\uac00-\ud7a3]{2,}/g)) {
    const stem = hasHangul(word) ? stemOf(word) : word.replace(/(?<=[a-z]{3})s$/, "");
    if (!STOP_WORDS.has(stem) && !STOP_WORDS.has(word)) words.add(stem);
  }
  for (const city of citiesIn(text)) words.delete(city.toLowerCase());
  return words;
}
