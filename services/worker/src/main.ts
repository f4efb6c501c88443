import Fastify from "fastify";
import { pino } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { workerConfig } from "./config.ts";
import { createWorker } from "./index.ts";

const config = workerConfig(process.env);
const logger = pino({ level: config.logLevel });
const metrics = new Registry();
collectDefaultMetrics({ register: metrics });
const worker = await createWorker({ config, logger, metrics });
await worker.start();
logger.info({ concurrency: config.concurrency, queue: config.queue.kind }, "worker started");

// A worker has no API; this is for whoever keeps it running.
const ops = Fastify();
ops.get("/healthz", async () => ({ status: "ok" }));
ops.get("/readyz", async (_request, reply) => {
  const ready = await worker.ping().then(
    () => true,
    () => false,
  );
  return reply.code(ready ? 200 : 503).send({ status: ready ? "ready" : "not_ready" });
});
ops.get("/metrics", async (_request, reply) => reply.type(metrics.contentType).send(await metrics.metrics()));
if (config.opsPort > 0) await ops.listen({ host: "0.0.0.0", port: config.opsPort });

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    logger.info({ signal, inFlight: worker.inFlight() }, "worker draining");
    void Promise.all([worker.stop(), ops.close()]).then(() => process.exit(0));
  });
}
