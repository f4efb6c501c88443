// A sandbox process: runs one job at a time, each in an engine of its own, and knows nothing but that job.
import { Worker } from "node:worker_threads";
import { loadEngines } from "./engine.ts";
import type { ChildMessage, ParentMessage } from "./protocol.ts";

/** Engines of past jobs are garbage, but a process that has become this large is given up rather than collected. */
const WORN_BYTES = 256 << 20;

const newEngine = await loadEngines();
let engine = newEngine();
// Code in a loop keeps this thread from hearing that the parent is gone.
new Worker(new URL("./watchdog.ts", import.meta.url), { workerData: process.ppid }).unref();
process.once("disconnect", () => process.exit(0));

const send = (message: ChildMessage, sent?: () => void) => process.send?.(message, undefined, undefined, sent);

process.on("message", async ({ job }: ParentMessage) => {
  const run = await engine;
  send({ kind: "began" }, () => {
    try {
      const outcome = run(job);
      send({ kind: "done", outcome, worn: process.memoryUsage.rss() > WORN_BYTES });
    } catch {
      // A trap inside WebAssembly, which the code can bring about: a stack used up in the engine's own functions.
      const message = "The engine broke off: the code recursed too deeply or asked too much of it.";
      const outcome = { ok: false, code: "code_error", message, line: null, column: null, console: "" } as const;
      send({ kind: "done", outcome, worn: true });
    }
    // While the answer travels; the next job finds its engine ready.
    engine = newEngine();
  });
});
send({ kind: "ready" });
