import { createServer, type IncomingHttpHeaders, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Seen {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
  /** Of its arrival, by a monotonic clock. */
  readonly atMs: number;
}
export type Answer = (response: ServerResponse, seen: Seen, index: number) => void;

/** Stands for a gateway: answers what a test says, and keeps what it was sent. */
export async function openFakeApi() {
  const seen: Seen[] = [];
  let answer: Answer = (response) => json(response, 200, {});
  const server = createServer((request, response) => {
    let body = "";
    request.setEncoding("utf8");
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", () => {
      const { method = "", url = "", headers } = request;
      const item = { method, url, headers, body, atMs: performance.now() };
      seen.push(item);
      answer(response, item, seen.length - 1);
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    seen,
    /** Forgets what it saw, and answers so from now on. */
    answers(next: Answer) {
      seen.length = 0;
      answer = next;
    },
    close: () =>
      new Promise<void>((done) => {
        server.close(() => done());
        server.closeAllConnections();
      }),
  };
}
export type FakeApi = Awaited<ReturnType<typeof openFakeApi>>;

export function json(
  response: ServerResponse,
  status: number,
  body: unknown,
  headers: Record<string, string> = {},
): void {
  response.writeHead(status, { "content-type": "application/json", ...headers });
  response.end(body === undefined ? "" : JSON.stringify(body));
}

export function problem(
  response: ServerResponse,
  status: number,
  code: string,
  extra: object = {},
  headers: Record<string, string> = {},
): void {
  const doc = `/docs/problems#${code}`;
  response.writeHead(status, { "content-type": "application/problem+json", "x-request-id": "req-1", ...headers });
  response.end(JSON.stringify({ type: doc, title: "It did not work", status, code, instance: "req-1", doc, ...extra }));
}

/** Writes events as a gateway does; without `open` the stream ends after them. */
export function stream(
  response: ServerResponse,
  events: readonly object[],
  { open = false, located = true } = {},
): void {
  response.writeHead(200, { "content-type": "text/event-stream", ...(located ? { location: "/v1/runs/run_1" } : {}) });
  response.flushHeaders();
  for (const event of events)
    response.write(`${"seq" in event ? `id: ${event.seq}\n` : ""}event: x\ndata: ${JSON.stringify(event)}\n\n`);
  if (!open) response.end();
}
