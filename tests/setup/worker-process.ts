// A worker in a process of its own, for tests that kill it. Its configuration comes as JSON in the first argument.
import { createWorker, type WorkerConfig } from "@maru/worker";
import { pino } from "pino";
import { Registry } from "prom-client";

const config = JSON.parse(process.argv[2] ?? "{}") as WorkerConfig;
const worker = await createWorker({ config, logger: pino({ level: "silent" }), metrics: new Registry() });
await worker.start();
process.send?.("ready");
process.once("SIGTERM", () => void worker.stop().then(() => process.exit(0)));
// The test that started this process is gone: so is the reason to live.
process.once("disconnect", () => process.exit(0));
