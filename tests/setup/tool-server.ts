import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface Arrival {
  readonly method: string;
  readonly path: string;
  readonly key: string;
  readonly epoch: number;
  readonly body: string;
}

/** Answers a call, whose body was read. */
export type ToolAnswer = (request: IncomingMessage, response: ServerResponse, body: string) => void;
const ok: ToolAnswer = (_request, response) => {
  response.setHeader("content-type", "application/json").end('{"ok":true}');
};

/** A server of tools that remembers every call it got, and can be told to keep calls waiting. */
export async function openToolServer(answer = ok) {
  const arrivals: Arrival[] = [];
  let held: Promise<void> | null = null;
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", async () => {
      const { "idempotency-key": key, "x-run-epoch": epoch } = request.headers;
      arrivals.push({
        method: String(request.method),
        path: String(request.url),
        key: String(key ?? ""),
        epoch: Number(epoch),
        body,
      });
      await held;
      answer(request, response, body);
    });
    request.on("error", () => {});
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    arrivals,
    /** Answers nothing until the answered function is called. */
    hold(): () => void {
      let release = () => {};
      held = new Promise((done) => {
        release = done;
      });
      return () => {
        held = null;
        release();
      };
    },
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
export type ToolServer = Awaited<ReturnType<typeof openToolServer>>;
