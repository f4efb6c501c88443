import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";
import { openStore } from "@maru/store";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
  await house.deploy(person, manifest("weather"));
});
afterAll(() => house?.close());

/** Postgres behind a wire that can be cut after it took a statement and before its answer comes through. */
async function openWire(url: string) {
  const target = new URL(url);
  const { hostname, port } = target;
  const sockets = new Set<Socket>();
  let cutAfter: RegExp | null = null;
  let cut = 0;
  const server = createServer((client) => {
    const upstream = connect(Number(port), hostname);
    let dropping = false;
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on("error", () => {});
    }
    client.on("data", (data) => {
      if (cutAfter?.test(data.toString("latin1"))) {
        cutAfter = null;
        dropping = true;
      }
      upstream.write(data);
    });
    upstream.on("data", (data) => {
      if (!dropping) return void client.write(data);
      cut++;
      client.destroy();
      upstream.destroy();
    });
    client.on("close", () => upstream.end());
    upstream.on("close", () => client.destroy());
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  target.port = String(typeof address === "object" && address !== null ? address.port : 0);
  return {
    url: target.href,
    cuts: () => cut,
    cutAfter: (text: RegExp) => {
      cutAfter = text;
    },
    close: () => {
      for (const socket of sockets) socket.destroy();
      server.close();
    },
  };
}

test("a batch whose answer is lost is not written twice", async () => {
  const wire = await openWire(house.database.runtimeUrl);
  const store = await openStore({ url: wire.url });
  try {
    const claims = [];
    for (let number = 0; number < 6; number++) {
      const { body } = await house.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "weather", input: `hello ${number}` },
      });
      const claim = await store.journal.claim(person.workspaceId, body.id, 60_000, 5);
      if ("ended" in claim) throw new Error("not claimed");
      claims.push(claim);
    }
    // The first two go alone; the others gather meanwhile and are one batch.
    wire.cutAfter(/note 4.*note 5/s);
    const writes = await Promise.allSettled(
      claims.map((claim, number) =>
        store.journal.write(claim, {
          done: [],
          start: [],
          events: [{ type: `note ${number}`, data: {} }],
          usage: null,
          reserveTokens: 0,
          end: null,
        }),
      ),
    );
    expect(wire.cuts()).toBe(1);
    const rows = await house.database.query<{ type: string; count: number }>(
      "SELECT type, count(*)::int AS count FROM run_events WHERE type LIKE 'note %' GROUP BY type ORDER BY type",
    );
    expect(rows.map(({ count }) => count)).toEqual([1, 1, 1, 1, 1, 1]);
    expect(writes.slice(0, 2).map(({ status }) => status)).toEqual(["fulfilled", "fulfilled"]);
  } finally {
    await store.close();
    wire.close();
  }
});
