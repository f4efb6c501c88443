import type { ProblemCode } from "@maru/contract";
import { parseSecretText, secretsOf } from "./reference.ts";

/** Reports a mistake of a manifest at a place of the tool's entry. */
export type Report = (place: string, code: ProblemCode, detail: string) => void;

/** Reports the secrets of a parsed text or template that the agent does not have. */
export function checkSecrets(
  parts: readonly (string | object)[],
  place: string,
  hasSecret: (name: string) => boolean,
  report: Report,
): void {
  for (const name of secretsOf(parts))
    if (!hasSecret(name))
      report(place, "secret_not_found", `This agent has no secret named ${name}: PUT /v1/secrets/${name} makes it.`);
}

/** Reports what is wrong with a text that may have secrets and no other places. */
export function checkSecretText(
  text: string,
  place: string,
  hasSecret: (name: string) => boolean,
  report: Report,
): void {
  try {
    checkSecrets(parseSecretText(text), place, hasSecret, report);
  } catch (error) {
    report(place, "template_error", `The text ${error instanceof Error ? error.message : "is not valid"}.`);
  }
}
