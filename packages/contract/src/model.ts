import type { JsonSchema, Message, TokenUsage, ToolCall } from "./message.ts";

/**
 * How a model's thinking is switched.
 *
 * - `enable_thinking`, `thinking`: that name in `chat_template_kwargs` (or the host's own switch, by its dialect)
 * - `reasoning_effort`: one word at the top of the request; `effort` says which
 * - `always`: it thinks whatever is asked; `never`: it has no thinking
 */
export type ThinkingControl = "enable_thinking" | "thinking" | "reasoning_effort" | "always" | "never";

/** A published score, as its source printed it. Scores of different sources were measured on different harnesses. */
export interface BenchmarkScore {
  readonly benchmark: string;
  readonly score: number;
  /** With what the score was reached, where the source says so: `thinking`, `high effort`. */
  readonly mode: string | null;
  /** Who published it and where. */
  readonly source: string;
}

/** What one million tokens cost in a period, in micro-units of `currency`. Periods are half-open [from, to) instants. */
export interface ModelPrice {
  /** RFC 3339. */
  readonly from: string;
  /** RFC 3339; null = until further notice. */
  readonly to: string | null;
  readonly currency: "USD";
  readonly inputMicrosPerMTok: number;
  readonly cachedInputMicrosPerMTok: number;
  readonly outputMicrosPerMTok: number;
  readonly note: string | null;
}

/** A catalogue entry: all Maru knows of a model, as data. */
export interface CatalogueModel {
  /** Name in a manifest and in `GET /v1/models`, e.g. `k-exaone`. */
  readonly id: string;
  readonly displayName: string;
  /** Who publishes tokens of it, or its maker where nobody does. */
  readonly provider: string;
  /** The name the upstream host knows the model by. */
  readonly upstreamModel: string;
  /** Models whose tokenizers are one: they share the calibration of token estimates. */
  readonly family: string;
  /** Total and active parameters, as the maker writes them. */
  readonly parameters: string;
  readonly contextTokens: number;
  readonly maxOutputTokens: { readonly default: number; readonly nonThinking: number; readonly max: number };
  readonly sampling: { readonly temperature: number; readonly topP: number; readonly presencePenalty: number };
  readonly thinking: {
    readonly control: ThinkingControl;
    readonly default: boolean;
    /** Words for `reasoning_effort`, thinking on and off; null for what can't be had. */
    readonly effort: { readonly on: string; readonly off: string | null } | null;
    /**
     * Which past thinking goes back. `interleaved`: only that after the last user message. `preserved`: all of it,
     * unmodified. `strip`: none.
     */
    readonly history: "interleaved" | "preserved" | "strip";
  };
  readonly tools: { readonly native: boolean; readonly parallel: boolean };
  readonly prices: readonly ModelPrice[];
  /** Where the model could be had when somebody last looked; what this installation serves is another matter. */
  readonly market: {
    readonly status: "hosted" | "dedicated" | "weights";
    readonly note: string;
    readonly asOf: string;
  };
  readonly licence: { readonly name: string; readonly note: string | null };
  readonly languages: readonly string[];
  /** A benchmark that is not here has no published score we know of: nothing is guessed. */
  readonly benchmarks: readonly BenchmarkScore[];
  /** Fields nobody published, filled with a cautious working value: `field: why`. */
  readonly assumed: Readonly<Record<string, string>>;
}

export interface ToolDeclaration {
  readonly name: string;
  readonly description: string;
  readonly parameters: JsonSchema;
}

/** One model step as the engine asks for it; the model layer turns it into a host's wire. */
export interface ModelRequest {
  readonly model: CatalogueModel;
  readonly messages: readonly Message[];
  readonly tools: readonly ToolDeclaration[];
  readonly thinking: boolean;
  readonly temperature: number;
  readonly topP: number;
  readonly presencePenalty: number;
  readonly seed: number | null;
  readonly maxOutputTokens: number;
  readonly parallelToolCalls: boolean;
  /** `named`: the answer must be a call of that tool. Default `auto`. */
  readonly toolChoice?: "auto" | { readonly named: string };
}

export type ModelDelta =
  | { readonly kind: "reasoning"; readonly text: string }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "tool_call"; readonly index: number; readonly name: string; readonly text: string };

export type FinishReason = "stop" | "length" | "tool_calls" | "content_filter" | "error" | "unknown";

export interface ModelAnswer {
  readonly reasoning: string;
  readonly text: string;
  readonly toolCalls: readonly ToolCall[];
  readonly finishReason: FinishReason;
  readonly usage: TokenUsage;
  /** The model name the host answered with. */
  readonly model: string;
}

/** Why a model step failed; `retryable` after the client's own retries were used up. */
export type ModelErrorCode =
  | "model_unauthorized"
  | "model_not_found"
  | "model_bad_request"
  | "policy_denied"
  | "context_overflow"
  | "upstream_rate_limited"
  | "upstream_unavailable"
  | "stream_interrupted"
  | "model_timeout";
