import { type SecretReference, secretAt } from "../secrets/reference.ts";

/** A text with `{name}` places and `${secrets.NAME}` references; `{{` and `}}` stand for the braces themselves. */
export type Template = readonly (string | { readonly name: string } | SecretReference)[];

/** Reads a template. @throws Error saying what is wrong, when a brace is not closed or a name is not one */
export function parseTemplate(text: string): Template {
  const parts: (string | { name: string } | SecretReference)[] = [];
  let literal = "";
  for (let index = 0; index < text.length; index++) {
    const char = text[index] as string;
    const reference = secretAt(text, index);
    if (reference !== null) {
      if (typeof reference.part === "string") literal += reference.part;
      else {
        parts.push(literal, reference.part);
        literal = "";
      }
      index = reference.end - 1;
    } else if ((char === "{" || char === "}") && text[index + 1] === char) {
      literal += char;
      index++;
    } else if (char === "{") {
      const end = text.indexOf("}", index);
      const name = end < 0 ? "" : text.slice(index + 1, end);
      if (end < 0) throw new Error("has a { that is not closed; write {{ for the brace itself");
      if (!/^[A-Za-z_][A-Za-z0-9_]{0,63}$/.test(name))
        throw new Error(`has {${name}}, which is not the name of a parameter`);
      parts.push(literal, { name });
      literal = "";
      index = end;
    } else if (char === "}") throw new Error("has a } without its {; write }} for the brace itself");
    else literal += char;
  }
  parts.push(literal);
  return parts.filter((part) => part !== "");
}

/** Names of a template's places. */
export const placesOf = (template: Template): string[] =>
  template.flatMap((part) => (typeof part === "object" && "name" in part ? [part.name] : []));

/** The argument of a name; null when there is none. Only what the model wrote counts, never what objects inherit. */
export const argumentOf = (args: Readonly<Record<string, unknown>>, name: string): unknown =>
  Object.hasOwn(args, name) ? (args[name] ?? null) : null;

export type SecretValues = ReadonlyMap<string, string>;

/**
 * Fills a template; null when a place has no argument. `encode` makes a value safe for where it goes; `secrets` has a value
 * for every reference.
 */
export function fillTemplate(
  template: Template,
  args: Readonly<Record<string, unknown>>,
  secrets: SecretValues,
  encode: (value: string) => string,
): string | null {
  let text = "";
  for (const part of template) {
    if (typeof part === "string") text += part;
    else if ("secret" in part) text += encode(secrets.get(part.secret) as string);
    else {
      const value = argumentOf(args, part.name);
      if (value === null) return null;
      text += encode(asText(value));
    }
  }
  return text;
}

/** An argument as text: strings as they are, everything else as JSON. */
export const asText = (value: unknown): string => (typeof value === "string" ? value : JSON.stringify(value));
