import { cityNamed } from "./cities.ts";
import { hasHangul } from "./korean.ts";
import { type Language, type Reading, timezoneIn, unknownPlaceIn } from "./reading.ts";

import {
  concrete,
  isSchema,
  type Kind,
  kindOf,
  plainest,
  propertiesOf,
  requiredOf,
  type Schema,
  typeOf,
} from "./schema.ts";

export type Arguments = Record<string, unknown>;

/** Where values come from when a schema is filled. */
export interface Sources {
  readonly reading: Reading;
  /** Arguments of an earlier call: used for what the text says nothing about ("그럼 부산은?"). */
  readonly previous?: Readonly<Record<string, unknown>>;
  /** Values of tool results by normalised key (see `factKey`). */
  readonly facts?: ReadonlyMap<string, unknown>;
  /** When set, nothing stays missing: strings become this text, the rest gets the plainest value that fits. */
  readonly answer?: string;
}

export interface Filled {
  /** One set of arguments for each call to make: several cities or expressions for one parameter are several calls. */
  readonly variants: readonly Arguments[];
  /** Required parameters nothing was found for. */
  readonly missing: readonly string[];
}

/** Calls one text can ask of one tool; more values than this are left out. */
const MAX_VARIANTS = 8;

/** Fills a tool's parameter schema from what the user wrote. */
export function fillArguments(schema: Schema, sources: Sources): Filled {
  const properties = Object.entries(propertiesOf(schema));
  const required = requiredOf(schema);
  const places = properties.filter(
    ([name, property]) => kindOf(name, property) === "location" && typeOf(property) === "string",
  );
  const used = new Set<string>();
  const args: Arguments = {};
  const missing: string[] = [];
  let fan: { readonly name: string; readonly values: readonly unknown[] } | null = null;
  // Required parameters choose first, so that an optional `limit` cannot take the only number from an order id.
  const ordered = [...properties].sort(([a], [b]) => Number(required.has(b)) - Number(required.has(a)));
  for (const [name, property] of ordered) {
    let values = candidates(name, property, required.has(name), sources, used);
    // Origin and destination: the n-th place parameter takes the n-th place.
    const rank = places.findIndex(([place]) => place === name);
    if (places.length > 1 && rank >= 0) values = values.slice(rank, rank + 1);
    const [first] = values;
    if (first === undefined) {
      const fallback = remembered(name, property, required.has(name), sources);
      if (fallback !== undefined) args[name] = fallback;
      else if (required.has(name)) missing.push(name);
      continue;
    }
    if (values.length > 1 && fan === null) fan = { name, values: values.slice(0, MAX_VARIANTS) };
    args[name] = first;
  }
  const inOrder = Object.fromEntries(
    properties.filter(([name]) => Object.hasOwn(args, name)).map(([name]) => [name, args[name]]),
  );
  if (fan === null) return { variants: [inOrder], missing };
  const { name, values } = fan;
  return { variants: values.map((value) => ({ ...inOrder, [name]: value })), missing };
}

/** A key as facts are looked up: `temperature_c` and `temperatureC` are the same. */
export function factKey(name: string): string {
  return name.toLowerCase().replace(/[^a-z0-9가-힣]/g, "");
}

/** Values the text has for one property; an optional one gets only what clearly belongs to it. */
function candidates(
  name: string,
  property: Schema,
  required: boolean,
  sources: Sources,
  used: Set<string>,
): readonly unknown[] {
  const schema = concrete(property);
  const options = Array.isArray(schema.enum) ? schema.enum : "const" in schema ? [schema.const] : null;
  if (options !== null) return enumValues(options, sources.reading);
  switch (typeOf(schema)) {
    case "string":
      return strings(kindOf(name, schema), required, sources, used);
    case "integer":
    case "number":
      return numbers(name, schema, required, sources.reading, used);
    case "array": {
      const items = isSchema(schema.items) ? schema.items : {};
      // The items are known by the name of the list: `cities: string[]` holds cities.
      const found = candidates(name, { description: schema.description, ...items }, required, sources, used);
      return found.length === 0 ? [] : [found];
    }
    case "object": {
      if (!required) return [];
      const { variants, missing } = fillArguments(schema, sources);
      return missing.length > 0 ? [] : variants.slice(0, 1);
    }
    default:
      return [];
  }
}

/** Members of an enum that the text names; cities and languages match across languages. */
function enumValues(options: readonly unknown[], reading: Reading): readonly unknown[] {
  const text = reading.text.toLowerCase();
  const cities = new Set(reading.cities.map((city) => cityNamed(city)));
  return options.filter((option) => {
    if (typeof option !== "string" || option === "") return false;
    const city = cityNamed(option);
    if (city !== undefined && cities.has(city)) return true;
    const word = option.toLowerCase();
    if (
      reading.languages.some(
        (language) => word === language.code || word === language.en.toLowerCase() || word === language.ko,
      )
    )
      return true;
    if (reading.currencies.includes(option.toUpperCase())) return true;
    if (hasHangul(word)) return text.includes(word);
    return new RegExp(
      `(?<![a-z0-9])${word.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replace(/[_ -]/g, "[_ -]")}(?![a-z0-9])`,
    ).test(text);
  });
}

function strings(kind: Kind, required: boolean, { reading }: Sources, used: Set<string>): readonly unknown[] {
  switch (kind) {
    case "location": {
      if (reading.cities.length > 0) return reading.cities;
      const place = unknownPlaceIn(reading.text);
      return place === undefined ? [] : [place];
    }
    case "expression":
      return reading.expressions;
    case "timezone": {
      const zone = timezoneIn(reading);
      // Who asks in Korean means Korea's time.
      return zone !== undefined ? [zone] : required || hasHangul(reading.text) ? ["Asia/Seoul"] : [];
    }
    case "email":
      return reading.emails.slice(0, 1);
    case "url":
      return reading.urls.slice(0, 1);
    case "phone":
      return reading.phones.slice(0, 1);
    case "date":
      return takeNext(reading.dates, "date", used);
    case "language":
      return reading.languages
        .slice(-1)
        .map((language: Language) => (hasHangul(reading.text) ? language.ko : language.en));
    case "currency":
      return takeNext(reading.currencies, "currency", used);
    case "identifier":
      return takeNext(reading.identifiers, "identifier", used);
    default: {
      const quoted = takeNext(reading.quoted, "quoted", used);
      // The topic serves one free parameter; whoever needs a second text is asked for it.
      if (quoted.length > 0 || !required || used.has("topic") || reading.topic === "") return quoted;
      used.add("topic");
      return [reading.topic];
    }
  }
}

/** The next value of a list that no other parameter has taken. */
function takeNext(values: readonly string[], list: string, used: Set<string>): readonly string[] {
  const next = values.find((_, index) => !used.has(`${list}:${index}`));
  if (next === undefined) return [];
  used.add(`${list}:${values.indexOf(next)}`);
  if (list === "identifier") used.add(`number:${next}`);
  return [next];
}

const UNIT_HINTS: readonly (readonly [RegExp, RegExp])[] = [
  [/day|일수/, /^(?:일|days?)/i],
  [/hour|시간/, /^(?:시간|hours?)/i],
  [/minute|분/, /^(?:분|min)/i],
  [/week|주/, /^(?:주|weeks?)/i],
  [/limit|count|max|size|top|quantity|개수|수량/, /^(?:개|건|권|장|items?|results?|times|번)/i],
  [/people|guests?|party|인원/, /^(?:명|인|people|persons?|guests?)/i],
  [/amount|price|budget|금액|가격|예산/, /^(?:만|원|달러|유로|엔|won|dollars?|usd|krw|eur)/i],
];

function numbers(
  name: string,
  schema: Schema,
  required: boolean,
  reading: Reading,
  used: Set<string>,
): readonly unknown[] {
  const label =
    `${name} ${typeof schema.description === "string" ? schema.description.slice(0, 200) : ""}`.toLowerCase();
  const hint = UNIT_HINTS.find(([pattern]) => pattern.test(label))?.[1];
  const fits = reading.numbers.filter(({ value }) => {
    if (typeOf(schema) === "integer" && !Number.isInteger(value)) return false;
    if (typeof schema.minimum === "number" && value < schema.minimum) return false;
    if (typeof schema.maximum === "number" && value > schema.maximum) return false;
    return !used.has(`number:${value}`);
  });
  const chosen = fits.find(({ unit }) => hint?.test(unit)) ?? (required ? fits[0] : undefined);
  if (chosen === undefined) return [];
  used.add(`number:${chosen.value}`);
  return [chosen.value];
}

/** What a property gets when the text has nothing for it; undefined = leave it out (or ask, when it is required). */
function remembered(name: string, property: Schema, required: boolean, sources: Sources): unknown {
  const schema = concrete(property);
  if (sources.previous !== undefined && Object.hasOwn(sources.previous, name)) return sources.previous[name];
  if (sources.facts !== undefined) {
    const fact = factFor(name, typeOf(schema), sources.facts);
    if (fact !== undefined) return fact;
  }
  if (!required) return undefined;
  if (schema.default !== undefined) return schema.default;
  if (Array.isArray(schema.enum)) return schema.enum[0];
  if ("const" in schema) return schema.const;
  if (typeOf(schema) === "boolean") return false;
  return sources.answer === undefined ? undefined : plainest(schema, sources.answer, 0);
}

function factFor(name: string, type: string, facts: ReadonlyMap<string, unknown>): unknown {
  const key = factKey(name);
  const fits = (value: unknown): boolean =>
    type === "integer"
      ? Number.isInteger(value)
      : type === "number" || type === "boolean" || type === "string"
        ? typeof value === type
        : false;
  const exact = facts.get(key);
  if (fits(exact)) return exact;
  if (key.length < 4) return undefined;
  for (const [known, value] of facts) if (known.startsWith(key) && fits(value)) return value;
  return undefined;
}
