import type { TSchema } from "typebox";
import * as events from "./events.ts";
import { AgentManifest } from "./manifest.ts";
import * as memory from "./memory.ts";
import * as objects from "./objects.ts";
import { PROBLEMS, type ProblemCode, ProblemDetail, ProblemDocument } from "./problem.ts";
import type { RouteContract } from "./route.ts";
import { routes } from "./routes.ts";
import * as webhooks from "./webhooks.ts";

/** Schemas that get a name under `components.schemas`; everywhere else they appear as a `$ref`. */
const named = new Map<object, string>(
  [
    ...Object.entries(objects),
    ...Object.entries(events),
    ...Object.entries(memory),
    ...Object.entries(webhooks),
    ["AgentManifest", AgentManifest],
    ["Problem", ProblemDocument],
    ["ProblemDetail", ProblemDetail],
  ]
    .filter(([name, value]) => typeof value === "object" && !Array.isArray(value) && /^[A-Z][a-z]/.test(name as string))
    .map(([name, value]) => [value as object, name as string]),
);

/** The schema as plain JSON in which every named schema is a reference. */
function reference(schema: unknown): unknown {
  const name = typeof schema === "object" && schema !== null ? named.get(schema) : undefined;
  return name === undefined ? definition(schema) : { $ref: `#/components/schemas/${name}` };
}

/** As `reference`, but the schema itself is written out. */
function definition(schema: unknown): unknown {
  if (Array.isArray(schema)) return schema.map(reference);
  if (typeof schema !== "object" || schema === null) return schema;
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, reference(value)]));
}

const COMMON_PROBLEMS: readonly ProblemCode[] = [
  "validation_failed",
  "unknown_field",
  "rate_limited",
  "internal",
  "unavailable",
];
const AUTH_PROBLEMS: readonly ProblemCode[] = [
  "missing_credentials",
  "invalid_credentials",
  "invalid_token",
  "token_expired",
  "insufficient_scope",
];

/** Every problem the route can answer, grouped by status. */
export function problemsOf(route: RouteContract): Map<number, ProblemCode[]> {
  const codes = new Set<ProblemCode>([
    ...COMMON_PROBLEMS,
    ...(route.access === "public" ? [] : AUTH_PROBLEMS),
    ...(route.params === undefined ? [] : (["not_found"] as const)),
    ...(route.body === undefined
      ? []
      : (["invalid_json", "empty_body", "forbidden_key", "body_too_large", "unsupported_media_type"] as const)),
    ...(route.query !== undefined && "after" in ((route.query as { properties?: object }).properties ?? {})
      ? (["invalid_cursor"] as const)
      : []),
    ...(route.idempotent ? (["idempotency_mismatch", "idempotency_in_progress"] as const) : []),
    ...(route.problems ?? []),
  ]);
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const status = PROBLEMS[code][0];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return byStatus;
}

function parameters(route: RouteContract): object[] {
  const list = (schema: TSchema | undefined, place: "path" | "query" | "header") => {
    if (schema === undefined) return [];
    const { properties = {}, required = [] } = schema as { properties?: Record<string, TSchema>; required?: string[] };
    return Object.entries(properties).map(([name, property]) => ({
      name,
      in: place,
      required: place === "path" || required.includes(name),
      schema: reference(property),
    }));
  };
  const idempotencyKey = {
    name: "Idempotency-Key",
    in: "header",
    required: false,
    description: "1 to 255 printable ASCII characters. The same key with the same body answers the first reply again.",
    schema: { type: "string", minLength: 1, maxLength: 255 },
  };
  return [
    ...list(route.params, "path"),
    ...list(route.query, "query"),
    ...list(route.headers, "header"),
    ...(route.idempotent ? [idempotencyKey] : []),
  ];
}

function responses(route: RouteContract): object {
  const success = Object.entries(route.replies).map(([status, schema]) => {
    const content = {
      ...(schema === null ? {} : { "application/json": { schema: reference(schema) } }),
      ...Object.fromEntries(
        Object.entries(route.alternatives ?? {}).map(([type, other]) => [type, { schema: reference(other) }]),
      ),
      ...(route.csv === undefined || status !== "200" ? {} : { "text/csv": { schema: { type: "string" } } }),
      ...(route.events === undefined || status !== "200"
        ? {}
        : { "text/event-stream": { schema: reference(route.events) } }),
    };
    if (route.bytes === true && status === "200")
      return [
        status,
        { description: route.summary, content: { "*/*": { schema: { type: "string", format: "binary" } } } },
      ];
    return [status, { description: schema === null ? "Done" : route.summary, ...(schema === null ? {} : { content }) }];
  });
  const failure = [...problemsOf(route)]
    // A readiness reply of 503 is its own document, not a problem.
    .filter(([status]) => !(status in route.replies))
    .map(([status, codes]) => [
      String(status),
      {
        description: codes.map((code) => `\`${code}\`: ${PROBLEMS[code][1]}`).join("; "),
        content: { "application/problem+json": { schema: reference(ProblemDocument) } },
      },
    ]);
  return Object.fromEntries([...success, ...failure]);
}

/** The OpenAPI 3.1 document of the whole API, made from the route table. */
export function openApiDocument(info: { version: string; serverUrl: string }): object {
  const paths: Record<string, Record<string, object>> = {};
  for (const [operationId, contract] of Object.entries(routes)) {
    const route: RouteContract = contract;
    paths[route.path] ??= {};
    (paths[route.path] as Record<string, object>)[route.method.toLowerCase()] = {
      operationId,
      tags: [route.tag],
      summary: route.summary,
      ...(route.description === undefined ? {} : { description: route.description }),
      security: route.access === "public" ? [] : [{ bearer: [] }],
      ...(["public", "user", "operator"].includes(route.access) ? {} : { "x-scope": route.access }),
      parameters: parameters(route),
      ...(route.body === undefined
        ? {}
        : {
            requestBody: {
              required: true,
              content: Object.fromEntries(
                ["application/json", ...(route.bodyTypes ?? [])].map((type) => [
                  type,
                  { schema: reference(route.body as TSchema) },
                ]),
              ),
            },
          }),
      responses: responses(route),
    };
  }
  return {
    openapi: "3.1.0",
    info: {
      title: "Maru",
      version: info.version,
      summary: "Describe an agent in a manifest, deploy it with one call, run it on K-EXAONE.",
      license: { name: "Apache-2.0", identifier: "Apache-2.0" },
    },
    servers: [{ url: info.serverUrl }],
    tags: [
      "auth",
      "api-keys",
      "deployments",
      "agents",
      "runs",
      "threads",
      "models",
      "secrets",
      "policy",
      "memory",
      "quota",
      "admin",
      "schedules",
      "triggers",
      "webhooks",
      "operations",
    ].map((name) => ({ name })),
    paths,
    components: {
      securitySchemes: {
        bearer: { type: "http", scheme: "bearer", description: "An API key (`maru_…`) or an access token (JWT)" },
      },
      schemas: Object.fromEntries([...named].map(([schema, name]) => [name, definition(schema)])),
    },
  };
}
