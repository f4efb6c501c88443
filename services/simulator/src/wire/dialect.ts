import type { ToolChoice } from "../request.ts";

/** The kinds of host whose wire the simulator speaks. */
export const DIALECT_NAMES = ["friendli", "vllm", "vllm-legacy", "sglang", "openai"] as const;
export type DialectName = (typeof DIALECT_NAMES)[number];

/** Behaviours that changed between releases of a host's software, as switches. */
export interface Versions {
  readonly vllm: {
    /** vLLM 0.14 and later look at `enable_thinking` too; earlier ones only at `thinking`. */
    readonly enableThinkingAware: boolean;
    /** Fields of assistant messages from which vLLM takes reasoning back; others are dropped silently. */
    readonly reasoningInputNames: readonly ("reasoning" | "reasoning_content")[];
    /** The reasoning parser the server was started with. LG recommends deepseek_v3; deepseek_r1 always splits. */
    readonly reasoningParser: "deepseek_v3" | "deepseek_r1";
  };
  readonly sglang: {
    /** Before pull request 8417 the finish reason came twice. */
    readonly duplicateFinish: boolean;
    /** Newer releases take a `<tool_call>` inside the think block for its end. */
    readonly toolCallEndsThinking: boolean;
    /** Streamed arguments are re-serialised with `\u` escapes for everything that is not ASCII. */
    readonly asciiStreamArguments: boolean;
  };
}

export const CURRENT_VERSIONS: Versions = {
  vllm: {
    enableThinkingAware: true,
    reasoningInputNames: ["reasoning", "reasoning_content"],
    reasoningParser: "deepseek_v3",
  },
  sglang: { duplicateFinish: false, toolCallEndsThinking: true, asciiStreamArguments: true },
};

/** What a dialect is told about the call besides the model's text. */
export interface WireContext {
  /** Whether the prompt ended in an open think block. */
  readonly thinking: boolean;
  readonly parseReasoning: boolean;
  /** As if the server had been started without a reasoning parser; only a fault says so. */
  readonly reasoningParserOff?: boolean;
  readonly includeReasoning: boolean;
  /** The whole answer's digest; ids are derived from it. */
  readonly digest: string;
  /** False when the answer was cut by a token limit. */
  readonly complete: boolean;
  /** The two switches as the request's `chat_template_kwargs` has them; absent ones are undefined. */
  readonly kwargs?:
    | { readonly thinking?: boolean | undefined; readonly enable_thinking?: boolean | undefined }
    | undefined;
  readonly toolNames?: readonly string[];
  readonly toolChoice?: ToolChoice;
  /** False keeps only the first call. Default true. */
  readonly parallel?: boolean;
  readonly versions?: Versions;
}

export interface WireToolCall {
  readonly id: string;
  readonly type: "function";
  readonly index?: number;
  readonly function: { readonly name: string; readonly arguments: string };
}

/** A message of a completion. Key order is the order on the wire; dialects add keys of their own. */
export interface WireMessage {
  readonly role: "assistant";
  readonly content: string | null;
  readonly reasoning_content?: string | null;
  readonly reasoning?: string | null;
  readonly tool_calls?: readonly WireToolCall[] | null;
  readonly [key: string]: unknown;
}

export type WireFinish = "stop" | "length" | "tool_calls";

export interface Answer {
  readonly message: WireMessage;
  readonly finish: WireFinish;
}

/** One chunk's choice: what it adds, and the finish reason once. */
export interface StreamStep {
  readonly delta: object;
  readonly finish: WireFinish | null;
}

export interface Counts {
  readonly promptTokens: number;
  readonly completionTokens: number;
  readonly cachedTokens: number;
  readonly reasoningTokens: number;
}

/** Cuts a text into the pieces of a stream. */
export type Slice = (text: string) => readonly string[];

/** How one kind of host puts the model's raw text, which follows `<think>\n`, on the wire; streaming and not. */
export interface Dialect {
  readonly name: DialectName;
  /** The whole answer, by the host's one-time parsers. */
  readonly message: (raw: string, context: WireContext) => Answer;
  /** The answer as the host's incremental parsers send it; with broken calls this differs from the whole. */
  readonly stream: (raw: string, context: WireContext, slice: Slice) => readonly StreamStep[];
  /** Fields a choice has beside message or delta, logprobs and finish reason. */
  readonly choiceExtras: (finish: WireFinish | null) => object;
  /** Fields of a whole body after its usage. */
  readonly bodyExtras: object;
  readonly usage: (counts: Counts) => object;
  /** Whether chunks say `usage: null` until the last. */
  readonly nullUsage: boolean;
  /** The body of a refused call. */
  readonly errorBody: (status: number, message: string, code?: string | null) => object;
  /** Friendli's schema is enforced to the letter, with 422; the others take more and answer 400. */
  readonly strict: boolean;
}

/** Ids of a call's tool calls: the same for the same request, different in every other. */
export function callId(prefix: string, digest: string, index: number): string {
  return `${prefix}${digest.slice(24, 44)}${index.toString(16).padStart(4, "0")}`;
}

/** Whether the host looks for calls in the answer at all: without tools `<tool_call>` is text like any other. */
export function looksForCalls({ toolNames = [], toolChoice = "auto" }: WireContext): boolean {
  return toolNames.length > 0 && toolChoice !== "none";
}
