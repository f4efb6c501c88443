import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { OpenApiToolSpec } from "@maru/contract";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Egress, prepareTools } from "../index.ts";
import type { ToolCallContext } from "../kind.ts";
import { callContext, openEgress, toolDeps } from "../testing/context.ts";
import { entry, expand, operation } from "./testing/documents.ts";

interface Seen {
  readonly method: string | undefined;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

let server: Server;
let egress: Egress & { close(): Promise<void> };
let seen: Seen[] = [];
let status = 200;
let reply = '{"ok": true}';

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    seen.push({ method: request.method, url: request.url ?? "", headers: request.headers, body });
    response.writeHead(status, { "content-type": "application/json" }).end(reply);
  });
  // A connection that the server closes just when it is used again would look like a call that broke off.
  server.keepAliveTimeout = 0;
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  egress = openEgress({
    connectTimeoutMs: 30_000,
    allow: { "api.example.com": `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
  });
});
beforeEach(() => {
  seen = [];
  status = 200;
  reply = '{"ok": true}';
});
afterAll(async () => {
  await egress.close();
  server.closeAllConnections();
  server.close();
});

/** The only tool of a document. */
function toolOf(document: object, over: Partial<OpenApiToolSpec> = {}) {
  const { pinned, problems } = expand(document, over);
  expect(problems).toEqual([]);
  if (pinned === null) throw new Error("nothing pinned");
  const tools = prepareTools([entry({ ...over, pinned })], toolDeps({ egress }));
  expect(tools.names).toHaveLength(1);
  const tool = tools.get(tools.names[0] as string);
  if (tool === undefined) throw new Error("no tool");
  return tool;
}

async function sent(
  document: object,
  args: Record<string, unknown>,
  over: Partial<OpenApiToolSpec> = {},
  context: Partial<ToolCallContext> = {},
): Promise<Seen> {
  const tool = toolOf(document, over);
  expect(tool.checkArguments(args)).toBeNull();
  expect(await tool.call(args, callContext(context))).toMatchObject({ output: '{"ok":true}', isError: false });
  expect(seen).toHaveLength(1);
  return seen[0] as Seen;
}

const parameter = (place: string, style: string | null, explode: boolean | null, more: object = {}) => ({
  name: "color",
  in: place,
  ...(place === "path" ? { required: true } : {}),
  schema: {},
  ...(style === null ? {} : { style }),
  ...(explode === null ? {} : { explode }),
  ...more,
});
const withOne = (rule: object, path = "/t") => operation({ parameters: [rule] }, {}, "get", path);

const ONE = "blue";
const LIST = ["blue", "black", "brown"];
const RGB = { R: 100, G: 200, B: 150 };

// The table of OpenAPI 3.1.1 §4.8.12.5, brackets percent-encoded.
describe("a path parameter", () => {
  test.each<[string, boolean, unknown, string]>([
    ["simple", false, ONE, "blue"],
    ["simple", false, LIST, "blue,black,brown"],
    ["simple", false, RGB, "R,100,G,200,B,150"],
    ["simple", true, LIST, "blue,black,brown"],
    ["simple", true, RGB, "R=100,G=200,B=150"],
    ["label", false, ONE, ".blue"],
    ["label", false, LIST, ".blue,black,brown"],
    ["label", false, RGB, ".R,100,G,200,B,150"],
    ["label", true, LIST, ".blue.black.brown"],
    ["label", true, RGB, ".R=100.G=200.B=150"],
    ["matrix", false, ONE, ";color=blue"],
    ["matrix", false, LIST, ";color=blue,black,brown"],
    ["matrix", false, RGB, ";color=R,100,G,200,B,150"],
    ["matrix", true, ONE, ";color=blue"],
    ["matrix", true, LIST, ";color=blue;color=black;color=brown"],
    ["matrix", true, RGB, ";R=100;G=200;B=150"],
  ])("of style %s, explode %s: %j", async (style, explode, value, expected) => {
    const { url } = await sent(withOne(parameter("path", style, explode), "/a/{color}/b"), { color: value });
    expect(url).toBe(`/a/${expected}/b`);
  });

  test("shares its segment with others and with text", async () => {
    const parameters = ["a", "b"].map((name) => ({ name, in: "path", required: true, schema: {} }));
    const { url } = await sent(operation({ parameters }, {}, "get", "/x-{a}.{b}.json"), { a: "1/2", b: 3 });
    expect(url).toBe("/x-1%2F2.3.json");
  });

  test.each([
    ["/a/{color}", "simple", ""],
    ["/a/{color}", "simple", "."],
    ["/a/{color}", "simple", ".."],
    ["/a/{color}", "simple", []],
    ["/a/{color}", "simple", null],
    ["/a/{color}", "label", "."],
    ["/a/.{color}", "simple", "."],
    ["/{color}/admin", "simple", ".."],
  ])("in %s of style %s must not be %j, and nothing is sent", async (path, style, value) => {
    const result = await toolOf(withOne(parameter("path", style, false), path)).call({ color: value }, callContext());
    expect(result).toMatchObject({ code: "tool_arguments_invalid", output: expect.stringContaining("color") });
    expect(seen).toEqual([]);
  });

  test("never leaves its segment, whatever its style and value", async () => {
    const styles = fc.constantFrom("simple", "label", "matrix");
    const text = fc.oneof(
      fc.string(),
      fc.constantFrom("..", "../..", "%2e%2e", "a?b#c", "//x", "\\", "\ud800", "서/울"),
    );
    const value = fc.oneof(
      text,
      fc.array(text, { maxLength: 3 }),
      fc.dictionary(text, text, { maxKeys: 2 }),
      fc.integer(),
    );
    const tools = new Map(
      ["simple", "label", "matrix"].flatMap((style) =>
        [true, false].map((explode) => [
          `${style} ${explode}`,
          toolOf(withOne(parameter("path", style, explode), "/a/{color}/b")),
        ]),
      ),
    );
    await fc.assert(
      fc.asyncProperty(styles, fc.boolean(), value, async (style, explode, color) => {
        seen = [];
        const result = await tools.get(`${style} ${explode}`)?.call({ color }, callContext());
        expect(result?.code === "tool_arguments_invalid" || result?.code === null, JSON.stringify(result)).toBe(true);
        expect(seen).toHaveLength(result?.code === null ? 1 : 0);
        for (const { url } of seen) expect(url).toMatch(/^\/a\/[^/?#\\]+\/b$/);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a query parameter", () => {
  test.each<[string | null, boolean | null, unknown, string]>([
    [null, null, ONE, "color=blue"],
    [null, null, LIST, "color=blue&color=black&color=brown"],
    [null, null, RGB, "R=100&G=200&B=150"],
    ["form", false, LIST, "color=blue,black,brown"],
    ["form", false, RGB, "color=R,100,G,200,B,150"],
    ["form", true, ["a,b&c=d", "#"], "color=a%2Cb%26c%3Dd&color=%23"],
    ["form", false, ["a,b", "c"], "color=a%2Cb,c"],
    ["spaceDelimited", false, LIST, "color=blue%20black%20brown"],
    ["spaceDelimited", false, RGB, "color=R%20100%20G%20200%20B%20150"],
    ["pipeDelimited", false, LIST, "color=blue%7Cblack%7Cbrown"],
    ["pipeDelimited", false, RGB, "color=R%7C100%7CG%7C200%7CB%7C150"],
    ["deepObject", true, RGB, "color%5BR%5D=100&color%5BG%5D=200&color%5BB%5D=150"],
    ["deepObject", true, { a: { b: 1 }, c: [1, 2] }, "color%5Ba%5D%5Bb%5D=1&color%5Bc%5D=1&color%5Bc%5D=2"],
    ["form", true, "서울 & \ud800", `color=${encodeURIComponent("서울 & \ufffd")}`],
    ["form", true, { a: null, b: { c: 1 } }, "b=%7B%22c%22%3A1%7D"],
    ["form", false, true, "color=true"],
    ["form", true, 0, "color=0"],
    ["form", true, "", "color="],
  ])("of style %s, explode %s: %j", async (style, explode, value, expected) => {
    const { url } = await sent(withOne(parameter("query", style, explode)), { color: value });
    expect(url).toBe(`/t?${expected}`);
  });

  test.each([[[]], [{}], [null], [undefined]])("that is %j is left out", async (value) => {
    expect((await sent(withOne(parameter("query", "form", true)), { color: value })).url).toBe("/t");
  });

  test("with a content is JSON, and its name is encoded", async () => {
    const rule = { name: "filter[a]&b", in: "query", content: { "application/json": { schema: { type: "object" } } } };
    const { url } = await sent(withOne(rule), { "filter[a]&b": { x: [1, "&"] } });
    expect(url).toBe(`/t?filter%5Ba%5D%26b=${encodeURIComponent('{"x":[1,"&"]}')}`);
  });

  test("that is an object does not replace what the manifest or the credentials say", async () => {
    const document = operation(
      { parameters: [parameter("query", "form", true)], security: [{ k: [] }] },
      { components: { securitySchemes: { k: { type: "apiKey", in: "query", name: "key" } } } },
    );
    const over = { query: { tenant: "mine" }, auth: { k: "right" } };
    const { url } = await sent(document, { color: { tenant: "theirs", key: "wrong", other: 1 } }, over);
    expect(url).toBe("/t?other=1&tenant=mine&key=right");
  });
});

describe("a header parameter", () => {
  test.each<[boolean, unknown, string]>([
    [false, ONE, "blue"],
    [false, LIST, "blue,black,brown"],
    [false, RGB, "R,100,G,200,B,150"],
    [true, RGB, "R=100,G=200,B=150"],
    [false, 7, "7"],
  ])("of style simple, explode %s: %j", async (explode, value, expected) => {
    const { headers } = await sent(withOne(parameter("header", "simple", explode)), { color: value });
    expect(headers.color).toBe(expected);
  });

  test("is UTF-8, and one line", async () => {
    const document = withOne(parameter("header", null, null));
    const { headers } = await sent(document, { color: "서울" });
    expect(Buffer.from(String(headers.color), "latin1").toString("utf8")).toBe("서울");
    for (const value of ["a\r\nX-Evil: 1", "a\nb", ["a", "b\0"], { "a\r\nb": 1 }]) {
      const result = await toolOf(document).call({ color: value }, callContext());
      expect(result).toMatchObject({ code: "tool_arguments_invalid", output: expect.stringContaining("color") });
    }
    expect(seen).toHaveLength(1);
  });
});

describe("a cookie parameter", () => {
  test.each<[boolean, unknown, string]>([
    [true, ONE, "color=blue"],
    [false, LIST, "color=blue,black,brown"],
    [false, RGB, "color=R,100,G,200,B,150"],
    [true, LIST, "color=blue; color=black; color=brown"],
    [true, RGB, "R=100; G=200; B=150"],
    [true, "a; session=x", "color=a%3B%20session%3Dx"],
    [true, { "a; session": "x" }, "a%3B%20session=x"],
  ])("of style form, explode %s: %j", async (explode, value, expected) => {
    const { headers } = await sent(withOne(parameter("cookie", "form", explode)), { color: value });
    expect(headers.cookie).toBe(expected);
  });
});

describe("a body", () => {
  const posting = (content: object, more: object = {}) => operation({ requestBody: { content, ...more } }, {}, "post");
  const object = { type: "object" };

  test.each<[string, string]>([
    ["application/json", "application/json"],
    ["application/json; charset=utf-8", "application/json"],
    ["application/merge-patch+json", "application/merge-patch+json"],
    ["*/*", "application/json"],
  ])("of %s is JSON", async (mediaType, type) => {
    const value = { a: [1, null, "서울"], b: {} };
    const { body, headers, method } = await sent(posting({ [mediaType]: { schema: object } }), { body: value });
    expect([method, headers["content-type"], JSON.parse(body)]).toEqual(["POST", type, value]);
  });

  test("is the type that says most, and is left out when it is not given", async () => {
    const content = { "text/plain": {}, "multipart/form-data": {}, "application/xml": {}, "application/json": {} };
    const { headers } = await sent(posting(content), { body: [1] });
    expect(headers["content-type"]).toBe("application/json");
    seen = [];
    const without = await sent(posting(content), {});
    expect([without.headers["content-type"], without.body]).toEqual([undefined, ""]);
  });

  test("of a form repeats lists, writes objects as JSON, and does as encoding says", async () => {
    const media = {
      schema: object,
      encoding: { csv: { style: "form", explode: false }, deep: { style: "deepObject", explode: true } },
    };
    const value = { a: "x & y", list: [1, 2], object: { b: 1 }, csv: ["p", "q"], deep: { r: 1 }, gone: null };
    const { body, headers } = await sent(posting({ "application/x-www-form-urlencoded": media }), { body: value });
    expect(headers["content-type"]).toBe("application/x-www-form-urlencoded");
    expect(body).toBe(`a=x%20%26%20y&list=1&list=2&object=${encodeURIComponent('{"b":1}')}&csv=p,q&deep%5Br%5D=1`);
    expect([...new URLSearchParams(body)].slice(0, 3)).toEqual([
      ["a", "x & y"],
      ["list", "1"],
      ["list", "2"],
    ]);
  });

  test("of several parts has a part a field, and none can end another", async () => {
    const evil = '--\r\nContent-Disposition: form-data; name="x"\r\n\r\n';
    const value = { text: evil, list: ["a", 2], object: { b: 1 }, 'q"\r\nX: 1': "y" };
    const { body, headers } = await sent(posting({ "multipart/form-data": { schema: object } }), { body: value });
    const form = await new Response(body, { headers: { "content-type": String(headers["content-type"]) } }).formData();
    expect([...form].map(([name, item]) => [name, item])).toEqual([
      ["text", evil],
      ["list", "a"],
      ["list", "2"],
      ["object", '{"b":1}'],
      ['q"\r\nX: 1', "y"],
    ]);
  });

  test("of several parts has a boundary that stands in none of them, and the same on every attempt", async () => {
    const document = posting({ "multipart/form-data": { schema: object } });
    const boundaryOf = ({ headers }: Seen) => String(headers["content-type"]).split("boundary=")[1] as string;
    const first = boundaryOf(await sent(document, { body: { a: "x" } }));
    seen = [];
    expect(boundaryOf(await sent(document, { body: { a: "x" } }))).toBe(first);
    seen = [];
    const { body, headers } = await sent(document, { body: { a: `x\r\n--${first}--\r\n` } });
    const form = await new Response(body, { headers: { "content-type": String(headers["content-type"]) } }).formData();
    expect([...form]).toEqual([["a", `x\r\n--${first}--\r\n`]]);
  });

  test("of text is the text", async () => {
    const { body, headers } = await sent(posting({ "text/markdown": { schema: { type: "string" } } }), {
      body: "# 서울\n",
    });
    expect([headers["content-type"], body]).toEqual(["text/markdown", "# 서울\n"]);
  });

  test("goes with DELETE too", async () => {
    const document = operation({ requestBody: { content: { "application/json": { schema: object } } } }, {}, "delete");
    const { body, method } = await sent(document, { body: { a: 1 } });
    expect([method, body]).toEqual(["DELETE", '{"a":1}']);
  });
});

describe("credentials", () => {
  const secrets: ToolCallContext["secrets"] = async () =>
    new Map([
      ["KEY", "key & 비밀 value"],
      ["PASSWORD", "pass:word"],
      ["LINES", "-----BEGIN\nEND-----"],
    ]);
  const secured = (scheme: object) =>
    operation({ security: [{ s: [] }] }, { components: { securitySchemes: { s: scheme } } });
  const utf8 = (value: unknown) => Buffer.from(String(value), "latin1").toString("utf8");

  test.each<[string, object]>([
    ["bearer", { type: "http", scheme: "bearer" }],
    ["oauth2", { type: "oauth2", flows: {} }],
    ["openIdConnect", { type: "openIdConnect", openIdConnectUrl: "https://example.com" }],
  ])("of %s are a bearer token", async (_name, scheme) => {
    const { headers } = await sent(secured(scheme), {}, { auth: { s: "${secrets.KEY}" } }, { secrets });
    expect(utf8(headers.authorization)).toBe("Bearer key & 비밀 value");
  });

  test("of HTTP basic are a username and a password", async () => {
    const over = { auth: { s: { username: "me", password: "${secrets.PASSWORD}" } } };
    const { headers } = await sent(secured({ type: "http", scheme: "basic" }), {}, over, { secrets });
    expect(headers.authorization).toBe(`Basic ${Buffer.from("me:pass:word").toString("base64")}`);
  });

  test("of an API key go into a header, the query or a cookie, encoded for it", async () => {
    const key = (place: string) => secured({ type: "apiKey", in: place, name: "X-Key" });
    const over = { auth: { s: "${secrets.KEY}" } };
    expect(utf8((await sent(key("header"), {}, over, { secrets })).headers["x-key"])).toBe("key & 비밀 value");
    seen = [];
    expect((await sent(key("query"), {}, over, { secrets })).url).toBe(
      `/t?X-Key=${encodeURIComponent("key & 비밀 value")}`,
    );
    seen = [];
    expect((await sent(key("cookie"), {}, over, { secrets })).headers.cookie).toBe(
      `X-Key=${encodeURIComponent("key & 비밀 value")}`,
    );
  });

  test("beside headers and query of the manifest, and cookies of both", async () => {
    const document = operation(
      { security: [{ a: [], b: [] }], parameters: [parameter("cookie", null, null)] },
      {
        components: {
          securitySchemes: { a: { type: "apiKey", in: "cookie", name: "sid" }, b: { type: "http", scheme: "bearer" } },
        },
      },
    );
    const over = {
      auth: { a: "cookie-secret", b: "${secrets.PASSWORD}" },
      headers: { "X-Tenant": "t-${secrets.PASSWORD}", Cookie: "own=1" },
      query: { v: "1 ${secrets.PASSWORD}" },
    };
    const { url, headers } = await sent(document, { color: "red" }, over, { secrets });
    expect(url).toBe("/t?v=1%20pass%3Aword");
    expect(headers).toMatchObject({
      authorization: "Bearer pass:word",
      "x-tenant": "t-pass:word",
      cookie: "own=1; color=red; sid=cookie-secret",
    });
  });

  test("that are not one line are not sent, and those that are gone are said to be", async () => {
    const tool = (name: string) =>
      toolOf(secured({ type: "http", scheme: "bearer" }), { auth: { s: `\${secrets.${name}}` } });
    expect(await tool("LINES").call({}, callContext({ secrets }))).toMatchObject({ code: "tool_failed" });
    expect(await tool("GONE").call({}, callContext({ secrets }))).toMatchObject({ code: "secret_unavailable" });
    expect(seen).toEqual([]);
  });

  test("that the API gives back are not told to the model", async () => {
    reply = '{"you":"Bearer pass:word"}';
    const tool = toolOf(secured({ type: "http", scheme: "bearer" }), { auth: { s: "${secrets.PASSWORD}" } });
    const { output } = await tool.call({}, callContext({ secrets }));
    expect([output, seen[0]?.headers.authorization]).toEqual([
      '{"you":"Bearer [secret PASSWORD]"}',
      "Bearer pass:word",
    ]);
  });
});

describe("a call", () => {
  test("has the run's key and the server's answer, errors too", async () => {
    status = 404;
    const result = await toolOf(withOne(parameter("query", null, null))).call(
      { color: "x" },
      callContext({ idempotencyKey: "run-4", epoch: 7 }),
    );
    expect(result).toMatchObject({ isError: true, code: "tool_http_error", output: 'HTTP 404\n{"ok":true}' });
    expect(seen[0]?.headers).toMatchObject({ "idempotency-key": "run-4", "x-run-epoch": "7" });
  });

  test("that failed in passing is sent again with the same key, unless it must not be", async () => {
    for (const [method, times] of [
      ["get", 3],
      ["put", 3],
      ["post", 1],
    ] as const) {
      seen = [];
      status = 503;
      const result = await toolOf(operation({}, {}, method)).call({}, callContext({ idempotencyKey: "one" }));
      expect(result).toMatchObject({ code: "tool_http_error", output: expect.stringMatching(/^HTTP 503/) });
      expect(seen.map(({ headers }) => headers["idempotency-key"])).toEqual(Array(times).fill("one"));
    }
  });

  test("with arguments the schema refuses is told what is wrong", () => {
    const tool = toolOf(withOne(parameter("query", null, null, { schema: { type: "integer" }, required: true })));
    expect(tool.checkArguments({})).toMatch(/must have required property 'color'/);
    expect(tool.checkArguments({ color: "x" })).toMatch(/\/color must be integer/);
  });

  test("is approved as its operation says, and tells what it does", () => {
    const make = (method: string, over: Partial<OpenApiToolSpec> = {}) => toolOf(operation({}, {}, method), over);
    expect(make("get").needsApproval).toBeUndefined();
    expect(make("get").annotations).toEqual({ readOnly: true, destructive: false });
    expect(make("delete").annotations).toEqual({ readOnly: false, destructive: true });
    expect(make("delete", { approval: "always" }).needsApproval?.({})).toBe(true);
    const when = make("post", {
      overrides: [{ operations: ["op"], approval: { when: { required: ["a"] } } }],
      onUnknown: "ask",
    });
    expect([when.needsApproval?.({ a: 1 }), when.needsApproval?.({}), when.onUnknown]).toEqual([true, false, "ask"]);
  });
});
