import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { schemaProblems } from "../schema/admit.ts";
import type { Expanded } from "./expand.ts";
import { documentOf, expand, operation, published } from "./testing/documents.ts";

const operationsOf = ({ pinned, problems }: Expanded) => {
  expect(problems).toEqual([]);
  return pinned?.operations ?? {};
};
/** The arguments' schema of the only operation. */
const schemaOf = (document: object, over = {}) => {
  const found = Object.values(operationsOf(expand(document, over)));
  expect(found).toHaveLength(1);
  return found[0]?.parameters as { properties: Record<string, unknown>; required?: string[] };
};
const found = ({ problems }: Expanded) => problems.map(({ place, code }) => [place, code]);
const auth = { petstore_auth: "${secrets.TOKEN}", api_key: "${secrets.KEY}" };

describe("the Petstore", () => {
  test.each(["3.0", "3.1"])("in %s becomes a tool an operation", (version) => {
    const { pinned, problems } = expand(published(`@readme/oas-examples/${version}/json/petstore.json`), { auth });
    expect(problems).toEqual([]);
    expect(pinned?.openapi.slice(0, 3)).toBe(version);
    expect(Object.keys(pinned?.operations ?? {})).toHaveLength(20);
    expect(pinned?.operations.api_getPetById).toEqual({
      method: "GET",
      server: expect.stringMatching(/^https?:\/\/petstore\.swagger\.io\/v2$/),
      path: "/pet/{petId}",
      description: expect.stringMatching(/^Find pet by ID\n\nReturns a single pet/),
      parameters: {
        type: "object",
        properties: { petId: { type: "integer", description: "ID of pet to return" } },
        required: ["petId"],
      },
      places: [{ argument: "petId", in: "path", name: "petId", style: "simple", explode: false }],
      auth: ["api_key"],
      effect: "safe",
    });
    expect(pinned?.operations.api_deletePet).toMatchObject({
      method: "DELETE",
      effect: "idempotent",
      auth: ["petstore_auth"],
    });
    expect(pinned?.operations.api_addPet).toMatchObject({ effect: "at_most_once", body: { kind: "json" } });
    expect(pinned?.operations.api_updatePetWithForm?.body).toEqual({
      kind: "form",
      mediaType: "application/x-www-form-urlencoded",
    });
    expect(pinned?.schemes).toEqual({
      api_key: { in: "header", name: "api_key", prefix: "" },
      petstore_auth: { in: "header", name: "authorization", prefix: "Bearer " },
    });
  });

  test("of Swagger 2.0 is refused with what to do", () => {
    const [problem] = expand(published("@readme/oas-examples/2.0/json/petstore.json")).problems;
    expect(problem).toMatchObject({ place: "/document", code: "document_invalid" });
    expect(problem?.detail).toMatch(/Swagger 2\.0.*Convert it to OpenAPI 3/);
  });
});

describe("large documents", () => {
  test("of 400 KB of YAML and 54 operations, and of 500 KB of JSON and 120, become tools", () => {
    const figma = expand(published("@figma/rest-api-spec/openapi/openapi.yaml"), {
      auth: { PersonalAccessToken: "x", PlanAccessToken: "x" },
    });
    const trek = expand(published("@readme/oas-examples/3.0/json/star-trek.json"));
    expect([Object.keys(operationsOf(figma)).length, Object.keys(operationsOf(trek)).length]).toEqual([54, 120]);
    expect(operationsOf(figma).api_getFile).toMatchObject({
      server: "https://api.figma.com",
      path: "/v1/files/{file_key}",
      auth: ["PersonalAccessToken"],
    });
    for (const operation of [...Object.values(operationsOf(figma)), ...Object.values(operationsOf(trek))])
      expect(schemaProblems(operation.parameters, "")).toEqual([]);
  });

  test("whose tools are too much together are refused with a way to choose fewer", () => {
    const schema = {
      type: "object",
      properties: Object.fromEntries(
        Array.from({ length: 80 }, (_, n) => [`field${n}`, { type: "string", description: "x".repeat(200) }]),
      ),
    };
    const paths = Object.fromEntries(
      Array.from({ length: 20 }, (_, n) => [
        `/p${n}`,
        { post: { requestBody: { content: { "application/json": { schema } } } } },
      ]),
    );
    const [problem] = expand(documentOf(paths)).problems;
    expect(problem).toMatchObject({ place: "/operations", code: "limit_out_of_range" });
    expect(problem?.detail).toMatch(/20 chosen operations make \d+ KiB.*256 KiB.*operations\.include/);
  });
});

describe("which operations", () => {
  const petstore = published("@readme/oas-examples/3.0/json/petstore.json");
  const names = (include: string[], exclude: string[] = []) =>
    Object.keys(operationsOf(expand(petstore, { auth, operations: { include, exclude } }))).map((name) =>
      name.slice(4),
    );

  test.each<[string[], string[], string[]]>([
    [["getPetById"], [], ["getPetById"]],
    [["GET /pet/{petId}"], [], ["getPetById"]],
    [["get*By*"], [], ["getOrderById", "getPetById", "getUserByName"]],
    [["* /store/*"], [], ["deleteOrder", "getInventory", "getOrderById", "placeOrder"]],
    [["GET *"], ["tag:user", "tag:store"], ["findPetsByStatus", "findPetsByTags", "getPetById"]],
    [["tag:st*"], ["DELETE *"], ["getInventory", "getOrderById", "placeOrder"]],
    [["tag:pet"], ["*Pet*", "find*"], ["uploadFile"]],
  ])("%j without %j", (include, exclude, expected) => expect(names(include, exclude)).toEqual(expected));

  test("that there are not are errors, also where they are left out or overridden", () => {
    const result = expand(petstore, {
      auth,
      operations: { include: ["getPet", "tag:pets", "GET /pet/{petId}", "x*"], exclude: ["DELETE /pets"] },
    });
    expect(found(result)).toEqual([
      ["/operations/include/0", "operation_not_found"],
      ["/operations/include/1", "operation_not_found"],
      ["/operations/include/3", "operation_not_found"],
      ["/operations/exclude/0", "operation_not_found"],
    ]);
    expect(result.problems[0]?.suggestion).toMatch(/^(?:add|update|delete)Pet$/);
    expect(result.problems[0]?.detail).toMatch(/It has addPet, updatePet/);
    expect(result.problems[1]?.detail).toMatch(/Tags are pet, store, user/);
    const overrides = [{ operations: ["deletePet", "getPetByID"], approval: "always" as const }];
    expect(found(expand(petstore, { auth, overrides }))).toEqual([
      ["/overrides/0/operations/1", "operation_not_found"],
    ]);
  });

  test("that can't be made is an error where it is named, and a warning where it only fits", () => {
    const document = documentOf({
      "/ok": { get: { operationId: "ok" } },
      "/xml": { post: { operationId: "xml", requestBody: { required: true, content: { "application/xml": {} } } } },
      "/file": {
        post: {
          operationId: "file",
          requestBody: {
            required: true,
            content: {
              "multipart/form-data": {
                schema: { properties: { f: { type: "string", format: "binary" } }, required: ["f"] },
              },
            },
          },
        },
      },
      "/out": {
        get: { operationId: "out", parameters: [{ name: "a", in: "query", schema: { $ref: "other.json#/A" } }] },
      },
      "/{id}": { get: { operationId: "undeclared" } },
    });
    const all = expand(document);
    expect(Object.keys(operationsOf(all))).toEqual(["api_ok"]);
    expect(all.warnings.map(({ code, detail }) => [code, detail])).toEqual([
      ["operation_skipped", expect.stringMatching(/^xml: its body is application\/xml/)],
      ["operation_skipped", expect.stringMatching(/^file: it needs a file \(f\)/)],
      ["operation_skipped", expect.stringMatching(/^out: it refers to other\.json#\/A, outside the document: bundle/)],
      ["operation_skipped", expect.stringMatching(/^undeclared: its path has \{id\}/)],
    ]);
    for (const name of ["xml", "file", "out", "undeclared"])
      expect(found(expand(document, { operations: { include: ["ok", name], exclude: [] } }))).toEqual([
        ["/operations/include/1", "operation_invalid"],
      ]);
  });

  test("have the effect of their method and the approval of the entry, unless an override says otherwise; the last counts", () => {
    const operations = operationsOf(
      expand(petstore, {
        auth,
        approval: "always",
        overrides: [
          { operations: ["GET *"], approval: "never" },
          { operations: ["tag:store"], approval: { when: { required: ["a"] } } },
          { operations: ["placeOrder"], effect: "idempotent" },
        ],
      }),
    );
    const policy = (name: string) => [operations[`api_${name}`]?.effect, operations[`api_${name}`]?.approval];
    expect(policy("getPetById")).toEqual(["safe", undefined]);
    expect(policy("addPet")).toEqual(["at_most_once", "always"]);
    expect(policy("getInventory")).toEqual(["safe", { when: { required: ["a"] } }]);
    expect(policy("placeOrder")).toEqual(["idempotent", { when: { required: ["a"] } }]);
    const wrong = [
      { operations: ["getPetById"], effect: "at_most_once" as const },
      { operations: ["addPet"], effect: "safe" as const },
    ];
    expect(found(expand(petstore, { auth, overrides: wrong }))).toEqual([
      ["/overrides/0/effect", "effect_class_invalid"],
      ["/overrides/1/effect", "effect_class_invalid"],
    ]);
  });
});

describe("names", () => {
  const named = (ids: [method: string, path: string, id?: string][], over = {}) => {
    const paths: Record<string, Record<string, object>> = {};
    for (const [method, path, id] of ids)
      paths[path] = { ...paths[path], [method]: id === undefined ? {} : { operationId: id } };
    const operations = operationsOf(expand(documentOf(paths), over));
    return Object.fromEntries(
      Object.entries(operations).map(([name, { method, path }]) => [`${method.toLowerCase()} ${path}`, name]),
    );
  };

  test("come from the operationId, else from method and path, and fit what hosts of models accept", () => {
    const names = named([
      ["get", "/a", "listA"],
      ["get", "/b/c.d"],
      ["get", "/e", "pets/list all"],
      ["get", "/사용자", "사용자 조회"],
      ["get", "/f", "x".repeat(100)],
    ]);
    expect(names).toEqual({
      "get /a": "api_listA",
      "get /b/c.d": "api_get_b_c_d",
      "get /e": "api_pets_list_all",
      "get /사용자": "api_get",
      "get /f": expect.stringMatching(/^api_x{51}_[0-9a-f]{8}$/),
    });
  });

  test("that several would have end with a hash of their own, whatever the order and whatever else is chosen", () => {
    const ids: [string, string, string?][] = [
      ["get", "/a", "list"],
      ["get", "/b", "list"],
      ["get", "/c", "li/st"],
      ["post", "/c", "li st"],
      ["get", "/d", "other"],
    ];
    const names = named(ids);
    expect(new Set(Object.values(names)).size).toBe(5);
    expect(names["get /a"]).toMatch(/^api_list_[0-9a-f]{8}$/);
    expect(names["get /d"]).toBe("api_other");
    expect(named([...ids].reverse())).toEqual(names);
    expect(named(ids, { operations: { include: ["GET /a"], exclude: [] } })).toEqual({ "get /a": names["get /a"] });
  });

  test("are unique and safe for any document", () => {
    const id = fc.oneof(
      fc.string({ unit: "grapheme", maxLength: 80 }),
      fc.constantFrom("a", "a b", "a_b", "__proto__", "submit_result"),
    );
    fc.assert(
      fc.property(
        fc.array(id, { minLength: 1, maxLength: 20 }),
        fc.constantFrom("", "api_", `${"p".repeat(32)}_`),
        (ids, toolPrefix) => {
          const document = documentOf(
            Object.fromEntries(ids.map((name, n) => [`/${n}`, { get: { operationId: name } }])),
          );
          const names = Object.keys(operationsOf(expand(document, { toolPrefix })));
          expect(names).toHaveLength(ids.length);
          for (const name of names) expect(name).toMatch(/^(?!submit_result$|__proto__$)[A-Za-z0-9_-]{1,64}$/);
        },
      ),
      { numRuns: 200 },
    );
  });
});

describe("where calls go", () => {
  const servers = (list: unknown[], over = {}, hosts: string[] = []) =>
    expand(documentOf({ "/t": { get: {} } }, { servers: list }), over, hosts);
  const address = (result: Expanded) => Object.values(operationsOf(result))[0]?.server;

  test.each<[string, unknown[], object, string]>([
    [
      "the first server",
      [{ url: "https://a.example.com/v1/" }, { url: "https://b.example.com" }],
      {},
      "https://a.example.com/v1",
    ],
    [
      "variables at their defaults",
      [
        {
          url: "https://{r}.example.com:{p}/{b}",
          variables: { r: { default: "eu" }, p: { default: 8443 }, b: { default: "v2" } },
        },
      ],
      {},
      "https://eu.example.com:8443/v2",
    ],
    ["a path beside the document", [{ url: "../v2" }], {}, "https://api.example.com/v2"],
    ["none, so the document's root", [], {}, "https://api.example.com"],
    [
      "the manifest's",
      [{ url: "https://a.example.com" }],
      { server: "https://mine.example.com/x" },
      "https://mine.example.com/x",
    ],
    [
      "the manifest's for an inline document",
      [],
      { server: "https://mine.example.com", document: { inline: {} } },
      "https://mine.example.com",
    ],
  ])("%s", (_name, list, over, expected) => expect(address(servers(list, over))).toBe(expected));

  test.each<[string, unknown[], object, string]>([
    ["a private address", [{ url: "http://10.0.0.1" }], {}, "/document"],
    ["metadata", [{ url: "http://169.254.169.254/latest" }], {}, "/document"],
    ["a variable without a default", [{ url: "https://{r}.example.com" }], {}, "/document"],
    [
      "a variable that leads inside",
      [{ url: "https://{r}", variables: { r: { default: "localhost" } } }],
      {},
      "/document",
    ],
    ["a password", [{ url: "https://a:b@example.com" }], {}, "/document"],
    ["a query", [{ url: "https://example.com?a=1" }], {}, "/document"],
    ["another scheme", [{ url: "ftp://example.com" }], {}, "/document"],
    ["a private address of the manifest", [{ url: "https://example.com" }], { server: "http://127.0.0.1" }, "/server"],
    ["a path of an inline document", [{ url: "/v1" }], { document: { inline: {} } }, "/document"],
  ])("%s is refused", (_name, list, over, place) => {
    expect(found(servers(list, over))).toEqual([[place, "url_not_allowed"]]);
  });

  test("a private name the operator allows is one", () => {
    const list = [{ url: "http://pets.internal/v1" }];
    expect(address(servers(list, {}, ["pets.internal"]))).toBe("http://pets.internal/v1");
    expect(found(servers(list))).toEqual([["/document", "url_not_allowed"]]);
  });
});

describe("who calls", () => {
  const schemes = {
    key: { type: "apiKey", in: "header", name: "X-Key" },
    inQuery: { type: "apiKey", in: "query", name: "key" },
    basic: { type: "http", scheme: "basic" },
    bearer: { type: "http", scheme: "Bearer" },
    open: { type: "openIdConnect", openIdConnectUrl: "https://example.com" },
    tls: { type: "mutualTLS" },
    digest: { type: "http", scheme: "digest" },
    host: { type: "apiKey", in: "header", name: "Host" },
  };
  const secured = (security: object[] | undefined, over = {}, more: object = {}) =>
    expand(
      operation(security === undefined ? {} : { security }, { components: { securitySchemes: schemes }, ...more }),
      over,
    );
  const chosen = (result: Expanded) => Object.values(operationsOf(result))[0]?.auth;

  test("is the first alternative that the manifest has credentials for", () => {
    const given = { auth: { key: "x", bearer: "x" } };
    expect(chosen(secured([{ basic: [] }, { key: [], bearer: ["read"] }, { key: [] }], given))).toEqual([
      "key",
      "bearer",
    ]);
    expect(chosen(secured([{ basic: [] }, { key: [] }], given))).toEqual(["key"]);
    expect(chosen(secured([{}, { key: [] }], given))).toEqual(["key"]);
    expect(chosen(secured([{}, { basic: [] }], given))).toEqual([]);
    expect(chosen(secured([], given, { security: [{ tls: [] }] }))).toEqual([]);
    expect(chosen(secured(undefined, given, { security: [{ bearer: [] }] }))).toEqual(["bearer"]);
    expect(chosen(secured([{ key: [] }], { headers: { "x-KEY": "y" } }))).toEqual([]);
    expect(chosen(secured([{ inQuery: [] }], { query: { key: "y" } }))).toEqual([]);
  });

  test("is asked for by the names of the schemes when it can't be told", () => {
    const { problems } = secured([{ key: [], basic: [] }, { open: [] }], { auth: { key: "x" } });
    expect(problems).toMatchObject([{ place: "/auth", code: "auth_missing" }]);
    expect(problems[0]?.detail).toMatch(/^op: needs credentials for key and basic, or open\. Give them in auth/);
    for (const name of ["tls", "digest", "host"])
      expect(found(secured([{ [name]: [] }]))).toEqual([["/auth", "auth_missing"]]);
  });

  test("must be told in the scheme's form", () => {
    expect(
      found(
        secured([], {
          auth: { nobody: "x", basic: "x", bearer: { username: "a", password: "b" }, tls: "x", key: "x" },
        }),
      ),
    ).toEqual([
      ["/auth/nobody", "validation_failed"],
      ["/auth/basic", "validation_failed"],
      ["/auth/bearer", "validation_failed"],
      ["/auth/tls", "validation_failed"],
    ]);
  });
});

describe("arguments", () => {
  test("are parameters by name and the body as body; what has the same name is told apart by its place", () => {
    const parameters = [
      { name: "id", in: "query", schema: { type: "string" } },
      { name: "id", in: "path", required: true, schema: { type: "integer" } },
      { name: "body", in: "query", schema: { type: "string" } },
      { name: "id", in: "header", schema: { type: "string" } },
    ];
    const node = {
      parameters,
      requestBody: { required: true, content: { "application/json": { schema: { type: "object" } } } },
    };
    const schema = schemaOf(operation(node, {}, "post", "/t/{id}"));
    expect(Object.keys(schema.properties)).toEqual(["id", "query_id", "query_body", "header_id", "body"]);
    expect(schema.required).toEqual(["id", "body"]);
  });

  test("of an operation win over those of its path", () => {
    const document = documentOf(
      {
        "/t": {
          parameters: [
            { name: "q", in: "query", schema: { type: "string" } },
            { $ref: "#/components/parameters/page" },
          ],
          get: { parameters: [{ name: "q", in: "query", schema: { type: "integer" } }] },
        },
      },
      { components: { parameters: { page: { name: "page", in: "query", schema: { type: "integer" } } } } },
    );
    expect(schemaOf(document).properties).toEqual({ q: { type: "integer" }, page: { type: "integer" } });
  });

  test("do not include what the manifest, the credentials or Maru say", () => {
    const parameters = ["X-Tenant", "Authorization", "Accept", "Idempotency-Key", "X-Key", "X-Free"].map((name) => ({
      name,
      in: "header",
      required: true,
      schema: { type: "string" },
    }));
    const document = operation(
      { parameters: [...parameters, { name: "v", in: "query", required: true, schema: {} }], security: [{ k: [] }] },
      { components: { securitySchemes: { k: { type: "apiKey", in: "header", name: "x-key" } } } },
    );
    expect(schemaOf(document, { headers: { "x-tenant": "1" }, query: { v: "1" }, auth: { k: "x" } })).toEqual({
      type: "object",
      properties: { "X-Free": { type: "string" } },
      required: ["X-Free"],
    });
  });
});
