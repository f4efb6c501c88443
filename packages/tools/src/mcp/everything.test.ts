import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { resolve } from "node:path";
import type { McpServer, McpToolSpec } from "@maru/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { until } from "../../test/mcp-house.ts";
import { createMcpSessions, pinTools, prepareTools, type ToolSet } from "../index.ts";
import { callContext, openEgress, toolDeps } from "../testing/context.ts";

/** The reference server of the protocol's maintainers, as they publish it. */
const SERVER = resolve(
  import.meta.dirname,
  "../../../../node_modules/@modelcontextprotocol/server-everything/dist/index.js",
);
const HOST = "everything.maru.internal";

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  return port;
}
const answers = (port: number) =>
  fetch(`http://127.0.0.1:${port}/`).then(
    () => true,
    () => false,
  );

describe.each(["streamableHttp", "sse", "stdio"] as const)("the reference server over %s", (mode) => {
  let child: ChildProcess | null = null;
  let set: ToolSet;
  let pinned: McpToolSpec;
  const port = freePort();
  const open: (() => Promise<unknown>)[] = [];
  beforeAll(async () => {
    let server: McpServer;
    if (mode === "stdio") server = { command: process.execPath, args: [SERVER, "stdio"], env: { MARKER: "only this" } };
    else {
      child = spawn(process.execPath, [SERVER, mode], { env: { PORT: String(await port) }, stdio: "ignore" });
      while (!(await answers(await port)) && child.exitCode === null) await new Promise((done) => setTimeout(done, 50));
      server = { url: `http://${HOST}/${mode === "sse" ? "sse" : "mcp"}`, transport: "auto", headers: {} };
    }
    const egress = openEgress({ allow: { [HOST]: `http://127.0.0.1:${await port}` } });
    const mcp = createMcpSessions({ egress, stdio: true });
    open.push(
      () => mcp.close(),
      () => egress.close(),
    );
    const spec: McpToolSpec = { type: "mcp", name: "all", server, timeoutMs: 20_000, trustAnnotations: true };
    const signal = new AbortController().signal;
    const result = await pinTools([spec], {
      egress,
      allowedHosts: [],
      secrets: async () => new Map(),
      signal,
      mcpStdio: true,
    });
    expect(result.problems).toEqual([]);
    pinned = result.tools[0] as McpToolSpec;
    set = prepareTools(result.tools, toolDeps({ egress, mcp }));
  });
  afterAll(async () => {
    for (const close of open) await close();
    child?.kill("SIGKILL");
  });
  const call = async (name: string, args: object = {}) => {
    const tool = set.get(name);
    expect(tool?.checkArguments(args)).toBeNull();
    return tool?.call(args as Record<string, unknown>, callContext());
  };

  test("has its tools taken and called", async () => {
    expect(pinned.pinned?.transport).toBe({ streamableHttp: "streamable-http", sse: "sse", stdio: "stdio" }[mode]);
    expect(set.names).toEqual(expect.arrayContaining(["all_echo", "all_get-sum", "all_get-tiny-image"]));
    expect(await call("all_echo", { message: "안녕" })).toMatchObject({ output: "Echo: 안녕", isError: false });
    expect((await call("all_get-sum", { a: 2, b: 3 }))?.output).toContain("5");
  });

  test("gives structured content, pictures, links and references", async () => {
    const weather = await call("all_get-structured-content", { location: "New York" });
    expect(JSON.parse(String(weather?.output))).toMatchObject({ temperature: expect.any(Number) });
    const image = await call("all_get-tiny-image");
    expect(image?.output).toContain("[image-1.png: image/png, ");
    expect(image?.attachments?.[0]?.bytes.subarray(1, 4).toString()).toBe("PNG");
    expect((await call("all_get-resource-links", { count: 2 }))?.output).toMatch(/demo:\/\/resource/);
  });

  test("reports progress while it works", async () => {
    expect((await call("all_trigger-long-running-operation", { duration: 1, steps: 4 }))?.output).toMatch(/completed/i);
  });

  if (mode === "stdio")
    test("has the environment it was given, and ends with all it started", async () => {
      const seen = JSON.parse(String((await call("all_get-env"))?.output)) as Record<string, string>;
      expect(seen).toEqual({ MARKER: "only this" });
      const running = () =>
        existsSync("/proc") ? readdirSync("/proc").filter((pid) => commandOf(pid).includes(SERVER)) : [];
      if (existsSync("/proc")) expect(running().length).toBeGreaterThan(0);
      for (const close of open.splice(0)) await close();
      await until(() => running().length === 0);
    });
});

function commandOf(pid: string): string {
  try {
    return /^\d+$/.test(pid) ? readFileSync(`/proc/${pid}/cmdline`, "utf8") : "";
  } catch {
    return "";
  }
}
