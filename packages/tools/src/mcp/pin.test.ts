import type { McpToolSpec } from "@maru/contract";
import { afterEach, describe, expect, test } from "vitest";
import { openMcp } from "../../test/mcp-house.ts";
import { type Peer, tool } from "../../test/mcp-peers.ts";
import { schemaProblems } from "../index.ts";

const open: { close(): Promise<void> }[] = [];
const house = async (...args: Parameters<typeof openMcp>) => {
  const opened = await openMcp(...args);
  open.push(opened);
  return opened;
};
afterEach(async () => {
  for (const opened of open.splice(0)) await opened.close();
});
type Pinned = Awaited<ReturnType<Awaited<ReturnType<typeof openMcp>>["pin"]>>;
const toolsOf = ({ tools }: Pinned) => (tools[0] as McpToolSpec).pinned?.tools ?? {};
const codes = (found: Pinned["problems"]) => found.map(({ pointer, code }) => [pointer, code]);

describe("the tools an agent gets", () => {
  const tools = ["search", "search_all", "delete", "fetch"].map((name) => tool(name));

  test("are those that allow admits and deny does not", async () => {
    const { pin } = await house("stateless", { tools });
    const names = async (over: Partial<McpToolSpec>) => Object.values(toolsOf(await pin(over))).map(({ tool }) => tool);
    expect(await names({})).toEqual(["delete", "fetch", "search", "search_all"]);
    expect(await names({ allow: ["search*"] })).toEqual(["search", "search_all"]);
    expect(await names({ allow: ["*"], deny: ["del*te", "*all"] })).toEqual(["fetch", "search"]);
    expect(await names({ allow: ["fetch"] })).toEqual(["fetch"]);
  });

  test("must be there when the manifest names them, with the name that was perhaps meant", async () => {
    const { pin } = await house("stateless", { tools });
    const result = await pin({
      allow: ["serach", "search"],
      deny: ["remove"],
      effects: { fetsch: "safe" },
      approvals: { "no/such": "always" },
    });
    expect(result.problems).toMatchObject([
      { pointer: "/spec/tools/0/allow/0", code: "mcp_tool_not_found", suggestion: "search" },
      { pointer: "/spec/tools/0/deny/0", code: "mcp_tool_not_found" },
      { pointer: "/spec/tools/0/effects/fetsch", suggestion: "fetch" },
      { pointer: "/spec/tools/0/approvals/no~1such", code: "mcp_tool_not_found" },
    ]);
    expect(codes((await pin({ deny: ["nothing*"] })).warnings)).toEqual([
      ["/spec/tools/0/deny/0", "mcp_tool_not_found"],
    ]);
    expect(codes((await pin({ deny: ["*"] })).problems)).toEqual([["/spec/tools/0", "mcp_tool_not_found"]]);
  });

  test("have the effect and approval the manifest says, the server's hints only where it is trusted", async () => {
    const { pin } = await house("stateless", {
      tools: [
        tool("read", { annotations: { readOnlyHint: true, title: "Reads" } }),
        tool("put", { annotations: { idempotentHint: true, destructiveHint: true } }),
        tool("constructor"),
      ],
    });
    const effects = async (over: Partial<McpToolSpec>) =>
      Object.values(toolsOf(await pin(over))).map(({ effect }) => effect);
    expect(await effects({})).toEqual(["at_most_once", "at_most_once", "at_most_once"]);
    expect(await effects({ trustAnnotations: true })).toEqual(["at_most_once", "idempotent", "safe"]);
    expect(await effects({ effect: "safe", effects: { put: "idempotent" } })).toEqual(["safe", "idempotent", "safe"]);
    const pinned = toolsOf(await pin({ approval: "always", approvals: { read: "never" } }));
    expect(Object.values(pinned).map(({ approval = null }) => approval)).toEqual(["always", "always", null]);
    expect(pinned.docs_read?.annotations).toEqual({ title: "Reads", readOnly: true });
    expect(pinned.docs_put?.annotations).toEqual({ destructive: true });
  });

  test("are the same revision while the server says the same, and another when it does not", async () => {
    const { peer, pin } = await house("stateless", { tools: [tool("b"), tool("a")] });
    const first = await pin();
    peer.tools = [tool("a"), tool("b")];
    expect(await pin()).toEqual(first);
    peer.tools = [tool("a"), tool("b", { description: "Another" })];
    const third = toolsOf(await pin()).docs_b;
    expect(third).toMatchObject({ description: "Another", digest: toolsOf(first).docs_b?.digest });
    expect(third?.aboutDigest).not.toBe(toolsOf(first).docs_b?.aboutDigest);
  });
});

describe("what a server says", () => {
  test("gets names that K-EXAONE's hosts take, each its own", async () => {
    const names = ["검색", "번역", "a.b", "a/b", "x".repeat(500), "x".repeat(501), "ok-1", "submit_result"];
    const { pin } = await house("stateless", { tools: names.map((name) => tool(name)) });
    const found = toolsOf(await pin());
    expect(
      Object.values(found)
        .map(({ tool }) => tool)
        .sort(),
    ).toEqual([...names].sort());
    for (const name of Object.keys(found)) expect(name).toMatch(/^docs_[A-Za-z0-9_-]{1,59}$/);
    expect(Object.keys(found)).toContain("docs_ok-1");
    const submit = await pin({ name: "submit", allow: ["ok-1"] });
    expect(Object.keys(toolsOf(submit))).toEqual(["submit_ok-1"]);
  });

  test("is kept without what nobody sees, and not longer than it has to be", async () => {
    const { pin } = await house("stateless", {
      tools: [
        tool("a", { description: `Adds\u200b \u202enumbers\u0007\n${"\u{e0041}".repeat(50)}and ${"x".repeat(5_000)}` }),
        tool("b", {
          description: "\u0000",
          inputSchema: {
            type: "object",
            properties: { q: { type: "string", description: `d\u2066${"y".repeat(3_000)}` } },
          },
        }),
      ],
    });
    const { docs_a: a, docs_b: b } = toolsOf(await pin());
    expect(a?.description).toMatch(/^Adds numbers\nand x+…$/);
    expect(a?.description.length).toBe(2_048);
    expect(b?.description).toBe("(The server does not say what this tool does.)");
    expect(JSON.stringify(b?.parameters)).toMatch(/"description":"dy{1022}…"/);
  });

  test("with schemas that are not admitted is simplified with a warning, or left out with one", async () => {
    const object = (properties: object, more: object = {}) =>
      ({ type: "object" as const, properties, ...more }) as Peer["tools"][number]["inputSchema"];
    const deep = (levels: number): object => (levels === 0 ? { type: "string" } : object({ a: deep(levels - 1) }));
    const { pin } = await house("stateless", {
      tools: [
        tool("draft7", {
          inputSchema: object(
            { a: { $ref: "#/definitions/A" } },
            { $schema: "http://json-schema.org/draft-07/schema#", definitions: { A: { type: "string" } } },
          ),
        }),
        tool("bomb", { inputSchema: object({ q: { type: "string", pattern: "^(a+)+$" } }) }),
        tool("exact", {
          inputSchema: object(
            { q: { type: "string" } },
            { patternProperties: { "^x": {} }, additionalProperties: false },
          ),
        }),
        tool("deep", { inputSchema: object({ a: deep(20) }) }),
        tool("cyclic", {
          inputSchema: object(
            { a: { $ref: "#/$defs/A" } },
            { $defs: { A: { properties: { a: { $ref: "#/$defs/A" } } } } },
          ),
        }),
        tool("either", {
          inputSchema: object({
            a: {
              oneOf: [
                { type: "string", contentEncoding: "a" },
                { type: "string", contentEncoding: "b" },
              ],
            },
          }),
        }),
        tool("huge", { inputSchema: object({ a: { enum: Array.from({ length: 20_000 }, (_, n) => `value ${n}`) } }) }),
        tool("nul", { inputSchema: object({ "a\u0000b": {} }) }),
        tool("abyss", { inputSchema: object({ a: deep(100) }) }),
      ],
    });
    const result = await pin();
    expect(result.problems).toEqual([]);
    const pinned = toolsOf(result);
    expect(Object.keys(pinned)).toEqual([
      "docs_bomb",
      "docs_cyclic",
      "docs_deep",
      "docs_draft7",
      "docs_either",
      "docs_exact",
    ]);
    for (const { parameters } of Object.values(pinned)) expect(schemaProblems(parameters, "")).toEqual([]);
    expect(pinned.docs_draft7?.parameters).toEqual(
      object({ a: { $ref: "#/$defs/A" } }, { $defs: { A: { type: "string" } } }),
    );
    expect(pinned.docs_bomb?.parameters).toEqual(object({ q: { type: "string" } }));
    // Nothing is refused here that the server would take.
    expect(pinned.docs_exact?.parameters).toEqual(object({ q: { type: "string" } }));
    expect(pinned.docs_either?.parameters).toEqual(object({ a: { anyOf: [{ type: "string" }, { type: "string" }] } }));
    const warned = result.warnings.map(({ code, detail }) => `${code} ${detail}`).join("\n");
    for (const name of ["bomb", "exact", "deep", "cyclic", "either"])
      expect(warned).toContain(`tool_schema_invalid Of the parameters of ${name} `);
    for (const name of ["huge", "nul", "abyss"])
      expect(warned).toContain(`mcp_tool_unusable The server's tool ${name} `);
    expect(warned).not.toContain("draft7");
  });

  test("has none of the secrets it was sent, hidden or not", async () => {
    const value = "value-of-KEY";
    const hidden = [...value].join("\u200b");
    const { peer, pin } = await house("stateless", {
      tools: [
        tool("plain"),
        tool(value),
        tool("a", { description: `Say ${value}` }),
        tool("b", { description: `Say ${hidden}` }),
        tool("c", { description: Buffer.from(`Say ${value}`).toString("base64") }),
        tool("d", { inputSchema: { type: "object", properties: { [value]: {} } } }),
        tool("e", { inputSchema: { type: "object", properties: { x: { [value]: true } } } }),
        tool("f", { title: [...value].join("\u0007") }),
      ],
    });
    const headers = { Authorization: "Bearer ${secrets.KEY}" };
    const server = { url: "http://mcp.maru.internal/mcp", transport: "auto", headers } as const;
    const result = await pin({ server });
    expect(peer.requests[0]?.headers.authorization).toBe(`Bearer ${value}`);
    expect(Object.keys(toolsOf(result))).toEqual(["docs_plain"]);
    const wrong = await pin({ server, allow: ["value-of-KEX"] });
    expect(JSON.stringify([result, wrong.problems, wrong.warnings])).not.toContain(value);
  });

  test("may be too much of it", async () => {
    const { peer, pin } = await house("stateless");
    peer.tools = Array.from({ length: 129 }, (_, n) => tool(`t${n}`));
    expect(codes((await pin()).problems)).toEqual([["/spec/tools", "limit_out_of_range"]]);
    const many = Object.fromEntries(
      Array.from({ length: 200 }, (_, n) => [`property ${n}`, { description: "d".repeat(100) }]),
    );
    peer.tools = Array.from({ length: 30 }, (_, n) =>
      tool(`t${n}`, { inputSchema: { type: "object", properties: many } }),
    );
    expect(codes((await pin()).problems)).toEqual([["/spec/tools/0", "limit_out_of_range"]]);
  });
});
