import Type, { type Static } from "typebox";
import { RequiredAction, Run, Step, StepToolCall } from "./objects.ts";
import { closed, Instant } from "./schema.ts";

/**
 * What a run tells the world. Durable events are rows with a sequence number: a client that reconnects with
 * `Last-Event-ID` gets each of them exactly once. `delta` and `snapshot` are live only and carry no id: they show text
 * as it is written and are superseded by the step's `step.finished`.
 */
const durable = { seq: Type.Integer({ minimum: 1 }), at: Instant };

export const RunQueuedEvent = Type.Object(
  { ...durable, type: Type.Literal("run.queued"), run_id: Type.String() },
  closed,
);
export const RunRunningEvent = Type.Object(
  { ...durable, type: Type.Literal("run.running"), run_id: Type.String(), attempt: Type.Integer({ minimum: 1 }) },
  closed,
);
export const StepStartedEvent = Type.Object(
  {
    ...durable,
    type: Type.Literal("step.started"),
    run_id: Type.String(),
    step: Type.Integer(),
    kind: Type.Enum(["model", "tool", "approval", "input", "run"]),
    name: Type.String(),
    call: Type.Optional(StepToolCall),
    child_run_id: Type.Optional(Type.String({ description: "Of a call of another agent: the run it starts" })),
  },
  closed,
);
export const StepFinishedEvent = Type.Object(
  { ...durable, type: Type.Literal("step.finished"), run_id: Type.String(), step: Step },
  closed,
);
export const RunWaitingEvent = Type.Object(
  { ...durable, type: Type.Literal("run.waiting"), run_id: Type.String(), required_action: RequiredAction },
  closed,
);
export const RunEndedEvent = Type.Object(
  {
    ...durable,
    type: Type.Enum(["run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.expired"]),
    run_id: Type.String(),
    run: Run,
  },
  closed,
);
export const DurableEvent = Type.Union([
  RunQueuedEvent,
  RunRunningEvent,
  StepStartedEvent,
  StepFinishedEvent,
  RunWaitingEvent,
  RunEndedEvent,
]);
export type DurableEvent = Static<typeof DurableEvent>;

export const DeltaEvent = Type.Object(
  {
    type: Type.Literal("delta"),
    run_id: Type.String(),
    step: Type.Integer(),
    kind: Type.Enum(["reasoning", "text", "tool_call"]),
    offset: Type.Integer({ minimum: 0, description: "UTF-16 units of this kind shown before this text" }),
    text: Type.String(),
  },
  closed,
);
export type DeltaEvent = Static<typeof DeltaEvent>;

export const SnapshotEvent = Type.Object(
  {
    type: Type.Literal("snapshot"),
    run_id: Type.String(),
    step: Type.Integer(),
    reasoning: Type.String(),
    text: Type.String(),
    tool_call: Type.String(),
  },
  closed,
);
/** All the text of the step so far, in place of what was shown of it before; empty where another worker begins it anew. */
export type SnapshotEvent = Static<typeof SnapshotEvent>;

export const ProgressEvent = Type.Object(
  {
    type: Type.Literal("progress"),
    run_id: Type.String(),
    step: Type.Integer({ description: "The call that goes on" }),
    progress: Type.Number({ description: "How far it is; grows with each event" }),
    total: Type.Optional(Type.Number({ description: "What it will be at the end, where that is known" })),
    message: Type.Optional(Type.String({ description: "In the tool's words, for people" })),
  },
  closed,
);
/** What a tool says of a call that goes on, as far as it is heard: some of it may be left out, and none of it is kept. */
export type ProgressEvent = Static<typeof ProgressEvent>;

export type LiveEvent = DeltaEvent | SnapshotEvent | ProgressEvent;
export type RunEvent = DurableEvent | LiveEvent;
