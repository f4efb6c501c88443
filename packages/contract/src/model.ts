import type { JsonSchema, Message, TokenUsage, ToolCall } from "./message.ts";

/** A catalogue entry: all Maru knows of a model, as data. Money is micro-units of `currency` for one million tokens. */
export interface CatalogueModel {
  /** Name in a manifest and in `GET /v1/models`, e.g. `k-exaone`. */
  readonly id: string;
  readonly displayName: string;
  readonly provider: string;
  /** The name the upstream host knows the model by. */
  readonly upstreamModel: string;
  readonly contextTokens: number;
  readonly maxOutputTokens: { readonly default: number; readonly nonThinking: number; readonly max: number };
  readonly sampling: { readonly temperature: number; readonly topP: number; readonly presencePenalty: number };
  readonly thinking: {
    readonly supported: boolean;
    readonly default: boolean;
    /** Which past thinking goes back: `interleaved` = only within the current user turn. */
    readonly history: "interleaved" | "preserved" | "strip";
  };
  readonly tools: { readonly native: boolean; readonly parallel: boolean };
  /** Periods are half-open [from, to) instants, RFC 3339; `to: null` = until further notice. */
  readonly prices: readonly {
    readonly from: string;
    readonly to: string | null;
    readonly currency: "USD";
    readonly inputMicrosPerMTok: number;
    readonly cachedInputMicrosPerMTok: number;
    readonly outputMicrosPerMTok: number;
    readonly note: string | null;
  }[];
  readonly licence: { readonly name: string; readonly note: string | null };
  readonly languages: readonly string[];
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
  | "context_overflow"
  | "upstream_rate_limited"
  | "upstream_unavailable"
  | "stream_interrupted"
  | "model_timeout";
