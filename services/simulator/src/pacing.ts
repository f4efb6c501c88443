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

/** What a call's thinking adds, and by how much all times are multiplied. */
export interface Timing {
  /** Milliseconds between the first byte and the first visible text of an answer that thinks. */
  thinkingMs: number;
  /** Factor on every time of a call: 1 = as set, 0 = at once. */
  scale: number;
}

/** What was measured of K-EXAONE at its host: time to first token, tokens a second, and the least time it thought. */
export const MEASURED_TIMING = { firstByteMs: 310, tokensPerSecond: 52.6, thinkingMs: 60_000, scale: 1 } as const;

/** When a call's first byte, its first visible text and its last byte are due, in milliseconds after its start. */
export interface Pace {
  readonly firstMs: number;
  readonly lastMs: number;
  /** Absent = nothing is kept apart. */
  readonly thoughtMs?: number;
}

/** One write of a response. */
export interface Write {
  readonly atMs: number;
  readonly text: string | Buffer;
}

/**
 * What becomes of the connection after the last write: `cut` closes it before the body's end, `hang` keeps it open and
 * silent. A cut is a plain close: a TCP reset could also take away what the client has not read yet.
 */
export type Ending = "end" | "cut" | "hang";

/** `thinks` tells whether the answer has a thinking phase. */
export function paceOf(
  latency: Latency,
  completionTokens: number,
  slowMs: number,
  { thinkingMs, scale }: Timing = { thinkingMs: 0, scale: 1 },
  thinks = false,
): Pace {
  const { callMs, firstByteMs, tokensPerSecond } = latency;
  if (callMs > 0) return scaled({ firstMs: slowMs + Math.min(firstByteMs, callMs), lastMs: slowMs + callMs }, scale);
  const spreadMs = tokensPerSecond > 0 ? (completionTokens / tokensPerSecond) * 1_000 : 0;
  const firstMs = slowMs + firstByteMs;
  if (!thinks || thinkingMs === 0) return scaled({ firstMs, lastMs: firstMs + spreadMs }, scale);
  const thoughtMs = firstMs + thinkingMs;
  return scaled({ firstMs, thoughtMs, lastMs: thoughtMs + spreadMs }, scale);
}

function scaled(pace: Pace, scale: number): Pace {
  return Object.fromEntries(Object.entries(pace).map(([name, ms]) => [name, ms * scale])) as unknown as Pace;
}

/** How the pieces fall into timed writes: at each moment the pieces due by then, the first at `firstMs`. */
export function scheduleOf(pieces: readonly (string | Buffer)[], pace: Pace, intervalMs: number): Write[] {
  const spreadMs = pace.lastMs - pace.firstMs;
  const gaps = Math.min(Math.floor(spreadMs / Math.max(intervalMs, 1)), pieces.length - 1);
  if (gaps <= 0) return [{ atMs: pace.lastMs, text: joined(pieces) }];
  return Array.from({ length: gaps + 1 }, (_, index) => ({
    atMs: pace.firstMs + (spreadMs * index) / gaps,
    text: joined(
      pieces.slice(
        Math.floor((index * pieces.length) / (gaps + 1)),
        Math.floor(((index + 1) * pieces.length) / (gaps + 1)),
      ),
    ),
  }));
}

/** The same for a stream whose first `thoughts` pieces are thinking, which takes until `thoughtMs`. */
export function scheduleThinking(
  pieces: readonly (string | Buffer)[],
  thoughts: number,
  pace: Pace,
  intervalMs: number,
): Write[] {
  const { firstMs, thoughtMs, lastMs } = pace;
  if (thoughtMs === undefined || thoughts === 0) return scheduleOf(pieces, pace, intervalMs);
  return [
    ...scheduleOf(pieces.slice(0, thoughts), { firstMs, lastMs: thoughtMs }, intervalMs),
    ...scheduleOf(pieces.slice(thoughts), { firstMs: thoughtMs, lastMs }, intervalMs),
  ];
}

function joined(pieces: readonly (string | Buffer)[]): string | Buffer {
  if (pieces.some((piece) => typeof piece !== "string"))
    return Buffer.concat(pieces.map((piece) => Buffer.from(piece)));
  return pieces.join("");
}

/**
 * Writes a response at its times and ends it as told. A client that goes away stops the timer. The status line goes out
 * with the first piece, so that the time to it is the time to the first byte.
 */
export function writePaced(
  response: ServerResponse,
  headers: Readonly<Record<string, string>>,
  writes: readonly Write[],
  ending: Ending = "end",
): void {
  const startedAt = performance.now();
  let next = 0;
  let timer: NodeJS.Timeout | undefined;
  const step = (): void => {
    const write = writes[next++];
    if (write === undefined || response.destroyed) return;
    if (!response.headersSent) response.writeHead(200, headers);
    if (next < writes.length) {
      response.write(write.text);
      wait();
    } else if (ending === "end") response.end(write.text);
    else {
      // The bytes must be on their way before the connection breaks, or the client would see nothing of them.
      response.write(write.text, () => (ending === "cut" ? response.socket?.destroySoon() : undefined));
    }
  };
  // Measured from the start, not from the last write, so that late timers do not add up.
  const wait = (): void => {
    timer = setTimeout(step, Math.max(0, (writes[next]?.atMs ?? 0) - (performance.now() - startedAt)));
  };
  response.once("close", () => clearTimeout(timer));
  wait();
}
