export { requestDigest } from "./digest.ts";
export type {
  ArtifactsPort,
  ChildrenPort,
  ChildStart,
  ClockPort,
  EnginePorts,
  JournalPort,
  LivePort,
  ModelFailure,
  ModelPort,
  ModelRoute,
  ToolsPort,
} from "./ports.ts";
export { POINTS, type Point, Stop, type StopKind } from "./ports.ts";
export { executeRun, type RunOutcome } from "./run.ts";
