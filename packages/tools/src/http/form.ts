import { argumentOf, asText, fillTemplate, parseTemplate, type SecretValues, type Template } from "./template.ts";

/** A form's entries in order, a key that has several values once for each. */
export type FormTemplate = readonly { readonly key: string; readonly value: Template }[];

/** @throws Error when a value is no template */
export const parseForm = (form: Readonly<Record<string, string | readonly string[]>>): FormTemplate =>
  Object.entries(form).flatMap(([key, values]) =>
    [values].flat().map((value) => ({ key, value: parseTemplate(value) })),
  );

/**
 * The form in application/x-www-form-urlencoded. A value that is just `{name}` repeats its key for each element of an argument
 * that is a list; an entry whose argument is absent is left out.
 */
export function fillForm(form: FormTemplate, args: Readonly<Record<string, unknown>>, secrets: SecretValues): string {
  const filled = new URLSearchParams();
  for (const { key, value } of form) {
    const [only] = value;
    const list = value.length === 1 && typeof only === "object" && "name" in only ? argumentOf(args, only.name) : null;
    if (Array.isArray(list)) for (const item of list) filled.append(key, asText(item ?? ""));
    else {
      const text = fillTemplate(value, args, secrets, (item) => item);
      if (text !== null) filled.append(key, text);
    }
  }
  return filled.toString();
}
