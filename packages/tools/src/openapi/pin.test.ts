import { createHash } from "node:crypto";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import type { OpenApiToolSpec, ToolSpec } from "@maru/contract";
import { OPEN_POLICY } from "@maru/domain";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkToolSpec, type Egress, pinTools, policyProblems, prepareTools, UNCALLED } from "../index.ts";
import { openEgress } from "../testing/context.ts";
import { documentOf, entry, operation } from "./testing/documents.ts";

const ORIGIN = "http://docs.internal";
const petstore = documentOf(
  {
    "/pets": {
      get: { operationId: "list", summary: "All pets" },
      post: { operationId: "add", summary: "A pet\0 more" },
    },
  },
  { servers: [{ url: "/v1" }], info: { title: "Pets", version: "1.2" } },
);

let server: Server;
let egress: Egress & { close(): Promise<void> };
const routes: Record<string, (response: ServerResponse) => void> = {
  "/openapi.json": (response) => response.end(JSON.stringify(petstore)),
  "/elsewhere.json": (response) =>
    response.end(JSON.stringify({ ...petstore, servers: [{ url: "https://elsewhere.example.org" }] })),
  "/openapi.yaml": (response) =>
    response.end("openapi: 3.0.3\ninfo: { title: 날씨, version: 1 }\npaths: { /now: { get: { operationId: now } } }\n"),
  "/large": (response) => response.end(Buffer.alloc(4_194_305, 32)),
  "/redirect": (response) => response.writeHead(302, { location: "/openapi.json" }).end(),
  "/gzip": (response) =>
    response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(JSON.stringify(petstore))),
  "/bomb": (response) =>
    response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(Buffer.alloc(50_000_000))),
  "/odd": (response) => response.writeHead(200, { "content-encoding": "compress" }).end("x"),
  "/missing": (response) => response.writeHead(404).end("no"),
  "/broken": (response) => {
    response.writeHead(200, { "content-length": "1000" }).write("{");
    setImmediate(() => response.destroy());
  },
  "/hang": (response) => response.writeHead(200).write("{"),
  "/page": (response) => response.end("<!doctype html><title>Sign in</title>"),
};
let asked = 0;

beforeAll(async () => {
  server = createServer((request, response) => {
    asked++;
    routes[request.url ?? ""]?.(response);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  egress = openEgress({
    allow: {
      "docs.internal": `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      "gone.internal": "http://127.0.0.1:1",
    },
  });
});
afterAll(async () => {
  await egress.close();
  server.closeAllConnections();
  server.close();
});

const pin = (tools: readonly ToolSpec[], signal = new AbortController().signal) =>
  pinTools(tools, {
    egress,
    allowedHosts: ["docs.internal", "gone.internal"],
    secrets: async () => new Map(),
    signal,
  });
const by = (url: string, over: Partial<OpenApiToolSpec> = {}) => entry({ document: { url }, ...over });

describe("a document by URL", () => {
  test("is fetched once and kept as its digest and the chosen operations", async () => {
    asked = 0;
    const { tools, problems, warnings } = await pin([by(`${ORIGIN}/openapi.json`)]);
    expect([problems, warnings, asked]).toEqual([[], [], 1]);
    const [spec] = tools as [OpenApiToolSpec];
    expect(spec.document).toEqual({ url: `${ORIGIN}/openapi.json` });
    expect(spec.pinned).toMatchObject({
      sha256: createHash("sha256").update(JSON.stringify(petstore)).digest("hex"),
      openapi: "3.1.0",
      title: "Pets",
      version: "1.2",
    });
    expect(Object.keys(spec.pinned?.operations ?? {})).toEqual(["api_add", "api_list"]);
    expect(spec.pinned?.operations.api_list).toMatchObject({ server: `${ORIGIN}/v1`, path: "/pets" });
    // What Postgres can't store is gone.
    expect(spec.pinned?.operations.api_add?.description).toBe("A pet more");
    expect(prepareTools(tools, UNCALLED).names).toEqual(["api_add", "api_list"]);
    expect((await pin([by(`${ORIGIN}/openapi.json`)])).tools).toEqual(tools);
  });

  test("may be compressed; its digest is that of the text", async () => {
    const pinned = async (path: string) => ((await pin([by(`${ORIGIN}${path}`)])).tools[0] as OpenApiToolSpec).pinned;
    expect(await pinned("/gzip")).toEqual(await pinned("/openapi.json"));
  });

  test("may be YAML", async () => {
    const { tools, problems } = await pin([by(`${ORIGIN}/openapi.yaml`)]);
    expect(problems).toEqual([]);
    expect((tools[0] as OpenApiToolSpec).pinned).toMatchObject({
      title: "날씨",
      operations: { api_now: { server: ORIGIN } },
    });
  });

  test("that sends credentials to another host than its own is warned of", async () => {
    const headers = { "X-Key": "${secrets.KEY}" };
    const url = `${ORIGIN}/elsewhere.json`;
    expect((await pin([by(url, { headers })])).warnings).toMatchObject([
      {
        code: "server_elsewhere",
        pointer: "/spec/tools/0/document/url",
        detail: expect.stringMatching(/elsewhere\.example\.org/),
      },
    ]);
    expect((await pin([by(url, { headers, server: "https://elsewhere.example.org" })])).warnings).toEqual([]);
    expect((await pin([by(url)])).warnings).toEqual([]);
  });

  test.each<[string, string, string, RegExp]>([
    ["that is too large", "/large", "document_unavailable", /larger than 4 MiB/],
    ["behind a redirect", "/redirect", "document_unavailable", /redirects are not followed/],
    ["that grows without end", "/bomb", "document_unavailable", /larger than 4 MiB/],
    ["that is encoded as nobody reads", "/odd", "document_unavailable", /compress/],
    ["that is not there", "/missing", "document_unavailable", /answered 404/],
    ["that breaks off", "/broken", "document_unavailable", /broke off/],
    ["that is a page", "/page", "document_invalid", /not an OpenAPI document|not valid YAML/],
  ])("%s is refused in words", async (_name, path, code, detail) => {
    const { problems } = await pin([{ type: "builtin", name: "calculator" }, by(`${ORIGIN}${path}`)]);
    expect(problems).toMatchObject([{ pointer: expect.stringMatching(/^\/spec\/tools\/1\/document/), code }]);
    expect(problems[0]?.detail).toMatch(detail);
  });

  test.each([
    ["http://gone.internal/", /could not be reached/],
    ["http://other.internal/", /not one Maru may reach/],
    ["http://127.0.0.1/", /not one Maru may reach/],
  ])("at %s is refused in words", async (url, detail) => {
    const { problems } = await pin([by(url)]);
    expect(problems).toMatchObject([{ pointer: "/spec/tools/0/document/url", code: "document_unavailable" }]);
    expect(problems[0]?.detail).toMatch(detail);
  });

  test("that does not arrive ends with its caller", async () => {
    const stop = new AbortController();
    const pinning = pin([by(`${ORIGIN}/hang`)], stop.signal);
    stop.abort();
    expect((await pinning).problems).toMatchObject([
      { code: "document_unavailable", detail: expect.stringMatching(/in time/) },
    ]);
  });
});

describe("a document inline", () => {
  const inline = operation({}) as { [key: string]: unknown };

  test("is kept beside what is made of it, whatever the order of its keys", async () => {
    const { tools, problems } = await pin([entry({ document: { inline } })]);
    const reversed = Object.fromEntries(Object.entries(inline).reverse());
    expect(problems).toEqual([]);
    expect((tools[0] as OpenApiToolSpec).document).toEqual({ inline });
    expect((await pin([entry({ document: { inline: reversed } })])).tools).toEqual(tools);
    const changed = { ...inline, info: { title: "Test", version: "2" } };
    expect((await pin([entry({ document: { inline: changed } })])).tools).not.toEqual(tools);
  });

  test("must not make a tool that another entry has, nor too many together", async () => {
    const client: ToolSpec = { type: "client", name: "api_op", description: "", parameters: {} };
    expect((await pin([client, entry({ document: { inline } })])).problems).toEqual([
      {
        pointer: "/spec/tools/1",
        code: "duplicate_tool",
        detail: "There is a tool named api_op already: give one of them another name.",
      },
    ]);
    const many = documentOf(
      Object.fromEntries(Array.from({ length: 70 }, (_, n) => [`/p${n}`, { get: {} }])),
    ) as typeof inline;
    const { problems } = await pin(
      ["a", "b"].map((name) => entry({ name, toolPrefix: `${name}_`, document: { inline: many } })),
    );
    expect(problems).toMatchObject([
      { pointer: "/spec/tools", code: "limit_out_of_range", detail: expect.stringMatching(/128.*140/) },
    ]);
  });
});

test("a workspace's policy judges each operation by its name, and every host a document names", async () => {
  const { tools } = await pin([by(`${ORIGIN}/elsewhere.json`)]);
  const judged = (rules: { egress?: object; tools?: object }) =>
    policyProblems(tools[0] as ToolSpec, "/t", { ...OPEN_POLICY, ...rules } as typeof OPEN_POLICY).map(
      ({ pointer, code }) => [pointer, code],
    );
  expect(judged({})).toEqual([]);
  expect(judged({ tools: { deny: ["api_add"] } })).toEqual([["/t", "tool_denied"]]);
  expect(judged({ tools: { deny: ["kind:openapi"] } })).toEqual([["/t", "tool_denied"]]);
  expect(judged({ egress: { allow: ["docs.internal"], deny: [] } })).toEqual([["/t/document", "host_denied"]]);
  expect(judged({ egress: { allow: ["*.example.org"], deny: [] } })).toEqual([["/t/document/url", "host_denied"]]);
});

describe("an entry before its document is fetched", () => {
  const check = (over: Partial<OpenApiToolSpec>) =>
    checkToolSpec(entry(over), "/t", { allowedHosts: ["docs.internal"], hasSecret: (name) => name === "KEY" }).map(
      ({ pointer, code }) => [pointer, code],
    );

  test("may have secrets in headers, query and credentials", () => {
    expect(
      check({
        document: { url: `${ORIGIN}/openapi.json` },
        server: "https://api.example.com",
        headers: { "X-A": "a ${secrets.KEY}" },
        query: { q: "${secrets.KEY}" },
        auth: { a: "${secrets.KEY}", b: { username: "u", password: "${secrets.KEY}" } },
      }),
    ).toEqual([]);
  });

  test.each<[string, Partial<OpenApiToolSpec>, string, string]>([
    ["a private document", { document: { url: "http://10.0.0.1/" } }, "/document/url", "url_not_allowed"],
    ["a private server", { server: "http://localhost/" }, "/server", "url_not_allowed"],
    ["a header of Maru's", { headers: { Host: "x" } }, "/headers/Host", "header_not_allowed"],
    ["a header of two lines", { headers: { "X-A": "a\r\nb: c" } }, "/headers/X-A", "header_not_allowed"],
    ["no such secret", { headers: { "X-A": "${secrets.NONE}" } }, "/headers/X-A", "secret_not_found"],
    ["no such secret in the query", { query: { "a/b": "${secrets.NONE}" } }, "/query/a~1b", "secret_not_found"],
    ["no such credential", { auth: { a: "${secrets.NONE}" } }, "/auth/a", "secret_not_found"],
    [
      "no such password",
      { auth: { a: { username: "u", password: "${secrets.NONE}" } } },
      "/auth/a/password",
      "secret_not_found",
    ],
    ["no reference", { auth: { a: "${secrets.lower}" } }, "/auth/a", "template_error"],
  ])("with %s is refused with its place", (_name, over, place, code) => {
    expect(check(over)).toEqual([[`/t${place}`, code]]);
  });
});
