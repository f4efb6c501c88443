import { Worker } from "node:worker_threads";
import type { Expanded, Expansion } from "./expand.ts";

const DEADLINE_MS = 15_000;
const HEAP_MB = 256;
/** Threads at a time: each may take a core and its heap. */
const THREADS = 2;

let free = THREADS;
const waiting: (() => void)[] = [];

/**
 * Expands a document in a thread of its own, with a deadline and a heap of its own: documents are large, strangers' and parsed
 * synchronously. Waits for its turn.
 * @returns null when the document was too much for the time or the memory
 * @throws the reason of the signal
 */
export async function expandApart(expansion: Expansion, signal: AbortSignal): Promise<Expanded | null> {
  if (free > 0) free--;
  else await new Promise<void>((done) => waiting.push(done));
  try {
    signal.throwIfAborted();
    return await inThread(expansion, signal);
  } finally {
    const next = waiting.shift();
    if (next === undefined) free++;
    else next();
  }
}

async function inThread(expansion: Expansion, signal: AbortSignal): Promise<Expanded | null> {
  const thread = new Worker(new URL("./thread.ts", import.meta.url), {
    workerData: expansion,
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: HEAP_MB, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 },
  });
  const limit = AbortSignal.any([signal, AbortSignal.timeout(DEADLINE_MS)]);
  try {
    return await new Promise<Expanded | null>((done, fail) => {
      thread.on("message", (text: string) => done(JSON.parse(text) as Expanded));
      thread.on("error", (error: Error & { code?: string }) => {
        if (error.code === "ERR_WORKER_OUT_OF_MEMORY" || error instanceof RangeError) done(null);
        else fail(error);
      });
      thread.on("exit", () => done(null));
      limit.addEventListener("abort", () => (signal.aborted ? fail(signal.reason) : done(null)), { once: true });
    });
  } finally {
    await thread.terminate();
  }
}
