import { readFileSync } from "node:fs";
import type { ServerResponse } from "node:http";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";
import { openToolServer, type ToolServer } from "../setup/tool-server.ts";

let house: House;
let person: Person;
let tools: ToolServer;
/** How often the shop fails before it answers. */
let failures = 0;

/** The blocks of the manifest's documentation that declare tools, as a reader would copy them. */
const documented = (word: string): string => {
  const blocks = [...readFileSync("docs/manifest.md", "utf8").matchAll(/```yaml\n([\s\S]*?)```/g)];
  const block = blocks.map(([, text = ""]) => text).find((text) => text.includes(word)) ?? "";
  return block.replace(/^(?=.)/gm, "    ");
};

const json = (response: ServerResponse, value: string) =>
  void response.setHeader("content-type", "application/json").end(value);

beforeAll(async () => {
  tools = await openToolServer((request, response) => {
    const url = new URL(String(request.url), "http://shop");
    if (url.pathname === "/v1/orders") {
      if (failures-- > 0) return void response.writeHead(503, { "retry-after": "0" }).end();
      const first = !url.searchParams.has("cursor");
      return json(
        response,
        first
          ? '{ "orders": [ { "id": 90071992547409931, "total": { "won": 1000 }, "note": "internal" } ], "meta": { "next_cursor": "n&2" } }'
          : '{ "orders": [ { "id": 90071992547409933, "total": { "won": 25.50 } } ], "meta": { "next_cursor": null } }',
      );
    }
    if (url.pathname === "/messages") return void response.writeHead(308, { location: "/v2/messages" }).end();
    if (url.pathname === "/v2/messages") return json(response, '{"message": {"status": "sent", "cost": 9}}');
    if (url.pathname === "/picture")
      return void response.setHeader("content-type", "image/png").end(Buffer.from([0x89, 0x50, 0x4e, 0x47, 0]));
    response
      .setHeader("content-type", "text/html")
      .end("<title>Guide</title><h1>Guide</h1><p>Read <a href='/b'>this</a>.");
  });
  house = await openHouse("postgres", {
    egressAllow: Object.fromEntries(
      ["shop.example.com", "sms.example.com", "docs.example.com"].map((host) => [host, tools.origin]),
    ),
  });
  person = await house.register();
  for (const name of ["SHOP_KEY", "SMS_KEY"])
    await house.api("PUT", `/v1/secrets/${name}`, { key: person.key, body: { value: `value of ${name}` } });
});
beforeEach(() => {
  tools.arrivals.length = 0;
  failures = 0;
});
afterAll(async () => {
  await house?.close();
  await tools?.close();
});

const toolStep = async (deployment: string, name: string, args: object) => {
  const run = await house.run(person, deployment, `#sim tool ${name} ${JSON.stringify(args)}`);
  const { body } = await house.api("GET", `/v1/runs/${run.id}/steps`, { key: person.key });
  const { output, state, error_code = null } = body.data.find(({ kind }: { kind: string }) => kind === "tool");
  return { run: run.status, state, error_code, output };
};

describe("the tools of the manifest's documentation", () => {
  beforeAll(async () => {
    const text = manifest("shop", { tools: `${documented("pagination:")}${documented("http_fetch")}` });
    const deployed = await house.deploy(person, text);
    expect([deployed.status, deployed.body.action]).toEqual([201, "create"]);
    const again = await house.deploy(person, text);
    expect(again.body.action).toBe("unchanged");
  });

  test("read pages, try again, and answer what is selected with all its digits", async () => {
    failures = 2;
    expect(await toolStep("shop", "find_orders", { email: "kim@example.com" })).toEqual({
      run: "completed",
      state: "done",
      error_code: null,
      output: '[{"won":1000,"order":90071992547409931},\n{"won":25.50,"order":90071992547409933}]',
    });
    const first = "/v1/orders?email=kim%40example.com";
    expect(tools.arrivals.map(({ path }) => path)).toEqual([first, first, first, `${first}&cursor=n%262`]);
    expect(new Set(tools.arrivals.map(({ key }) => key)).size).toBe(1);
  });

  test("send a form, and follow a redirect with it", async () => {
    const step = await toolStep("shop", "send_text", { to: ["010-1", "010-2"], text: "안녕 & bye" });
    expect(step).toMatchObject({ state: "done", output: '"sent"' });
    expect(tools.arrivals.map(({ method, path }) => `${method} ${path}`)).toEqual([
      "POST /messages",
      "POST /v2/messages",
    ]);
    for (const { body } of tools.arrivals)
      expect([...new URLSearchParams(body)]).toEqual([
        ["to", "010-1"],
        ["to", "010-2"],
        ["key", "value of SMS_KEY"],
        ["text", "안녕 & bye"],
      ]);
  });

  test("read a page of the hosts they name, and of no other", async () => {
    expect(await toolStep("shop", "http_fetch", { url: "https://docs.example.com/guide" })).toMatchObject({
      state: "done",
      output:
        "Title: Guide\nURL: https://docs.example.com/guide\nType: text/html\n\n# Guide\n\nRead [this](https://docs.example.com/b).",
    });
    expect(await toolStep("shop", "http_fetch", { url: "https://shop.example.com/?data=x" })).toMatchObject({
      run: "completed",
      state: "error",
      error_code: "egress_blocked",
    });
    expect(tools.arrivals).toHaveLength(1);
  });
});

test("a call that may happen at most once is sent once, whatever the server says", async () => {
  const text = manifest("once", {
    tools: `    - { name: order, type: http, description: Orders, request: { method: POST, url: "https://shop.example.com/v1/orders" } }
`,
  });
  await house.deploy(person, text);
  failures = 1;
  expect(await toolStep("once", "order", {})).toMatchObject({ state: "error", error_code: "tool_http_error" });
  expect(tools.arrivals).toHaveLength(1);
});

test("bytes stay out of the prompt, and are kept", async () => {
  const text = manifest("pictures", {
    tools: `    - { name: look, type: http, description: Looks, request: { url: "https://shop.example.com/picture" } }
`,
  });
  await house.deploy(person, text);
  expect(await toolStep("pictures", "look", {})).toMatchObject({
    state: "done",
    output: expect.stringMatching(
      /^The reply is image\/png, 5 bytes: not text\.\n\[kept: reply\.png \(image\/png, 5 bytes\) as \S+\]$/,
    ),
  });
});

describe("what a manifest says wrongly of an http tool", () => {
  const tool = (more: string, request = "{ url: https://shop.example.com/ }") =>
    manifest("wrong", {
      tools: `    - { name: t, type: http, description: T, request: ${request}, ${more} }
`,
    });

  test.each<[string, string, string, string]>([
    ["a pointer without its slash", tool("response: { select: items }"), "validation_failed", "/response/select"],
    ["a pointer among several", tool("response: { select: { a: b } }"), "validation_failed", "/response/select/a"],
    ["nothing selected", tool("response: { select: {} }"), "validation_failed", "/response/select"],
    ["a list of pointers", tool("response: { select: [/a] }"), "validation_failed", "/response/select"],
    ["a type nobody knows", tool("response: { type: xml }"), "validation_failed", "/response/type"],
    ["a size over the most", tool("response: { maxBytes: 9MiB }"), "limit_out_of_range", "/response/maxBytes"],
    ["a misspelt field", tool("response: { selct: /a }"), "unknown_field", "/response/selct"],
    ["pages without their next", tool("pagination: { items: /a }"), "validation_failed", "/pagination/next"],
    ["one page", tool("pagination: { next: /n, maxPages: 1 }"), "validation_failed", "/pagination/maxPages"],
    ["too many pages", tool("pagination: { next: link, maxPages: 21 }"), "validation_failed", "/pagination/maxPages"],
    ["a next that goes nowhere", tool("pagination: { next: '' }"), "validation_failed", "/pagination/next"],
    ["a cursor without a name", tool('pagination: { next: /n, as: "query:" }'), "validation_failed", "/pagination/as"],
    [
      "pages of a POST",
      tool("pagination: { next: link }", "{ method: POST, url: https://shop.example.com/ }"),
      "effect_class_invalid",
      "/pagination",
    ],
    ["too many tries", tool("retries: 6"), "validation_failed", "/retries"],
    [
      "tries of what may happen at most once",
      tool("retries: 1", "{ method: POST, url: https://shop.example.com/ }"),
      "effect_class_invalid",
      "/retries",
    ],
    ["too many redirects", tool("redirects: 4"), "validation_failed", "/redirects"],
    [
      "a body and a form",
      tool("timeout: 1s", "{ method: POST, url: https://shop.example.com/, body: {}, form: { a: b } }"),
      "template_error",
      "/request/form",
    ],
    [
      "a secret as a form's key",
      tool("timeout: 1s", '{ method: POST, url: https://shop.example.com/, form: { "${secrets.SMS_KEY}": b } }'),
      "secret_not_allowed_here",
      "/request/form/${secrets.SMS_KEY}",
    ],
    [
      "a form's value that is none",
      tool("timeout: 1s", "{ method: POST, url: https://shop.example.com/, form: { a: 1 } }"),
      "validation_failed",
      "/request/form/a",
    ],
  ])("%s: refused with its place", async (_what, text, code, place) => {
    const { status, body } = await house.deploy(person, text);
    expect(status).toBe(400);
    expect(body.errors.map((error: { code: string; pointer: string }) => `${error.code} ${error.pointer}`)).toEqual([
      `${code} /spec/tools/0${place}`,
    ]);
  });

  test.each<[string, string, string]>([
    ["calculator, type: builtin, hosts: [example.com]", "unknown_field", "/hosts"],
    ["http_fetch, type: builtin, hosts: []", "validation_failed", "/hosts"],
    ['http_fetch, type: builtin, hosts: [example.com, "*.com"]', "url_not_allowed", "/hosts/1"],
    ["http_fetch, type: builtin, hosts: [localhost]", "url_not_allowed", "/hosts/0"],
  ])("%s is refused", async (entry, code, place) => {
    const { status, body } = await house.deploy(person, manifest("wrong", { tools: `    - { name: ${entry} }\n` }));
    expect([
      status,
      body.errors.map((error: { code: string; pointer: string }) => `${error.code} ${error.pointer}`),
    ]).toEqual([400, [`${code} /spec/tools/0${place}`]]);
  });
});

test("what a manifest says of the defaults is not another revision", async () => {
  const tool = (more: string) =>
    manifest("plain", {
      tools: `    - { name: t, type: http, description: T, request: { url: "https://shop.example.com/" }${more} }
`,
    });
  expect((await house.deploy(person, tool(""))).status).toBe(201);
  const spelt = ", response: { type: any, maxBytes: 8MiB }, retries: 2, redirects: 0";
  expect((await house.deploy(person, tool(spelt))).body.action).toBe("unchanged");
  expect((await house.deploy(person, tool(", retries: 0"))).body.changes).toEqual([
    { path: "/tools/t/retries", op: "add", after: 0 },
  ]);
});
