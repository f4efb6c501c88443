/** A tool as the host takes it and as the template prints it; key order is kept, it is part of the prompt. */
export interface ToolDefinition {
  readonly type: "function";
  readonly function: {
    readonly name: string;
    readonly description?: string | null;
    readonly parameters: Readonly<Record<string, unknown>>;
  };
}

/** A call in an assistant message; `arguments` is the text the model once wrote, maybe no valid JSON. */
export interface RecordedCall {
  readonly id: string;
  readonly name: string;
  readonly arguments: string;
}

/** A message after validation: absent, null and part-wise contents are all plain text by now. */
export type ChatMessage =
  | { readonly role: "system"; readonly content: string }
  | { readonly role: "user"; readonly content: string }
  | {
      readonly role: "assistant";
      readonly content: string;
      readonly reasoning: string;
      readonly calls: readonly RecordedCall[];
    }
  | { readonly role: "tool"; readonly content: string; readonly toolCallId: string };

export type ToolChoice = "none" | "auto" | "required" | { readonly name: string };

export type ResponseFormat =
  | { readonly type: "text" }
  | { readonly type: "json_object" }
  | { readonly type: "json_schema"; readonly schema: Readonly<Record<string, unknown>> };

/** A chat completion request that passed validation, defaults filled in. */
export interface ChatRequest {
  readonly model: string;
  readonly messages: readonly ChatMessage[];
  readonly tools: readonly ToolDefinition[];
  readonly toolChoice: ToolChoice;
  readonly parallelToolCalls: boolean;
  readonly responseFormat: ResponseFormat;
  /** Null = whatever the host allows. */
  readonly maxTokens: number | null;
  readonly stop: readonly string[];
  readonly seed: string;
  readonly stream: boolean;
  readonly includeUsage: boolean;
  /** Whether the prompt ends in an open think block. */
  readonly thinking: boolean;
  /** The switches as the request has them: some hosts' parsers look at these and not at the prompt. */
  readonly kwargs?: { readonly thinking?: boolean | undefined; readonly enable_thinking?: boolean | undefined };
  readonly parseReasoning: boolean;
  readonly includeReasoning: boolean;
}
