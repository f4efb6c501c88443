import { Agent } from "undici";
import { afterEach, expect, test } from "vitest";
import { openEgress } from "../testing/context.ts";
import { type DnsAnswer, startDns } from "../testing/dns.ts";
import { guardConnect } from "./connect.ts";
import { EgressBlocked, NameNotResolved } from "./errors.ts";
import { createResolve } from "./resolve.ts";
import { isPublicAddress } from "./verdict.ts";

const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

/** The guard over a name server of the test's own; connections are noted and never made. */
async function world(answer: (name: string, type: string, count: number) => DnsAnswer) {
  const dns = await startDns(answer);
  const connected: string[] = [];
  const resolve = createResolve(dns.resolver);
  const agent = new Agent({
    connect: guardConnect({
      connect: ({ hostname }, callback) => {
        connected.push(hostname);
        callback(new Error("noted"), null);
      },
      resolve,
      resolveMs: 2_000,
      mayReach: isPublicAddress,
    }),
  });
  opened.push(dns.close, () => agent.destroy());
  const call = async (host: string): Promise<unknown> =>
    agent.request({ origin: `http://${host}`, path: "/", method: "GET" }).catch((error: unknown) => error);
  return { call, connected, asked: dns.asked, resolve };
}
const only = (type: string, records: Record<string, readonly string[]>): DnsAnswer =>
  (records[type] ?? []).map((data) => ({ type: type as "A" | "AAAA", data }));

test("a name that is public, then private: what was judged is what is connected to, and it is judged every time", async () => {
  const it = await world((_name, type, count) => only(type, { A: [count % 2 === 1 ? "8.8.8.8" : "127.0.0.1"] }));
  expect(await it.call("rebind.example.com")).toMatchObject({ message: "noted" });
  expect(it.asked("rebind.example.com", "A")).toBe(1);
  expect(await it.call("rebind.example.com")).toBeInstanceOf(EgressBlocked);
  expect(it.asked("rebind.example.com", "A")).toBe(2);
  expect(await it.call("rebind.example.com")).toMatchObject({ message: "noted" });
  expect(it.connected).toEqual(["8.8.8.8", "8.8.8.8"]);
});

test.each<[string, Record<string, readonly string[]>]>([
  ["private", { A: ["127.0.0.1"] }],
  ["public and private", { A: ["8.8.8.8", "10.0.0.1"] }],
  ["public, and private in the other family", { A: ["8.8.8.8"], AAAA: ["::1"] }],
  ["a mapped metadata address", { AAAA: ["::ffff:a9fe:a9fe"] }],
  ["a mapped loopback address beside a public one", { A: ["8.8.8.8"], AAAA: ["::ffff:7f00:1"] }],
  ["a translated one", { AAAA: ["64:ff9b::a9fe:a9fe"] }],
  ["a 6to4 one", { AAAA: ["2002:7f00:1::"] }],
  ["a link-local one", { AAAA: ["fe80::1"] }],
  ["more than are judged", { A: Array.from({ length: 17 }, (_, index) => `8.8.8.${index}`) }],
])("a name whose addresses are %s is not connected to", async (_name, records) => {
  const it = await world((_host, type) => only(type, records));
  expect(await it.call("name.example.com")).toBeInstanceOf(EgressBlocked);
  expect(it.connected).toEqual([]);
});

test.each(["127.0.0.1.nip.example", "localhost.example.com"])(
  "%s, an alias of localhost, is not connected to",
  async (host) => {
    const it = await world((name, type) =>
      type === "A" && name === host
        ? [
            { type: "CNAME", data: "localhost" },
            { type: "A", name: "localhost", data: "127.0.0.1" },
          ]
        : [],
    );
    expect(await it.call(host)).toBeInstanceOf(EgressBlocked);
    expect(it.connected).toEqual([]);
  },
);

test("IPv4 is tried first, and one family that fails does not matter", async () => {
  const both = await world((_name, type) => only(type, { A: ["8.8.8.8"], AAAA: ["2001:4860:4860::8888"] }));
  await both.call("both.example.com");
  expect(both.connected).toEqual(["8.8.8.8"]);
  const broken = await world((_name, type) =>
    type === "A" ? "failure" : only(type, { AAAA: ["2001:4860:4860::8888"] }),
  );
  await broken.call("six.example.com");
  expect(broken.connected).toEqual(["2001:4860:4860::8888"]);
});

test("a name without addresses is not found; one whose server fails may be there another time", async () => {
  const gone = await world(() => []);
  expect(await gone.call("gone.example.com")).toMatchObject({ name: "NameNotResolved", code: "ENOTFOUND" });
  const broken = await world(() => "failure");
  expect(await broken.call("broken.example.com")).toMatchObject({ name: "NameNotResolved", code: "EAI_AGAIN" });
});

test("a server that says nothing is not waited for", async () => {
  const { resolve } = await world(() => "silence");
  await expect(resolve("silent.example.com")).rejects.toMatchObject({ code: "EAI_AGAIN" });
  const egress = openEgress({ resolve: () => new Promise(() => {}), resolveMs: 20 });
  opened.push(egress.close);
  const request = { method: "GET", url: "http://endless.example.com/", headers: {}, body: null };
  await expect(egress.request({ ...request, signal: AbortSignal.timeout(60_000) })).rejects.toThrow(NameNotResolved);
});
