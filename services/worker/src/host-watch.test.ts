import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { simulatedHost } from "@maru/model";
import { pino } from "pino";
import { afterEach, expect, test } from "vitest";
import { createHostWatch } from "./host-watch.ts";

const LISTED = "LGAI-EXAONE/K-EXAONE-236B-A23B";
let server: Server;
let close = () => {};
afterEach(async () => {
  close();
  server.closeAllConnections();
  await new Promise((done) => server.close(done));
});

/** Watches a host whose lists are `lists`, one a look and the last for ever; answers what was recorded after so many looks. */
async function watched(lists: (string[] | string | number)[], looks: number): Promise<[string, string | null][]> {
  let asked = 0;
  server = createServer((_request, response) => {
    const list = lists[Math.min(asked++, lists.length - 1)];
    if (typeof list === "number") response.writeHead(list).end();
    else if (typeof list === "string") response.end(list);
    else response.end(JSON.stringify({ object: "list", data: list?.map((id) => ({ id })) }));
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const host = simulatedHost(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const noted: [string, string | null][] = [];
  const watch = createHostWatch({
    hosts: [{ ...host, models: { "k-exaone": null, "glm-4.7": null } }],
    store: { withdraw: async (id, reason) => noted.push([id, reason]) > 0 },
    logger: pino({ level: "silent" }),
    lookMs: 5,
  });
  close = () => watch.close();
  watch.start();
  while (asked <= looks) await new Promise((done) => setTimeout(done, 5));
  return noted.slice(0, looks);
}

test("E5: a model that was listed and is no longer is withdrawn, and is back when it is listed again", async () => {
  expect(await watched([[LISTED], ["other"], [LISTED]], 3)).toEqual([
    ["k-exaone", null],
    ["k-exaone", `Its host no longer lists ${LISTED}.`],
    ["k-exaone", null],
  ]);
});

test("a model that never was on the list tells nothing, nor does a list that can't be read", async () => {
  expect(await watched([["other"], 500, "no json", "[]", "{}"], 6)).toEqual([]);
  close();
  server.closeAllConnections();
  expect(await watched([[LISTED], 500, [], "{}"], 4)).toEqual([["k-exaone", null]]);
});
