import { type ProblemDetail, SECRET_LIMITS } from "@maru/contract";
import { escapePointer } from "../canonical.ts";

/** Where a text may have secrets. A tool kind judges its own places further: of a URL, only values of its query may. */
const ALLOWED = [
  /^\/spec\/tools\/\d+\/(?:headers|query|auth|env)\/[^/]+$/,
  /^\/spec\/tools\/\d+\/auth\/[^/]+\/(?:username|password)$/,
  /^\/spec\/tools\/\d+\/request\/url$/,
  /^\/spec\/tools\/\d+\/request\/(?:headers|query)\/[^/]+$/,
  /^\/spec\/tools\/\d+\/request\/body(?:\/|$)/,
  /^\/spec\/tools\/\d+\/request\/form\/[^/]+(?:\/\d+)?$/,
];
/** JavaScript, where the same words are a template of the language's own, and documents of others: nothing is filled in there. */
export const CODE = /^\/spec\/tools\/\d+\/(?:source|document\/inline)$/;
const REFERENCE = /(?<!\$)\$\{secrets\.([^}]*)/g;

/**
 * Secrets where they must not go: whatever the model reads, whatever chooses a destination, names of things. What is there
 * would be sent to a model or shown by the API.
 */
export function misplacedSecrets(manifest: unknown): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  const names = new Set<string>();
  const text = (value: string, pointer: string, allowed: boolean) => {
    const found = [...value.matchAll(REFERENCE)];
    for (const [, name = ""] of found) names.add(name);
    if (found.length > 0 && !allowed)
      errors.push({
        pointer,
        code: "secret_not_allowed_here",
        detail:
          "Secrets may stand in the values of a tool's headers, query and auth, and in the strings of its body or form, and nowhere else.",
      });
  };
  const walk = (value: unknown, pointer: string): void => {
    if (CODE.test(pointer)) return;
    if (typeof value === "string")
      text(
        value,
        pointer,
        ALLOWED.some((place) => place.test(pointer)),
      );
    else if (typeof value === "object" && value !== null)
      for (const [key, item] of Object.entries(value)) {
        const place = `${pointer}/${escapePointer(key)}`;
        text(key, place, false);
        walk(item, place);
      }
  };
  walk(manifest, "");
  if (names.size > SECRET_LIMITS.perAgent)
    errors.push({
      pointer: "/spec/tools",
      code: "limit_out_of_range",
      detail: `An agent may refer to ${SECRET_LIMITS.perAgent} secrets.`,
    });
  return errors;
}
