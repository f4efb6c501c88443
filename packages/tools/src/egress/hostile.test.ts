import { type AddressInfo, createServer, type Server, type Socket } from "node:net";
import { brotliCompressSync, constants, gzipSync } from "node:zlib";
import type { HttpToolSpec } from "@maru/contract";
import { afterAll, afterEach, beforeAll, describe, expect, test } from "vitest";
import { prepareHttpTool } from "../http/index.ts";
import { callContext, openEgress } from "../testing/context.ts";
import { DecompressionLimit, EncodingRefused } from "./errors.ts";

/** What the server does with a connection once a request came. */
type Behaviour = (socket: Socket) => void;
let server: Server;
let behave: Behaviour = () => {};
let egress: ReturnType<typeof openEgress>;
const sockets = new Set<Socket>();
const timers = new Set<NodeJS.Timeout>();

beforeAll(async () => {
  server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    socket.once("data", () => behave(socket));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  egress = openEgress({
    allow: { "evil.internal": `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
    bodyIdleMs: 1_000,
  });
});
afterEach(() => {
  for (const timer of timers) clearInterval(timer);
  timers.clear();
});
afterAll(async () => {
  await egress.close();
  for (const socket of sockets) socket.destroy();
  await new Promise((done) => server.close(done));
});

const HEAD = "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\n";
/** Writes the same piece again and again, as fast as it is taken. */
const endlessly =
  (head: string, piece: string | Buffer): Behaviour =>
  (socket) => {
    socket.write(head);
    const more = () => {
      while (!socket.destroyed && socket.write(piece));
    };
    socket.on("drain", more);
    more();
  };
const dripping =
  (head: string, piece: string): Behaviour =>
  (socket) => {
    socket.write(head);
    timers.add(setInterval(() => !socket.destroyed && socket.write(piece), 50));
  };

const tool = (timeoutMs: number) =>
  prepareHttpTool(
    {
      type: "http",
      name: "t",
      description: "d",
      parameters: { type: "object" },
      request: { method: "GET", url: "http://evil.internal/", headers: {}, query: {}, body: null },
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
// The hostile server is in this process too, and what it has not got rid of counts.
const MEMORY = 192 << 20;

describe("a tool's server that", () => {
  const megabyte = Buffer.alloc(1 << 20, "x");
  test.each<[string, Behaviour, number, string]>([
    [
      "streams ten gigabytes",
      endlessly(`${HEAD}content-length: 10737418240\r\n\r\n`, megabyte),
      20_000,
      "tool_response_too_large",
    ],
    ["streams without an end", endlessly(`${HEAD}\r\n`, megabyte), 20_000, "tool_response_too_large"],
    [
      "sends chunks without an end",
      endlessly(`${HEAD}transfer-encoding: chunked\r\n\r\n`, `10000\r\n${"x".repeat(65_536)}\r\n`),
      20_000,
      "tool_response_too_large",
    ],
    ["drips a body", dripping(`${HEAD}content-length: 100000\r\n\r\n`, "x"), 1_500, "tool_timeout"],
    ["drips a head", dripping("HTTP/1.1 200 OK\r\n", "x: y\r\n"), 1_500, "tool_timeout"],
    ["says nothing", () => {}, 500, "tool_timeout"],
    [
      "falls silent in a body",
      (socket) => socket.write(`${HEAD}content-length: 10\r\n\r\nfirst`),
      20_000,
      "tool_failed",
    ],
    [
      "sends a million headers",
      endlessly("HTTP/1.1 200 OK\r\n", "x-header: value\r\n".repeat(1_000)),
      20_000,
      "tool_failed",
    ],
    ["sends a header without an end", endlessly("HTTP/1.1 200 OK\r\nx: ", "y".repeat(65_536)), 20_000, "tool_failed"],
    [
      "sends a trailer without an end",
      endlessly(
        `${HEAD}transfer-encoding: chunked\r\ntrailer: x\r\n\r\n1\r\nx\r\n0\r\n`,
        "x-trailer: value\r\n".repeat(1_000),
      ),
      20_000,
      "tool_failed",
    ],
    [
      "sends a chunk's extension without an end",
      endlessly(`${HEAD}transfer-encoding: chunked\r\n\r\n1;x=`, "y".repeat(65_536)),
      20_000,
      "tool_failed",
    ],
    [
      "sends early hints without an end",
      endlessly("", "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\n".repeat(100)),
      1_500,
      "tool_timeout",
    ],
    [
      "changes to another protocol",
      (socket) => socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"),
      20_000,
      "tool_failed",
    ],
    ["speaks no HTTP", endlessly("SSH-2.0-OpenSSH_9.6\r\n", "x".repeat(1_000)), 20_000, "tool_failed"],
    ["hangs up", (socket) => socket.destroy(), 20_000, "tool_failed"],
    [
      "has two lengths",
      (socket) => socket.end(`${HEAD}content-length: 5\r\ncontent-length: 6\r\n\r\nhello!`),
      20_000,
      "tool_failed",
    ],
    [
      "has a length and chunks",
      (socket) => socket.end(`${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n`),
      20_000,
      "tool_failed",
    ],
  ])("%s: the call ends within its limits", async (_name, behaviour, timeoutMs, code) => {
    behave = behaviour;
    let found: unknown;
    const grown = await growth(async () => {
      found = await tool(timeoutMs).call({}, callContext());
    });
    expect(found).toMatchObject({ isError: true, code });
    expect(grown).toBeLessThan(MEMORY);
  });
});

describe("a compressed body", () => {
  const request = {
    method: "GET",
    url: "http://evil.internal/",
    headers: {},
    body: null,
    decompress: { maxBytes: 8 << 20, maxRatio: 100 },
  };
  const read = async () => {
    const response = await egress.request({ ...request, signal: AbortSignal.timeout(20_000) });
    let size = 0;
    for await (const chunk of response.body) size += (chunk as Buffer).length;
    return size;
  };
  const zeros = Buffer.alloc(128 << 20);
  const sends =
    (encoding: string, body: Buffer): Behaviour =>
    (socket) => {
      socket.write(`${HEAD}content-encoding: ${encoding}\r\ncontent-length: ${body.length}\r\n\r\n`);
      socket.end(body);
    };

  test.each<[string, Behaviour]>([
    ["a gzip bomb of 1 to 1,000", sends("gzip", gzipSync(zeros))],
    ["a brotli bomb", sends("br", brotliCompressSync(zeros, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } }))],
    ["gzip without an end", endlessly(`${HEAD}content-encoding: gzip\r\n\r\n`, gzipSync(Buffer.alloc(1 << 20)))],
  ])("that is %s is cut", async (_name, behaviour) => {
    behave = behaviour;
    const grown = await growth(() => expect(read()).rejects.toThrow(DecompressionLimit));
    expect(grown).toBeLessThan(MEMORY);
  });

  test("of six encodings is refused before a byte of it is read", async () => {
    behave = sends("gzip, gzip, gzip, gzip, gzip, gzip", gzipSync("x"));
    await expect(read()).rejects.toThrow(EncodingRefused);
  });
});
