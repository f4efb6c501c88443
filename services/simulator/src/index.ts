export { MODEL_ID } from "./catalogue.ts";
export type { Latency } from "./pacing.ts";
export { createSimulator, type Simulator, type SimulatorOptions } from "./simulator.ts";
