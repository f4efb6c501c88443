import type { EffectClass, OnUnknown, ToolDeclaration } from "@maru/contract";
import type { SecretAccess } from "./secrets/reference.ts";

/** Whose call it is. */
export interface ToolCaller {
  readonly workspaceId: string;
  readonly agent: string;
  readonly runId: string;
  /** Number of the call's step in the run. */
  readonly step: number;
  readonly threadId: string | null;
  /** `metadata.user` of the run. */
  readonly endUser: string | null;
}

export interface ToolCallContext {
  readonly caller: ToolCaller;
  /** Aborts with the reason the run stops for; a tool rethrows it. */
  readonly signal: AbortSignal;
  /** The same on every attempt of one step. */
  readonly idempotencyKey: string;
  /** Grows with every worker that takes the run: a receiver may refuse smaller ones. */
  readonly epoch: number;
  readonly now: Date;
  /** What is longer is cut after the call, when secrets are out of it. A tool that cuts itself must leave this much whole. */
  readonly maxOutputBytes: number;
  /** Tells whoever listens how far the call is. Not there = nobody does. */
  progress?(at: Progress): void;
  /** Read at the moment of the call, for the run's workspace and agent; nothing keeps the values. */
  readonly secrets: SecretAccess;
}

/** What the model reads of a call. Failures are results too: the model can react to them. */
export interface ToolResult {
  readonly output: string;
  readonly isError: boolean;
  readonly code: string | null;
  readonly truncated: boolean;
  /** The call was sent, and what came of it can't be known: there was no answer, or only part of one. */
  readonly uncertain?: true;
  /** What came of the call and does not go into the prompt: pictures, sound, a file, or a text that was cut. Kept with the run. */
  readonly attachments?: readonly Attachment[];
}

/** How far a call is. */
export interface Progress {
  readonly progress: number;
  readonly total?: number;
  readonly message?: string;
}

/** Bytes a tool gave beside its text. */
export interface Attachment {
  /** A file name without folders; unique in its call. */
  readonly name: string;
  /** As in Content-Type. */
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

/** What a tool's declarer says of its effects, for the person who approves a call and for policies. Hints: nothing holds a tool to them. */
export interface ToolAnnotations {
  readonly title?: string;
  /** It changes nothing. */
  readonly readOnly?: boolean;
  /** What it changes may not be undone. */
  readonly destructive?: boolean;
}

/** A tool of a revision, ready to be called. */
export interface PreparedTool {
  readonly declaration: ToolDeclaration;
  readonly effect: EffectClass;
  readonly annotations?: ToolAnnotations;
  /**
   * Whether the workspace's policy does not allow it, as it is now: a call says so, and nobody is to be asked about one. Not
   * there = it is allowed. Rejects when the policy can't be read.
   */
  denied?(): Promise<boolean>;
  /** Whether a person has to approve a call with these arguments. Not there = never. */
  needsApproval?(args: unknown): boolean;
  /** What becomes of a call whose outcome can't be known. Not there = tell_model. */
  readonly onUnknown?: OnUnknown;
  /** The run's caller makes the call, and the run waits for the result. */
  readonly client?: true;
  /** A call is a run of another deployment. */
  readonly agent?: {
    readonly deployment: string;
    /** The most a call may use of the run's own tokens. Not there = an equal share of what is left. */
    readonly maxTokens?: number;
    inputOf(args: Record<string, unknown>): string;
  };
  /** What is wrong with the arguments, in words the model can act on; null when nothing is. */
  checkArguments(args: unknown): string | null;
  call(args: Record<string, unknown>, context: ToolCallContext): Promise<ToolResult>;
}

export interface ToolSet {
  /** Sorted by name: they head the prompt, and a change of order would void its cached prefix. */
  readonly declarations: readonly ToolDeclaration[];
  readonly names: readonly string[];
  get(name: string): PreparedTool | undefined;
}

export const succeeded = (output: string): ToolResult => ({ output, isError: false, code: null, truncated: false });
export const failed = (code: string, output: string): ToolResult => ({ output, isError: true, code, truncated: false });

/** Of a text that is cut, the part that is given up at most so that it ends with a whole line. */
const LINE_SHARE = 0.25;

/**
 * Text cut to a number of UTF-8 bytes, where a line ends near there and otherwise at a character's edge, with a note of what
 * was left out; `beyond` bytes were left out before.
 */
export function cutToBytes(text: string, maxBytes: number, beyond = 0): { text: string; truncated: boolean } {
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes && beyond === 0) return { text, truncated: false };
  let end = Math.min(maxBytes, bytes.length);
  while (end > 0 && ((bytes[end] as number) & 0xc0) === 0x80) end--;
  const line = bytes.lastIndexOf("\n", end);
  if (line >= end * (1 - LINE_SHARE) && line > 0) end = line;
  return {
    text: `${bytes.subarray(0, end).toString("utf8")}\n[cut: ${bytes.length - end + beyond} more bytes]`,
    truncated: true,
  };
}
