import { parse } from "yaml";

/** An object of a document. Names that the document chooses are read by `own` only. */
export type Json = Readonly<Record<string, unknown>>;

export const isObject = (value: unknown): value is Json =>
  typeof value === "object" && value !== null && !Array.isArray(value);
export const own = (node: Json, name: string): unknown => (Object.hasOwn(node, name) ? node[name] : undefined);
export const listOf = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
export const objectOf = (value: unknown): Json => (isObject(value) ? value : {});

/** The document as a whole is not one tools can be made of; the message is for the deployer. */
export class DocumentRefused extends Error {}

/** An operation can't be made a tool; the message says why, to go after the operation's name and a colon. */
export class Unmakeable extends Error {}

/** What an alias may stand for altogether, so that no document of a few lines becomes one of gigabytes. */
const MAX_ALIASES = 100;
const MAX_REFERENCES = 16;

/** @throws DocumentRefused when it is neither JSON nor YAML */
export function parseDocument(text: string): unknown {
  const source = text.replace(/^\uFEFF/, "");
  try {
    if (/^\s*\{/.test(source)) return JSON.parse(source);
  } catch (error) {
    throw new DocumentRefused(`The document is not valid JSON: ${words(error)}`);
  }
  try {
    // Keys are not compared with one another: that takes a time that grows with the square of their number.
    return parse(source, {
      version: "1.2",
      schema: "core",
      customTags: [],
      uniqueKeys: false,
      maxAliasCount: MAX_ALIASES,
      prettyErrors: false,
      logLevel: "error",
    });
  } catch (error) {
    throw new DocumentRefused(`The document is not valid YAML: ${words(error)}`);
  }
}

const words = (error: unknown): string =>
  error instanceof RangeError
    ? "it is nested too deeply."
    : `${error instanceof Error ? error.message.slice(0, 200) : ""}.`;

export interface OpenApi {
  readonly root: Json;
  /** In 3.0 schemas are a dialect of their own, and what stands beside a `$ref` does not count. */
  readonly dialect: "3.0" | "2020-12";
  readonly openapi: string;
}

/** @throws DocumentRefused when it is of no version Maru reads */
export function openDocument(value: unknown): OpenApi {
  if (!isObject(value)) throw new DocumentRefused("The document is not an OpenAPI document: it must be an object.");
  if (value.swagger !== undefined)
    throw new DocumentRefused(
      "The document is Swagger 2.0. Convert it to OpenAPI 3 (Swagger Editor and swagger2openapi do that) and deploy the result.",
    );
  const { openapi } = value;
  if (typeof openapi !== "string")
    throw new DocumentRefused("The document is not an OpenAPI document: it has no field openapi with its version.");
  if (!/^3\.[0-2](?:\.|$)/.test(openapi))
    throw new DocumentRefused(`The document is OpenAPI ${openapi.slice(0, 20)}: Maru reads 3.0, 3.1 and 3.2.`);
  return { root: value, dialect: openapi.startsWith("3.0") ? "3.0" : "2020-12", openapi: openapi.slice(0, 20) };
}

/** What a reference within the document leads to. @throws Unmakeable when it leads outside or nowhere */
export function at(root: Json, reference: string): unknown {
  if (!reference.startsWith("#"))
    throw new Unmakeable(
      `it refers to ${reference.slice(0, 100)}, outside the document: bundle all into one document first.`,
    );
  let node: unknown = root;
  if (reference !== "#")
    for (const token of reference.slice(1).split("/").slice(1)) {
      const name = decoded(token).replaceAll("~1", "/").replaceAll("~0", "~");
      node = typeof node === "object" && node !== null && Object.hasOwn(node, name) ? (node as Json)[name] : undefined;
    }
  if (node === undefined || !reference.startsWith("#/"))
    throw new Unmakeable(`it refers to ${reference.slice(0, 100)}, which the document does not have.`);
  return node;
}

function decoded(token: string): string {
  try {
    return decodeURIComponent(token);
  } catch {
    return token;
  }
}

/** An object of the document, or what it refers to. @throws Unmakeable */
export function resolved(root: Json, node: unknown): Json {
  let found = node;
  for (let count = 0; isObject(found) && typeof found.$ref === "string"; count++) {
    if (count === MAX_REFERENCES) throw new Unmakeable(`${found.$ref.slice(0, 100)} refers to itself.`);
    found = at(root, found.$ref);
  }
  return objectOf(found);
}

/** Text at most so long, cut with a mark. */
export const cut = (text: string, most: number): string =>
  text.length <= most ? text : `${text.slice(0, most - 1).trimEnd()}…`;
