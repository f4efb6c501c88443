import { createServer, type IncomingMessage, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { OPEN_POLICY } from "@maru/domain";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openEgress } from "../testing/context.ts";
import { HOSTILE_ADDRESSES, HOSTILE_NAMES, HOSTILE_URLS } from "../testing/hostile-urls.ts";
import { blockedBy, EgressBlocked, PolicyDenied, RedirectFailed, RedirectRefused } from "./errors.ts";
import type { EgressRequest } from "./index.ts";
import { followed, type Hop } from "./redirect.ts";

interface Seen {
  readonly method: string | undefined;
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

let servers: Server[] = [];
let egress: ReturnType<typeof openEgress>;
let seen: Seen[] = [];
let inside = 0;
let insidePort = 0;
/** Answers of the open server by path. */
let answers: Record<string, { status: number; location?: string }> = {};

beforeAll(async () => {
  const open = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    seen.push({ method: request.method, url: `${request.headers.host}${request.url}`, headers: request.headers, body });
    const { status, location } = answers[request.url ?? ""] ?? { status: 200 };
    response.writeHead(status, location === undefined ? {} : { location });
    response.end("here");
  });
  const closed = createServer((_request, response) => response.end("inside"));
  closed.on("connection", () => inside++);
  servers = [open, closed];
  for (const server of servers) await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const origin = `http://127.0.0.1:${(open.address() as AddressInfo).port}`;
  insidePort = (closed.address() as AddressInfo).port;
  egress = openEgress({
    allow: {
      "a.internal": origin,
      "b.internal": origin,
      "gone.internal": "http://127.0.0.1:1",
      "denied.internal": origin,
    },
    policy: async () => ({ ...OPEN_POLICY, egress: { allow: null, deny: ["denied.internal"] } }),
    resolve: async () => {
      throw new Error("no test may resolve");
    },
  });
});
beforeEach(() => {
  seen = [];
  inside = 0;
  answers = {};
});
afterAll(async () => {
  await egress.close();
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

const go = (over: Partial<EgressRequest> = {}, path = "/0") =>
  egress.request({
    method: "GET",
    url: `http://a.internal${path}`,
    headers: {},
    body: null,
    signal: AbortSignal.timeout(10_000),
    redirects: { max: 3, sensitive: [] },
    ...over,
  });

describe("a redirect", () => {
  test("is followed three times, and the answer says where it is from", async () => {
    answers = {
      "/0": { status: 302, location: "/1" },
      "/1": { status: 301, location: "http://b.internal/2" },
      "/2": { status: 308, location: "//a.internal/3?q=1#part" },
    };
    const response = await go();
    expect([response.statusCode, await response.body.text(), response.finalUrl]).toEqual([
      200,
      "here",
      "http://a.internal/3?q=1",
    ]);
    expect(seen.map(({ url }) => url)).toEqual(["a.internal/0", "a.internal/1", "b.internal/2", "a.internal/3?q=1"]);
  });

  test("is an answer where nobody asked to follow, and where it can't be followed", async () => {
    answers = { "/0": { status: 302, location: "/1" }, "/1": { status: 302 }, "/2": { status: 304, location: "/1" } };
    for (const [path, over] of [
      ["/0", {}],
      ["/1", { redirects: { max: 3, sensitive: [] } }],
      ["/2", { redirects: { max: 3, sensitive: [] } }],
    ] as const) {
      seen = [];
      const response = await egress.request({
        method: "GET",
        url: `http://a.internal${path}`,
        headers: {},
        body: null,
        signal: AbortSignal.timeout(10_000),
        ...over,
      });
      await response.body.dump();
      expect([seen.length, response.finalUrl]).toEqual([1, `http://a.internal${path}`]);
    }
  });

  test.each([0, 1, 3, 99])("is one too many after %i, or after three", async (max) => {
    answers = { "/0": { status: 302, location: "/0" } };
    await expect(go({ redirects: { max, sensitive: [] } })).rejects.toThrow(RedirectRefused);
    expect(seen).toHaveLength(Math.min(max, 3) + 1);
  });

  test("that leads nowhere does not look like a request that was not sent", async () => {
    answers = { "/0": { status: 303, location: "http://gone.internal/" } };
    const error = await go({ method: "POST", body: "x" }).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(RedirectFailed);
    expect((error as Error).cause).toBeUndefined();
  });

  test("to a host the workspace denies is not followed", async () => {
    answers = { "/0": { status: 302, location: "http://denied.internal/1" } };
    await expect(go()).rejects.toThrow(PolicyDenied);
    expect(seen).toHaveLength(1);
  });
});

describe("a redirect never leads to", () => {
  const locations = [
    ...[...HOSTILE_ADDRESSES, ...HOSTILE_NAMES].flatMap((host) => [`http://${host}:INSIDE/`, `https://${host}/`]),
    // An empty one is the same place again.
    ...HOSTILE_URLS.filter((url) => url !== ""),
  ];
  test.each(locations.map((location) => [location]))("%j", async (location) => {
    const target = location.replace("INSIDE", String(insidePort)).replace("127.0.0.1/", `127.0.0.1:${insidePort}/`);
    // What a header can't carry a server can't send.
    answers = { "/0": { status: 302, location: Buffer.from(target.replace(/[\r\n]/g, "")).toString("latin1") } };
    const error = await go().then(
      async (response) => {
        await response.body.dump();
        return response.finalUrl;
      },
      (reason: unknown) => reason,
    );
    // Handed back as it is, gone on with on the same host where it was a path, or refused: nothing else was connected to.
    if (typeof error === "string") expect(new URL(error).host).toBe("a.internal");
    else if (!(error instanceof RedirectFailed)) expect(blockedBy(error)).toMatchObject({ afterRedirect: true });
    else expect(error.reason).toMatchObject({ message: "no test may resolve" });
    expect(inside).toBe(0);
  });

  test("anything from https to http", () => {
    const hop: Hop = { method: "GET", url: "https://a.example/", headers: {}, body: null };
    const answer = { statusCode: 302, headers: { location: "http://a.example/" } };
    expect(() => followed(hop, answer, { max: 3, sensitive: [] }, 0)).toThrow(RedirectRefused);
  });
});

describe("what goes along", () => {
  const secrets = {
    Authorization: "Bearer s3cret",
    cookie: "a=b",
    "Proxy-Authorization": "Basic x",
    "X-Api-Key": "s3cret",
    "content-type": "application/json",
    "x-other": "kept",
  };
  const sent = async (location: string, over: Partial<EgressRequest> = {}) => {
    answers = { "/0": { status: 307, location } };
    const response = await go({
      method: "POST",
      headers: secrets,
      body: "{}",
      redirects: { max: 3, sensitive: ["x-api-key"] },
      ...over,
    });
    await response.body.dump();
    return seen;
  };

  test("to the same origin: everything", async () => {
    const [, second] = await sent("/1");
    expect(second).toMatchObject({ method: "POST", body: "{}" });
    expect(second?.headers).toMatchObject({
      authorization: "Bearer s3cret",
      cookie: "a=b",
      "x-api-key": "s3cret",
      "x-other": "kept",
    });
  });

  test("to another origin: no header that carries a secret, and back again neither", async () => {
    answers = { "/1": { status: 307, location: "http://a.internal/2" } };
    answers["/0"] = { status: 307, location: "http://b.internal/1" };
    const response = await go({ headers: secrets, redirects: { max: 3, sensitive: ["x-api-key"] } });
    await response.body.dump();
    expect(seen).toHaveLength(3);
    for (const { headers } of seen.slice(1)) {
      expect(headers["x-other"]).toBe("kept");
      expect(JSON.stringify(headers)).not.toMatch(/s3cret|a=b|Basic/);
    }
  });

  test("no body that carries a secret: the redirect is handed back", async () => {
    const redirects = { max: 3, sensitive: [], sensitiveBody: true };
    expect(await sent("http://b.internal/1", { redirects })).toHaveLength(1);
    seen = [];
    expect(await sent("/1", { redirects })).toHaveLength(2);
  });

  test.each([
    [301, "POST", "GET"],
    [302, "POST", "GET"],
    [303, "POST", "GET"],
    [303, "PUT", "GET"],
    [303, "DELETE", "GET"],
    [303, "HEAD", "HEAD"],
    [302, "PUT", "PUT"],
    [301, "DELETE", "DELETE"],
    [307, "POST", "POST"],
    [308, "PATCH", "PATCH"],
  ])("after %i %s: %s", async (status, method, expected) => {
    answers = { "/0": { status, location: "/1" } };
    const hasBody = method !== "HEAD" && method !== "DELETE";
    const response = await go({
      method,
      headers: hasBody ? { "content-type": "text/plain" } : {},
      body: hasBody ? "text" : null,
    });
    await response.body.dump();
    const kept = hasBody && expected === method;
    expect(seen[1]).toMatchObject({ method: expected, body: kept ? "text" : "" });
    expect(seen[1]?.headers["content-type"]).toBe(kept ? "text/plain" : undefined);
  });
});

test("a blocked redirect is told apart from a blocked request", async () => {
  answers = { "/0": { status: 302, location: "http://127.0.0.1/" } };
  await expect(go()).rejects.toMatchObject({ code: "egress_blocked", afterRedirect: true });
  await expect(go({ url: "http://127.0.0.1/" })).rejects.toMatchObject({ afterRedirect: false });
  await expect(go({ url: "http://127.0.0.1/" })).rejects.toThrow(EgressBlocked);
});
