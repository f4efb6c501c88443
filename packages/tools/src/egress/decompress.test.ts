import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { brotliCompressSync, constants, deflateSync, gzipSync, zstdCompressSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEgress } from "../testing/context.ts";
import { decompressed, encodingOf } from "./decompress.ts";
import { DecompressionLimit, EncodingRefused } from "./errors.ts";

const TEXT = "서울의 날씨: 맑음. ".repeat(200);
const ENCODED = {
  gzip: gzipSync(TEXT),
  "x-gzip": gzipSync(TEXT),
  deflate: deflateSync(TEXT),
  br: brotliCompressSync(TEXT),
  zstd: zstdCompressSync(TEXT),
} as const;
const CAPS = { maxBytes: 1_048_576, maxRatio: 1_000 };

let server: Server;
let egress: ReturnType<typeof openEgress>;
let accepted: string | undefined;
let reply: { encoding?: string; body: Buffer } = { body: Buffer.alloc(0) };
beforeAll(async () => {
  server = createServer((request, response) => {
    accepted = String(request.headers["accept-encoding"]);
    response.writeHead(200, reply.encoding === undefined ? {} : { "content-encoding": reply.encoding });
    response.end(reply.body);
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  egress = openEgress({ allow: { "api.internal": `http://127.0.0.1:${(server.address() as AddressInfo).port}` } });
});
afterAll(async () => {
  await egress.close();
  server.closeAllConnections();
  server.close();
});

const get = (decompress = CAPS) =>
  egress.request({
    method: "GET",
    url: "http://api.internal/",
    headers: { "accept-encoding": "identity" },
    body: null,
    signal: AbortSignal.timeout(10_000),
    decompress,
  });

test.each(Object.entries(ENCODED))("a body in %s is read as it was", async (encoding, body) => {
  for (const written of [encoding, encoding.toUpperCase(), ` ${encoding} , identity`]) {
    reply = { encoding: written, body };
    const response = await get();
    expect(response.headers).not.toHaveProperty("content-encoding");
    expect(response.headers).not.toHaveProperty("content-length");
    expect(await text(response.body)).toBe(TEXT);
  }
  expect(accepted).toBe("gzip, deflate, br, zstd");
});

test("a body without an encoding is left as it is", async () => {
  for (const encoding of [undefined, "identity", ""]) {
    reply = { ...(encoding === undefined ? {} : { encoding }), body: Buffer.from("plain") };
    expect(await text((await get()).body)).toBe("plain");
  }
});

test.each([
  "gzip, gzip",
  "gzip, br",
  "gzip,gzip,gzip,gzip,gzip,gzip",
  "compress",
  "gzip, unknown",
  "constructor",
  "exi",
])("a body in %s is refused", async (encoding) => {
  reply = { encoding, body: gzipSync(gzipSync("x")) };
  await expect(get()).rejects.toThrow(EncodingRefused);
  expect(() => encodingOf(encoding.split(","))).toThrow(EncodingRefused);
});

test.each(["gzip", "deflate", "br", "zstd"] as const)(
  "a body that is no %s, or only the beginning of it, ends with an error",
  async (encoding) => {
    for (const body of [Buffer.from("not compressed at all"), ENCODED[encoding].subarray(0, 20)]) {
      reply = { encoding, body };
      await expect(text((await get()).body)).rejects.toThrow();
    }
  },
);

test("a body ends at the cap of bytes, to the byte", async () => {
  const body = gzipSync(Buffer.alloc(100_000, "ab"));
  reply = { encoding: "gzip", body };
  expect((await text((await get({ maxBytes: 100_000, maxRatio: 10_000 })).body)).length).toBe(100_000);
  await expect(text((await get({ maxBytes: 99_999, maxRatio: 10_000 })).body)).rejects.toThrow(DecompressionLimit);
});

const bomb = Buffer.alloc(64 << 20);
test.each([
  ["gzip", () => gzipSync(bomb)],
  ["deflate", () => deflateSync(bomb)],
  ["br", () => brotliCompressSync(bomb, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } })],
  ["zstd", () => zstdCompressSync(bomb)],
] as const)("a bomb in %s ends at the cap of its ratio, before it is large", async (encoding, make) => {
  const body = make();
  const read = decompressed(Readable.from([body]), encoding, { maxBytes: 1 << 30, maxRatio: 100 });
  let size = 0;
  await expect(
    (async () => {
      for await (const chunk of read) size += (chunk as Buffer).length;
    })(),
  ).rejects.toThrow(DecompressionLimit);
  // The whole of a small body may have been given to the decoder: as much as a hundred times it can come out.
  expect(size).toBeLessThan(Math.max(1 << 20, body.length * 100));
});

test("a small body may be of one letter", async () => {
  reply = { encoding: "gzip", body: gzipSync("a".repeat(60_000)) };
  expect((await text((await get({ maxBytes: 100_000, maxRatio: 10 })).body)).length).toBe(60_000);
});
