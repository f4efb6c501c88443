export type { ClockPort, EnginePorts, JournalPort, LivePort, ModelPort, ToolsPort } from "./ports.ts";
export { Stop, type StopKind } from "./ports.ts";
export { executeRun, type RunOutcome } from "./run.ts";
