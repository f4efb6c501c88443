import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import type { OpenApiToolSpec } from "@maru/contract";
import { type Expanded, type Expansion, expandDocument } from "../expand.ts";
import { EXPANSION_LIMITS, RESERVED } from "../pin.ts";

const require = createRequire(import.meta.url);

/** A document of a package that ships some: `@readme/oas-examples` (MIT), `@figma/rest-api-spec` (MIT). */
export const published = (path: string): string => readFileSync(require.resolve(path), "utf8");

export const entry = (over: Partial<OpenApiToolSpec> = {}): OpenApiToolSpec => ({
  type: "openapi",
  name: "api",
  document: { url: "https://api.example.com/v1/openapi.json" },
  operations: { include: ["*"], exclude: [] },
  headers: {},
  query: {},
  auth: {},
  timeoutMs: 60_000,
  overrides: [],
  toolPrefix: "api_",
  ...over,
});

/** All that making tools of a document depends on. */
export const expansion = (
  source: Expansion["source"],
  over: Partial<OpenApiToolSpec> = {},
  allowedHosts: string[] = [],
): Expansion => ({
  source,
  sha256: "0".repeat(64),
  spec: entry(over),
  allowedHosts,
  limits: EXPANSION_LIMITS,
  reserved: RESERVED,
});

/** What an entry makes of a document, given as text or as a value. */
export const expand = (
  document: string | object,
  over: Partial<OpenApiToolSpec> = {},
  allowedHosts: string[] = [],
): Expanded =>
  expandDocument(
    expansion(typeof document === "string" ? { text: document } : { value: document }, over, allowedHosts),
  );

/** The smallest document around some paths. */
export const documentOf = (paths: object, more: object = {}): object => ({
  openapi: "3.1.0",
  info: { title: "Test", version: "1" },
  servers: [{ url: "https://api.example.com" }],
  paths,
  ...more,
});

/** A document of one operation, `GET /t` or another. */
export const operation = (node: object, more: object = {}, method = "get", path = "/t"): object =>
  documentOf({ [path]: { [method]: { operationId: "op", ...node } } }, more);
