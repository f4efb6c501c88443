import { SECRET_NAME_PATTERN } from "@maru/contract";

/**
 * References to secrets in a manifest's texts: `${secrets.NAME}`, and `$${secrets.NAME}` for that text itself. Every tool kind
 * reads them by these functions; a revision keeps the reference, never the value.
 */
export interface SecretReference {
  readonly secret: string;
}
export type SecretText = readonly (string | SecretReference)[];

/** Values of secrets by name, at this moment, as the run's agent has them; names without one are left out. */
export type SecretAccess = (names: readonly string[]) => Promise<ReadonlyMap<string, string>>;

const BEGIN = `\${secrets.`;
const NAME = new RegExp(SECRET_NAME_PATTERN);

/**
 * The reference that begins at a place of a text, or the text an escaped one stands for; null when neither begins there.
 * @throws Error saying what is wrong with it
 */
export function secretAt(
  text: string,
  index: number,
): { readonly end: number; readonly part: string | SecretReference } | null {
  const escaped = text.startsWith(`$${BEGIN}`, index);
  if (!escaped && !text.startsWith(BEGIN, index)) return null;
  const start = escaped ? index + 1 : index;
  const close = text.indexOf("}", start);
  if (close < 0) throw new Error(`has ${BEGIN} that is not closed`);
  if (escaped) return { end: close + 1, part: text.slice(start, close + 1) };
  const secret = text.slice(start + BEGIN.length, close);
  if (!NAME.test(secret)) throw new Error(`has ${text.slice(start, close + 1)}, which is not the name of a secret`);
  return { end: close + 1, part: { secret } };
}

/** Reads a text that has references and no other places. @throws Error saying what is wrong */
export function parseSecretText(text: string): SecretText {
  const parts: (string | SecretReference)[] = [];
  let literal = "";
  for (let index = 0; index < text.length; ) {
    const found = secretAt(text, index);
    if (found === null) literal += text[index++];
    else {
      if (typeof found.part === "string") literal += found.part;
      else {
        parts.push(literal, found.part);
        literal = "";
      }
      index = found.end;
    }
  }
  parts.push(literal);
  return parts.filter((part) => part !== "");
}

/** The secrets a parsed text refers to. */
export const secretsOf = (parts: readonly (string | object)[]): string[] =>
  parts.flatMap((part) => (typeof part === "object" && "secret" in part ? [String(part.secret)] : []));

/** Whether a text refers to a secret at all, well-formed or not. */
export const mentionsSecret = (text: string): boolean => /(?<!\$)\$\{secrets\./.test(text);

/** Every secret that texts anywhere in a value refer to, sorted. Texts that are no references are passed over. */
export function secretNamesIn(value: unknown): string[] {
  const names = new Set<string>();
  const walk = (item: unknown): void => {
    if (typeof item === "string") {
      for (const [, name = ""] of item.matchAll(/(?<!\$)\$\{secrets\.([^}]*)\}/g)) if (NAME.test(name)) names.add(name);
    } else if (typeof item === "object" && item !== null) Object.values(item).forEach(walk);
  };
  walk(value);
  return [...names].sort();
}

/** A secret that a call needs and that is not there (any more): the call is not made. */
export class SecretUnavailable extends Error {
  readonly names: readonly string[];
  constructor(names: readonly string[]) {
    super(`There is no secret ${names.join(", ")} for this agent any more, and the call needs it.`);
    this.name = "SecretUnavailable";
    this.names = names;
  }
}

/** The values of these secrets, all of them. @throws SecretUnavailable */
export async function needSecrets(
  names: readonly string[],
  access: SecretAccess,
): Promise<ReadonlyMap<string, string>> {
  if (names.length === 0) return new Map();
  const values = await access(names);
  const missing = names.filter((name) => !values.has(name));
  if (missing.length > 0) throw new SecretUnavailable(missing);
  return values;
}

/** Texts by key (headers, say) with their secrets in. @throws SecretUnavailable, or Error when a text is none */
export async function fillSecrets(
  texts: Readonly<Record<string, string>>,
  access: SecretAccess,
): Promise<Record<string, string>> {
  const parsed = Object.entries(texts).map(([key, text]) => ({ key, parts: parseSecretText(text) }));
  const values = await needSecrets([...new Set(parsed.flatMap(({ parts }) => secretsOf(parts)))], access);
  return Object.fromEntries(
    parsed.map(({ key, parts }) => [
      key,
      parts.map((part) => (typeof part === "string" ? part : values.get(part.secret))).join(""),
    ]),
  );
}
