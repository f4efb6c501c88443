import { deeperThan, parseJson } from "../python-json.ts";
import { factKey } from "./arguments.ts";
import type { PastCall } from "./conversation.ts";
import { josa } from "./korean.ts";
import { withoutMarkup } from "./utterance.ts";

/** A leaf of a tool's result: its key, without the path to it, and its value. */
interface Leaf {
  readonly key: string;
  readonly value: string | number | boolean;
}

const MAX_LEAVES = 12;
const MAX_TEXT = 600;
/** Keys that only wrap a single value: it is said without them. */
const WRAPPERS = new Set(["", "result", "value", "output", "data", "content", "response", "body", "text", "answer"]);
const SUBJECTS = ["city", "location", "place", "region", "name", "title", "도시", "지역"];

/** Korean and English names of common result keys. */
const LABELS: Readonly<Record<string, readonly [string, string]>> = {
  condition: ["날씨", "condition"],
  weather: ["날씨", "weather"],
  temperature: ["기온", "temperature"],
  temp: ["기온", "temperature"],
  humidity: ["습도", "humidity"],
  wind: ["바람", "wind"],
  pm10: ["PM10", "PM10"],
  pm25: ["PM2.5", "PM2.5"],
  grade: ["등급", "grade"],
  time: ["시각", "time"],
  date: ["날짜", "date"],
  timezone: ["시간대", "timezone"],
  status: ["상태", "status"],
  price: ["가격", "price"],
  amount: ["금액", "amount"],
  rate: ["환율", "rate"],
  result: ["결과", "result"],
  count: ["개수", "count"],
};
const UNITS: readonly (readonly [RegExp, string])[] = [
  [/_c$|_celsius$/, "°C"],
  [/_f$/, "°F"],
  [/_(?:percent|pct)$/, "%"],
  [/_mps$/, " m/s"],
  [/_kmh$/, " km/h"],
  [/_ugm3$/, " µg/m³"],
  [/_mm$/, " mm"],
  [/_km$/, " km"],
  [/_krw$/, " KRW"],
  [/_usd$/, " USD"],
  [/_ms$/, " ms"],
  [/_seconds$/, " s"],
];

/**
 * A sentence for each call that has a result, in the order of the calls. A failed call without usable arguments is
 * passed over once a call of the same tool went well: that was the model's own slip, and it has been mended.
 */
export function answerFrom(calls: readonly PastCall[], korean: boolean): string {
  const answered = calls.filter((call) => call.result !== null);
  const failed = (call: PastCall): boolean => errorIn(call.result ?? "") !== null;
  const lines = answered
    .filter((call) => {
      const slip = failed(call) && Object.keys(call.args ?? {}).length === 0;
      return !(slip && answered.some((other) => other.name === call.name && !failed(other)));
    })
    .map((call) => withoutMarkup(sentenceFor(call, korean)));
  return [...new Set(lines)].join("\n");
}

/** The values of all results by `factKey`, first come first kept: what a structured answer is filled from. */
export function factsFrom(calls: readonly PastCall[]): Map<string, unknown> {
  const facts = new Map<string, unknown>();
  for (const call of calls) {
    for (const { key, value } of leavesOf(readResult(call.result ?? ""))) {
      if (!facts.has(factKey(key))) facts.set(factKey(key), value);
    }
  }
  return facts;
}

/** The message of a result that reports a failure; null for any other result. */
export function errorIn(result: string): string | null {
  const value = readResult(result);
  if (value !== null && typeof value === "object" && !Array.isArray(value)) {
    const error = (value as Record<string, unknown>).error;
    if (error === undefined || error === null || error === false) return null;
    if (typeof error === "string") return error;
    const parts = leavesOf(error).map((leaf) => String(leaf.value));
    return parts.length > 0 ? parts.join(": ") : "error";
  }
  const text = typeof value === "string" ? value : result;
  return /^(?:error|오류|실패)\b|^(?:오류|실패)/i.test(text.trim()) ? text.trim().slice(0, MAX_TEXT) : null;
}

/** JSON as its value, a JSON string as its text, anything else as the text it is. */
function readResult(result: string): unknown {
  const value = parseJson(result);
  return value === undefined || deeperThan(value, 32) ? result : value;
}

function sentenceFor(call: PastCall, korean: boolean): string {
  const result = call.result ?? "";
  const given = Object.entries(call.args ?? {}).map(
    ([key, value]) => `${key}=${typeof value === "string" ? value : JSON.stringify(value)}`,
  );
  const error = errorIn(result);
  if (error !== null) {
    const what = `${call.name}(${given.join(", ")})`;
    return korean ? `${what} 호출이 실패했습니다: ${error}` : `The call ${what} failed: ${error}`;
  }
  const value = readResult(result);
  const all = leavesOf(value);
  const asked = new Map(Object.entries(call.args ?? {}));
  // What merely echoes the arguments is no news; the subject is said once, in front.
  const subject = subjectOf(all, asked);
  const leaves = all.filter(
    (leaf) => leaf.value !== subject && !(asked.get(leaf.key) === leaf.value && all.length > 1),
  );
  const [only] = leaves;
  if (only !== undefined && leaves.length === 1 && WRAPPERS.has(only.key)) {
    return scalarSentence(call.name, asked, subject, only, korean);
  }
  if (leaves.length === 0) {
    const text = typeof value === "string" ? value.trim().slice(0, MAX_TEXT) : "";
    if (text === "") return korean ? `${call.name}의 결과는 비어 있습니다.` : `${call.name} returned nothing.`;
    return korean ? `${call.name}의 결과입니다: ${text}` : `${call.name} returned: ${text}`;
  }
  const fields = leaves.map((leaf) => field(leaf, korean)).join(", ");
  const head = subject ?? (korean ? `${call.name} 결과` : `Result of ${call.name}`);
  return korean ? `${head}: ${fields}입니다.` : `${head}: ${fields}.`;
}

function scalarSentence(
  tool: string,
  asked: ReadonlyMap<string, unknown>,
  subject: string | null,
  leaf: Leaf,
  korean: boolean,
): string {
  const value = `${leaf.value}${unitOf(leaf.key)}`.slice(0, MAX_TEXT);
  const expression = asked.get("expression") ?? asked.get("expr") ?? asked.get("formula");
  if (typeof expression === "string") {
    return korean ? `${expression}의 계산 결과는 ${value}입니다.` : `${expression} = ${value}.`;
  }
  if (typeof leaf.value === "string" && leaf.value.length > 80) {
    return korean ? `${tool}의 결과입니다: ${value}` : `${tool} returned: ${value}`;
  }
  const what = subject ?? (korean ? `${tool}의 결과` : `The result of ${tool}`);
  return korean ? `${josa(what, "은", "는")} ${value}입니다.` : `${what} is ${value}.`;
}

function subjectOf(leaves: readonly Leaf[], asked: ReadonlyMap<string, unknown>): string | null {
  for (const key of SUBJECTS) {
    const value = leaves.find((leaf) => leaf.key === key)?.value ?? asked.get(key);
    if (typeof value === "string" && value !== "") return value;
  }
  return null;
}

function field({ key, value }: Leaf, korean: boolean): string {
  const base = key.replace(/_(?:c|f|celsius|percent|pct|mps|kmh|ugm3|mm|km|krw|usd|ms|seconds)$/, "");
  const label =
    LABELS[base.toLowerCase()]?.[korean ? 0 : 1] ??
    LABELS[factKey(base)]?.[korean ? 0 : 1] ??
    base.replaceAll("_", " ");
  return `${label === "" ? "" : `${label} `}${String(value).slice(0, MAX_TEXT)}${unitOf(key)}`;
}

function unitOf(key: string): string {
  return UNITS.find(([pattern]) => pattern.test(key))?.[1] ?? "";
}

function leavesOf(value: unknown): Leaf[] {
  const leaves: Leaf[] = [];
  const walk = (node: unknown, key: string): void => {
    if (leaves.length >= MAX_LEAVES || node === null || node === undefined) return;
    if (Array.isArray(node)) for (const item of node.slice(0, MAX_LEAVES)) walk(item, key);
    else if (typeof node === "object") for (const [name, child] of Object.entries(node).slice(0, 64)) walk(child, name);
    else if (typeof node === "string" || typeof node === "number" || typeof node === "boolean")
      leaves.push({ key, value: node });
  };
  if (typeof value !== "string") walk(value, "");
  // A wrapper's `ok: true` says nothing once there is something else to say.
  const news = leaves.filter((leaf) => leaf.key !== "ok");
  return news.length > 0 ? news : leaves;
}
