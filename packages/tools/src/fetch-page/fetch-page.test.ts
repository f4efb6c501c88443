import type { ServerResponse } from "node:http";
import { gzipSync } from "node:zlib";
import type { BuiltinToolSpec } from "@maru/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { ToolCallContext, ToolResult } from "../kind.ts";
import { callContext } from "../testing/context.ts";
import { openServer, type TestServer } from "../testing/server.ts";
import { prepareFetchPage } from "./index.ts";

let server: TestServer;
beforeAll(async () => {
  server = await openServer([
    "example.com",
    "www.example.com",
    "deep.www.example.com",
    "example.com:8443",
    "evil-example.com",
    "elsewhere.example.org",
    "wiki.internal",
  ]);
});
afterAll(() => server.close());

const tool = (hosts?: readonly string[]) => {
  const spec: BuiltinToolSpec = { type: "builtin", name: "http_fetch", ...(hosts === undefined ? {} : { hosts }) };
  return prepareFetchPage(spec, server.egress);
};
const fetchPage = (
  url: string,
  hosts?: readonly string[],
  context: Partial<ToolCallContext> = {},
): Promise<ToolResult> => tool(hosts).call({ url }, callContext(context));
const html = { "content-type": "text/html; charset=utf-8" };
const serve = (headers: Record<string, string>, body: string | Buffer, status = 200) =>
  server.answer((_request, response) => void response.writeHead(status, headers).end(body));

describe("a page", () => {
  test("is its title, its address, its type and its text as Markdown", async () => {
    serve(
      html,
      '<title>The\n news</title><nav><a href="/">Home</a></nav><h1>News</h1><p>All is <a href="/well?a=1&amp;b=2">well</a>.',
    );
    expect(await fetchPage("https://example.com/news?x=1#top")).toEqual({
      output:
        "Title: The news\nURL: https://example.com/news?x=1\nType: text/html\n\n# News\n\nAll is [well](https://example.com/well?a=1&b=2).",
      isError: false,
      code: null,
      truncated: false,
    });
    expect(server.seen[0]?.url).toBe("/news?x=1");
  });

  test("is asked for by GET, with nothing of the run, its secrets or its workspace", async () => {
    serve(html, "x");
    await fetchPage("https://example.com/", undefined, { secrets: async () => new Map([["KEY", "value-of-key"]]) });
    const { method, headers, body } = server.seen[0] as (typeof server.seen)[0];
    expect([method, body]).toEqual(["GET", ""]);
    expect(Object.keys(headers).sort()).toEqual(["accept", "accept-encoding", "connection", "host", "user-agent"]);
  });

  test("that is other text is given as it is", async () => {
    serve({ "content-type": "application/json" }, '{ "a": 1 }');
    expect((await fetchPage("https://example.com/")).output).toBe(
      'URL: https://example.com/\nType: application/json\n\n{ "a": 1 }',
    );
    serve({ "content-type": "text/plain" }, "<b>not HTML</b>");
    expect((await fetchPage("https://example.com/")).output).toContain("\n\n<b>not HTML</b>");
  });

  test("of no type is judged by its look", async () => {
    serve({}, "\n<!DOCTYPE html><p>Hi");
    expect((await fetchPage("https://example.com/")).output).toBe("URL: https://example.com/\nType: none\n\nHi");
    serve({}, Buffer.from([1, 0]));
    expect(await fetchPage("https://example.com/")).toMatchObject({ code: "tool_response_invalid" });
  });

  const euckr = Buffer.from([0xbc, 0xad, 0xbf, 0xef]);
  test.each<[string, string, Buffer]>([
    ["the header's", "text/html; charset=EUC-KR", Buffer.concat([Buffer.from("<p>"), euckr])],
    ["the page's own word", "text/html", Buffer.concat([Buffer.from('<meta charset="euc-kr"><p>'), euckr])],
    [
      "the page's older word",
      "text/html",
      Buffer.concat([Buffer.from('<meta http-equiv=Content-Type content="text/html; charset=euc-kr"><p>'), euckr]),
    ],
    ["the header's before the page's", "text/html; charset=utf-8", Buffer.from('<meta charset="euc-kr"><p>서울')],
    ["UTF-8 without a word", "text/html", Buffer.from("<p>서울")],
    ["a byte order mark's before all others", "text/html; charset=euc-kr", Buffer.from("\ufeff<p>서울", "utf16le")],
    ["UTF-8 where the page says UTF-16 in ASCII", "text/html", Buffer.from('<meta charset="utf-16"><p>서울')],
  ])("is read in its charset: %s", async (_what, type, body) => {
    serve({ "content-type": type }, body);
    expect((await fetchPage("https://example.com/")).output).toMatch(/\n\n서울$/);
  });

  test.each(["application/pdf", "image/png", "application/octet-stream", "application/zip"])(
    "that is %s is refused in words",
    async (type) => {
      serve({ "content-type": type }, "%PDF-1.7");
      expect(await fetchPage("https://example.com/")).toMatchObject({
        isError: true,
        code: "tool_response_invalid",
        output: `The page is ${type}, not text: it can't be read.`,
      });
    },
  );

  test("that comes compressed is read, and one that would burst is not", async () => {
    serve({ ...html, "content-encoding": "gzip" }, gzipSync("<p>packed"));
    expect((await fetchPage("https://example.com/")).output).toMatch(/\n\npacked$/);
    serve({ ...html, "content-encoding": "gzip" }, gzipSync(Buffer.alloc(20_000_000, "x")));
    expect(await fetchPage("https://example.com/")).toMatchObject({ isError: true, code: "tool_response_too_large" });
  });

  test("that is not there is an error in words", async () => {
    serve(html, "<h1>gone", 404);
    expect(await fetchPage("https://example.com/")).toMatchObject({
      code: "tool_http_error",
      output: "HTTP 404: there is no page to read.",
    });
  });

  test("that does not end is read at its beginning, and let go", async () => {
    let closed: () => void = () => {};
    const gone = new Promise<void>((resolve) => {
      closed = resolve;
    });
    server.answer((_request, response) => {
      response.writeHead(200, html).on("close", closed);
      const write = () => {
        while (!response.destroyed && response.write("<p>word</p>".repeat(10_000)));
        if (!response.destroyed) response.once("drain", write);
      };
      write();
    });
    const { output } = await fetchPage("https://example.com/");
    expect(output).toContain("(only the beginning of the page was read: it is too large)\n\nword\n\nword");
    expect(output.length).toBeLessThan(2 * 1_048_576);
    await gone;
  });

  test("stops with its run", async () => {
    const stop = new AbortController();
    const reason = new Error("cancelled");
    server.answer(() => stop.abort(reason));
    await expect(fetchPage("https://example.com/", undefined, { signal: stop.signal })).rejects.toBe(reason);
  });
});

describe("where a page may be read from", () => {
  const asked = () => server.seen.map(({ headers, url }) => `${headers.host}${url}`);
  const read = async (url: string, hosts?: readonly string[]) => {
    serve(html, "<p>inside");
    return fetchPage(url, hosts);
  };

  test.each<[string, readonly string[]]>([
    ["https://example.com/a", ["example.com"]],
    ["https://EXAMPLE.com/a", ["example.com"]],
    ["https://www.example.com/a", ["other.example", "*.example.com"]],
    ["https://deep.www.example.com/a", ["*.example.com"]],
    ["https://example.com:8443/a", ["example.com:8443"]],
    ["http://wiki.internal/a", ["wiki.internal"]],
  ])("%s is within %j", async (url, hosts) => {
    expect(await read(url, hosts)).toMatchObject({ isError: false });
    expect(server.seen).toHaveLength(1);
  });

  test.each<[string, readonly string[] | undefined]>([
    ["https://www.example.com/?data=x", ["example.com"]],
    ["https://example.com/", ["*.example.com"]],
    ["https://evil-example.com/", ["example.com", "*.example.com"]],
    ["https://example.com:8443/", ["example.com"]],
    ["https://example.com@elsewhere.example.org/", ["example.com"]],
    ["https://elsewhere.example.org/example.com", ["example.com"]],
    ["https://example.com.elsewhere.example.org/", ["example.com"]],
    // Only the operator's list makes it reachable, so the manifest has to name it.
    ["http://wiki.internal/", undefined],
    ["http://wiki.internal/", ["*.internal"]],
    ["http://127.0.0.1/", undefined],
    ["http://[::1]/", undefined],
    ["http://2130706433/", undefined],
    ["http://169.254.169.254/latest/meta-data", undefined],
    ["file:///etc/passwd", undefined],
    ["data:text/html,x", undefined],
    ["https://user:pass@example.com/", undefined],
    ["https://example.com./", undefined],
    ["https://example.com:22/", undefined],
    ["https://nobody.example.net/", undefined],
  ])("%s is not within %j, and nothing is sent", async (url, hosts) => {
    expect(await read(url, hosts)).toMatchObject({ isError: true, code: "egress_blocked" });
    expect(server.seen).toEqual([]);
  });

  test("is said to the model, before and after", async () => {
    expect(tool(["example.com", "*.example.org"]).declaration.description).toContain(
      "Only of example.com, *.example.org.",
    );
    expect((await read("https://elsewhere.example.org/", ["example.com"])).output).toBe(
      "Pages of elsewhere.example.org may not be read. Only of example.com.",
    );
  });

  test.each(["", "example.com", "/path", "https://", "http://[x"])("%j is no address", async (url) => {
    expect(await read(url)).toMatchObject({ isError: true, code: "tool_arguments_invalid" });
  });

  const redirect = (to: (path: string) => string | null) =>
    server.answer(({ url }, response: ServerResponse) => {
      const location = to(url);
      if (location === null) response.writeHead(200, html).end("<p>arrived");
      else response.writeHead(302, { location }).end();
    });

  test("is judged at every redirect", async () => {
    for (const [to, hosts] of [
      ["https://elsewhere.example.org/?data=1", ["example.com"]],
      ["http://169.254.169.254/", undefined],
      ["http://wiki.internal/", undefined],
      ["file:///etc/passwd", undefined],
    ] as const) {
      redirect((path) => (path === "/" ? to : null));
      expect(await fetchPage("https://example.com/", hosts)).toMatchObject({ code: "egress_blocked" });
      expect(asked()).toEqual(["example.com/"]);
    }
  });

  test("three redirects are followed, relative ones too, and the answer says where it led", async () => {
    redirect((path) => ({ "/": "/1", "/1": "//www.example.com/2", "/2": "3?a=b#c" })[path] ?? null);
    const { output } = await fetchPage("https://example.com/", ["example.com", "*.example.com"]);
    expect(output).toBe("URL: https://www.example.com/3?a=b\nType: text/html\n\narrived");
    expect(asked()).toEqual(["example.com/", "example.com/1", "www.example.com/2", "www.example.com/3?a=b"]);
    redirect((path) => `${path}x`);
    expect(await fetchPage("https://example.com/")).toMatchObject({ code: "tool_http_error" });
    expect(server.seen).toHaveLength(4);
  });
});
