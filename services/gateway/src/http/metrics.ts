import type { FastifyInstance } from "fastify";
import { Histogram, type Registry } from "prom-client";

/** Prometheus metrics of the HTTP side; labels are operations, never paths, so their number is bounded. */
export function installMetrics(app: FastifyInstance, registry: Registry): void {
  const duration = new Histogram({
    name: "maru_http_request_duration_seconds",
    help: "Time from the request's first byte to the end of its reply",
    labelNames: ["operation", "status"],
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
    registers: [registry],
  });
  app.addHook("onResponse", async (request, reply) => {
    duration.observe(
      { operation: request.routeOptions.config.operationId ?? "other", status: String(reply.statusCode) },
      reply.elapsedTime / 1_000,
    );
    request.log.debug(
      {
        operation: request.routeOptions.config.operationId,
        status: reply.statusCode,
        ms: Math.round(reply.elapsedTime),
      },
      "request",
    );
  });
  app.get("/metrics", async (_request, reply) => reply.type(registry.contentType).send(await registry.metrics()));
}
