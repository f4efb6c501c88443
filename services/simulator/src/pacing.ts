import type { ServerResponse } from "node:http";

/** How fast calls are answered. All zero: at once. May be changed while the simulator runs; a call reads it at its start. */
export interface Latency {
  /** Total milliseconds of a call; 0 = as the two below give it. */
  callMs: number;
  /** Milliseconds to the first byte; within `callMs` when that is set. */
  firstByteMs: number;
  /** Completion tokens a second after the first byte; 0 = unlimited. Without effect when `callMs` is set. */
  tokensPerSecond: number;
  /** Least milliseconds between two writes of a stream; chunks that fall due together share a write. */
  writeIntervalMs: number;
}

/** When a call's first byte and its last are due, in milliseconds after its start. */
export interface Pace {
  readonly firstMs: number;
  readonly lastMs: number;
}

export function paceOf(latency: Latency, completionTokens: number, slowMs: number): Pace {
  const { callMs, firstByteMs, tokensPerSecond } = latency;
  if (callMs > 0) return { firstMs: slowMs + Math.min(firstByteMs, callMs), lastMs: slowMs + callMs };
  const spreadMs = tokensPerSecond > 0 ? (completionTokens / tokensPerSecond) * 1_000 : 0;
  return { firstMs: slowMs + firstByteMs, lastMs: slowMs + firstByteMs + spreadMs };
}

/** How the pieces fall into timed writes: at each moment the pieces due by then, the first at `firstMs`. */
export function scheduleOf(
  pieces: readonly string[],
  pace: Pace,
  intervalMs: number,
): { readonly atMs: number; readonly text: string }[] {
  const spreadMs = pace.lastMs - pace.firstMs;
  const gaps = Math.min(Math.floor(spreadMs / Math.max(intervalMs, 1)), pieces.length - 1);
  if (gaps <= 0) return [{ atMs: pace.lastMs, text: pieces.join("") }];
  return Array.from({ length: gaps + 1 }, (_, index) => ({
    atMs: pace.firstMs + (spreadMs * index) / gaps,
    text: pieces
      .slice(Math.floor((index * pieces.length) / (gaps + 1)), Math.floor(((index + 1) * pieces.length) / (gaps + 1)))
      .join(""),
  }));
}

/**
 * Writes a response at its times and ends it. A client that goes away stops the timer. The status line goes out with
 * the first piece, so that the time to it is the time to the first byte.
 */
export function writePaced(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  writes: readonly { readonly atMs: number; readonly text: string }[],
): void {
  const startedAt = performance.now();
  let next = 0;
  let timer: NodeJS.Timeout | undefined;
  const step = (): void => {
    const write = writes[next++];
    if (write === undefined || response.destroyed) return;
    if (!response.headersSent) response.writeHead(200, headers);
    if (next === writes.length) response.end(write.text);
    else {
      response.write(write.text);
      wait();
    }
  };
  // Measured from the start, not from the last write, so that late timers do not add up.
  const wait = (): void => {
    timer = setTimeout(step, Math.max(0, (writes[next]?.atMs ?? 0) - (performance.now() - startedAt)));
  };
  response.once("close", () => clearTimeout(timer));
  wait();
}
