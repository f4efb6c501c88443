import swagger from "@fastify/swagger";
import swaggerUi from "@fastify/swagger-ui";
import { manifestJsonSchema, openApiDocument, PROBLEMS } from "@maru/contract";
import type { FastifyInstance } from "fastify";
import { version } from "./version.ts";

/** The documents: /openapi.json, a readable /docs, the manifest's schema for editors, and what each problem means. */
export async function installDocs(app: FastifyInstance): Promise<void> {
  const document = openApiDocument({ version, serverUrl: "/" });
  const openapi = JSON.stringify(document);
  const schema = JSON.stringify(manifestJsonSchema());
  const problems = problemsPage();
  await app.register(swagger, { mode: "static", specification: { document: document as never } });
  await app.register(swaggerUi, {
    routePrefix: "/docs",
    uiConfig: { deepLinking: true, docExpansion: "list", tryItOutEnabled: false, validatorUrl: null } as never,
    staticCSP: true,
  });
  app.get("/openapi.json", async (_request, reply) => reply.type("application/json; charset=utf-8").send(openapi));
  app.get("/schemas/agent.json", async (_request, reply) =>
    reply.type("application/schema+json; charset=utf-8").send(schema),
  );
  app.get("/docs/problems", async (_request, reply) => reply.type("text/html; charset=utf-8").send(problems));
}

function problemsPage(): string {
  const rows = Object.entries(PROBLEMS).map(
    ([code, [status, title]]) =>
      `<tr id="${code}"><td><code>${code}</code></td><td>${status}</td><td>${title}</td></tr>`,
  );
  return `<!doctype html><html lang="en"><meta charset="utf-8"><title>Problems</title><style>body{font:16px system-ui;max-width:60rem;margin:2rem auto;padding:0 1rem}td,th{padding:.3rem .8rem;text-align:left}tr:target{background:#fe9}</style><h1>Problems</h1><p>Every error reply is a problem document (RFC 9457) with one of these codes.</p><table><tr><th>code</th><th>status</th><th>meaning</th></tr>${rows.join("")}</table></html>`;
}
