import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import { openEgress } from "../testing/context.ts";
import { egressFetch } from "./index.ts";

let server: Server;
let get: (path: string, init?: RequestInit) => Promise<Response>;
let close: () => Promise<void>;
let fetchOut: typeof globalThis.fetch;

beforeAll(async () => {
  const routes: Record<string, (response: ServerResponse) => void> = {
    "/plain": (response) => response.end("plain"),
    "/gzip": (response) => response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync("zipped 서울")),
    "/broken-gzip": (response) => response.writeHead(200, { "content-encoding": "gzip" }).end("no gzip"),
    "/bomb": (response) =>
      response.writeHead(200, { "content-encoding": "gzip" }).end(gzipSync(Buffer.alloc(16 << 20))),
    "/twice": (response) => response.writeHead(200, { "content-encoding": "gzip, gzip" }).end("x"),
    "/elsewhere": (response) => response.writeHead(307, { location: "/plain" }).end(),
    "/none": (response) => response.writeHead(204).end(),
    "/hang": (response) => response.writeHead(200).write("first"),
  };
  server = createServer((request, response) => routes[request.url ?? ""]?.(response));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const egress = openEgress({
    allow: { "models.internal": `http://127.0.0.1:${(server.address() as AddressInfo).port}` },
  });
  fetchOut = egressFetch(egress);
  get = (path, init) => fetchOut(`http://models.internal${path}`, init);
  close = () => egress.close();
});
afterAll(async () => {
  await close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

test("a body is read as it is, or unzipped", async () => {
  expect(await (await get("/plain")).text()).toBe("plain");
  const zipped = await get("/gzip");
  expect([await zipped.text(), zipped.headers.get("content-encoding")]).toEqual(["zipped 서울", null]);
  await expect((await get("/broken-gzip")).text()).rejects.toThrow();
  expect([(await get("/none")).status, (await get("/none")).body]).toEqual([204, null]);
});

test("a body that is a bomb ends with an error, and one of two encodings is not begun", async () => {
  await expect((await get("/bomb")).text()).rejects.toThrow();
  await expect(get("/twice")).rejects.toThrow("gzip, gzip");
});

test("a redirect is an answer, not a way to somewhere else", async () => {
  expect((await get("/elsewhere")).status).toBe(307);
});

test("private addresses and other schemes are refused", async () => {
  for (const url of [
    "http://127.0.0.1/",
    "http://[::1]/",
    "http://169.254.169.254/latest",
    "http://10.0.0.1/",
    "http://localhost/",
  ])
    await expect(fetchOut(url)).rejects.toThrow();
});

test("an abort ends a call that hangs in its body", async () => {
  const controller = new AbortController();
  const response = await get("/hang", { signal: controller.signal });
  const reading = response.text();
  controller.abort();
  await expect(reading).rejects.toThrow();
});
