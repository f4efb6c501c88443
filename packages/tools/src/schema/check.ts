import type { JsonSchema } from "@maru/contract";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";

/** One compiler for all tools; a schema is compiled once, on its first call. Only admitted schemas (admit.ts) get here. */
const ajv = new Ajv2020({ allErrors: true, strict: false, validateFormats: true, addUsedSchema: false });
(ajvFormats as unknown as (target: Ajv2020) => void)(ajv);

/** Judges arguments in words a model can repair them by. */
export function createArgumentCheck(schema: JsonSchema): (args: unknown) => string | null {
  let validate: ValidateFunction | null = null;
  return (args) => {
    validate ??= ajv.compile(schema);
    if (validate(args)) return null;
    const reasons = (validate.errors ?? []).slice(0, 5).map(({ instancePath, message, keyword, params }) => {
      const extra =
        keyword === "additionalProperties" ? ` (${(params as { additionalProperty: string }).additionalProperty})` : "";
      const values =
        keyword === "enum" ? `: ${JSON.stringify((params as { allowedValues: unknown[] }).allowedValues)}` : "";
      return `${instancePath === "" ? "the arguments" : instancePath} ${message ?? "are not valid"}${extra}${values}`;
    });
    return `The arguments do not match the tool's parameters: ${reasons.join("; ")}.`;
  };
}
