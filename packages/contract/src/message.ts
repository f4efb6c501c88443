/** The conversation as the engine holds it, before a dialect puts it on a model's wire. */
export type Message =
  | { readonly role: "system"; readonly content: string }
  | { readonly role: "user"; readonly content: string }
  | {
      readonly role: "assistant";
      readonly content: string;
      /** Thinking; sent back only within the current user turn (interleaved thinking, K-EXAONE's template). */
      readonly reasoning?: string;
      readonly toolCalls?: readonly ToolCall[];
    }
  | { readonly role: "tool"; readonly toolCallId: string; readonly name: string; readonly content: string };

/** One call the model asked for. `arguments` is the model's own text, which may not be valid JSON. */
export interface ToolCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** Tokens as the model reported them; `outputTokens` includes thinking. */
export interface TokenUsage {
  readonly inputTokens: number;
  /** Part of `inputTokens` that was read from the host's prefix cache. */
  readonly cachedInputTokens: number;
  readonly outputTokens: number;
  /** True when the model gave no usage and these are Maru's own count. */
  readonly estimated: boolean;
}

/** A JSON Schema document (2020-12) as plain data. */
export type JsonSchema = { readonly [key: string]: unknown };
