// The model of the benches, in a process of its own so that its work is not counted as Maru's.
import { createSimulator } from "@maru/simulator";

const simulator = createSimulator({ latency: { writeIntervalMs: 1_000 } });
const { url } = await simulator.listen({ port: 0 });
process.send?.(url);
process.on("message", ({ callMs }: { callMs: number }) => {
  simulator.settings.callMs = callMs;
  process.send?.("done");
});
process.once("disconnect", () => process.exit(0));
process.once("SIGTERM", () => process.exit(0));
