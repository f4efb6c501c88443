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
    ["port 8443", { request: { url: "https://api.example.com:8443/" } }],
  ])("%s is accepted", (_name, over) => expect(found(over)).toEqual([]));

  test.each<[string, Over, string, string]>([
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
