import { AgentManifest, type ProblemDetail, ToolManifest } from "@maru/contract";
import { Ajv2020, type ErrorObject, type ValidateFunction } from "ajv/dist/2020.js";
import { escapePointer } from "../canonical.ts";
import { inWords, near, notA } from "./mistake.ts";

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
  for (const [index, tool] of (Array.isArray(tools) ? tools.slice(0, 200) : []).entries())
    errors.push(...toolErrors(tool, `/spec/tools/${index}`));
  // What was written comes first, it is where the mistake can be seen.
  const rank = ({ code }: ProblemDetail) => (code === "unknown_field" ? 0 : 1);
  return errors.sort((a, b) => rank(a) - rank(b));
}

function toolErrors(tool: unknown, pointer: string): ProblemDetail[] {
  const known = Object.keys(kinds);
  if (typeof tool !== "object" || tool === null || Array.isArray(tool))
    return [{ pointer, code: "validation_failed", detail: notA("a map with name, type and more", tool) }];
  const { type } = tool as { type?: unknown };
  const kind = typeof type === "string" && Object.hasOwn(kinds, type) ? kinds[type] : undefined;
  if (kind !== undefined) return kind(tool) ? [] : details(kind.errors ?? [], pointer);
  const misspelt = type === undefined ? Object.keys(tool).find((key) => near(key, ["type"]) !== undefined) : undefined;
  if (misspelt !== undefined)
    return [
      {
        pointer: `${pointer}/${escapePointer(misspelt)}`,
        code: "unknown_field",
        detail: `This field is not known here: a tool has a type, one of ${known.join(", ")}.`,
        suggestion: "type",
      },
    ];
  const suggestion = typeof type === "string" ? near(type, known) : undefined;
  return [
    {
      pointer: `${pointer}/type`,
      code: "validation_failed",
      detail: `${type === undefined ? "This field is required: it must" : "Must"} be one of ${known.join(", ")}.`,
      ...(suggestion === undefined ? {} : { suggestion }),
    },
  ];
}

function details(errors: readonly ErrorObject[], prefix: string): ProblemDetail[] {
  const found = ofUnions(errors)
    .filter(({ keyword }) => keyword !== "if")
    .map((error) => inWords(error, prefix));
  // A misspelt field is also a missing one; that is one mistake.
  const meant = new Set(
    found.flatMap(({ code, pointer, suggestion }) =>
      code === "unknown_field" && suggestion !== undefined ? [meantPlace(pointer, suggestion)] : [],
    ),
  );
  const once = new Set<string>();
  return found.filter(({ code, pointer, detail }) => {
    // A name that is too long has not its form either; one of the two says so.
    const same = code === "invalid_name" ? pointer : `${pointer} ${detail}`;
    if (once.has(same) || (code !== "unknown_field" && meant.has(pointer))) return false;
    once.add(same);
    return true;
  });
}

/** Beside what was written, or where a path from the top leads. */
const meantPlace = (pointer: string, name: string): string =>
  name.includes(".")
    ? `/${name.split(".").map(escapePointer).join("/")}`
    : `${pointer.slice(0, pointer.lastIndexOf("/"))}/${escapePointer(name)}`;

/**
 * Of a union: what is wrong with the branch whose type the value has; when there is none, that the value is none of them. Each error is
 * asked only for the unions of the values it lies in: a map of thousands has a union an entry.
 */
function ofUnions(errors: readonly ErrorObject[]): readonly ErrorObject[] {
  const unions = Map.groupBy(
    errors.filter(({ keyword }) => keyword === "anyOf"),
    ({ instancePath }) => instancePath,
  );
  const inside = new Map<ErrorObject, ErrorObject[]>([...unions.values()].flat().map((union) => [union, []]));
  for (const error of errors)
    for (const union of placesAbove(error.instancePath).flatMap((place) => unions.get(place) ?? []))
      if (error.schemaPath.startsWith(`${union.schemaPath}/`)) inside.get(union)?.push(error);

  const dropped = new Set<ErrorObject>();
  for (const [union, all] of inside) {
    const branch = ({ schemaPath }: ErrorObject) => schemaPath.slice(union.schemaPath.length + 1).split("/")[0];
    const left = all.filter((error) => !dropped.has(error));
    const strangers = new Set(
      left
        .filter(
          (error) => error.instancePath === union.instancePath && ["type", "enum", "const"].includes(error.keyword),
        )
        .map(branch),
    );
    const strange = left.filter((error) => strangers.has(branch(error)));
    for (const error of strange) dropped.add(error);
    if (strange.length < left.length) dropped.add(union);
  }
  return errors.filter((error) => !dropped.has(error));
}

/** A pointer, and those of everything it lies in. */
const placesAbove = (pointer: string): string[] => {
  const tokens = pointer.split("/");
  return tokens.map((_, index) => tokens.slice(0, index + 1).join("/"));
};

function withoutToolUnion(): object {
  const schema = JSON.parse(JSON.stringify(AgentManifest)) as {
    properties: { spec: { properties: { tools: { items: unknown } } } };
  };
  schema.properties.spec.properties.tools.items = {};
  return schema;
}
