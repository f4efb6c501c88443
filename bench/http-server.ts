// Answers http-tool.ts from a thread of its own, so that it does not take the time it measures.

import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { parentPort } from "node:worker_threads";

const list = (items: number): string =>
  JSON.stringify(
    {
      items: Array.from({ length: items }, (_, id) => ({
        id: 1_000_000 + id,
        name: `Item ${id}`,
        tags: ["a", "b"],
        price: 9.5,
      })),
      next: null,
    },
    null,
    2,
  );
const SMALL = list(8);
const LARGE = list(700);

const server = createServer((request, response) => {
  request.resume().on("end", () => {
    response.setHeader("content-type", "application/json").end(request.url?.startsWith("/large") ? LARGE : SMALL);
  });
});
server.listen(0, "127.0.0.1", () => parentPort?.postMessage((server.address() as AddressInfo).port));
