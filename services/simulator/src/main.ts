import process from "node:process";
import { pino } from "pino";
import { readConfig } from "./config.ts";
import { createSimulator } from "./simulator.ts";

const log = pino({ name: "simulator" });
const { host, port, apiKeys, ...rest } = readConfig(process.env);
const simulator = createSimulator({
  ...rest,
  ...(apiKeys === undefined ? {} : { apiKeys }),
  onError: (error) => log.error(error),
});

const { url } = await simulator.listen({ host, port });
log.info({ url }, "listening");

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    log.info({ signal, calls: simulator.calls() }, "closing");
    void simulator.close();
  });
}
