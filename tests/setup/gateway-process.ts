// A gateway in a process of its own, for tests that kill it. Its configuration comes as JSON in the first argument.
import { createGateway, type GatewayConfig } from "@maru/gateway";
import { pino } from "pino";
import { Registry } from "prom-client";

const config = JSON.parse(process.argv[2] ?? "{}") as GatewayConfig;
const logger = pino({ level: config.logLevel });
const gateway = await createGateway({ config, logger, metrics: new Registry() });
await gateway.listen();
process.send?.("ready");
process.once("SIGTERM", () => void gateway.close().then(() => process.exit(0)));
// The test that started this process is gone: so is the reason to live.
process.once("disconnect", () => process.exit(0));
