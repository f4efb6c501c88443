import { questionId, type Step, type TokenUsage, type ToolCall } from "@maru/contract";
import { instant, instantOrNull } from "./database.ts";

/** What a finished model step leaves in the journal. */
export interface ModelOutput {
  readonly reasoning: string;
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: string;
  readonly usage: TokenUsage;
  /** The name the host answered with. */
  readonly model: string;
  /** Id of the model that was asked last: the agent's own, or a fallback. */
  readonly answeredBy?: string;
  readonly simulated?: boolean;
  /** Attempts before that, with why they gave no answer. */
  readonly tried?: readonly Tried[];
  /** Set when the text is a summary of the thread: how many of its messages it takes in. */
  readonly summarised?: number;
  /** Why a step in state `error` failed. */
  readonly error?: { readonly code: string; readonly message: string };
}
/** A model that was asked and did not answer. */
export interface Tried {
  readonly model: string;
  readonly code: string;
  readonly message: string;
}
/** What a finished tool step leaves in the journal. */
export interface ToolOutput {
  readonly output: string;
  readonly isError: boolean;
  readonly code: string | null;
  /** What was kept beside the text. Not there = nothing. */
  readonly artifacts?: readonly {
    readonly id: string;
    readonly name: string;
    readonly mediaType: string;
    readonly size: number;
  }[];
}

/** A call of another agent, and the run it becomes: named before it is started, so that there is only ever one. */
export interface ChildCall extends ToolCall {
  readonly run: string;
  /** Its share of the calling run's budget. */
  readonly tokens: number;
}
/** What a child left: `tokens` are its own and those of all below it. Not there when it was never started. */
export interface ChildOutput extends ToolOutput {
  readonly tokens?: number;
}

/** A call somebody has to decide on. */
export interface ApprovalAsked extends ToolCall {
  /** The call's own step. */
  readonly step: number;
  /** `outcome`: it was made, and what came of it is unknown: shall it be made again? */
  readonly question: "approval" | "outcome";
  /** What is said of the tool's effects. */
  readonly annotations?: {
    readonly title?: string;
    readonly read_only?: boolean;
    readonly destructive?: boolean;
  };
}
/** Who answered, and when; not there on what Maru itself closed. */
interface Answered {
  readonly by?: string;
  readonly at?: string;
}
export interface Decision extends Answered {
  /** `none`: the run ended before anybody decided. */
  readonly decision: "approve" | "reject" | "none";
  readonly reason: string | null;
  /** JSON of the arguments the call is approved with instead of its own. */
  readonly arguments?: string | null;
}

interface StepBase {
  readonly seq: number;
  readonly state: "waiting" | "started" | "done" | "error" | "unknown";
  readonly name: string;
  readonly epoch: number;
  readonly attempt: number;
  /** Taken over from the run this one is a fork of. Not there = no. */
  readonly reused?: boolean;
  readonly startedAt: string | Date;
  readonly finishedAt: string | Date | null;
}
export type StoredStep =
  | (StepBase & {
      readonly kind: "model";
      readonly effect: "model";
      readonly input: null;
      readonly output: ModelOutput | null;
    })
  | (StepBase & {
      readonly kind: "tool";
      readonly effect: "safe" | "idempotent" | "at_most_once";
      readonly input: ToolCall;
      readonly output: ToolOutput | null;
    })
  | (StepBase & {
      /** A client-side tool's result. */
      readonly kind: "input";
      readonly effect: "none";
      readonly input: ToolCall;
      readonly output: (ToolOutput & Answered) | null;
    })
  | (StepBase & {
      readonly kind: "run";
      readonly effect: "idempotent";
      readonly input: ChildCall;
      readonly output: ChildOutput | null;
    })
  | (StepBase & {
      readonly kind: "approval";
      readonly effect: "none";
      readonly input: ApprovalAsked;
      readonly output: Decision | null;
    });

/** A journal row as the API shows it. */
export function stepObject(step: StoredStep & { readonly inputDigest?: Uint8Array | null }): Step {
  return {
    seq: step.seq,
    kind: step.kind,
    state: step.state,
    name: step.name,
    attempt: step.attempt,
    epoch: step.epoch,
    reused: step.reused ?? false,
    ...(step.inputDigest ? { input_digest: Buffer.from(step.inputDigest).toString("hex") } : {}),
    ...(step.kind === "model" && step.output !== null
      ? {
          reasoning: step.output.reasoning,
          text: step.output.text,
          tool_calls: step.output.toolCalls.map(({ id, name, arguments: args }) => ({ id, name, arguments: args })),
          finish_reason: step.output.finishReason,
          ...(step.output.error === undefined
            ? {}
            : { error_code: step.output.error.code, error_message: step.output.error.message }),
          ...(step.output.answeredBy === undefined ? {} : { model: step.output.answeredBy }),
          ...(step.output.simulated === undefined ? {} : { simulated: step.output.simulated }),
          ...(step.output.model === "" ? {} : { upstream_model: step.output.model }),
          ...(step.output.tried === undefined ? {} : { tried: step.output.tried.map((item) => ({ ...item })) }),
          ...(step.output.summarised === undefined ? {} : { summarised_messages: step.output.summarised }),
          usage_estimated: step.output.usage.estimated,
          input_tokens: step.output.usage.inputTokens,
          cached_input_tokens: step.output.usage.cachedInputTokens,
          output_tokens: step.output.usage.outputTokens,
        }
      : {}),
    ...(step.kind === "model"
      ? {}
      : {
          call_id: step.kind === "tool" || step.kind === "run" ? step.input.id : questionId(step.seq),
          arguments: step.input.arguments,
        }),
    ...(step.kind === "approval" ? { call_step: step.input.step, question: step.input.question } : {}),
    ...(step.kind === "approval" && step.output !== null
      ? {
          decision: step.output.decision,
          ...(step.output.reason ? { reason: step.output.reason } : {}),
          ...(step.output.arguments ? { edited_arguments: step.output.arguments } : {}),
        }
      : {}),
    ...((step.kind === "approval" || step.kind === "input") && step.output?.by !== undefined
      ? { answered_by: step.output.by, answered_at: instant(step.output.at as string) }
      : {}),
    ...(step.kind === "run" ? { child_run_id: step.input.run } : {}),
    ...((step.kind === "tool" || step.kind === "input" || step.kind === "run") && step.output !== null
      ? {
          output: step.output.output,
          ...(step.output.code === null ? {} : { error_code: step.output.code }),
          ...(step.output.artifacts === undefined
            ? {}
            : {
                artifacts: step.output.artifacts.map(({ id, name, mediaType, size }) => ({
                  id,
                  name,
                  media_type: mediaType,
                  size,
                })),
              }),
        }
      : {}),
    started_at: instant(step.startedAt),
    finished_at: instantOrNull(step.finishedAt),
  };
}
