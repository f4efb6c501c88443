import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import type { HttpToolSpec } from "@maru/contract";
import fc from "fast-check";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import type { ToolCallContext } from "../kind.ts";
import { callContext, openEgress } from "../testing/context.ts";
import { prepareHttpTool } from "./index.ts";

interface Seen {
  readonly method: string | undefined;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

let server: Server;
let egress: ReturnType<typeof openEgress>;
let seen: Seen[] = [];
let answer: (response: ServerResponse) => void;

beforeAll(async () => {
  server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    seen.push({ method: request.method, url: request.url ?? "", headers: request.headers, body });
    answer(response);
  });
  // A machine that stands still for some seconds must not end connections that are to be used again.
  server.keepAliveTimeout = 120_000;
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  egress = openEgress({
    allow: { "api.example.com": origin, "closed.example.com": "http://127.0.0.1:1" },
    resolve: async () => [{ address: "10.0.0.7" }],
    connectTimeoutMs: 20_000,
  });
});
beforeEach(() => {
  seen = [];
  answer = (response) => response.end("ok");
});
afterAll(async () => {
  await egress.close();
  server.closeAllConnections();
  server.close();
});

const context = (over: Partial<ToolCallContext> = {}) => callContext({ idempotencyKey: "run_1-4", epoch: 3, ...over });

function tool(request: Partial<HttpToolSpec["request"]>, over: Partial<HttpToolSpec> = {}) {
  const method = request.method ?? "GET";
  return prepareHttpTool(
    {
      type: "http",
      name: "t",
      description: "d",
      parameters: { type: "object" },
      request: { method, url: "https://api.example.com/", headers: {}, query: {}, body: null, ...request },
      timeoutMs: 30_000,
      retries: 0,
      effect: method === "GET" || method === "HEAD" ? "safe" : "at_most_once",
      ...over,
    },
    egress,
  );
}

async function sent(request: Partial<HttpToolSpec["request"]>, args: Record<string, unknown>): Promise<Seen> {
  const result = await tool(request).call(args, context());
  expect(result).toEqual({ output: "ok", isError: false, code: null, truncated: false });
  expect(seen).toHaveLength(1);
  return seen[0] as Seen;
}

describe("secrets of a request", () => {
  const secrets: ToolCallContext["secrets"] = async () =>
    new Map([
      ["KEY", "a/b&c=d 비밀"],
      ["LINES", "-----BEGIN\n-----END"],
    ]);
  const call = (request: Partial<HttpToolSpec["request"]>, args: Record<string, unknown> = {}) =>
    tool(request).call(args, context({ secrets }));

  test("are filled in as they are in headers and body, and encoded in the query", async () => {
    await call(
      {
        method: "POST",
        url: "https://api.example.com/{a}?k=${secrets.KEY}",
        query: { q: "x ${secrets.KEY}" },
        headers: { "X-Key": "Bearer ${secrets.KEY}", "X-Literal": "$${secrets.KEY}" },
        body: { only: "${secrets.KEY}", both: "{a}: ${secrets.LINES}" },
      },
      { a: "1" },
    );
    const [{ url, headers, body }] = seen as [Seen];
    const encoded = encodeURIComponent("a/b&c=d 비밀");
    expect(url).toBe(`/1?k=${encoded}&q=x%20${encoded}`);
    expect(Buffer.from(String(headers["x-key"]), "latin1").toString("utf8")).toBe("Bearer a/b&c=d 비밀");
    expect(headers["x-literal"]).toBe("${secrets.KEY}");
    expect(JSON.parse(body)).toEqual({ only: "a/b&c=d 비밀", both: "1: -----BEGIN\n-----END" });
  });

  test("are not read from what the model writes", async () => {
    await call({ headers: { "X-A": "{a}" }, query: { q: "{a}" } }, { a: "${secrets.KEY}" });
    expect([seen[0]?.headers["x-a"], seen[0]?.url]).toEqual(["${secrets.KEY}", "/?q=%24%7Bsecrets.KEY%7D"]);
  });

  test("that are not one line do not go into a header, and nothing is sent", async () => {
    const result = await call({ headers: { "X-A": "${secrets.LINES}" } });
    expect(result).toMatchObject({
      code: "tool_failed",
      output: "The secret LINES goes into a header and is not one line.",
    });
    expect(seen).toEqual([]);
  });

  test("do not follow a redirect to another place", async () => {
    answer = (response) => response.writeHead(302, { location: "https://closed.example.com/" }).end();
    expect(await call({ headers: { "X-A": "${secrets.KEY}" } })).toMatchObject({ code: "tool_http_error" });
    expect(seen).toHaveLength(1);
  });
});

describe("a request from its template", () => {
  test.each<[string, Partial<HttpToolSpec["request"]>, Record<string, unknown>, string]>([
    [
      "fills path and query",
      { url: "https://api.example.com/c/{c}?u={u}" },
      { c: "a/b?#&", u: "c&d=e" },
      "/c/a%2Fb%3F%23%26?u=c%26d%3De",
    ],
    [
      "fills the query's own map",
      { query: { q: "{q} & co", "a b": "1" } },
      { q: "서울" },
      `/?q=${encodeURIComponent("서울")}%20%26%20co&a%20b=1`,
    ],
    [
      "leaves an absent argument's entry out",
      { url: "https://api.example.com/?a={a}&b=1", query: { c: "x{c}" } },
      {},
      "/?b=1",
    ],
    ["counts null as absent", { query: { a: "{a}" } }, { a: null }, "/"],
    [
      "keeps false, 0 and the empty text",
      { query: { a: "{a}", b: "{b}", c: "{c}" } },
      { a: false, b: 0, c: "" },
      "/?a=false&b=0&c=",
    ],
    [
      "writes lists and objects as JSON",
      { query: { a: "{a}" } },
      { a: [1, { b: 2 }] },
      `/?a=${encodeURIComponent('[1,{"b":2}]')}`,
    ],
    [
      "puts the other arguments into the query",
      { url: "https://api.example.com/{a}" },
      { a: "x", b: 1, "c&d": "e" },
      "/x?b=1&c%26d=e",
    ],
    ["keeps doubled braces as braces", { query: { f: "{{{a}}}" } }, { a: 1 }, "/?f=%7B1%7D"],
    [
      "does not expand what an argument holds",
      { query: { a: "{a}", b: "{b}" } },
      { a: "{b}", b: "x" },
      "/?a=%7Bb%7D&b=x",
    ],
    ["does not see what objects inherit", { query: { a: "{constructor}", b: "{toString}" } }, {}, "/"],
  ])("%s", async (_name, request, args, url) => {
    expect((await sent(request, args)).url).toBe(url);
  });

  test.each<[string, Partial<HttpToolSpec["request"]>, Record<string, unknown>, unknown]>([
    [
      "the arguments no template uses, without a body template",
      { method: "POST", url: "https://api.example.com/{a}" },
      { a: "x", b: [1], c: null },
      { b: [1], c: null },
    ],
    [
      "a body template; {name} alone keeps its type",
      { method: "PUT", body: { n: "{n}", text: "{n} items", list: ["{l}", 1], fixed: true } },
      { n: 3, l: { deep: [1] } },
      { n: 3, text: "3 items", list: [{ deep: [1] }, 1], fixed: true },
    ],
    [
      "a property whose argument is absent is left out",
      { method: "PATCH", body: { a: "{a}", b: "x{a}", c: 1 } },
      {},
      { c: 1 },
    ],
    [
      "an argument can't add a property",
      { method: "POST", body: { a: "{a}" } },
      { a: '","admin":true,"b":"' },
      { a: '","admin":true,"b":"' },
    ],
    ["a DELETE with a body template", { method: "DELETE", body: { ids: "{ids}" } }, { ids: [1] }, { ids: [1] }],
  ])("the body: %s", async (_name, request, args, body) => {
    const { headers, body: text } = await sent(request, args);
    expect(JSON.parse(text)).toEqual(body);
    expect(headers["content-type"]).toBe("application/json");
  });

  test("says who calls, in which epoch, under which key", async () => {
    const { headers } = await sent({ method: "POST", headers: { "X-City": "{c}", "X-Gone": "{g}" } }, { c: "서울" });
    expect(headers).toMatchObject({
      host: "api.example.com",
      "user-agent": "maru",
      "accept-encoding": "gzip, deflate, br, zstd",
      "x-run-epoch": "3",
      "idempotency-key": "run_1-4",
      "x-city": Buffer.from("서울").toString("latin1"),
    });
    expect(headers).not.toHaveProperty("x-gone");
  });

  test("a safe call has an idempotency key like every other, and no body", async () => {
    const { headers, body } = await sent({}, {});
    expect(headers["idempotency-key"]).toBe("run_1-4");
    expect(body).toBe("");
  });

  test.each(["", ".", "..", "%2e", "%2E%2e", null, undefined, "\ud800"])("path argument %j is refused", async (a) => {
    const call = tool({ url: "https://api.example.com/v1/{a}/x" }).call({ a }, context());
    expect(await call).toMatchObject({ isError: true, code: "tool_arguments_invalid" });
    expect(seen).toEqual([]);
  });

  test.each([
    { a: ".", b: "." },
    { a: "", b: "x" },
  ])("two places of a segment can't make dots: %j", async (args) => {
    const call = tool({ url: "https://api.example.com/v1/{a}{b}/x" }).call(args, context());
    expect(await call).toMatchObject({ code: "tool_arguments_invalid" });
  });

  test.each(["a\r\nX-Admin: 1", "a\nb", "a\rb", "a\0b", "a\x7fb", "\r\n\r\nGET / HTTP/1.1"])(
    "header argument %j is refused",
    async (a) => {
      const call = tool({ headers: { "X-A": "{a}" } }).call({ a }, context());
      expect(await call).toMatchObject({ isError: true, code: "tool_arguments_invalid" });
      expect(seen).toEqual([]);
    },
  );

  test("no argument changes the host, the path's shape or another parameter", async () => {
    // On a busy machine the server may close an idle connection just when it is used again.
    const over = { retries: 2 };
    const probe = tool({ url: "https://api.example.com/v1/{a}/end?k={b}&fixed=1", query: { q: "x{c}" } }, over);
    const nasty = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.stringMatching(/^[./\\?#&=@:%{}+\s0-9a-f]{1,12}$/),
      fc.constantFrom("../..", "//evil.example", "@evil.example", "x?y=1", "x#y", "..%2f", "a&fixed=2", "\\..\\"),
    );
    await fc.assert(
      fc.asyncProperty(nasty, nasty, nasty, async (a, b, c) => {
        seen = [];
        const result = await probe.call({ a, b, c }, context());
        if (result.code === "tool_arguments_invalid") return void expect(seen).toEqual([]);
        const { url, headers } = seen[0] as Seen;
        const parsed = new URL(url, "http://base.example");
        expect(headers.host).toBe("api.example.com");
        expect(parsed.pathname.split("/").map(decodeURIComponent)).toEqual(["", "v1", a, "end"]);
        expect(
          url
            .split("?")[1]
            ?.split("&")
            .map((pair) => pair.split("=").map(decodeURIComponent)),
        ).toEqual([
          ["k", b],
          ["fixed", "1"],
          ["q", `x${c}`],
        ]);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a reply as the model reads it", () => {
  const reply = async (
    status: number,
    headers: Record<string, string>,
    body: string | Buffer = "",
    over: Partial<ToolCallContext> = {},
  ) => {
    answer = (response) => response.writeHead(status, headers).end(body);
    return tool({}).call({}, context(over));
  };
  const json = { "content-type": "application/json; charset=utf-8" };
  const text = { "content-type": "text/plain" };

  test.each<[string, number, Record<string, string>, string | Buffer, string]>([
    [
      "JSON without its white space",
      200,
      json,
      '{\n "a b": [1, "x \\" y"],\t"c": "\\\\" }',
      '{"a b":[1,"x \\" y"],"c":"\\\\"}',
    ],
    [
      "JSON with its long numbers",
      200,
      json,
      '{"id": 12345678901234567890, "x": 1.10}',
      '{"id":12345678901234567890,"x":1.10}',
    ],
    ["JSON that is none, as it is", 200, json, "{ oops", "{ oops"],
    ["JSON of a kind", 200, { "content-type": "application/vnd.api+json" }, "[ 1 ]", "[1]"],
    ["text as it is", 200, text, " a\n b ", " a\n b "],
    [
      "Korean in its charset",
      200,
      { "content-type": "text/plain; charset=euc-kr" },
      Buffer.from([0xbc, 0xad, 0xbf, 0xef]),
      "서울",
    ],
    ["UTF-8 that is broken, replaced", 200, text, Buffer.from([0x61, 0xff, 0x62]), "a\ufffdb"],
    ["what comes compressed", 200, { ...text, "content-encoding": "gzip" }, gzipSync("서울"), "서울"],
    ["nothing", 200, text, "", "(no content)"],
    ["a 204", 204, {}, "", "(no content)"],
    ["text of no type", 200, {}, "plain", "plain"],
  ])("%s", async (_name, status, headers, body, output) => {
    expect(await reply(status, headers, body)).toEqual({ output, isError: false, code: null, truncated: false });
  });

  test.each<[string, number, Record<string, string>, string | Buffer, string, string]>([
    ["an error with its text", 404, json, '{ "e": 1 }', "tool_http_error", 'HTTP 404\n{"e":1}'],
    ["an error without text", 500, text, "", "tool_http_error", "HTTP 500\n(no content)"],
    [
      "an error in bytes",
      503,
      { "content-type": "image/png" },
      "x",
      "tool_http_error",
      "HTTP 503\nThe reply is image/png, 1 bytes: not text.",
    ],
    [
      "a redirect",
      302,
      { location: "http://169.254.169.254/" },
      "",
      "tool_http_error",
      "The server answered 302: this redirect is not followed.",
    ],
    [
      "an encoding nobody asked for",
      200,
      { ...text, "content-encoding": "compress" },
      "x",
      "tool_failed",
      "The reply is encoded as compress, which is not read.",
    ],
    [
      "a length over 8 MiB",
      200,
      { ...text, "content-length": "8388609" },
      "",
      "tool_response_too_large",
      "The reply is larger than 8 MiB.",
    ],
  ])("%s is an error", async (_name, status, headers, body, code, output) => {
    expect(await reply(status, headers, body)).toEqual({ output, isError: true, code, truncated: false });
  });

  test("more than 8 MiB without a length is given up, and the connection with it", async () => {
    let closed: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    answer = (response) => {
      response.writeHead(200, text);
      response.on("close", closed);
      const chunk = Buffer.alloc(1_048_576, "x");
      const write = () => {
        while (!response.destroyed && response.write(chunk));
        if (!response.destroyed) response.once("drain", write);
      };
      write();
    };
    expect(await tool({}).call({}, context())).toMatchObject({ isError: true, code: "tool_response_too_large" });
    await gone;
  });

  test("a HEAD request has no content", async () => {
    answer = (response) => response.writeHead(200, { ...text, "content-length": "5" }).end();
    expect(await tool({ method: "HEAD" }).call({}, context())).toMatchObject({ output: "(no content)", code: null });
  });
});

describe("a call that does not come to an end", () => {
  test("is stopped at the tool's timeout, before and within the reply", async () => {
    answer = () => {};
    const late = { isError: true, code: "tool_timeout", output: "No complete answer in 100 ms." };
    expect(await tool({}, { timeoutMs: 100 }).call({}, context())).toMatchObject(late);
    answer = (response) => void response.writeHead(200, { "content-type": "text/plain" }).write("a");
    expect(await tool({}, { timeoutMs: 100 }).call({}, context())).toMatchObject(late);
  });

  test("rethrows the reason its run stops for, before and within the reply", async () => {
    const reason = new Error("cancelled");
    for (const write of [false, true]) {
      const stop = new AbortController();
      answer = (response) => {
        if (write) response.writeHead(200, { "content-type": "text/plain" }).write("a");
        stop.abort(reason);
      };
      await expect(tool({}).call({}, context({ signal: stop.signal }))).rejects.toBe(reason);
    }
    seen = [];
    await expect(tool({}).call({}, context({ signal: AbortSignal.abort(reason) }))).rejects.toBe(reason);
    expect(seen).toEqual([]);
  });

  test("blocked or unreachable: says so, but no address", async () => {
    const blocked = await tool({ url: "https://evil.example.org/" }).call({}, context());
    expect(blocked).toMatchObject({ isError: true, code: "egress_blocked", output: "The destination is not allowed." });
    const down = await tool({ url: "https://closed.example.com/" }).call({}, context());
    expect(down).toMatchObject({ isError: true, code: "tool_failed" });
    expect(down.output).not.toMatch(/\d+\.\d+|ECONN/);
  });

  test("a reply that breaks off is a failure, and the request is not sent again", async () => {
    answer = (response) => {
      response.writeHead(200, { "content-type": "text/plain", "content-length": "10" }).write("abc");
      setImmediate(() => response.destroy());
    };
    expect(await tool({ method: "POST" }).call({}, context())).toMatchObject({ isError: true, code: "tool_failed" });
    answer = (response) => void response.destroy();
    expect(await tool({ method: "POST" }).call({}, context())).toMatchObject({ isError: true, code: "tool_failed" });
    expect(seen).toHaveLength(2);
  });
});
