// The model of the cluster, in a process of its own. How many milliseconds a call takes comes in the first argument.
import { createSimulator } from "@maru/simulator";

const simulator = createSimulator({ latency: { callMs: Number(process.argv[2]), writeIntervalMs: 1_000 } });
const { url } = await simulator.listen({ port: 0 });
process.send?.(url);
process.once("disconnect", () => process.exit(0));
