import type { FastifyReply } from "fastify";
import type { StreamTimes } from "../config.ts";

/**
 * Writes server-sent events (WHATWG HTML §9.2) to the reply until the source ends or the reader goes. Never buffers
 * without bound: a full socket is waited for, and given up after `stallMs`; the reader can come back with its last id.
 */
export async function sendEvents(
  reply: FastifyReply,
  times: StreamTimes,
  closing: AbortSignal,
  source: (signal: AbortSignal) => AsyncIterable<{ id: number | null; event: string; data: unknown }>,
): Promise<void> {
  reply.hijack();
  const { raw } = reply;
  const left = new AbortController();
  raw.on("close", () => left.abort());
  raw.on("error", () => left.abort());
  const gone = AbortSignal.any([left.signal, closing]);
  raw.writeHead(200, {
    ...(reply.getHeaders() as Record<string, string>),
    "content-type": "text/event-stream; charset=utf-8",
    "cache-control": "no-store",
    "x-accel-buffering": "no",
  });
  raw.flushHeaders();
  const heartbeat = setInterval(() => {
    if (raw.writableLength === 0) raw.write(": still here\n\n");
  }, times.heartbeatMs);
  try {
    for await (const { id, event, data } of source(gone)) {
      if (gone.aborted) break;
      const text = `${id === null ? "" : `id: ${id}\n`}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
      if (!raw.write(text) && !(await drained(raw, times.stallMs, gone))) break;
    }
  } catch (error) {
    reply.log.error({ err: error }, "event stream failed");
  } finally {
    clearInterval(heartbeat);
    raw.end();
  }
}

/** False when the reader went or took nothing for too long. `write()` answering false means buffered, not gone. */
function drained(raw: FastifyReply["raw"], stallMs: number, signal: AbortSignal): Promise<boolean> {
  return new Promise((resolve) => {
    const done = (ok: boolean) => {
      clearTimeout(timer);
      raw.off("drain", onDrain);
      signal.removeEventListener("abort", onAbort);
      if (!ok) raw.destroy();
      resolve(ok);
    };
    const onDrain = () => done(true);
    const onAbort = () => done(false);
    const timer = setTimeout(() => done(false), stallMs);
    raw.once("drain", onDrain);
    signal.addEventListener("abort", onAbort);
  });
}
