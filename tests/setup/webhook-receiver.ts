import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";
import { Webhook } from "standardwebhooks";

/** One message as it arrived. */
export interface Message {
  readonly path: string;
  readonly id: string;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read the fields they assert
  readonly body: any;
}
/** The status to answer with and headers of it, or `silent`: no answer at all. */
export type Answer = number | "silent" | { readonly status: number; readonly headers: Record<string, string> };

/** A receiver of webhooks that remembers every message; what it answers is decided a path and a message. */
export async function openWebhookReceiver() {
  const messages: Message[] = [];
  const answers = new Map<string, (message: Message) => Answer>();
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => {
      text += chunk;
    });
    request.on("error", () => {});
    request.on("end", () => {
      const path = String(request.url);
      const { headers } = request;
      const message = { path, id: String(headers["webhook-id"]), headers, text, body: JSON.parse(text) };
      messages.push(message);
      const answer = answers.get(path)?.(message) ?? 204;
      if (answer === "silent") return;
      if (typeof answer === "number") response.writeHead(answer).end();
      else response.writeHead(answer.status, answer.headers).end();
    });
  });
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return {
    origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    messages,
    /** What came to a path so far. */
    at: (path: string) => messages.filter((message) => message.path === path),
    /** Decides answers at a path from now on; 204 by default. */
    answer(path: string, decide: (message: Message) => Answer): void {
      answers.set(path, decide);
    },
    async close(): Promise<void> {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
    },
  };
}
export type WebhookReceiver = Awaited<ReturnType<typeof openWebhookReceiver>>;

/** The body, if the official library takes the message as one signed with the secret. @throws WebhookVerificationError */
export function verified(secret: string, { headers, text }: Message): unknown {
  return new Webhook(secret).verify(text, {
    "webhook-id": String(headers["webhook-id"]),
    "webhook-timestamp": String(headers["webhook-timestamp"]),
    "webhook-signature": String(headers["webhook-signature"]),
  });
}

/** Puts the database's clock under the test's control, from now on; answers the function that moves it on. */
export async function movableClock(database: {
  query(sql: string, parameters?: unknown[]): Promise<unknown>;
}): Promise<(interval: string) => Promise<void>> {
  await database.query("CREATE TABLE test_clock (ahead interval NOT NULL)");
  await database.query("GRANT SELECT ON test_clock TO PUBLIC");
  await database.query("INSERT INTO test_clock VALUES ('0')");
  await database.query(
    "CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT date_trunc('milliseconds', clock_timestamp() + ahead) FROM public.test_clock $$",
  );
  return async (interval) => {
    await database.query("UPDATE test_clock SET ahead = ahead + $1::interval", [interval]);
  };
}
