import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { delimiter, join, resolve } from "node:path";
import { text } from "node:stream/consumers";
import { parseOrigins } from "@maru/gateway";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { build, bundle } from "../../packages/sdk/scripts/build.ts";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

const ORIGIN = "https://app.example";

/** A Chromium on PATH, if there is one. */
const chromium = (process.env.PATH ?? "")
  .split(delimiter)
  .flatMap((folder) => ["chromium", "chromium-browser", "google-chrome"].map((name) => join(folder, name)))
  .find((path) => existsSync(path));

describe("a page of an allowed origin", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres", { corsOrigins: [ORIGIN, "http://localhost:5173"] });
    person = await house.register();
    await house.deploy(person, manifest("weather"));
  });
  afterAll(() => house?.close());
  const ask = (method: string, path: string, headers: Record<string, string>) =>
    fetch(new URL(path, house.url), { method, headers });

  test("is told what it may send, without a key", async () => {
    const wanted = {
      origin: ORIGIN,
      "access-control-request-method": "POST",
      "access-control-request-headers": "authorization,content-type,idempotency-key",
    };
    const { status, headers } = await ask("OPTIONS", "/v1/runs", wanted);
    expect(status).toBe(204);
    expect(headers.get("access-control-allow-origin")).toBe(ORIGIN);
    expect(headers.get("access-control-allow-headers")).toBe(wanted["access-control-request-headers"]);
    expect(headers.get("access-control-allow-methods")).toBe("GET, HEAD, POST, PUT, PATCH, DELETE");
    expect(headers.get("access-control-allow-credentials")).toBeNull();
    expect(headers.get("vary")).toContain("Origin");
  });

  test("reads replies, problems and streams of events, and their headers", async () => {
    const headers = { origin: ORIGIN, authorization: `Bearer ${person.key}` };
    const run = await house.run(person, "weather", "hi");
    for (const [path, key, status] of [
      ["/v1/auth/me", headers.authorization, 200],
      ["/v1/auth/me", "Bearer nobody", 401],
      ["/v1/nowhere", headers.authorization, 404],
      [`/v1/runs/${run.id}/events`, headers.authorization, 200],
    ] as const) {
      const reply = await ask("GET", path, { ...headers, authorization: key });
      await reply.text();
      expect([path, reply.status]).toEqual([path, status]);
      expect(reply.headers.get("access-control-allow-origin")).toBe(ORIGIN);
      const exposed = reply.headers.get("access-control-expose-headers") ?? "";
      for (const name of ["retry-after", "ratelimit", "etag", "x-request-id", "idempotency-replayed"])
        expect(exposed.split(", ")).toContain(name);
    }
  });

  test("of another origin is told nothing", async () => {
    for (const origin of ["https://evil.example", "https://app.example.evil.example", "http://app.example", "null"]) {
      for (const method of ["GET", "OPTIONS"]) {
        const { headers } = await ask(method, "/v1/models", { origin, "access-control-request-method": "GET" });
        expect([origin, headers.get("access-control-allow-origin")]).toEqual([origin, null]);
      }
    }
  });
});

test.each([
  "https://app.example/",
  "app.example",
  "https://app.example/path",
  "https://*.example",
  "null",
  "https://app.example;b",
])("CORS_ORIGINS is refused with %s", (entry) => {
  expect(() => parseOrigins(`${ORIGIN}, ${entry}`)).toThrow(`CORS_ORIGINS: ${entry} is no origin`);
  expect(parseOrigins(` ${ORIGIN} ,*`)).toEqual([ORIGIN, "*"]);
});

test("without CORS_ORIGINS no page may call the API", async () => {
  const house = await openHouse("postgres", { worker: false });
  try {
    const { headers } = await fetch(new URL("/v1/models", house.url), { headers: { origin: ORIGIN } });
    expect(headers.get("access-control-allow-origin")).toBeNull();
  } finally {
    await house.close();
  }
});

test.skipIf(chromium === undefined)(
  "the SDK deploys, runs and follows events in Chromium, from a page of another origin",
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "maru-browser-"));
    const house = await openHouse("postgres", { corsOrigins: ["*"] });
    symlinkSync(resolve("packages/sdk/node_modules"), join(folder, "node_modules"));
    const sdk = await bundle(build(join(folder, "sdk")), false);
    const person = await house.register();
    const script = `
      const client = maru.createClient({ baseUrl: ${JSON.stringify(house.url)}, apiKey: ${JSON.stringify(person.key)} });
      const tell = (result) => fetch("/told", { method: "POST", body: JSON.stringify(result) });
      (async () => {
        const deployed = await client.deployments.deploy(${JSON.stringify(manifest("weather"))});
        const types = [];
        const stream = client.runs.stream({ deployment: "weather", input: "hi" });
        for await (const event of stream) types.push(event.type);
        const { run, text } = await stream.result();
        const refused = await client.runs.get("run_nothing").catch((error) => [error instanceof maru.MaruError, error.status, error.requestId !== undefined]);
        return { deployed: deployed.revision, types, refused, told: run.status === "completed" && text.length > 0 };
      })().then(tell, (error) => tell({ error: String(error), stack: error.stack }));
    `;
    const told = Promise.withResolvers<Record<string, unknown>>();
    const site = createServer((request, response) => {
      if (request.url !== "/told")
        return void response
          .setHeader("content-type", "text/html")
          .end(`<script>${sdk}</script><script>${script}</script>`);
      text(request).then((body) => told.resolve(JSON.parse(body)), told.reject);
      response.end();
    }).listen(0, "127.0.0.1");
    await once(site, "listening");
    const { port } = site.address() as AddressInfo;
    const args = [
      "--headless",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      `--user-data-dir=${join(folder, "profile")}`,
    ];
    const browser = spawn(String(chromium), [...args, `http://127.0.0.1:${port}/`], {
      stdio: "ignore",
      detached: true,
    });
    browser.on("error", told.reject);
    browser.on("exit", () => told.reject(new Error("Chromium ended")));
    try {
      const result = await told.promise;
      expect(result).toMatchObject({ deployed: 1, refused: [true, 404, true], told: true });
      expect(result.types).toEqual(expect.arrayContaining(["delta", "step.finished"]));
    } finally {
      site.close();
      if (browser.pid !== undefined) process.kill(-browser.pid, "SIGKILL");
      await house.close();
      rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
    }
  },
);
