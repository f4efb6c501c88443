import { request } from "node:http";

export interface SseEvent {
  readonly id: number | null;
  readonly event: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests read the fields they assert
  readonly data: any;
}

/**
 * Reads an event stream after an id until it ends, or until `onEvent` answers false and the reader drops it without a word.
 * Answers the status, for replies that are no stream too.
 */
export function readStream(
  url: string,
  key: string,
  after: number | null,
  onEvent: (event: SseEvent) => boolean,
): Promise<number> {
  return new Promise((resolve, reject) => {
    const call = request(
      url,
      {
        agent: false,
        headers: {
          authorization: `Bearer ${key}`,
          accept: "text/event-stream",
          ...(after === null ? {} : { "last-event-id": String(after) }),
        },
      },
      (response) => {
        const status = response.statusCode ?? 0;
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (chunk: string) => {
          text += chunk;
          for (let end = text.indexOf("\n\n"); end !== -1; end = text.indexOf("\n\n")) {
            const event = parse(text.slice(0, end));
            text = text.slice(end + 2);
            if (event !== null && !onEvent(event)) {
              call.destroy();
              resolve(status);
              return;
            }
          }
        });
        response.on("end", () => resolve(status));
        response.on("close", () => resolve(status));
        response.on("error", () => resolve(status));
      },
    );
    call.on("error", reject);
    call.end();
  });
}

/** One block of a stream (WHATWG HTML §9.2.6, as far as Maru writes it); null for a comment. */
function parse(block: string): SseEvent | null {
  const field = (name: string) =>
    block
      .split("\n")
      .find((line) => line.startsWith(`${name}: `))
      ?.slice(name.length + 2);
  const data = field("data");
  if (data === undefined) return null;
  const id = field("id");
  return { id: id === undefined ? null : Number(id), event: field("event") ?? "", data: JSON.parse(data) };
}
