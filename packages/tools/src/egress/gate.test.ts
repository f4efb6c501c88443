import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { type AddressInfo, connect, type Socket } from "node:net";
import { OPEN_POLICY } from "@maru/domain";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { egressLimits } from "./config.ts";
import {
  createEgress,
  type Egress,
  EgressBlocked,
  type EgressOptions,
  type EgressRequest,
  PolicyDenied,
} from "./index.ts";

let server: Server;
let origin: string;
let handle: (request: IncomingMessage, response: ServerResponse) => void;
const opened: (() => Promise<unknown>)[] = [];
beforeEach(async () => {
  handle = (_request, response) => response.end("ok");
  server = createServer((request, response) => handle(request, response));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

function open(options: Partial<EgressOptions> = {}) {
  const gate = createEgress({
    policy: async () => OPEN_POLICY,
    allow: { "api.internal": origin, "other.internal": origin },
    ...options,
  });
  opened.push(gate.close);
  return gate;
}
const get = (egress: Egress, over: Partial<EgressRequest> = {}) =>
  egress.request({
    method: "GET",
    url: "http://api.internal/",
    headers: {},
    body: null,
    signal: AbortSignal.timeout(20_000),
    ...over,
  });
const read = async (egress: Egress, over: Partial<EgressRequest> = {}) => (await get(egress, over)).body.text();

/** Holds every request until it is let go; `arrived` settles when so many have come. */
function holding() {
  const held: ServerResponse[] = [];
  let heard = () => {};
  handle = (_request, response) => {
    held.push(response);
    heard();
  };
  return {
    held,
    arrived: async (count: number) => {
      while (held.length < count)
        await new Promise<void>((done) => {
          heard = done;
        });
    },
  };
}

describe("a workspace's policy", () => {
  test("is asked for by workspace at every request, and nothing is sent where it says no", async () => {
    let requests = 0;
    handle = (_request, response) => {
      requests++;
      response.end("ok");
    };
    const denied = new Map<string, string[]>([["a", ["api.internal"]]]);
    const gate = open({
      policy: async (id) => ({ ...OPEN_POLICY, egress: { allow: null, deny: denied.get(id) ?? [] } }),
    });
    const [a, b] = [gate.forWorkspace("a"), gate.forWorkspace("b")];
    await expect(get(a)).rejects.toThrow(PolicyDenied);
    expect(requests).toBe(0);
    expect(await read(b)).toBe("ok");
    expect(await read(a, { url: "http://other.internal/" })).toBe("ok");
    denied.set("b", ["*.internal"]);
    denied.delete("a");
    await expect(get(b)).rejects.toMatchObject({ code: "policy_denied" });
    expect(await read(a)).toBe("ok");
  });

  test("that allows hosts allows no private ones, and that can't be read allows nothing", async () => {
    const allows = open({ policy: async () => ({ ...OPEN_POLICY, egress: { allow: ["127.0.0.1"], deny: [] } }) });
    await expect(get(allows.forWorkspace("a"), { url: `${origin}/` })).rejects.toThrow(EgressBlocked);
    const broken = open({ policy: async () => Promise.reject(new Error("no database")) });
    await expect(get(broken.forWorkspace("a"))).rejects.toThrow("no database");
  });
});

describe("requests to one host", () => {
  test("are so many at a time for each workspace and origin; the others come in their order", async () => {
    const { held, arrived } = holding();
    const gate = open({ perHost: 2 });
    const egress = gate.forWorkspace("a");
    const done: number[] = [];
    const all = [0, 1, 2, 3].map(async (index) => {
      await read(egress);
      done.push(index);
    });
    await arrived(2);
    const elsewhere = read(gate.forWorkspace("b"));
    const otherHost = read(egress, { url: "http://other.internal/" });
    await arrived(4);
    expect(held).toHaveLength(4);
    for (let next = 0; next < 6; next++) {
      await arrived(next + 1);
      held[next]?.end("ok");
      if (next === 1) await Promise.all(all.slice(0, 2));
    }
    await Promise.all([...all, elsewhere, otherHost]);
    expect(done.slice(2)).toEqual([2, 3]);
  });

  test("are no more after places were handed on", async () => {
    const running: ServerResponse[] = [];
    let most = 0;
    handle = (_request, response) => {
      most = Math.max(most, running.push(response));
      // The next round trip of the same server has come and gone when its answer goes out.
      setImmediate(() => setImmediate(() => running.splice(running.indexOf(response), 1)[0]?.end("ok")));
    };
    const egress = open({ perHost: 2 }).forWorkspace("a");
    const chain = async () => {
      for (let times = 0; times < 20; times++) await read(egress);
    };
    await Promise.all(Array.from({ length: 5 }, chain));
    expect(most).toBe(2);
  });

  test("who waits is let go by the own signal, and takes no place", async () => {
    const { held, arrived } = holding();
    const egress = open({ perHost: 1 }).forWorkspace("a");
    const first = read(egress);
    await arrived(1);
    const controller = new AbortController();
    const waiting = get(egress, { signal: controller.signal });
    const third = read(egress);
    controller.abort(new Error("enough"));
    await expect(waiting).rejects.toThrow("enough");
    held[0]?.end("ok");
    await arrived(2);
    held[1]?.end("ok");
    expect(await Promise.all([first, third])).toEqual(["ok", "ok"]);
  });

  test.each<[string, (egress: Egress) => Promise<unknown>]>([
    ["whose body is left", async (egress) => (await get(egress)).body.destroy()],
    ["without a body", (egress) => get(egress, { method: "HEAD" })],
    ["that nobody reads", (egress) => get(egress)],
    [
      "that are aborted",
      (egress) => {
        const controller = new AbortController();
        const sent = get(egress, { signal: controller.signal, url: "http://api.internal/hang" });
        controller.abort();
        return sent.catch(() => {});
      },
    ],
    ["that fail", (egress) => get(egress, { url: "http://api.internal/break" }).catch(() => {})],
    ["that are refused", (egress) => get(egress, { url: "http://api.internal:22/" }).catch(() => {})],
  ])("%s keep no place", async (_name, use) => {
    handle = (request, response) => {
      if (request.url === "/break") request.socket.destroy();
      else if (request.url !== "/hang") response.end("ok");
    };
    const egress = open({ perHost: 1 }).forWorkspace("a");
    for (let times = 0; times < 3; times++) await use(egress);
    expect(await read(egress)).toBe("ok");
  });

  test("wait for nothing where another limit holds", async () => {
    const { held, arrived } = holding();
    const egress = open({ perHost: 1 }).forWorkspace("a");
    const all = [read(egress), read(egress, { unlimited: true })];
    await arrived(2);
    for (const response of held) response.end("ok");
    await Promise.all(all);
  });
});

test("a head that does not come is not waited for longer than its caller says", async () => {
  handle = () => {};
  const egress = open().forWorkspace("a");
  await expect(get(egress, { headersTimeoutMs: 200 })).rejects.toMatchObject({ code: "UND_ERR_HEADERS_TIMEOUT" });
});

describe("an operator's proxy", () => {
  /** A proxy that makes every tunnel lead to the test's own server, and notes where it was to lead. */
  async function startProxy(status = 200) {
    const asked: { to: string | undefined; credentials: string | undefined }[] = [];
    const sockets = new Set<Socket>();
    const proxy = createServer((_request, response) => response.writeHead(500).end());
    proxy.on("connect", (request: IncomingMessage, socket: Socket) => {
      asked.push({ to: request.url, credentials: request.headers["proxy-authorization"] });
      sockets.add(socket.on("error", () => {}));
      if (status !== 200) return socket.end(`HTTP/1.1 ${status} No\r\n\r\n`);
      const { port, hostname } = new URL(origin);
      const upstream = connect(Number(port), hostname, () => {
        socket.write("HTTP/1.1 200 OK\r\n\r\n");
        upstream.pipe(socket).pipe(upstream);
      });
      sockets.add(upstream.on("error", () => {}));
    });
    await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
    opened.push(async () => {
      for (const socket of sockets) socket.destroy();
      proxy.closeAllConnections();
      await new Promise((done) => proxy.close(done));
    });
    const url = new URL(`http://user:p%40ss@127.0.0.1:${(proxy.address() as AddressInfo).port}`);
    return { url, asked };
  }

  test("is asked for the address that was judged, not for the name", async () => {
    const { url, asked } = await startProxy();
    let lookups = 0;
    const resolve = async () => [{ address: lookups++ === 0 ? "8.8.8.8" : "2001:4860:4860::8888" }];
    const egress = open({ proxy: url, resolve }).forWorkspace("a");
    let seen: string | undefined;
    handle = (request, response) => {
      seen = request.headers.host;
      response.end("ok");
    };
    expect(await read(egress, { url: "http://api.example.com/" })).toBe("ok");
    expect(seen).toBe("api.example.com");
    expect(await read(egress, { url: "http://six.example.com:8080/" })).toBe("ok");
    const credentials = `Basic ${Buffer.from("user:p@ss").toString("base64")}`;
    expect(asked).toEqual([
      { to: "8.8.8.8:80", credentials },
      { to: "[2001:4860:4860::8888]:8080", credentials },
    ]);
  });

  test("is asked for nothing private, by whatever name", async () => {
    const { url, asked } = await startProxy();
    const egress = open({ proxy: url, resolve: async () => [{ address: "10.0.0.1" }] }).forWorkspace("a");
    for (const target of ["http://api.example.com/", "http://127.0.0.1/", "https://[::1]/", "http://169.254.169.254/"])
      await expect(get(egress, { url: target })).rejects.toThrow(EgressBlocked);
    expect(asked).toEqual([]);
  });

  test("is not used for the operator's own hosts, and its refusal is one to connect", async () => {
    const { url, asked } = await startProxy(403);
    const egress = open({ proxy: url, resolve: async () => [{ address: "8.8.8.8" }] }).forWorkspace("a");
    expect(await read(egress)).toBe("ok");
    expect(asked).toEqual([]);
    await expect(get(egress, { url: "http://api.example.com/" })).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("is the configuration's alone: those of the environment change nothing", async () => {
    const { url, asked } = await startProxy();
    const names = ["HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "ALL_PROXY", "NODE_USE_ENV_PROXY"];
    const before = Object.fromEntries(names.map((name) => [name, process.env[name]]));
    Object.assign(process.env, Object.fromEntries(names.map((name) => [name, url.href])), { NODE_USE_ENV_PROXY: "1" });
    try {
      const resolve = async () => [{ address: "10.0.0.1" }];
      const egress = open({ resolve }).forWorkspace("a");
      expect(await read(egress)).toBe("ok");
      await expect(get(egress, { url: "http://api.example.com/" })).rejects.toThrow(EgressBlocked);
      expect(egressLimits({}).proxy).toBeNull();
    } finally {
      for (const [name, value] of Object.entries(before))
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
    }
    expect(asked).toEqual([]);
  });
});

describe("an operator's limits", () => {
  test("are read from the environment", () => {
    expect(egressLimits({})).toEqual({ deny: [], perHost: 32, proxy: null });
    const limits = egressLimits({
      EGRESS_DENY: "8.8.8.0/24, 2620::/32",
      EGRESS_PER_HOST: "4",
      EGRESS_PROXY: "http://proxy.example:3128",
    });
    expect([limits.deny.length, limits.perHost, limits.proxy?.host]).toEqual([2, 4, "proxy.example:3128"]);
  });

  test.each([
    [{ EGRESS_DENY: "8.8.8.8/x" }, "EGRESS_DENY: 8.8.8.8/x"],
    [{ EGRESS_PER_HOST: "0" }, "EGRESS_PER_HOST"],
    [{ EGRESS_PER_HOST: "many" }, "EGRESS_PER_HOST"],
    [{ EGRESS_PROXY: "socks5://user:pass@proxy:1080" }, "EGRESS_PROXY must be"],
    [{ EGRESS_PROXY: "proxy:3128" }, "EGRESS_PROXY must be"],
  ])("%j is refused by name, without its password", (env, message) => {
    expect(() => egressLimits(env)).toThrow(message);
    expect(() => egressLimits(env)).not.toThrow("pass@");
  });
});
