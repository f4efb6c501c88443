import { pino } from "pino";
import { collectDefaultMetrics, Registry } from "prom-client";
import { gatewayConfig } from "./config.ts";
import { createGateway } from "./index.ts";

const config = gatewayConfig(process.env);
const logger = pino({ level: config.logLevel });
const metrics = new Registry();
collectDefaultMetrics({ register: metrics });
const gateway = await createGateway({ config, logger, metrics });
logger.info({ url: await gateway.listen() }, "gateway listening");

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    logger.info({ signal }, "gateway stopping");
    void gateway.close().then(() => process.exit(0));
  });
}
