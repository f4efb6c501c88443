import type {
  CatalogueModel,
  JsonSchema,
  ModelAnswer,
  ModelDelta,
  ModelRequest,
  TokenUsage,
  ToolSpec,
} from "@maru/contract";
import type { AnswerClass } from "@maru/model";
import type { ChildCall, Claim, JournalWrite, StoredEvent, WriteResult } from "@maru/store";
import type { Attachment, Progress, ToolSet } from "@maru/tools";

/** A model a run may use, and the way to it. */
export interface ModelRoute {
  readonly model: CatalogueModel;
  /** Whether a simulator answers in the model's place. */
  readonly simulated: boolean;
  complete(
    request: ModelRequest,
    options: {
      readonly signal: AbortSignal;
      readonly onDelta: (delta: ModelDelta) => void;
      /** Hears what attempts used that gave neither the answer nor the error. */
      readonly onAbandoned: (usage: TokenUsage) => void;
      /** Another route is left: fail soon rather than wait long. */
      readonly impatient: boolean;
    },
  ): Promise<ModelAnswer>;
}

export interface ModelPort {
  /** The routes to models by name, in the order of the names; null for one that is not there. */
  resolve(workspaceId: string, names: readonly string[]): Promise<readonly (ModelRoute | null)[]>;
  classify(answer: ModelAnswer, asked: { thinking: boolean }): AnswerClass;
  /** Tokens the request's prompt will probably take; an upper-ish estimate. */
  estimateRequest(request: ModelRequest): number;
  estimateText(model: CatalogueModel | null, text: string): number;
  /** The host said that this request is longer than its context. */
  overflowed(request: ModelRequest): void;
  /** Micro-dollars by the catalogue's price at that instant. */
  price(model: CatalogueModel, usage: TokenUsage, at: Date): number;
  /** What a failed call is called in a run's `error`, and what it used all the same. */
  describeError(error: unknown): ModelFailure;
}

export interface ModelFailure {
  readonly code: string;
  readonly message: string;
  readonly usage?: TokenUsage;
  /** How long the host asked to be left alone. */
  readonly retryAfterMs?: number;
}

export interface ToolsPort {
  /** Under the policy of the workspace. */
  prepare(workspaceId: string, tools: readonly ToolSpec[]): ToolSet;
  /** What is wrong with a value by a schema, in words the model can act on; null when nothing is. */
  checker(schema: JsonSchema): (value: unknown) => string | null;
  /** Values of secrets as they are now: an agent's own before the workspace's; those that are not there are left out. */
  secrets(workspaceId: string, agent: string, names: readonly string[]): Promise<ReadonlyMap<string, string>>;
  parseArguments(text: string): { ok: true; value: Record<string, unknown> } | { ok: false; message: string };
}

export interface ArtifactsPort {
  /** Keeps what a call gave beside text. `lost`: the run is another worker's by now; `full`: no room for it. */
  keep(claim: Claim, step: number, attachment: Attachment): Promise<{ readonly id: string } | "lost" | "full">;
}

export type ChildStart =
  | { readonly kind: "started" }
  /** In words for the model. */
  | { readonly kind: "refused"; readonly code: string; readonly message: string }
  /** The run is another worker's by now, or is to stop. */
  | { readonly kind: "lost" }
  | { readonly kind: "cancelled" };

/** Runs of other agents. Their end answers the step that started them, as a person's answer would. */
export interface ChildrenPort {
  /**
   * Starts the run a step stands for; however often it is called, there is one. Where it may not begin (the workspace's policy), one
   * that an attempt before began goes on all the same: it has its own calls judged.
   */
  start(
    claim: Claim,
    child: { step: number; call: ChildCall; deployment: string; input: string; mayBegin: boolean },
  ): Promise<ChildStart>;
}

export interface JournalPort {
  write(claim: Claim, entry: JournalWrite): Promise<WriteResult>;
}

/** Live text and committed events, for whoever listens; losing them loses nothing. */
export interface LivePort {
  /** The epoch tells a step's text from that of a worker which lost the run in the middle of it. */
  delta(claim: Claim, step: number, kind: ModelDelta["kind"], text: string): void;
  /** How far a call is. */
  progress(claim: Claim, step: number, at: Progress): void;
  committed(claim: Claim, events: readonly StoredEvent[]): void;
}

export interface ClockPort {
  /** Milliseconds that only grow. */
  now(): number;
  /** The wall clock, for tools that tell the time and for prices. */
  date(): Date;
  /** Calls back after that many milliseconds, unless the answered function is called first. */
  after(ms: number, callback: () => void): () => void;
}

/**
 * Places in the loop at which a worker may die. `append`: finished steps and the intents of the next ones, in one write;
 * `wait` and `end`: the same as the run gives its worker back or ends. Between an append and a call the intent is committed
 * and nothing sent; between a call and an append it has taken effect and nobody knows.
 */
export const POINTS = [
  "claimed",
  "before_model_call",
  "after_model_call",
  "before_tool_call",
  "after_tool_call",
  "before_append",
  "after_append",
  "before_wait",
  "after_wait",
  "before_end",
  "after_end",
] as const;
export type Point = (typeof POINTS)[number];

export interface EnginePorts {
  readonly model: ModelPort;
  readonly tools: ToolsPort;
  readonly artifacts: ArtifactsPort;
  readonly children: ChildrenPort;
  readonly journal: JournalPort;
  readonly live: LivePort;
  readonly clock: ClockPort;
  /** Hears of every point the loop passes; for tests that kill the process there. */
  readonly pass?: (point: Point) => void;
}

/** Why a run in flight is told to stop. */
export type StopKind = "cancel" | "drain" | "lost";
export class Stop extends Error {
  readonly kind: StopKind;
  constructor(kind: StopKind) {
    super(`run stopped: ${kind}`);
    this.name = "Stop";
    this.kind = kind;
  }
}
