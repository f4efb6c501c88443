import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Egress } from "../egress/index.ts";
import { openEgress } from "./egress.ts";

export interface Seen {
  readonly method: string | undefined;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

/** A loopback server that answers as it is told to, and a guard that lets requests for some names through to it. */
export interface TestServer {
  readonly egress: Egress;
  readonly seen: Seen[];
  /** Of all requests from here on; what was seen is forgotten. */
  answer(how: (request: Seen, response: ServerResponse) => void): void;
  close(): Promise<void>;
}

export async function openServer(hosts: readonly string[]): Promise<TestServer> {
  const seen: Seen[] = [];
  let answer: (request: Seen, response: ServerResponse) => void = (_request, response) => response.end("ok");
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const arrived = { method: request.method, url: request.url ?? "", headers: request.headers, body };
    seen.push(arrived);
    answer(arrived, response);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const egress = openEgress({
    allow: {
      ...Object.fromEntries(hosts.map((host) => [host, origin])),
      "closed.example.com": "http://127.0.0.1:1",
    },
    resolve: async () => [{ address: "10.0.0.7" }],
    // A machine that stands still must not look like a server that is away.
    connectTimeoutMs: 20_000,
  });
  return {
    egress,
    seen,
    answer(how) {
      seen.length = 0;
      answer = how;
    },
    async close() {
      await egress.close();
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
