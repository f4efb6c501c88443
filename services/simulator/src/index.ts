export { MODEL_ID, MODELS, type ServedModel } from "./catalogue.ts";
export type { Fault } from "./faults/fault.ts";
export { FAULTS, type FaultName } from "./faults/faults.ts";
export type { JournalEntry } from "./journal.ts";
export type { SimulatorOptions, Tier } from "./options.ts";
export { type Latency, MEASURED_TIMING, type Timing } from "./pacing.ts";
export type { ScenarioAnswer, ScenarioMatch, ScenarioRule } from "./scenario.ts";
export { createSimulator, type Simulator } from "./simulator.ts";
export { DIALECT_NAMES, type DialectName, type Versions } from "./wire/dialect.ts";
