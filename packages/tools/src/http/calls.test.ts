import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { HttpToolSpec } from "@maru/contract";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { PreparedTool, ToolCallContext, ToolResult } from "../kind.ts";
import { callContext } from "../testing/context.ts";
import { openServer, type Seen, type TestServer } from "../testing/server.ts";
import type { Pace } from "./exchange.ts";
import { prepareHttpTool } from "./index.ts";

let server: TestServer;
/** What was waited for, in milliseconds; nobody waits in fact. */
let waits: number[] = [];
let time = 0;
const pace: Pace = {
  now: () => time,
  random: () => 0.5,
  wait: async (ms) => {
    waits.push(ms);
    time += ms;
  },
};

beforeAll(async () => {
  server = await openServer(["api.example.com", "other.example.com"]);
});
beforeEach(() => {
  waits = [];
  time = 0;
});
afterAll(() => server.close());

type Over = Partial<Omit<HttpToolSpec, "request">> & { request?: Partial<HttpToolSpec["request"]> };

function tool({ request = {}, ...over }: Over): PreparedTool {
  const method = request.method ?? "GET";
  return prepareHttpTool(
    {
      type: "http",
      name: "t",
      description: "d",
      parameters: { type: "object" },
      timeoutMs: 30_000,
      effect: method === "GET" || method === "HEAD" ? "safe" : "at_most_once",
      ...over,
      request: { method, url: "https://api.example.com/", headers: {}, query: {}, body: null, ...request },
    },
    server.egress,
    pace,
  );
}
const call = (
  over: Over,
  args: Record<string, unknown> = {},
  context: Partial<ToolCallContext> = {},
): Promise<ToolResult> => tool(over).call(args, callContext(context));

const json = (response: ServerResponse, text: string, headers: Record<string, string> = {}) =>
  void response.writeHead(200, { "content-type": "application/json", ...headers }).end(text);

describe("a form", () => {
  const form = async (fields: Record<string, string | string[]>, args: Record<string, unknown>, over: Over = {}) => {
    server.answer((_request, response) => response.end("ok"));
    const result = await call({ ...over, request: { method: "POST", ...over.request, form: fields } }, args, {
      secrets: async () => new Map([["KEY", "a&b=c 비밀"]]),
    });
    expect(result).toMatchObject({ output: "ok", isError: false });
    return server.seen[0] as Seen;
  };

  test.each<[string, Record<string, string | string[]>, Record<string, unknown>, [string, string][]]>([
    [
      "fills its templates",
      { to: "{to}", text: "Hello {name}!" },
      { to: "a@b.example", name: "김 & 이" },
      [
        ["to", "a@b.example"],
        ["text", "Hello 김 & 이!"],
      ],
    ],
    [
      "repeats a key for a list",
      { tag: "{tags}", n: "1" },
      { tags: ["a", "b&c", 3] },
      [
        ["tag", "a"],
        ["tag", "b&c"],
        ["tag", "3"],
        ["n", "1"],
      ],
    ],
    [
      "repeats a key that has several templates",
      { "to[]": ["{a}", "fixed", "{b}"] },
      { a: 1, b: false },
      [
        ["to[]", "1"],
        ["to[]", "fixed"],
        ["to[]", "false"],
      ],
    ],
    ["leaves out what is absent", { a: "{a}", b: "x{a}", c: "c" }, { a: null }, [["c", "c"]]],
    ["has no key of an empty list", { a: "{a}", b: "1" }, { a: [] }, [["b", "1"]]],
    [
      "writes a list within a text, and objects, as JSON",
      { a: "is {a}", b: "{b}" },
      { a: [1], b: { c: 2 } },
      [
        ["a", "is [1]"],
        ["b", '{"c":2}'],
      ],
    ],
    [
      "has secrets in its values, however they look",
      { key: "k ${secrets.KEY}", a: "{a}" },
      { a: "${secrets.KEY}" },
      [
        ["key", "k a&b=c 비밀"],
        ["a", "${secrets.KEY}"],
      ],
    ],
    ["can't be added to by an argument", { a: "{a}" }, { a: "1&admin=true" }, [["a", "1&admin=true"]]],
    ["does not take arguments it does not name", { a: "{a}" }, { a: 1, b: 2 }, [["a", "1"]]],
  ])("%s", async (_what, fields, args, entries) => {
    const { headers, body } = await form(fields, args);
    expect(headers["content-type"]).toBe("application/x-www-form-urlencoded");
    expect([...new URLSearchParams(body)]).toEqual(entries);
  });

  test("goes with DELETE too, and its type may be said otherwise", async () => {
    const { body, headers } = await form(
      { id: "{id}" },
      { id: 7 },
      {
        request: { method: "DELETE", headers: { "Content-Type": "application/x-www-form-urlencoded; charset=utf-8" } },
      },
    );
    expect([body, headers["content-type"]]).toEqual(["id=7", "application/x-www-form-urlencoded; charset=utf-8"]);
  });
});

describe("what is selected of a reply", () => {
  const select = async (
    selected: string | Record<string, string>,
    text: string,
    headers: Record<string, string> = {},
  ) => {
    server.answer((_request, response) => json(response, text, headers));
    return call({ response: { select: selected } });
  };
  const reply = '{ "items": [ { "id": 12345678901234567890, "price": 1.10, "a/b": "x y" } ], "none": null }';

  test.each<[string, string | Record<string, string>, string]>([
    ["a part, with its digits", "/items/0/id", "12345678901234567890"],
    ["a part without its white space", "/items/0", '{"id":12345678901234567890,"price":1.10,"a/b":"x y"}'],
    ["a text, as JSON", "/items/0/a~1b", '"x y"'],
    ["null, where it is", "/none", "null"],
    ["everything", "", '{"items":[{"id":12345678901234567890,"price":1.10,"a/b":"x y"}],"none":null}'],
    ["several by name", { id: "/items/0/id", price: "/items/0/price" }, '{"id":12345678901234567890,"price":1.10}'],
    ["nothing, in words", "/items/1", "(the reply has nothing at /items/1)"],
    [
      "some, and in words what is not there",
      { id: "/items/0/id", name: "/items/0/name" },
      '{"id":12345678901234567890}\n(the reply has nothing at /items/0/name, so there is no name)',
    ],
  ])("%s", async (_what, selected, output) => {
    expect(await select(selected, reply)).toEqual({ output, isError: false, code: null, truncated: false });
  });

  test("is JSON whatever the server calls it", async () => {
    expect(await select("/a", '{"a":1}', { "content-type": "text/plain" })).toMatchObject({ output: "1" });
  });

  test("of an error reply is all of it: what went wrong is not where the answer would be", async () => {
    server.answer((_request, response) =>
      response.writeHead(422, { "content-type": "application/json" }).end('{ "why": "x" }'),
    );
    expect(await call({ response: { select: "/a" } })).toMatchObject({
      isError: true,
      code: "tool_http_error",
      output: 'HTTP 422\n{"why":"x"}',
    });
  });
});

describe("a reply's type and size", () => {
  const get = (
    response: NonNullable<HttpToolSpec["response"]>,
    body: string | Buffer,
    headers: Record<string, string>,
  ) => {
    server.answer((_request, reply) => reply.writeHead(200, headers).end(body));
    return call({ response });
  };
  const png = { "content-type": "image/png" };
  const text = { "content-type": "text/html; charset=utf-8" };

  test.each<[string, Parameters<typeof get>, string]>([
    [
      "JSON expected, a page came",
      [{ type: "json" }, "<html>Log in</html>", text],
      "The reply is text/html, where JSON is expected. It begins: <html>Log in</html>",
    ],
    [
      "JSON to select of, a page came",
      [{ select: "/a" }, "<html>", text],
      "The reply is text/html, where JSON is expected. It begins: <html>",
    ],
    [
      "JSON expected, bytes came",
      [{ type: "json" }, "x", png],
      "The reply is image/png, 1 bytes: not text, where text is expected.",
    ],
    [
      "text expected, bytes came",
      [{ type: "text" }, Buffer.from([0, 1]), {}],
      "The reply is of no type, 2 bytes: not text, where text is expected.",
    ],
  ])("%s: an error in words", async (_what, args, output) => {
    expect(await get(...args)).toEqual({ output, isError: true, code: "tool_response_invalid", truncated: false });
  });

  test("as expected is read", async () => {
    expect(await get({ type: "json" }, "[ 1 ]", { "content-type": "text/plain" })).toMatchObject({ output: "[1]" });
    expect(await get({ type: "text" }, "<p>", text)).toMatchObject({ output: "<p>" });
    expect(await get({ type: "json" }, "", {})).toMatchObject({ output: "(no content)", isError: false });
  });

  test.each([true, false])("over its size is refused, said beforehand or not (%j)", async (said) => {
    const at = async (bytes: number) => {
      server.answer((_request, response) => {
        response.writeHead(200, { "content-type": "text/plain", ...(said ? { "content-length": String(bytes) } : {}) });
        response.end("x".repeat(bytes));
      });
      return call({ response: { maxBytes: 1_000 } });
    };
    expect(await at(1_000)).toMatchObject({ output: "x".repeat(1_000), isError: false });
    expect(await at(1_001)).toMatchObject({
      isError: true,
      code: "tool_response_too_large",
      output: "The reply is larger than 1000 bytes.",
    });
    expect(server.seen).toHaveLength(1);
  });

  test("that grows too large once it is decompressed is refused", async () => {
    const packed = { "content-type": "text/plain", "content-encoding": "gzip" };
    expect(await get({}, gzipSync(Buffer.alloc(8_000_000, "x")), packed)).toMatchObject({
      code: "tool_response_too_large",
    });
    expect(await get({ maxBytes: 1_000 }, gzipSync(Buffer.alloc(1_001, "x")), packed)).toMatchObject({
      code: "tool_response_too_large",
    });
    expect(server.seen).toHaveLength(1);
  });

  test.each<[string, Record<string, string>, string, string]>([
    ["by its type", png, "reply.png", "image/png"],
    [
      "by the server's word",
      { ...png, "content-disposition": 'attachment; filename="map of Seoul.png"' },
      "map of Seoul.png",
      "image/png",
    ],
    [
      "without folders",
      { ...png, "content-disposition": "attachment; filename=../../etc/.passwd" },
      "passwd",
      "image/png",
    ],
    ["of a type nobody knows", { "content-type": "application/x-thing; v=1" }, "reply.bin", "application/x-thing"],
  ])("that is bytes is given beside the prompt, named %s", async (_what, headers, name, mediaType) => {
    const bytes = Buffer.from([1, 2, 3, 0]);
    const result = await get({}, bytes, headers);
    expect(result).toEqual({
      output: `The reply is ${mediaType}, 4 bytes: not text.`,
      isError: false,
      code: null,
      truncated: false,
      attachments: [{ name, mediaType, bytes }],
    });
  });
});

describe("a redirect", () => {
  const redirect = (status: number, to: string) =>
    server.answer(({ url }, response) => {
      if (url.startsWith("/from")) response.writeHead(status, { location: to }).end();
      else response.end("arrived");
    });
  const request = {
    url: "https://api.example.com/from",
    headers: { "X-Key": "${secrets.KEY}", "X-Plain": "plain" },
  } as const;
  const secrets: ToolCallContext["secrets"] = async () => new Map([["KEY", "value-of-key"]]);

  test("is followed as often as the manifest says, and no more", async () => {
    redirect(302, "/there");
    expect(await call({ redirects: 1, request }, {}, { secrets })).toMatchObject({ output: "arrived" });
    expect(server.seen.map(({ headers }) => headers["x-key"])).toEqual(["value-of-key", "value-of-key"]);
    redirect(302, "/from/again");
    expect(await call({ redirects: 2, request }, {}, { secrets })).toMatchObject({
      code: "tool_http_error",
      output: "The redirect was not followed: there were 2 before it.",
    });
    expect(server.seen).toHaveLength(3);
  });

  test("to another server takes no secrets along", async () => {
    redirect(307, "https://other.example.com/there");
    await call({ redirects: 1, request }, {}, { secrets });
    const { headers } = server.seen[1] as Seen;
    expect([headers.host, headers["x-key"], headers["x-plain"]]).toEqual(["other.example.com", undefined, "plain"]);
    for (const content of [{ body: { key: "${secrets.KEY}" } }, { form: { key: "${secrets.KEY}" } }]) {
      redirect(307, "https://other.example.com/there");
      const result = await call({ redirects: 1, request: { method: "POST", ...request, ...content } }, {}, { secrets });
      expect(result).toMatchObject({
        code: "tool_http_error",
        output: "The server answered 307: this redirect is not followed.",
      });
      expect(server.seen).toHaveLength(1);
    }
  });

  test("goes through the guard", async () => {
    redirect(302, "https://nobody.example.org/");
    expect(await call({ redirects: 3, request }, {}, { secrets })).toMatchObject({ code: "egress_blocked" });
    expect([server.seen.length, waits]).toEqual([1, []]);
  });
});

describe("a list in pages", () => {
  const pages = { next: "/next", as: "url", items: "/items", maxPages: 5 };
  /** Answers `/?page=n` with two items and where the next is, as far as there are pages. */
  const serve = (count: number, next: (page: number) => unknown = (page) => `/?page=${page + 1}`) =>
    server.answer(({ url }, response) => {
      const page = Number(new URL(url, "http://x").searchParams.get("page") ?? 1);
      const following = page < count ? next(page) : null;
      json(
        response,
        `{ "items": [ {"id": ${page}1, "x": 0}, {"id": ${page}2} ], "next": ${JSON.stringify(following)} }`,
      );
    });
  const asked = () => server.seen.map(({ url }) => url);

  test("is one list with an item a line", async () => {
    serve(3);
    expect(await call({ pagination: pages })).toEqual({
      output: '[{"id":11,"x":0},\n{"id":12},\n{"id":21,"x":0},\n{"id":22},\n{"id":31,"x":0},\n{"id":32}]',
      isError: false,
      code: null,
      truncated: false,
    });
    expect(asked()).toEqual(["/", "/?page=2", "/?page=3"]);
    expect(new Set(server.seen.map(({ headers }) => headers["idempotency-key"]))).toEqual(new Set(["run-1"]));
  });

  test("has of each item what is selected", async () => {
    serve(2);
    expect((await call({ pagination: pages, response: { select: "/id" } })).output).toBe("[11,\n12,\n21,\n22]");
    serve(1);
    expect((await call({ pagination: pages, response: { select: { n: "/id", x: "/x" } } })).output).toBe(
      '[{"n":11,"x":0},\n{"n":12}]',
    );
    expect((await call({ pagination: pages, response: { select: "/x" } })).output).toBe("[0,\nnull]");
  });

  test("ends at its number of pages, and says that there are more", async () => {
    serve(9);
    const { output } = await call({ pagination: { ...pages, maxPages: 2 }, response: { select: "/id" } });
    expect(output).toBe("[11,\n12,\n21,\n22]\n(2 pages are read, and there are more)");
    expect(asked()).toHaveLength(2);
  });

  test.each<[string, unknown]>([
    ["null", null],
    ["an empty text", ""],
    ["false", false],
    ["nothing", undefined],
  ])("ends where the next is %s", async (_what, next) => {
    server.answer((_request, response) => json(response, JSON.stringify({ items: [1], next })));
    expect((await call({ pagination: pages })).output).toBe("[1]");
    expect(asked()).toHaveLength(1);
  });

  test("by a cursor in the query: the digits are kept, the first URL's entry is replaced, others stand", async () => {
    server.answer(({ url }, response) =>
      json(
        response,
        url.includes("12345678901234567890") ? '{"items":[2]}' : '{"items":[1],"next":12345678901234567890}',
      ),
    );
    const url = "https://api.example.com/list?cursor=start&q={q}&b=%20";
    const result = await call({ pagination: { ...pages, as: "query:cursor" }, request: { url } }, { q: "a&b" });
    expect(result.output).toBe("[1,\n2]");
    expect(asked()).toEqual(["/list?cursor=start&q=a%26b&b=%20", "/list?q=a%26b&b=%20&cursor=12345678901234567890"]);
  });

  test("a cursor can't add a parameter", async () => {
    server.answer(({ url }, response) =>
      json(response, url === "/" ? '{"items":[],"next":"a&admin=1#x"}' : '{"items":[]}'),
    );
    await call({ pagination: { ...pages, as: "query:c" } });
    expect(asked()[1]).toBe("/?c=a%26admin%3D1%23x");
  });

  test("by the header Link, with lists at the top", async () => {
    server.answer(({ url }, response) =>
      json(
        response,
        url === "/" ? "[1, 2]" : "[3]",
        url === "/" ? { link: '</?page=0>; rel="prev", </p/2?a=1>; rel="next"' } : {},
      ),
    );
    expect((await call({ pagination: { ...pages, next: "link", items: "" } })).output).toBe("[1,\n2,\n3]");
    expect(asked()).toEqual(["/", "/p/2?a=1"]);
  });

  test.each([
    "https://other.example.com/?page=2",
    "http://api.example.com/?page=2",
    "https://api.example.com:8443/?page=2",
    "//other.example.com/",
    "javascript:alert(1)",
  ])("does not go to another place: %s", async (next) => {
    serve(3, () => next);
    const result = await call({ pagination: pages, response: { select: "/id" } });
    expect(result).toMatchObject({
      isError: false,
      output: "[11,\n12]\n(the next page is on another server and is not read)",
    });
    expect(server.seen).toHaveLength(1);
  });

  test("goes through the guard for each page", async () => {
    serve(3, () => "https://user:pass@api.example.com/?page=2");
    const result = await call({ pagination: pages, response: { select: "/id" } });
    expect(result.output).toBe("[11,\n12]\n(page 2 could not be read: The destination is not allowed.)");
    expect(server.seen).toHaveLength(1);
  });

  test("that leads round in circles is read once", async () => {
    serve(9, () => "/?page=2");
    const { output } = await call({ pagination: pages, response: { select: "/id" } });
    expect(output).toBe("[11,\n12,\n21,\n22]\n(the next page is one that was read already)");
    expect(server.seen).toHaveLength(2);
  });

  test("that breaks off gives what was read, and says so", async () => {
    server.answer(({ url }, response) =>
      url === "/"
        ? json(response, '{"items":[1],"next":"/2"}')
        : void response.writeHead(403, { "content-type": "text/plain" }).end("no"),
    );
    expect(await call({ pagination: pages })).toMatchObject({
      isError: false,
      output: "[1]\n(page 2 could not be read: HTTP 403\nno)",
    });
    server.answer((_request, response) => void response.writeHead(403, { "content-type": "text/plain" }).end("no"));
    expect(await call({ pagination: pages })).toMatchObject({
      isError: true,
      code: "tool_http_error",
      output: "HTTP 403\nno",
    });
  });

  test.each<[string, string, string]>([
    ["no list", '{"items": {"a": 1}}', "The reply has no list at /items."],
    ["nothing there", "{}", "The reply has no list at /items."],
    [
      "a next that is no place",
      '{"items":[],"next":{}}',
      "What the reply names as its next page is no text or number.",
    ],
    ["a next that is no URL", '{"items":[],"next":"http://[x"}', "The reply names a next page that is no URL."],
  ])("%s: an error in words", async (_what, text, output) => {
    server.answer((_request, response) => json(response, text));
    expect(await call({ pagination: pages })).toMatchObject({ isError: true, code: "tool_response_invalid", output });
  });

  test("has one size for all its pages", async () => {
    server.answer((_request, response) =>
      json(response, JSON.stringify({ items: ["x".repeat(300)], next: `/?${server.seen.length}` })),
    );
    const { output } = await call({
      pagination: { ...pages, maxPages: 20 },
      response: { maxBytes: 1_000, select: "" },
    });
    expect(output).toMatch(/\n\(page 4 could not be read: The reply is larger than 1000 bytes\.\)$/);
    expect(output.length).toBeLessThan(1_200);
  });

  test("has one time for all its pages", async () => {
    server.answer(({ url }, response) => {
      if (url === "/") json(response, '{"items":[1],"next":"/2"}');
    });
    const result = await call({ pagination: pages, timeoutMs: 300 });
    expect(result).toMatchObject({
      isError: false,
      output: "[1]\n(page 2 could not be read: No complete answer in 300 ms.)",
    });
  });

  test("stops with its run", async () => {
    const stop = new AbortController();
    const reason = new Error("cancelled");
    server.answer(({ url }, response) =>
      url === "/" ? json(response, '{"items":[1],"next":"/2"}') : stop.abort(reason),
    );
    await expect(call({ pagination: pages }, {}, { signal: stop.signal })).rejects.toBe(reason);
  });

  test("is not read further than the model would see", async () => {
    serve(9);
    const result = await call({ pagination: pages }, {}, { maxOutputBytes: 40 });
    expect(server.seen).toHaveLength(2);
    expect(result.output).toContain("(there are more pages)");
  });
});

describe("a call that fails in passing", () => {
  /** Fails the first times, each in its way, then answers. */
  const failing = (...ways: ((response: ServerResponse) => void)[]) =>
    server.answer((_request, response) => {
      const way = ways[server.seen.length - 1];
      if (way === undefined) response.end("at last");
      else way(response);
    });
  const status =
    (code: number, headers: Record<string, string> = {}) =>
    (response: ServerResponse) =>
      void response.writeHead(code, { "content-type": "text/plain", ...headers }).end(`failed ${code}`);
  const breakOff = (response: ServerResponse) => void response.destroy();
  const breakOffWithin = (response: ServerResponse) => {
    response.writeHead(200, { "content-type": "text/plain", "content-length": "10" }).write("abc");
    setImmediate(() => response.destroy());
  };

  test.each<[string, (response: ServerResponse) => void]>([
    ["408", status(408)],
    ["429", status(429)],
    ["500", status(500)],
    ["502", status(502)],
    ["503", status(503)],
    ["504", status(504)],
    ["a connection that breaks off", breakOff],
    ["a reply that breaks off", breakOffWithin],
  ])("is sent again after %s", async (_what, way) => {
    failing(way);
    expect(await call({})).toMatchObject({ output: "at last", isError: false });
    expect(server.seen).toHaveLength(2);
  });

  test.each([400, 401, 403, 404, 409, 422, 501, 505])("is not sent again after %i", async (code) => {
    failing(status(code));
    expect(await call({ retries: 5 })).toMatchObject({
      code: "tool_http_error",
      output: `HTTP ${code}\nfailed ${code}`,
    });
    expect(server.seen).toHaveLength(1);
  });

  test("with the same body and Idempotency-Key, after times that double", async () => {
    failing(status(503), breakOff, status(500), status(502), status(504));
    const request = { method: "PUT", body: { a: "{a}" } } as const;
    expect(await call({ request, effect: "idempotent", retries: 5 }, { a: 1 })).toMatchObject({ output: "at last" });
    expect(server.seen.map(({ body, headers }) => [body, headers["idempotency-key"]])).toEqual(
      Array.from({ length: 6 }, () => ['{"a":1}', "run-1"]),
    );
    expect(waits).toEqual([125, 250, 500, 1_000, 2_000]);
  });

  test.each<[number | undefined, number]>([
    [undefined, 3],
    [0, 1],
    [1, 2],
    [5, 6],
  ])("with retries %j is sent %i times at most, and gives the last answer", async (retries, times) => {
    failing(...Array.from({ length: 9 }, () => status(503)));
    const result = await call(retries === undefined ? {} : { retries });
    expect(result).toMatchObject({ isError: true, code: "tool_http_error", output: "HTTP 503\nfailed 503" });
    expect(server.seen).toHaveLength(times);
  });

  test("is never sent again where it may happen at most once", async () => {
    for (const way of [status(503), status(429, { "retry-after": "0" }), breakOff, breakOffWithin]) {
      failing(way);
      expect(await call({ request: { method: "POST" }, retries: 5 })).toMatchObject({ isError: true });
      expect(server.seen).toHaveLength(1);
    }
    expect(waits).toEqual([]);
  });

  test("waits as long as the server asks, in seconds or to a date", async () => {
    time = Date.parse("2026-11-26T12:00:00Z");
    failing(status(429, { "retry-after": "3" }), status(503, { "retry-after": "Thu, 26 Nov 2026 12:00:07 GMT" }));
    expect(await call({})).toMatchObject({ output: "at last" });
    expect(waits).toEqual([3_000, 4_000]);
  });

  test("is given up when the wait is longer than the time there is, and the model is told", async () => {
    failing(status(429, { "retry-after": "120" }));
    expect(await call({})).toMatchObject({ code: "tool_http_error", output: "HTTP 429, Retry-After: 120\nfailed 429" });
    expect([server.seen.length, waits]).toEqual([1, []]);
  });

  test("that can't connect at all is tried again, and the guard's refusal is not", async () => {
    expect(await call({ request: { url: "https://closed.example.com/" } })).toMatchObject({ code: "tool_failed" });
    expect(waits).toHaveLength(2);
    waits = [];
    expect(await call({ request: { url: "https://nobody.example.org/" } })).toMatchObject({ code: "egress_blocked" });
    expect(waits).toEqual([]);
  });

  test("is tried again page by page", async () => {
    let failed = false;
    server.answer(({ url }, response) => {
      if (url === "/") return json(response, '{"items":[1],"next":"/2"}');
      if (failed) return json(response, '{"items":[2]}');
      failed = true;
      return status(503)(response);
    });
    const pagination = { next: "/next", as: "url", items: "/items", maxPages: 5 };
    expect((await call({ pagination })).output).toBe("[1,\n2]");
  });
});
