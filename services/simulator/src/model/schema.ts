/** A JSON Schema as plain data; nothing in it is trusted to have the right type. */
export type Schema = Readonly<Record<string, unknown>>;

/** The properties of an object schema that are schemas themselves. */
export function propertiesOf(schema: Schema): Readonly<Record<string, Schema>> {
  const properties = schema.properties;
  if (!isSchema(properties)) return {};
  return Object.fromEntries(
    Object.entries(properties).filter((entry): entry is [string, Schema] => isSchema(entry[1])),
  );
}

/** Names of the required properties. */
export function requiredOf(schema: Schema): Set<string> {
  const required = schema.required;
  return new Set(Array.isArray(required) ? required.filter((name) => typeof name === "string") : []);
}

export function isSchema(value: unknown): value is Schema {
  return value !== null && typeof value === "object" && !Array.isArray(value);
}

/** A schema's first alternative that is not null, or itself. */
export function concrete(schema: Schema): Schema {
  for (const key of ["anyOf", "oneOf"]) {
    const options = schema[key];
    if (!Array.isArray(options)) continue;
    const option = options.find((item) => isSchema(item) && item.type !== "null");
    if (isSchema(option)) return { description: schema.description, ...option };
  }
  return schema;
}

/** The type a value is to have; a schema that does not say is a string, or an object when it has properties. */
export function typeOf(schema: Schema): string {
  const type = concrete(schema).type;
  if (typeof type === "string") return type;
  if (Array.isArray(type)) return type.find((name) => typeof name === "string" && name !== "null") ?? "string";
  return isSchema(schema.properties) ? "object" : "string";
}

/** What a parameter stands for, by its name and description. */
export type Kind =
  | "location"
  | "expression"
  | "timezone"
  | "email"
  | "url"
  | "phone"
  | "date"
  | "language"
  | "currency"
  | "identifier"
  | "text"
  | "other";

const KINDS: readonly (readonly [Kind, RegExp])[] = [
  ["timezone", /time ?zone|\btz\b|시간대|표준시/],
  ["expression", /\bexpr(?:ession)?\b|formula|equation|수식|계산식/],
  ["email", /e-?mail|이메일/],
  ["url", /\bur[li]\b|website|링크/],
  ["phone", /phone|mobile|전화|휴대폰/],
  [
    "location",
    /\bcity\b|\bcities\b|locations?\b|places?\b|region|\barea\b|address|origin|destination|departure|arrival|도시|지역|위치|장소|지명|주소|출발지|도착지/,
  ],
  ["currency", /currency|통화|화폐/],
  ["language", /\blang(?:uage)?s?\b|언어/],
  ["date", /\bdates?\b|\bday\b|날짜|일자/],
  ["identifier", /\bids?\b|\bnumber\b|\bno\b|\bcode\b|identifier|번호|코드|아이디/],
  [
    "text",
    /query|search|keywords?|question|\btext\b|message|content|prompt|\binput\b|topic|subject|\bbody\b|title|note|검색|질문|내용|메시지|문장|본문|제목|주제|키워드/,
  ],
];

/** The name decides; only a name that says nothing lets the description speak. */
export function kindOf(name: string, property: Schema): Kind {
  const schema = concrete(property);
  if (schema.format === "date" || schema.format === "date-time") return "date";
  const spaced = name
    .replace(/([a-z])([A-Z])/g, "$1 $2")
    .replace(/[_-]+/g, " ")
    .toLowerCase();
  const byName = KINDS.find(([, pattern]) => pattern.test(spaced));
  if (byName !== undefined) return byName[0];
  const description = typeof schema.description === "string" ? schema.description.slice(0, 400).toLowerCase() : "";
  return KINDS.find(([, pattern]) => pattern.test(description))?.[0] ?? "other";
}

/** The plainest value a schema allows, with `text` wherever a free string is wanted. */
export function plainest(schema: Schema, text: string, depth: number): unknown {
  const shape = concrete(schema);
  if (Array.isArray(shape.enum)) return shape.enum[0];
  if ("const" in shape) return shape.const;
  switch (typeOf(shape)) {
    case "integer":
    case "number":
      return typeof shape.minimum === "number" ? shape.minimum : 0;
    case "boolean":
      return false;
    case "null":
      return null;
    case "array": {
      const wanted = typeof shape.minItems === "number" ? Math.min(shape.minItems, 8) : 0;
      const items = isSchema(shape.items) ? shape.items : {};
      return Array.from({ length: depth > 8 ? 0 : wanted }, () => plainest(items, text, depth + 1));
    }
    case "object": {
      const required = requiredOf(shape);
      const properties = Object.entries(propertiesOf(shape)).filter(([name]) => required.has(name) && depth < 8);
      return Object.fromEntries(properties.map(([name, property]) => [name, plainest(property, text, depth + 1)]));
    }
    default:
      return typeof shape.maxLength === "number" ? text.slice(0, shape.maxLength) : text;
  }
}
