import type { HttpToolSpec, ToolSpec } from "@maru/contract";
import { describe, expect, test } from "vitest";
import { checkToolSpec, parseArguments, prepareTools, UNCALLED } from "./index.ts";

type Over = Partial<Omit<HttpToolSpec, "request">> & { request?: Partial<HttpToolSpec["request"]> };

const spec = ({ request, ...over }: Over = {}): HttpToolSpec => {
  const method = request?.method ?? "GET";
  return {
    type: "http",
    name: "t",
    description: "d",
    parameters: { type: "object", properties: { city: { type: "string" } } },
    request: { method, url: "https://api.example.com/{city}", headers: {}, query: {}, body: null, ...request },
    timeoutMs: 10_000,
    effect: method === "GET" || method === "HEAD" ? "safe" : "at_most_once",
    ...over,
  };
};
const found = (over: Over, allowedHosts: string[] = []) =>
  checkToolSpec(spec(over), "/spec/tools/2", { allowedHosts, hasSecret: (name) => name === "KEY" }).map(
    ({ pointer, code }) => [pointer, code],
  );

describe("a tool at deploy", () => {
  test.each<[string, Over]>([
    ["a plain GET", {}],
    [
      "places everywhere",
      {
        request: { method: "POST", query: { "a b": "{city}" }, headers: { "X-A": "{city}" }, body: { a: ["{city}"] } },
      },
    ],
    ["literal braces", { request: { query: { q: "{{city}}" } } }],
    [
      "secrets in headers, query values and body",
      {
        request: {
          method: "POST",
          url: "https://api.example.com/{city}?key=${secrets.KEY}&a=1",
          query: { k: "x${secrets.KEY}" },
          headers: { "X-A": "Bearer ${secrets.KEY} {city}" },
          body: { a: ["${secrets.KEY}"], b: "$${secrets.ANY}" },
        },
      },
    ],
    ["an idempotent POST", { request: { method: "POST" }, effect: "idempotent" }],
    ["a form with secrets", { request: { method: "POST", form: { a: "{city} ${secrets.KEY}", b: ["{city}", "1"] } } }],
    ["a form of a DELETE", { request: { method: "DELETE", form: { a: "{city}" } } }],
    [
      "pages, parts, tries",
      {
        pagination: { next: "/next", as: "query:cursor", items: "/items", maxPages: 5 },
        response: { select: "/id", maxBytes: 1_000 },
        retries: 5,
      },
    ],
    ["tries of an idempotent POST", { request: { method: "POST" }, effect: "idempotent", retries: 1 }],
    ["port 8443", { request: { url: "https://api.example.com:8443/" } }],
  ])("%s is accepted", (_name, over) => expect(found(over)).toEqual([]));

  const pagination = { next: "link", as: "url", items: "", maxPages: 5 };
  test.each<[string, Over, string, string]>([
    [
      "a body and a form",
      { request: { method: "POST", body: {}, form: { a: "1" } } },
      "/request/form",
      "template_error",
    ],
    ["a form of a GET", { request: { form: { a: "1" } } }, "/request/form", "template_error"],
    [
      "a form's value that is no template",
      { request: { method: "POST", form: { "a/b": ["1", "{"] } } },
      "/request/form/a~1b/1",
      "template_error",
    ],
    [
      "a form's place without a parameter",
      { request: { method: "POST", form: { a: "{nowhere}" } } },
      "/request/form/a",
      "template_error",
    ],
    [
      "a form's secret that is not there",
      { request: { method: "POST", form: { a: "${secrets.NOWHERE}" } } },
      "/request/form/a",
      "secret_not_found",
    ],
    ["parts of a text", { response: { select: "/a", type: "text" } }, "/response/type", "validation_failed"],
    ["pages of text", { pagination, response: { type: "text" } }, "/response/type", "validation_failed"],
    ["pages of a POST", { pagination, request: { method: "POST" } }, "/pagination", "effect_class_invalid"],
    [
      "pages of an idempotent PUT",
      { pagination, request: { method: "PUT" }, effect: "idempotent" },
      "/pagination",
      "effect_class_invalid",
    ],
    ["pages of a HEAD", { pagination, request: { method: "HEAD" } }, "/pagination", "effect_class_invalid"],
    [
      "a Link header that has no URL",
      { pagination: { ...pagination, as: "query:page" } },
      "/pagination/as",
      "validation_failed",
    ],
    [
      "tries of what may happen at most once",
      { request: { method: "POST" }, retries: 1 },
      "/retries",
      "effect_class_invalid",
    ],
    ["unclosed brace", { request: { url: "https://api.example.com/{city" } }, "/request/url", "template_error"],
    ["brace without a start", { request: { query: { q: "city}" } } }, "/request/query/q", "template_error"],
    [
      "a secret in the host",
      { request: { url: "https://${secrets.KEY}/" } },
      "/request/url",
      "secret_not_allowed_here",
    ],
    [
      "a secret in the path",
      { request: { url: "https://api.example.com/a=${secrets.KEY}" } },
      "/request/url",
      "secret_not_allowed_here",
    ],
    [
      "a secret as a query's name",
      { request: { url: "https://api.example.com/?${secrets.KEY}=1" } },
      "/request/url",
      "secret_not_allowed_here",
    ],
    [
      "a secret that is not there",
      { request: { headers: { "X-A": "${secrets.OTHER}" } } },
      "/request/headers/X-A",
      "secret_not_found",
    ],
    [
      "a name that no secret has",
      { request: { query: { q: "${secrets.key}" } } },
      "/request/query/q",
      "template_error",
    ],
    [
      "a secret within a secret",
      { request: { query: { q: "${secrets.${secrets.KEY}}" } } },
      "/request/query/q",
      "template_error",
    ],
    ["unknown place", { request: { query: { "a/b": "{town}" } } }, "/request/query/a~1b", "template_error"],
    ["inherited place", { request: { query: { q: "{constructor}" } } }, "/request/query/q", "template_error"],
    ["place in a place", { request: { query: { q: "{{city}" } } }, "/request/query/q", "template_error"],
    ["block", { request: { query: { q: "{#each}" } } }, "/request/query/q", "template_error"],
    ["place in a host", { request: { url: "https://{city}.example.com/" } }, "/request/url", "template_error"],
    ["place in a port", { request: { url: "https://example.com:{city}/" } }, "/request/url", "url_not_allowed"],
    ["place in a scheme", { request: { url: "{city}://example.com/" } }, "/request/url", "url_not_allowed"],
    [
      "place after an empty host",
      { request: { url: "https:///{city}.example.com/" } },
      "/request/url",
      "template_error",
    ],
    ["place in a user", { request: { url: "https://{city}@example.com/" } }, "/request/url", "url_not_allowed"],
    [
      "place in a parameter's name",
      { request: { url: "https://example.com/?{city}=1" } },
      "/request/url",
      "template_error",
    ],
    [
      "place in a body",
      { request: { method: "POST", body: { a: [1, "{x}"] } } },
      "/request/body/a/1",
      "template_error",
    ],
    ["place in a header", { request: { headers: { "X-A": "{x}" } } }, "/request/headers/X-A", "template_error"],
    ["body of a GET", { request: { body: {} } }, "/request/body", "template_error"],
    ["private address", { request: { url: "http://0x7f.1/" } }, "/request/url", "url_not_allowed"],
    ["metadata", { request: { url: "http://169.254.169.254/latest" } }, "/request/url", "url_not_allowed"],
    ["user", { request: { url: "https://a:b@example.com/" } }, "/request/url", "url_not_allowed"],
    ["fragment", { request: { url: "https://example.com/#a" } }, "/request/url", "url_not_allowed"],
    ["port", { request: { url: "https://example.com:6379/" } }, "/request/url", "url_not_allowed"],
    ["port 0", { request: { url: "https://example.com:0/" } }, "/request/url", "url_not_allowed"],
    ["port 65536", { request: { url: "https://example.com:65536/" } }, "/request/url", "url_not_allowed"],
    ["dot at the end", { request: { url: "https://example.com./" } }, "/request/url", "url_not_allowed"],
    ["line end in the path", { request: { url: "https://example.com/a\r\nb" } }, "/request/url", "url_not_allowed"],
    ["look-alike letters", { request: { url: "https://аpple.com/" } }, "/request/url", "url_not_allowed"],
    ["no host", { request: { url: "https://" } }, "/request/url", "url_not_allowed"],
    ["other scheme", { request: { url: "file:///etc/passwd" } }, "/request/url", "url_not_allowed"],
    ["GET at most once", { effect: "at_most_once" }, "/effect", "effect_class_invalid"],
    ["GET idempotent", { effect: "idempotent" }, "/effect", "effect_class_invalid"],
    ["safe POST", { request: { method: "POST" }, effect: "safe" }, "/effect", "effect_class_invalid"],
    ["safe DELETE", { request: { method: "DELETE" }, effect: "safe" }, "/effect", "effect_class_invalid"],
    [
      "schema",
      { parameters: { type: "object", properties: { city: true } } },
      "/parameters/properties/city",
      "tool_schema_invalid",
    ],
  ])("%s is refused with its place", (_name, over, place, code) => {
    expect(found(over)).toEqual([[`/spec/tools/2${place}`, code]]);
  });

  test.each([
    "Host",
    "content-length",
    "Transfer-Encoding",
    "Connection",
    "Idempotency-Key",
    "X-RUN-EPOCH",
    "a b",
    "a:",
    "",
    "ä",
    "a\r\nb",
  ])("header %j is refused", (name) => {
    expect(found({ request: { headers: { [name]: "x" } } })).toEqual([
      [`/spec/tools/2/request/headers/${name}`, "header_not_allowed"],
    ]);
  });

  test.each(["a\r\nX-B: 1", "a\nb", "a\0"])("header value %j is refused", (value) => {
    expect(found({ request: { headers: { "X-A": value } } })).toEqual([
      ["/spec/tools/2/request/headers/X-A", "header_not_allowed"],
    ]);
  });

  test("a private name is accepted only when the operator allows that host and port", () => {
    const over = { request: { url: "http://weather.internal:8080/" } };
    expect(found(over, ["weather.internal:8080"])).toEqual([]);
    expect(found(over, ["weather.internal"])).toEqual([["/spec/tools/2/request/url", "url_not_allowed"]]);
  });
});

describe("the hosts of http_fetch at deploy", () => {
  const found = (hosts: string[], allowedHosts: string[] = []) =>
    checkToolSpec({ type: "builtin", name: "http_fetch", hosts }, "/spec/tools/2", { allowedHosts }).map(
      ({ pointer, code }) => [pointer, code],
    );

  test.each([
    "example.com",
    "a.b.example.com:8443",
    "*.example.com",
    "*.gov.example:8443",
    "8.8.8.8",
    "xn--3e0b707e.example",
  ])("%s is accepted", (host) => expect(found([host])).toEqual([]));

  test.each([
    "*",
    "*.com",
    "*.*.com",
    "a.*.com",
    "https://example.com",
    "example.com/path",
    "user@example.com",
    "example.com:443",
    "EXAMPLE.com",
    "localhost",
    "*.internal.local",
    "127.0.0.1",
    "169.254.169.254",
    "example.com:22",
    "한국.example",
    "a b.example",
    "",
    ".",
    "*.",
  ])("%j is refused with its place", (host) =>
    expect(found(["example.com", host])).toEqual([["/spec/tools/2/hosts/1", "url_not_allowed"]]),
  );

  test("a private name is accepted where the operator allows it, and only by its whole name", () => {
    expect(found(["wiki.internal"], ["wiki.internal"])).toEqual([]);
    expect(found(["wiki.internal"])).toHaveLength(1);
    expect(found(["*.corp.internal"], ["a.corp.internal"])).toHaveLength(1);
  });
});

describe("a tool set", () => {
  const builtin = (name: "calculator" | "current_time"): ToolSpec => ({ type: "builtin", name });

  test("is declared in the order of names, whatever the manifest's", () => {
    const tools = prepareTools([spec({ name: "zoo" }), builtin("current_time"), builtin("calculator")], UNCALLED);
    expect(tools.names).toEqual(["calculator", "current_time", "zoo"]);
    expect(tools.declarations.map(({ name }) => name)).toEqual(tools.names);
    expect(tools.get("zoo")?.effect).toBe("safe");
    expect(tools.get("constructor")).toBeUndefined();
  });
});

describe("the arguments a model wrote", () => {
  test.each([
    ['{"a": 1}', { a: 1 }],
    ["", {}],
    [" \n", {}],
    ["null", {}],
  ])("%j is read", (text, value) => expect(parseArguments(text)).toEqual({ ok: true, value }));

  test.each(["[1]", '"a"', "1", "{", '{"a":1}{"b":2}', "{a:1}"])("%j is refused in words", (text) => {
    expect(parseArguments(text)).toEqual({ ok: false, message: expect.stringContaining("The arguments") });
  });
});

test("arguments nested without end are refused in words, not by an overflow", () => {
  const nested = (levels: number) => `${'{"a":'.repeat(levels)}1${"}".repeat(levels)}`;
  expect(parseArguments(nested(60)).ok).toBe(true);
  for (const levels of [65, 100_000])
    expect(parseArguments(nested(levels))).toEqual({
      ok: false,
      message: "The arguments are nested deeper than 64 levels.",
    });
});
