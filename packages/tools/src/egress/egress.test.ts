import { createServer, type IncomingHttpHeaders, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Agent, buildConnector } from "undici";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { openEgress } from "../testing/context.ts";
import { HOSTILE_ADDRESSES, HOSTILE_NAMES, HOSTILE_URLS } from "../testing/hostile-urls.ts";
import { guardConnect } from "./connect.ts";
import { type Egress, EgressBlocked, type EgressOptions, parseEgressAllow } from "./index.ts";
import { isPublicAddress, mayReach, parseEgressDeny, urlRefusal } from "./verdict.ts";

const servers: Server[] = [];
let port = 0;
let connections = 0;
let requests: { host: string | undefined; url: string | undefined; headers: IncomingHttpHeaders }[] = [];
const open: ReturnType<typeof openEgress>[] = [];

// Whatever spelling of these listeners gets through, it is counted.
beforeAll(async () => {
  for (const host of ["127.0.0.1", "::1"]) {
    const server = createServer((request, response) => {
      requests.push({ host: request.headers.host, url: request.url, headers: request.headers });
      if (request.url === "/redirect") response.writeHead(302, { location: `http://127.0.0.1:${port}/inside` });
      response.end("inside");
    });
    server.on("connection", () => connections++);
    await new Promise<void>((resolve) => server.listen(port, host, resolve));
    port = (server.address() as AddressInfo).port;
    servers.push(server);
  }
});
beforeEach(() => {
  connections = 0;
  requests = [];
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((egress) => egress.close()));
});
afterAll(() => {
  for (const server of servers) {
    server.closeAllConnections();
    server.close();
  }
});

function egressWith(options: Partial<EgressOptions>): Egress {
  const egress = openEgress({
    resolve: async (host) => {
      throw new Error(`no test may resolve ${host}`);
    },
    ...options,
  });
  open.push(egress);
  return egress;
}

const get = (egress: Egress, url: string) =>
  egress.request({ method: "GET", url, headers: {}, body: null, signal: AbortSignal.timeout(5_000) });

describe("what must never be connected to", () => {
  test.each([...HOSTILE_ADDRESSES, ...HOSTILE_NAMES])("http://%s", async (host) => {
    const egress = egressWith({});
    for (const url of [`http://${host}:${port}/`, `https://${host}:${port}/`, `http://${host}/`]) {
      await expect(get(egress, url)).rejects.toThrow(EgressBlocked);
      expect(urlRefusal(url, [])).toEqual(expect.any(String));
    }
    expect(connections).toBe(0);
  });

  test.each(HOSTILE_URLS)("%j", async (url) => {
    await expect(get(egressWith({}), url)).rejects.toThrow(EgressBlocked);
    expect(urlRefusal(url, [])).toEqual(expect.any(String));
    expect(connections).toBe(0);
  });

  test.each([0, 22, 23, 25, 53, 465, 587, 2375, 3306, 5432, 6379, 9200, 11211, 27017])("port %i", async (denied) => {
    await expect(get(egressWith({}), `http://example.com:${denied}/`)).rejects.toThrow(EgressBlocked);
  });

  test.each(HOSTILE_ADDRESSES.filter((host) => /^[[0-9a-f:.\]]+$/.test(host)))(
    "a name whose only address is %s",
    async (host) => {
      const address = host.replace(/[[\]]/g, "");
      await expect(
        get(egressWith({ resolve: async () => [{ address }] }), `http://name.example.com:${port}/`),
      ).rejects.toThrow(EgressBlocked);
      expect(isPublicAddress(address)).toBe(false);
      expect(connections).toBe(0);
    },
  );

  test.each([
    ["a private address after a public one", ["8.8.8.8", "127.0.0.1"]],
    ["a private address before a public one", ["127.0.0.1", "8.8.8.8"]],
    ["a mapped metadata address", ["2001:4860:4860::8888", "::ffff:a9fe:a9fe"]],
    ["no address", []],
    ["more addresses than are judged", [...Array.from({ length: 16 }, (_, index) => `8.8.8.${index}`), "127.0.0.1"]],
    ["what is not an address", ["localhost"]],
  ])("a name with %s", async (_name, answer) => {
    const resolve = async () => answer.map((address) => ({ address }));
    await expect(get(egressWith({ resolve }), `http://name.example.com:${port}/`)).rejects.toThrow(EgressBlocked);
    expect(connections).toBe(0);
  });

  test("an address the operator denies, alone or in a range, and one of this machine's own", async () => {
    const deny = parseEgressDeny(" 8.8.8.0/24, 2001:4860:4860::8844,::ffff:1.1.1.1 ");
    for (const address of ["8.8.8.8", "2001:4860:4860::8844", "::ffff:8.8.8.1", "1.1.1.1"]) {
      const egress = egressWith({ deny, resolve: async () => [{ address }] });
      await expect(get(egress, `http://name.example.com:${port}/`)).rejects.toThrow(EgressBlocked);
      expect(mayReach(address, [])).toBe(true);
    }
    expect(mayReach("8.8.4.4", deny)).toBe(true);
    expect(mayReach("8.8.4.4", [], ["192.168.1.2", "8.8.4.4"])).toBe(false);
    expect(mayReach("2001:4860::1", [], ["2001:4860:0:0:0:0:0:1"])).toBe(false);
  });

  test.each(["8.8.8", "8.8.8.8/33", "::/129", "8.8.8.8/", "8.8.8.8/8/8", "example.com", "fe80::1%eth0"])(
    "%s is no range of addresses",
    (entry) => expect(() => parseEgressDeny(`9.9.9.9,${entry}`)).toThrow(entry),
  );

  test.each(["8.8.8.8", "1.1.1.1", "100.128.0.1", "172.32.0.1", "2001:4860:4860::8888", "::ffff:8.8.8.8"])(
    "but %s is public",
    (address) => expect(isPublicAddress(address)).toBe(true),
  );
});

describe("the connection", () => {
  /** Sends every connection to the listener, so that the guard's own doing is seen without a network. */
  function guardedAgent(resolve: () => Promise<{ address: string }[]>) {
    const asked: { hostname: string; servername: string | undefined }[] = [];
    const real = buildConnector({ timeout: 3_000 });
    const connect = guardConnect({
      connect: (target, callback) => {
        asked.push({ hostname: target.hostname, servername: target.servername });
        real({ ...target, hostname: "127.0.0.1", host: "127.0.0.1", servername: "" }, callback);
      },
      resolve,
      resolveMs: 2_000,
      mayReach: isPublicAddress,
    });
    return { agent: new Agent({ connect }), asked };
  }

  test("goes to the address that was judged, and a name that changes between lookups is asked for once", async () => {
    let lookups = 0;
    const { agent, asked } = guardedAgent(async () => [{ address: lookups++ === 0 ? "8.8.8.8" : "127.0.0.1" }]);
    const origin = `http://rebind.example.com:${port}`;
    await expect(agent.request({ origin, path: "/", method: "GET" })).rejects.toThrow(EgressBlocked);
    expect(lookups).toBe(1);
    expect(asked).toEqual([{ hostname: "8.8.8.8", servername: "rebind.example.com" }]);
    await expect(agent.request({ origin, path: "/", method: "GET" })).rejects.toThrow(EgressBlocked);
    expect(asked).toHaveLength(1);
    await agent.destroy();
  });

  test("whose real peer is private is closed before a byte of the request goes out", async () => {
    const { agent } = guardedAgent(async () => [{ address: "8.8.8.8" }]);
    await expect(
      agent.request({ origin: `http://name.example.com:${port}`, path: "/secret", method: "GET" }),
    ).rejects.toThrow(EgressBlocked);
    await agent.destroy();
    expect(requests).toEqual([]);
  });

  test("to an IP literal is judged too, although nothing is looked up", async () => {
    const { agent, asked } = guardedAgent(async () => [{ address: "8.8.8.8" }]);
    for (const host of ["127.0.0.1", "[::1]", "[::ffff:7f00:1]"])
      await expect(agent.request({ origin: `http://${host}:${port}`, path: "/", method: "GET" })).rejects.toThrow(
        EgressBlocked,
      );
    await agent.destroy();
    expect(asked).toEqual([]);
    expect(connections).toBe(0);
  });

  test("a failed lookup is the lookup's error, not a verdict", async () => {
    const egress = egressWith({ resolve: async () => Promise.reject(new Error("ENOTFOUND")) });
    await expect(get(egress, "http://gone.example.com/")).rejects.toThrow("ENOTFOUND");
  });
});

describe("the operator's allow list", () => {
  const allowed = () => egressWith({ allow: { "weather.internal": `http://127.0.0.1:${port}` } });

  test("leads a name to its origin, under the name's own Host", async () => {
    const response = await get(allowed(), "http://weather.internal/now?city=a");
    expect([response.statusCode, await response.body.text()]).toEqual([200, "inside"]);
    expect(requests).toMatchObject([{ host: "weather.internal", url: "/now?city=a" }]);
  });

  test.each([
    "http://weather.internal:8080/",
    "http://x.weather.internal/",
    "http://weather.internal./",
    "http://user@weather.internal/",
    "ftp://weather.internal/",
    "http://other.internal/",
  ])("does not open %s", async (url) => {
    await expect(get(allowed(), url)).rejects.toThrow(EgressBlocked);
    expect(connections).toBe(0);
  });

  test("does not open the address it leads to", async () => {
    await expect(get(allowed(), `http://127.0.0.1:${port}/`)).rejects.toThrow(EgressBlocked);
    expect(connections).toBe(0);
  });

  test("a redirect of an allowed name is handed back, not followed", async () => {
    const response = await get(allowed(), "http://weather.internal/redirect");
    expect(response.statusCode).toBe(302);
    await response.body.dump();
    expect(requests.map(({ url }) => url)).toEqual(["/redirect"]);
  });

  test("proxies of the environment are not used", async () => {
    const before = process.env.HTTP_PROXY;
    process.env.HTTP_PROXY = "http://127.0.0.1:1";
    try {
      expect((await get(allowed(), "http://weather.internal/")).statusCode).toBe(200);
    } finally {
      if (before === undefined) delete process.env.HTTP_PROXY;
      else process.env.HTTP_PROXY = before;
    }
  });

  test("is read from text, and a bad entry is named", () => {
    expect(parseEgressAllow(" a.internal=http://127.0.0.1:8081/x , b:99=https://b.example ")).toEqual({
      "a.internal": "http://127.0.0.1:8081",
      "b:99": "https://b.example",
    });
    expect(parseEgressAllow("")).toEqual({});
    expect(() => parseEgressAllow("a.internal")).toThrow("a.internal");
  });
});
