import { readFileSync } from "node:fs";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { openToolServer, type ToolServer } from "../setup/tool-server.ts";

const petstore = (summary = "One pet by its number") => ({
  openapi: "3.0.3",
  info: { title: "Pets", version: "1.0.0" },
  servers: [{ url: "/v2" }],
  components: {
    securitySchemes: { token: { type: "http", scheme: "bearer" } },
    parameters: { id: { name: "id", in: "path", required: true, schema: { type: "integer" } } },
  },
  security: [{ token: [] }],
  paths: {
    "/pets": {
      get: {
        operationId: "list",
        tags: ["read"],
        parameters: [{ name: "filter", in: "query", style: "deepObject", explode: true, schema: { type: "object" } }],
      },
      post: {
        operationId: "add",
        requestBody: {
          required: true,
          content: {
            "application/json": {
              schema: {
                type: "object",
                properties: { name: { type: "string" }, tag: { type: "string", nullable: true } },
                required: ["name"],
              },
            },
          },
        },
      },
    },
    "/pets/{id}": {
      parameters: [{ $ref: "#/components/parameters/id" }],
      get: { operationId: "pet", tags: ["read"], summary },
      delete: { operationId: "remove" },
    },
  },
});

let house: House;
let person: Person;
let server: ToolServer;
let document: object = petstore();
/** The header of the last call. */
let authorization = "";

beforeAll(async () => {
  server = await openToolServer((request, response) => {
    response.setHeader("content-type", "application/json");
    if (request.url === "/openapi.json") return void response.end(JSON.stringify(document));
    authorization = String(request.headers.authorization);
    response.end(JSON.stringify({ path: request.url, seen: request.headers.authorization }));
  });
  house = await openHouse("postgres", { egressAllow: { "pets.maru.internal": server.origin } });
  person = await house.register();
  await house.api("PUT", "/v1/secrets/PETS_TOKEN", { key: person.key, body: { value: "token-of-the-pets" } });
});
afterAll(async () => {
  await house?.close();
  await server?.close();
});

const entry = (more = "", auth = 'auth: { token: "${secrets.PETS_TOKEN}" }') => `    - name: pets
      type: openapi
      document: { url: "http://pets.maru.internal/openapi.json" }
      ${auth}
${more}`;
const deploy = (name: string, tools: string) => house.deploy(person, manifest(name, { tools }));
const toolSteps = async (id: string) =>
  (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data.filter(
    ({ kind }: { kind: string }) => kind === "tool",
  );

describe("an agent with an OpenAPI document by URL", () => {
  test("calls its operations, with the secret the model never sees", async () => {
    document = petstore();
    const deployed = await deploy("keeper", entry());
    expect([deployed.status, deployed.body.action, deployed.body.warnings]).toEqual([201, "create", []]);
    const run = await house.run(
      person,
      "keeper",
      '#sim tool pets_pet {"id":7}\n#sim tool pets_list {"filter":{"kind":"고양이"}}\n#sim tool pets_add {"body":{"name":"Nabi","tag":null}}',
    );
    expect(run.status).toBe("completed");
    expect(authorization).toBe("Bearer token-of-the-pets");
    expect((await toolSteps(run.id)).map(({ name, output }: Record<string, string>) => [name, output])).toEqual([
      ["pets_pet", '{"path":"/v2/pets/7","seen":"Bearer [secret PETS_TOKEN]"}'],
      [
        "pets_list",
        `{"path":"/v2/pets?filter%5Bkind%5D=${encodeURIComponent("고양이")}","seen":"Bearer [secret PETS_TOKEN]"}`,
      ],
      ["pets_add", '{"path":"/v2/pets","seen":"Bearer [secret PETS_TOKEN]"}'],
    ]);
    expect(server.arrivals.at(-1)).toMatchObject({ method: "POST", body: '{"name":"Nabi","tag":null}' });
    const { body: revision } = await house.api("GET", "/v1/agents/keeper/revisions/1", { key: person.key });
    expect(JSON.stringify(revision)).not.toContain("token-of-the-pets");
    expect(JSON.stringify(revision)).toContain("sha256");
  });

  test("is told what is wrong with arguments, and nothing is sent", async () => {
    const before = server.arrivals.length;
    const run = await house.run(person, "keeper", '#sim tool pets_pet {"id":"seven"}');
    expect(await toolSteps(run.id)).toMatchObject([{ error_code: "tool_arguments_invalid" }]);
    expect(server.arrivals).toHaveLength(before);
  });

  test("is unchanged while the document is, and a revision more when it changes, whose plan says what", async () => {
    document = petstore();
    await deploy("moving", entry());
    expect((await deploy("moving", entry())).body).toMatchObject({ action: "unchanged", changes: [] });
    document = petstore("One pet, found by its number");
    const { body } = await deploy("moving", entry());
    expect([body.action, body.revision]).toEqual(["update", 2]);
    expect(body.changes).toEqual([
      {
        path: "/tools/pets/pinned/operations/pets_pet/description",
        op: "change",
        before: "One pet by its number",
        after: "One pet, found by its number",
      },
      expect.objectContaining({ path: "/tools/pets/pinned/sha256", op: "change" }),
    ]);
    document = petstore();
  });

  test("asks a person for the operations that need it, whose changed arguments are judged", async () => {
    await deploy("careful", entry('      overrides: [{ operations: ["DELETE *"], approval: always }]\n'));
    const { body: run } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "careful", input: '#sim tool pets_remove {"id":1}' },
      headers: { prefer: "wait=30" },
    });
    expect(run.status).toBe("waiting");
    const [waiting] = run.required_action.approvals;
    const answer = (args: object) =>
      house.api("POST", `/v1/runs/${run.id}/approvals`, {
        key: person.key,
        body: { approvals: [{ call_id: waiting.call_id, decision: "approve", arguments: args }] },
        headers: { prefer: "wait=30" },
      });
    expect((await answer({ id: "one" })).body.code).toBe("validation_failed");
    expect((await answer({ id: 2 })).status).toBeLessThan(300);
    await until("the call is made", () => server.arrivals.at(-1)?.method === "DELETE");
    expect(server.arrivals.at(-1)?.path).toBe("/v2/pets/2");
  });
});

describe("a manifest with an OpenAPI document", () => {
  const inline = (document: object) => `    - name: pets
      type: openapi
      document: { inline: ${JSON.stringify(document)} }
`;

  test("may have it inline", async () => {
    const document = { ...petstore(), servers: [{ url: "http://pets.maru.internal/v3" }], security: [] };
    expect((await deploy("inline", inline(document))).status).toBe(201);
    const run = await house.run(person, "inline", '#sim tool pets_pet {"id":1}');
    expect((await toolSteps(run.id))[0].output).toContain('"path":"/v3/pets/1"');
  });

  test("is among the examples, and runs without a network", async () => {
    const { status, body } = await house.deploy(person, readFileSync("examples/openapi/agent.yaml", "utf8"));
    expect([status, body.warnings]).toEqual([201, []]);
    const run = await house.run(person, "weather-openapi", '#sim tool weather_current {"city":"서울"}');
    expect(await toolSteps(run.id)).toMatchObject([{ state: "done", output: expect.stringContaining("서울") }]);
  });

  test.each<[string, string, string, string]>([
    ["no credentials", entry("", "timeout: 5s"), "auth_missing", "/spec/tools/0/auth"],
    [
      "an operation that is not there",
      entry("      operations: { include: [pet, pets] }\n"),
      "operation_not_found",
      "/spec/tools/0/operations/include/1",
    ],
    ["a field more", entry("      operation: [pet]\n"), "unknown_field", "/spec/tools/0/operation"],
    [
      "a secret in the server",
      entry('      server: "http://${secrets.PETS_TOKEN}/"\n'),
      "secret_not_allowed_here",
      "/spec/tools/0/server",
    ],
    ["a long time-out", entry("      timeout: 10m\n"), "limit_out_of_range", "/spec/tools/0/timeout"],
    [
      "a condition that is no schema",
      entry("      approval: { when: { not: {} } }\n"),
      "tool_schema_invalid",
      "/spec/tools/0/approval/when/not",
    ],
    [
      "an effect that can't be",
      entry("      overrides: [{ operations: [pet], effect: idempotent }]\n"),
      "effect_class_invalid",
      "/spec/tools/0/overrides/0/effect",
    ],
    [
      "half a password",
      entry("", 'auth: { token: { username: "u" } }'),
      "validation_failed",
      "/spec/tools/0/auth/token/password",
    ],
    [
      "two documents",
      '    - { name: p, type: openapi, document: { url: "https://a.example/", inline: {} } }\n',
      "validation_failed",
      "/spec/tools/0/document",
    ],
    ["Swagger 2.0", inline({ swagger: "2.0" }), "document_invalid", "/spec/tools/0/document"],
    [
      "a private document",
      '    - { name: p, type: openapi, document: { url: "http://10.1.2.3/" } }\n',
      "url_not_allowed",
      "/spec/tools/0/document/url",
    ],
    [
      "a document that is not there",
      '    - { name: p, type: openapi, document: { url: "http://pets.maru.internal:81/" } }\n',
      "url_not_allowed",
      "/spec/tools/0/document/url",
    ],
  ])("and %s is refused with its place", async (_name, tools, code, pointer) => {
    const { status, body } = await deploy("refused", tools);
    expect([status, body.errors.map((error: Record<string, string>) => [error.code, error.pointer])]).toEqual([
      400,
      [[code, pointer]],
    ]);
    expect(body.errors[0].line).toBeGreaterThan(6);
  });

  test("is told what was left out of it", async () => {
    const document = petstore() as { paths: Record<string, { get: object }> };
    document.paths["/odd"] = {
      get: {
        operationId: "odd",
        parameters: [{ name: "q", in: "query", schema: { type: "string", pattern: "(?=a)" } }],
      },
    };
    const { body } = await deploy(
      "odd",
      inline({ ...document, servers: [{ url: "http://pets.maru.internal" }], security: [] }),
    );
    expect(body.warnings).toEqual([
      {
        pointer: "/spec/tools/0/document",
        code: "schema_simplified",
        detail: "odd: the pattern is left out (q).",
        line: 9,
        column: 7,
      },
    ]);
  });
});
