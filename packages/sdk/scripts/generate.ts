// Writes src/generated.ts from the API's OpenAPI document: its types, its operations, and where a client has them.
// `--check` writes nothing and fails when the file is not what it would write.
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { openApiDocument } from "@maru/contract";
import openapiTS, { astToString } from "openapi-typescript";

const FILE = fileURLToPath(new URL("../src/generated.ts", import.meta.url));

interface Schema {
  readonly $ref?: string;
  readonly type?: string;
  readonly required?: readonly string[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly minProperties?: number;
  readonly items?: Schema;
}
type Content = Readonly<Record<string, { readonly schema: Schema }>>;
interface Operation {
  readonly operationId: string;
  readonly tags: readonly string[];
  readonly summary: string;
  readonly description?: string;
  readonly "x-scope"?: string;
  readonly parameters: readonly { name: string; in: string; required: boolean; schema: Schema }[];
  readonly requestBody?: { readonly content: Content };
  readonly responses: Readonly<Record<string, { readonly content?: Content }>>;
}
interface Document {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>;
  readonly components: { readonly schemas: Record<string, Schema> };
}

/** Groups of calls that are not named as their path is. */
const GROUPS: Readonly<Record<string, string>> = { "api-keys": "keys" };

const pascal = (words: string): string => words.replace(/(?:^|-)(\w)/g, (_, first: string) => first.toUpperCase());
const lower = (word: string): string => word.charAt(0).toLowerCase() + word.slice(1);
const camel = (words: string): string => lower(pascal(words));
const singular = (word: string): string => word.replace(/ies$/, "y").replace(/s$/, "");
const plural = (word: string): string => (word.endsWith("y") ? word.replace(/y$/, "ies") : `${word}s`);

/** Where a client has an operation: `listRunEvents` of `/v1/runs/…` is `client.runs.events`. */
export function placeOf(path: string, { operationId, tags }: Pick<Operation, "operationId" | "tags">) {
  const segment = /^\/v1\/([^/]+)/.exec(path)?.[1] ?? tags[0] ?? "other";
  const [, verb = operationId, noun = ""] = /^([a-z]+)(.*)$/.exec(operationId) ?? [];
  const about = pascal(segment);
  const own = [about, singular(about), plural(about)].find((word) => noun.startsWith(word)) ?? "";
  const rest = noun.slice(own.length);
  const name = rest === "" ? verb : verb === "list" ? lower(rest) : verb + rest;
  return { group: GROUPS[segment] ?? camel(segment), name };
}

/** The file as it should be. */
export async function generate(): Promise<string> {
  const document = openApiDocument({ version: "0", serverUrl: "/" }) as Document;
  const schemas = { ...document.components.schemas };
  /** The type of a schema: its own name, or one made for it. */
  const typeOf = (schema: Schema, name: string): string => {
    if (schema.$ref !== undefined) return nameOf(schema.$ref);
    if (name in schemas) throw new Error(`the contract has a schema named ${name}: the SDK needs that name`);
    schemas[name] = schema;
    return name;
  };
  const operations: string[] = [];
  const table: string[] = [];
  const groups = new Map<string, Map<string, string>>();

  for (const [path, methods] of Object.entries(document.paths)) {
    for (const [method, operation] of Object.entries(methods)) {
      const { operationId: id } = operation;
      const of = (place: string) => operation.parameters.filter((parameter) => parameter.in === place);
      const params = of("path");
      const queries = of("query");
      const bodies = operation.requestBody?.content;
      const bodySchema = bodies?.["application/json"]?.schema;
      const succeeding = Object.entries(operation.responses).filter(([status]) => Number(status) < 300);
      // A readiness that is not there is a reply too, and no problem.
      const failing = Object.entries(operation.responses).filter(
        ([status, { content }]) => Number(status) >= 400 && content?.["application/json"] !== undefined,
      );
      const isJson = (type: string) => /^application\/(json|vnd\..+\+json)$/.test(type);
      const replySchemas = [...succeeding, ...failing].flatMap(([, { content = {} }]) =>
        Object.entries(content).flatMap(([type, { schema }]) => (isJson(type) ? [schema] : [])),
      );
      const replies = new Map(replySchemas.map((schema) => [JSON.stringify(schema), schema]));
      const eventSchema = succeeding.find(([, { content }]) => content?.["text/event-stream"])?.[1].content?.[
        "text/event-stream"
      ]?.schema;
      const bytes = succeeding.some(([, { content }]) => content?.["*/*"] !== undefined);

      const types = {
        params:
          params.length === 0
            ? "null"
            : `{ ${params.map(({ name, schema }) => `${name}: ${schema.type === "integer" ? "number" : "string"}`).join("; ")} }`,
        query:
          queries.length === 0
            ? "null"
            : typeOf(
                {
                  type: "object",
                  properties: Object.fromEntries(queries.map(({ name, schema }) => [name, schema])),
                  required: queries.filter(({ required }) => required).map(({ name }) => name),
                },
                `${pascal(id)}Query`,
              ),
        body:
          bodySchema === undefined
            ? "null"
            : typeOf(bodySchema, `${pascal(id)}Body`) + (Object.keys(bodies ?? {}).length > 1 ? " | string" : ""),
        reply:
          replies.size === 0
            ? "undefined"
            : [...replies.values()].map((schema, at) => typeOf(schema, `${pascal(id)}Reply${at || ""}`)).join(" | "),
        event: eventSchema === undefined ? "null" : typeOf(eventSchema, `${pascal(id)}Event`),
      };
      const item = itemOf(id, replySchemas[0], schemas, types.reply);
      operations.push(
        `  ${id}: {\n${Object.entries(types)
          .map(([name, type]) => `    ${name}: ${type};\n`)
          .join("")}  };`,
      );

      const place = placeOf(path, operation);
      const taken = groups.get(place.group) ?? new Map<string, string>();
      groups.set(place.group, taken);
      // Two that would have one name keep their own.
      const name = taken.has(place.name) ? id : place.name;
      const bodyOptional = bodySchema !== undefined && isOptional(bodySchema, schemas);
      const queryOptional = queries.every(({ required }) => !required);
      const args = [
        ...params.map(({ name: param, schema }) => `${param}: ${schema.type === "integer" ? "number" : "string"}`),
        ...(types.body === "null" ? [] : [`body${bodyOptional ? "?" : ""}: ${types.body}`]),
        ...(types.query === "null" ? [] : [`query${queryOptional ? "?" : ""}: ${types.query}`]),
        "options?: CallOptions",
      ];
      const result =
        item !== null ? `Pages<${item}, ${types.reply}>` : `Promise<${bytes ? "Response" : promised(types.reply)}>`;
      taken.set(name, `${comment(operation, "    ")}    ${name}(${args.join(", ")}): ${result};`);

      const traits = {
        method: method.toUpperCase(),
        path,
        group: place.group,
        name,
        ...(types.body === "null" ? {} : { body: true }),
        ...(types.query === "null" ? {} : { query: true }),
        ...(item === null ? {} : { list: true }),
        ...(bytes ? { bytes: true } : {}),
        ...(of("header").some(({ name: header }) => header === "Idempotency-Key") ? { keyed: true } : {}),
        ...(failing.length === 0 ? {} : { replies: failing.map(([status]) => Number(status)) }),
      };
      table.push(`  ${id}: ${JSON.stringify(traits)},`);
    }
  }

  // Sorted, since modules list their exports in whatever order.
  const sorted = Object.fromEntries(Object.entries(schemas).sort(([a], [b]) => (a < b ? -1 : 1)));
  const ast = await openapiTS(
    { openapi: "3.1.0", info: { title: "", version: "" }, paths: {}, components: { schemas: sorted } } as never,
    { rootTypes: true, rootTypesNoSchemaPrefix: true, defaultNonNullable: false },
  );
  const types = astToString(ast)
    .replace(/^[\s\S]*?(?=export interface components)/, "")
    .replace(/^export type (?:\$defs|operations) = .*\n/gm, "")
    // What types say already, and headings of things there are none of.
    .replace(/^ *(?:\/\*\* @(?:enum \{\w+\}|constant) \*\/|\* @(?:enum \{\w+\}|constant))\n/gm, "")
    .replace(/^ {4}(?:responses|parameters|requestBodies|headers|pathItems): never;\n/gm, "");
  const members = [...groups].map(
    ([group, methods]) => `  readonly ${group}: {\n${[...methods.values()].join("\n")}\n  };`,
  );
  return `// Written by scripts/generate.ts from the API's OpenAPI document: \`npm run fix\` writes it anew.
import type { CallOptions } from "./options.ts";
import type { Pages } from "./pages.ts";

${types}
/** What each operation takes and gives; null where it takes or has none. */
export interface Operations {
${operations.join("\n")}
}

/** The calls of the API by what they are about. */
export interface Resources {
${members.join("\n")}
}

/** How operations are called. keyed: a POST that honours Idempotency-Key. replies: statuses of 400 and above that are no problems. */
export const OPERATIONS = {
${table.join("\n")}
} as const satisfies Record<keyof Operations, object>;
`;
}

/** The type of a list's members; null for a reply that is no list. */
function itemOf(id: string, reply: Schema | undefined, schemas: Record<string, Schema>, type: string): string | null {
  if (reply === undefined || !/^list[A-Z]/.test(id)) return null;
  const { properties } = reply.$ref === undefined ? reply : (schemas[type] as Schema);
  if (properties?.data?.type !== "array") return null;
  const item = properties.data.items?.$ref;
  return item === undefined ? `${type}["data"][number]` : nameOf(item);
}

const nameOf = (reference: string): string => reference.slice(reference.lastIndexOf("/") + 1);

const isOptional = (schema: Schema, schemas: Record<string, Schema>): boolean => {
  const own = schema.$ref === undefined ? schema : schemas[nameOf(schema.$ref)];
  return own?.type === "object" && (own.required ?? []).length === 0 && (own.minProperties ?? 0) === 0;
};

const promised = (type: string): string => (type === "undefined" ? "void" : type);

function comment({ summary, description, "x-scope": scope }: Operation, indent: string): string {
  const needs = scope === undefined ? [] : [`Needs the scope \`${scope}\`.`];
  const lines = [`${summary}.`, ...(description === undefined ? [] : [description]), ...needs].map((line) =>
    line.replaceAll("*/", "*\\/"),
  );
  if (lines.length === 1) return `${indent}/** ${lines[0]} */\n`;
  return `${indent}/**\n${lines.map((line) => `${indent} * ${line}\n`).join("")}${indent} */\n`;
}

if (import.meta.main) {
  const text = await generate();
  if (!process.argv.includes("--check")) writeFileSync(FILE, text);
  else if (readFileSync(FILE, "utf8") !== text) {
    console.error("packages/sdk/src/generated.ts is not what the contract says: `npm run fix` writes it anew.");
    process.exitCode = 1;
  }
}
