import { createParser } from "eventsource-parser";
import { ConnectionError, type ErrorContext, TimeoutError } from "./errors.ts";

/**
 * What a stream of server-sent events carries, as it comes; null for a comment, which says that the stream is still there.
 * `silenceMs`: a connection over which nothing comes for so long is taken for a dead one.
 * @throws ConnectionError when it breaks
 */
export async function* readEvents<T>(
  response: Response,
  silenceMs: number,
  context: ErrorContext,
): AsyncGenerator<T | null, void> {
  if (response.body === null) return;
  const arrived: (T | null)[] = [];
  const parser = createParser({
    onEvent: ({ data }) => arrived.push(JSON.parse(data) as T),
    onComment: () => arrived.push(null),
  });
  const decoder = new TextDecoder();
  // Not `for await`: not every browser's streams can be iterated.
  const reader = response.body.getReader();
  let silent = false;
  try {
    for (;;) {
      const timer = setTimeout(() => {
        silent = true;
        void reader.cancel().catch(() => {});
      }, silenceMs);
      let chunk: Awaited<ReturnType<typeof reader.read>>;
      try {
        chunk = await reader.read();
        if (!chunk.done) parser.feed(decoder.decode(chunk.value, { stream: true }));
      } catch (error) {
        throw new ConnectionError("The stream broke", context, { cause: error });
      } finally {
        clearTimeout(timer);
      }
      if (silent) throw new TimeoutError(`Nothing came over the stream for ${silenceMs} ms`, context);
      if (chunk.done) return;
      yield* arrived.splice(0);
    }
  } finally {
    void reader.cancel().catch(() => {});
  }
}
