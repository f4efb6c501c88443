import { AgentManifest, MCP_NAME_PATTERN, type ProblemDetail, ToolManifest } from "@maru/contract";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { closest, distance } from "fastest-levenshtein";
import { escapePointer } from "../canonical.ts";

const MAX_ERRORS = 50;

const ajv = new Ajv2020({ allErrors: true, strict: false, verbose: true });
/** The manifest without its tools: a union is judged by the branch its `type` names, or every branch would complain. */
const whole = ajv.compile(withoutToolUnion());
const kinds: Record<string, ValidateFunction> = Object.fromEntries(
  ToolManifest.anyOf.map((schema) => [schema.properties.type.const, ajv.compile(schema)]),
);

/** Every way in which a value is not a manifest. */
export function schemaErrors(value: unknown): ProblemDetail[] {
  const errors: ProblemDetail[] = [];
  if (!whole(value)) errors.push(...details(whole.errors ?? [], ""));
  const tools = (value as { spec?: { tools?: unknown } } | null)?.spec?.tools;
  for (const [index, tool] of (Array.isArray(tools) ? tools.slice(0, 200) : []).entries()) {
    const pointer = `/spec/tools/${index}`;
    const type = (tool as { type?: unknown } | null)?.type;
    const kind = typeof type === "string" ? kinds[type] : undefined;
    if (kind === undefined) {
      const known = Object.keys(kinds);
      errors.push({
        pointer: `${pointer}/type`,
        code: "validation_failed",
        detail: `Must be one of ${known.join(", ")}.`,
        ...(typeof type === "string" ? { suggestion: closest(type, known) } : {}),
      });
    } else if (!kind(tool)) errors.push(...details(kind.errors ?? [], pointer));
  }
  // A misspelt field is also a missing one: what was written comes first, it is where the mistake can be seen.
  const rank = ({ code }: ProblemDetail) => (code === "unknown_field" ? 0 : 1);
  return errors.sort((a, b) => rank(a) - rank(b)).slice(0, MAX_ERRORS);
}

function details(errors: readonly ErrorObject[], prefix: string): ProblemDetail[] {
  return errors
    .filter(({ keyword }) => keyword !== "anyOf" && keyword !== "if")
    .map((error): ProblemDetail => {
      const pointer = `${prefix}${error.instancePath}`;
      if (error.keyword === "additionalProperties") {
        const name = String((error.params as { additionalProperty: string }).additionalProperty);
        const known = Object.keys((error.parentSchema as { properties?: object } | undefined)?.properties ?? {});
        const suggestion = known.length === 0 ? undefined : closest(name, known);
        return {
          pointer: `${pointer}/${escapePointer(name)}`,
          code: "unknown_field",
          detail:
            known.length === 0
              ? "This field is not known."
              : `This field is not known here; known are ${known.join(", ")}.`,
          ...(suggestion !== undefined && distance(name, suggestion) <= Math.max(2, name.length / 2)
            ? { suggestion }
            : {}),
        };
      }
      if (error.keyword === "required") {
        const name = (error.params as { missingProperty: string }).missingProperty;
        if (pointer === "" && name === "apiVersion")
          return {
            pointer: "/apiVersion",
            code: "unsupported_version",
            detail: "apiVersion is missing: write maru/v1.",
          };
        return {
          pointer: `${pointer}/${escapePointer(name)}`,
          code: "validation_failed",
          detail: "This field is required.",
        };
      }
      if (pointer === "/apiVersion")
        return {
          pointer,
          code: "unsupported_version",
          detail: "The only supported apiVersion is maru/v1.",
          suggestion: "maru/v1",
        };
      if (/^\/(?:metadata|deploy)\/name$/.test(pointer)) {
        return {
          pointer,
          code: "invalid_name",
          detail:
            "A name has 1 to 63 lower-case letters, digits and hyphens, and begins and ends with a letter or digit.",
        };
      }
      if (/^\/spec\/tools\/\d+\/name$/.test(pointer) && error.keyword === "pattern") {
        return {
          pointer,
          code: "invalid_name",
          detail: `A tool's name has 1 to ${(error.params as { pattern: string }).pattern === MCP_NAME_PATTERN ? 32 : 64} letters, digits, underscores and hyphens.`,
        };
      }
      if (error.keyword === "enum")
        return {
          pointer,
          code: "validation_failed",
          detail: `Must be one of ${(error.params as { allowedValues: unknown[] }).allowedValues.join(", ")}.`,
        };
      if (error.keyword === "const")
        return {
          pointer,
          code: "validation_failed",
          detail: `Must be ${(error.params as { allowedValue: unknown }).allowedValue}.`,
        };
      if (pointer.startsWith("/spec/limits/") || pointer.startsWith("/spec/memory/"))
        return { pointer, code: "limit_out_of_range", detail: range(error) };
      return { pointer, code: "validation_failed", detail: `This value ${error.message ?? "is not valid"}.` };
    });
}

function range(error: ErrorObject): string {
  const { minimum, maximum, description } = (error.parentSchema ?? {}) as {
    minimum?: number;
    maximum?: number;
    description?: string;
  };
  if (minimum !== undefined && maximum !== undefined) return `Must be a whole number from ${minimum} to ${maximum}.`;
  return description === undefined ? `This value ${error.message ?? "is not valid"}.` : `Must be: ${description}.`;
}

function withoutToolUnion(): object {
  const schema = JSON.parse(JSON.stringify(AgentManifest)) as {
    properties: { spec: { properties: { tools: { items: unknown } } } };
  };
  schema.properties.spec.properties.tools.items = {};
  return schema;
}
