import type { CatalogueModel, ModelAnswer, ModelDelta, ModelRequest, TokenUsage, ToolSpec } from "@maru/contract";
import type { AnswerClass } from "@maru/model";
import type { Claim, JournalWrite, StoredEvent, WriteResult } from "@maru/store";
import type { ToolSet } from "@maru/tools";

export interface ModelPort {
  find(id: string): CatalogueModel | undefined;
  complete(
    request: ModelRequest,
    options: { signal: AbortSignal; onDelta: (delta: ModelDelta) => void },
  ): Promise<ModelAnswer>;
  classify(answer: ModelAnswer, asked: { thinking: boolean }): AnswerClass;
  /** Tokens the request's prompt will probably take; an upper-ish estimate. */
  estimateRequest(request: ModelRequest): number;
  estimateText(text: string): number;
  /** Micro-dollars by the catalogue's price at that instant. */
  price(model: CatalogueModel, usage: TokenUsage, at: Date): number;
  /** Code and message of a failed call, for the run's `error`. */
  describeError(error: unknown): { code: string; message: string };
}

export interface ToolsPort {
  prepare(tools: readonly ToolSpec[]): ToolSet;
  parseArguments(text: string): { ok: true; value: Record<string, unknown> } | { ok: false; message: string };
}

export interface JournalPort {
  write(claim: Claim, entry: JournalWrite): Promise<WriteResult>;
}

/** Live text and committed events, for whoever listens; losing them loses nothing. */
export interface LivePort {
  delta(runId: string, step: number, kind: ModelDelta["kind"], text: string): void;
  committed(runId: string, events: readonly StoredEvent[]): void;
}

export interface ClockPort {
  /** Milliseconds that only grow. */
  now(): number;
  /** The wall clock, for tools that tell the time and for prices. */
  date(): Date;
  /** Calls back after that many milliseconds, unless the answered function is called first. */
  after(ms: number, callback: () => void): () => void;
}

export interface EnginePorts {
  readonly model: ModelPort;
  readonly tools: ToolsPort;
  readonly journal: JournalPort;
  readonly live: LivePort;
  readonly clock: ClockPort;
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
