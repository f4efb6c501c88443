// A worker in a process of its own, for tests that kill it. Its configuration comes as JSON in the first argument; in the
// second, at which pass of which point of the loop it kills itself.
import type { Point } from "@maru/engine";
import { createWorker, type WorkerConfig } from "@maru/worker";
import { pino } from "pino";
import { Registry } from "prom-client";

const config = JSON.parse(process.argv[2] ?? "{}") as WorkerConfig;
const death = JSON.parse(process.argv[3] ?? "null") as { point: Point; pass: number } | null;
let passed = 0;
const worker = await createWorker({
  config,
  logger: pino({ level: config.logLevel }),
  metrics: new Registry(),
  pass: (point) => {
    if (point === death?.point && ++passed === death.pass) process.kill(process.pid, "SIGKILL");
  },
});
await worker.start();
process.send?.("ready");
process.once("SIGTERM", () => void worker.stop().then(() => process.exit(0)));
// The test that started this process is gone: so is the reason to live.
process.once("disconnect", () => process.exit(0));
