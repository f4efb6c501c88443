import type { OpenApiToolSpec, ParameterStyle, PinnedBody, PinnedParameter, PinnedScheme } from "@maru/contract";
import { isOwnHeader, isToken } from "../http/header.ts";
import { isObject, type Json, listOf, type OpenApi, objectOf, own, resolved, Unmakeable } from "./document.ts";
import type { ArgumentPart } from "./schema.ts";
import type { Operation } from "./select.ts";

/** What of a request the model writes, and how its arguments go into it. */
export interface Arguments {
  readonly parts: readonly ArgumentPart[];
  readonly places: readonly PinnedParameter[];
  readonly body?: PinnedBody;
  readonly notes: readonly string[];
}

/** The argument that is the body, so that no field of it can have the name of a parameter. */
export const BODY = "body";
const MAX_PARAMETERS = 250;
const MAX_NAME = 128;

/** The styles of each place, the default first (OpenAPI 3.1 §4.8.12.2). */
const STYLES = {
  path: ["simple", "label", "matrix"],
  query: ["form", "spaceDelimited", "pipeDelimited", "deepObject"],
  header: ["simple"],
  cookie: ["form"],
} as const satisfies Record<PinnedParameter["in"], readonly ParameterStyle[]>;
/** Fields that the document is told to describe elsewhere (OpenAPI 3.1 §4.8.12.1). */
const NOT_PARAMETERS = new Set(["accept", "content-type", "authorization"]);

/** @throws Unmakeable */
export function argumentsOf(
  document: OpenApi,
  operation: Operation,
  schemes: readonly PinnedScheme[],
  spec: Pick<OpenApiToolSpec, "headers" | "query">,
): Arguments {
  const notes: string[] = [];
  const found = parametersOf(document, operation).filter(
    (parameter) => !isFilledIn(parameter, schemes, spec) && isWritable(parameter, notes),
  );
  const placeholders = new Set([...operation.path.matchAll(/\{([^{}]*)\}/g)].map(([, name = ""]) => name));
  const inPath = found.filter((parameter) => parameter.in === "path").map(({ name }) => name);
  for (const name of placeholders)
    if (!inPath.includes(name)) throw new Unmakeable(`its path has {${name}}, and no parameter of that name.`);

  const taken = new Set([BODY]);
  const parts: ArgumentPart[] = [];
  const places: PinnedParameter[] = [];
  for (const place of Object.keys(STYLES) as PinnedParameter["in"][])
    for (const parameter of found) {
      const { name, node } = parameter;
      if (parameter.in !== place || (place === "path" && !placeholders.has(name))) continue;
      let argument = name;
      while (taken.has(argument)) argument = `${place}_${argument}`;
      taken.add(argument);
      const content = Object.entries(objectOf(node.content))[0];
      const schema = content === undefined ? node.schema : objectOf(content[1]).schema;
      const { description, example } = node;
      parts.push({
        name: argument,
        schema: example === undefined || !isObject(schema) ? schema : { ...schema, example: schema.example ?? example },
        ...(typeof description === "string" && description.trim() !== "" ? { description: description.trim() } : {}),
        required: place === "path" || node.required === true,
      });
      places.push({ argument, in: place, name, ...styleOf(node, STYLES[place], content?.[0]) });
    }
  const body = bodyOf(document, operation, notes);
  if (body === null) return { parts, places, notes };
  return { parts: [...parts, body.part], places, body: body.body, notes };
}

interface Parameter {
  readonly in: PinnedParameter["in"];
  readonly name: string;
  readonly node: Json;
}

/** Those of the path and of the operation, which win. */
function parametersOf({ root }: OpenApi, { node, item }: Operation): Parameter[] {
  const written = [...listOf(item.parameters), ...listOf(node.parameters)];
  if (written.length > MAX_PARAMETERS) throw new Unmakeable(`it has more than ${MAX_PARAMETERS} parameters.`);
  const found = new Map<string, Parameter>();
  for (const parameter of written) {
    const node = resolved(root, parameter);
    const { in: place, name } = node;
    if (typeof name !== "string" || name === "") throw new Unmakeable("it has a parameter without a name.");
    if (place === "path" || place === "query" || place === "header" || place === "cookie")
      found.set(`${place} ${place === "header" ? name.toLowerCase() : name}`, { in: place, name, node });
    else if (node.required === true)
      throw new Unmakeable(`its parameter ${name.slice(0, 64)} is in no place Maru knows.`);
  }
  return [...found.values()];
}

/** Whether something else than the model says what a parameter is: the manifest, the credentials, Maru itself. */
function isFilledIn(
  { in: place, name }: Parameter,
  schemes: readonly PinnedScheme[],
  { headers, query }: Pick<OpenApiToolSpec, "headers" | "query">,
): boolean {
  const key = place === "header" ? name.toLowerCase() : name;
  if (schemes.some((scheme) => scheme.in === place && scheme.name === key)) return true;
  if (place === "query") return Object.hasOwn(query, name);
  return (
    place === "header" &&
    (NOT_PARAMETERS.has(key) || isOwnHeader(key) || Object.keys(headers).some((header) => header.toLowerCase() === key))
  );
}

/** Whether a parameter can be an argument. @throws Unmakeable when it can't and is required */
function isWritable({ in: place, name, node }: Parameter, notes: string[]): boolean {
  const wrong =
    name === "__proto__" ||
    name.length > MAX_NAME ||
    /\p{Cc}/u.test(name) ||
    !name.isWellFormed() ||
    ((place === "header" || place === "cookie") && !isToken(name));
  if (!wrong) return true;
  const shown = JSON.stringify(name.slice(0, 64));
  if (place === "path" || node.required === true)
    throw new Unmakeable(`its parameter has the name ${shown}, which can't be sent.`);
  notes.push(`the ${place} parameter ${shown} is left out`);
  return false;
}

function styleOf(
  { style: written, explode }: Json,
  styles: readonly ParameterStyle[],
  mediaType: string | undefined,
): Pick<PinnedParameter, "style" | "explode"> {
  if (mediaType !== undefined && kindOf(mediaType) === "json") return { style: "json", explode: false };
  const style = styles.find((name) => name === written) ?? (styles[0] as ParameterStyle);
  return { style, explode: typeof explode === "boolean" ? explode : style === "form" || style === "deepObject" };
}

/** Kinds of body, the one that says most first. */
const KINDS: readonly PinnedBody["kind"][] = ["json", "form", "multipart", "text"];

function kindOf(mediaType: string): PinnedBody["kind"] | null {
  const type = mediaType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  if (/^application\/(?:[\w.+-]+\+)?json$/.test(type) || type === "*/*" || type === "application/*") return "json";
  if (type === "application/x-www-form-urlencoded") return "form";
  if (type === "multipart/form-data") return "multipart";
  return /^text\/(?:[\w.+-]+|\*)$/.test(type) ? "text" : null;
}

/** @throws Unmakeable when a body is required and none of its types can be written */
function bodyOf(
  document: OpenApi,
  { method, node }: Operation,
  notes: string[],
): { part: ArgumentPart; body: PinnedBody } | null {
  if (node.requestBody === undefined) return null;
  const written = resolved(document.root, node.requestBody);
  const required = written.required === true;
  const content = Object.entries(objectOf(written.content)).map(([mediaType, media]) => ({
    mediaType,
    kind: kindOf(mediaType),
    media: objectOf(media),
  }));
  const choice = KINDS.map((kind) => content.find((item) => item.kind === kind)).find((item) => item !== undefined);
  const reads = method === "GET" || method === "HEAD";
  if (choice?.kind == null || reads) {
    const why = reads
      ? `a ${method} has no body`
      : `its body is ${content.map(({ mediaType }) => mediaType.slice(0, 64)).join(", ") || "of no type"}`;
    if (required) throw new Unmakeable(`${why}, which Maru can't send.`);
    notes.push(`the body is left out: ${why}`);
    return null;
  }
  const { kind, mediaType, media } = choice;
  const isForm = kind === "form" || kind === "multipart";
  const { description } = written;
  const fields = isForm ? fieldStyles(media) : {};
  const type = mediaType.split(";", 1)[0]?.trim().toLowerCase() ?? "";
  return {
    part: {
      name: BODY,
      schema: isForm
        ? { type: "object", allOf: [media.schema ?? {}] }
        : kind === "text"
          ? { type: "string", allOf: [media.schema ?? {}] }
          : media.schema,
      ...(typeof description === "string" && description.trim() !== "" ? { description: description.trim() } : {}),
      required,
      ...(isForm ? { withoutFiles: true } : {}),
    },
    body: {
      kind,
      mediaType: type.includes("*") ? (kind === "json" ? "application/json" : "text/plain") : type,
      ...(Object.keys(fields).length === 0 ? {} : { fields }),
    },
  };
}

/** What `encoding` says of a form's fields. */
function fieldStyles({ encoding }: Json): NonNullable<PinnedBody["fields"]> {
  const fields = Object.keys(objectOf(encoding)).map((name) => {
    const node = objectOf(own(objectOf(encoding), name));
    if (node.style !== undefined || node.explode !== undefined) return [name, styleOf(node, STYLES.query, undefined)];
    const json = typeof node.contentType === "string" && kindOf(node.contentType) === "json";
    return [name, json ? { style: "json", explode: false } : null];
  });
  return Object.fromEntries(fields.filter(([, style]) => style !== null));
}
