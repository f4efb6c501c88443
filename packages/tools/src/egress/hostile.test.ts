import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { HttpToolSpec } from "@maru/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type BehaviourName, ONE_BYTE_CHUNKS } from "../../test/hostile-server.ts";
import { prepareHttpTool } from "../http/index.ts";
import { callContext, openEgress } from "../testing/context.ts";
import { DecompressionLimit, EncodingRefused } from "./errors.ts";

let server: ChildProcess;
let egress: ReturnType<typeof openEgress>;

beforeAll(async () => {
  server = fork(new URL("../../test/hostile-server.ts", import.meta.url));
  const [port] = await once(server, "message");
  egress = openEgress({ allow: { "evil.internal": `http://127.0.0.1:${port}` }, bodyIdleMs: 1_000 });
});
afterAll(async () => {
  await egress?.close();
  server?.kill("SIGKILL");
});

const urlOf = (name: BehaviourName): string => `http://evil.internal/${encodeURIComponent(name)}`;
const tool = (name: BehaviourName, timeoutMs: number) =>
  prepareHttpTool(
    {
      type: "http",
      name: "t",
      description: "d",
      parameters: { type: "object" },
      request: { method: "GET", url: urlOf(name), headers: {}, query: {}, body: null },
      timeoutMs,
      effect: "safe",
    } satisfies HttpToolSpec,
    egress,
  );

/** Bytes of memory the process holds more at the worst moment of some work. */
async function growth(work: () => Promise<unknown>): Promise<number> {
  const before = process.memoryUsage.rss();
  let most = before;
  const sampler = setInterval(() => {
    most = Math.max(most, process.memoryUsage.rss());
  }, 5);
  try {
    await work();
  } finally {
    clearInterval(sampler);
  }
  return Math.max(most, process.memoryUsage.rss()) - before;
}
const MEMORY = 64 << 20;

describe("a tool's server that", () => {
  test.each<[BehaviourName, number, string]>([
    ["streams ten gigabytes", 20_000, "tool_response_too_large"],
    ["streams without an end", 20_000, "tool_response_too_large"],
    ["sends chunks without an end", 20_000, "tool_response_too_large"],
    ["drips a body", 1_500, "tool_timeout"],
    ["drips a head", 1_500, "tool_timeout"],
    ["says nothing", 500, "tool_timeout"],
    ["falls silent in a body", 20_000, "tool_failed"],
    ["sends a million headers", 20_000, "tool_failed"],
    ["sends a header without an end", 20_000, "tool_failed"],
    ["sends a trailer without an end", 20_000, "tool_failed"],
    ["sends a chunk's extension without an end", 20_000, "tool_response_too_large"],
    ["sends early hints without an end", 20_000, "tool_response_too_large"],
    ["changes to another protocol", 20_000, "tool_failed"],
    ["speaks no HTTP", 20_000, "tool_failed"],
    ["hangs up", 20_000, "tool_failed"],
    ["has two lengths", 20_000, "tool_failed"],
    ["has a length and chunks", 20_000, "tool_failed"],
  ])("%s: the call ends within its limits", async (name, timeoutMs, code) => {
    let found: unknown;
    const grown = await growth(async () => {
      found = await tool(name, timeoutMs).call({}, callContext());
    });
    expect(found).toMatchObject({ isError: true, code });
    expect(grown).toBeLessThan(MEMORY);
  });
});

test("a body in chunks of one byte is read, though most of it is something else", async () => {
  const { signal } = new AbortController();
  const request = { method: "GET", url: urlOf("sends chunks of one byte"), headers: {}, body: null, signal };
  expect((await (await egress.request(request)).body.text()).length).toBe(ONE_BYTE_CHUNKS);
});

describe("a compressed body", () => {
  const read = async (name: BehaviourName) => {
    const response = await egress.request({
      method: "GET",
      url: urlOf(name),
      headers: {},
      body: null,
      decompress: { maxBytes: 8 << 20, maxRatio: 100 },
      signal: AbortSignal.timeout(20_000),
    });
    let size = 0;
    for await (const chunk of response.body) size += (chunk as Buffer).length;
    return size;
  };

  test.each<BehaviourName>(["a gzip bomb of 1 to 1,000", "a brotli bomb", "gzip without an end"])(
    "that is %s is cut",
    async (name) => {
      const grown = await growth(() => expect(read(name)).rejects.toThrow(DecompressionLimit));
      expect(grown).toBeLessThan(MEMORY);
    },
  );

  test("of six encodings is refused before a byte of it is read", async () => {
    await expect(read("six encodings")).rejects.toThrow(EncodingRefused);
  });
});
