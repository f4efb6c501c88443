import process from "node:process";
import { pino } from "pino";
import { given, readConfig } from "./config.ts";
import { createSimulator } from "./simulator.ts";

const log = pino({ name: "simulator" });
const { host, port, controlPort, ...options } = readConfig(process.env);
const simulator = createSimulator({ ...given(options), onError: (error) => log.error(error) });

const { url } = await simulator.listen({ host, port });
log.info({ url }, "listening");
if (controlPort !== undefined) {
  const control = await simulator.listenControl({ host, port: controlPort });
  log.info({ url: control.url }, "control plane listening");
}

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.once(signal, () => {
    log.info({ signal, calls: simulator.calls() }, "closing");
    void simulator.close();
  });
}
