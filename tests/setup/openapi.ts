import { openApiDocument } from "@maru/contract";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import ajvFormats from "ajv-formats";

type Operation = { operationId: string; responses: Record<string, { content?: Record<string, unknown> }> };

const document = openApiDocument({ version: "test", serverUrl: "/" }) as {
  paths: Record<string, Record<string, Operation>>;
};
const ajv = new Ajv2020({ strict: false, allErrors: true });
(ajvFormats as unknown as (target: Ajv2020) => void)(ajv);
ajv.addSchema(document, "maru");

const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
  Object.entries(methods).map(([method, operation]) => ({
    path,
    method: method.toUpperCase(),
    operation,
    pattern: new RegExp(`^${path.replaceAll(".", "\\.").replace(/\{[^}]+\}/g, "[^/]+")}$`),
  })),
);
const compiled = new Map<string, ValidateFunction>();

/** Operations that got a success since the process began: what the coverage test reads. */
export const exercised = new Set<string>();
export const allOperations = operations.map(({ operation }) => operation.operationId);

/** Fails when a reply is not one the OpenAPI document describes. Paths it does not have are not the API's. */
export function checkReply(
  method: string,
  path: string,
  reply: { status: number; headers: Headers; body: unknown },
): void {
  const bare = path.split("?", 1)[0] as string;
  const found = operations.find((item) => item.method === method && item.pattern.test(bare));
  if (found === undefined) return;
  const { operation } = found;
  const where = `${method} ${bare} → ${reply.status}`;
  // Not modified, and what the HTTP layer itself answers, are the same for every operation.
  if ([304, 406, 408, 415, 431].includes(reply.status)) return;
  const documented = operation.responses[String(reply.status)];
  if (documented === undefined)
    throw new Error(`${where} is not in the OpenAPI document: ${JSON.stringify(reply.body)}`);
  if (reply.status < 400) exercised.add(operation.operationId);
  const type = (reply.headers.get("content-type") ?? "").split(";", 1)[0] as string;
  if (documented.content === undefined) {
    if (reply.body !== "") throw new Error(`${where} must have no body`);
    return;
  }
  if (type === "text/event-stream" || (reply.status === 200 && "*/*" in documented.content)) return;
  if (!(type in documented.content))
    throw new Error(`${where} answered ${type}, documented are ${Object.keys(documented.content).join(", ")}`);
  const pointer = [
    "paths",
    found.path,
    method.toLowerCase(),
    "responses",
    String(reply.status),
    "content",
    type,
    "schema",
  ]
    .map((part) => encodeURIComponent(part.replaceAll("~", "~0").replaceAll("/", "~1")))
    .join("/");
  let validate = compiled.get(pointer);
  if (validate === undefined) {
    validate = ajv.compile({ $ref: `maru#/${pointer}` });
    compiled.set(pointer, validate);
  }
  if (!validate(reply.body))
    throw new Error(
      `${where} does not match the OpenAPI document: ${ajv.errorsText(validate.errors)}\n${JSON.stringify(reply.body)}`,
    );
}
