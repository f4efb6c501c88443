import type { ModelRequest, ToolDeclaration } from "@maru/contract";
import type { ChatCompletionCreateParamsStreaming, ChatCompletionTool } from "openai/resources/chat/completions";
import type { Dialect } from "./dialect.ts";
import { wireMessages } from "./messages.ts";
import { neutralised } from "./neutralise.ts";
import { estimateRequestTokens } from "./tokens.ts";

/** Fields of K-EXAONE's hosts beside OpenAI's own. */
export interface HostFields {
  readonly chat_template_kwargs?: Readonly<Record<string, boolean>>;
  readonly thinking?: { readonly type: "enabled" | "disabled"; readonly clear_thinking?: false };
  readonly parse_reasoning?: boolean;
  readonly include_reasoning?: boolean;
}
/** A streamed request; `stream` is false for a host that can't. */
export type WireRequest = Omit<ChatCompletionCreateParamsStreaming, "stream" | "reasoning_effort"> &
  HostFields & { readonly stream: boolean; readonly reasoning_effort?: string };

export interface RequestOptions {
  /** Our own count of the prompt; by default the estimate. */
  readonly promptTokens?: number;
  /** The host's cap on one answer, where it is lower than the model's (Friendli's goes by the account's tier). */
  readonly hostMaxOutputTokens?: number | null;
  /** The name the host knows the model by, where that is not the catalogue's. */
  readonly upstreamModel?: string | null;
  readonly stream?: boolean;
}

/** Room for an answer that is asked for even where our own count says that the context is full: the host knows better. */
const LEAST_ROOM_TOKENS = 1_024;

/**
 * The wire form of a request. Thinking, sampling and the room for the answer are always explicit: hosts' defaults differ,
 * and silently. Never has a `response_format`: Friendli refuses it together with tools.
 */
export function buildRequest(request: ModelRequest, dialect: Dialect, options: RequestOptions = {}): WireRequest {
  const { model } = request;
  const { promptTokens = estimateRequestTokens(request), stream = true } = options;
  const room = Math.max(LEAST_ROOM_TOKENS, model.contextTokens - promptTokens);
  const cap = Math.min(model.maxOutputTokens.max, options.hostMaxOutputTokens ?? Number.POSITIVE_INFINITY);
  const refused: readonly string[] = dialect.refuses;
  const sent = <T>(name: string, value: T) => (refused.includes(name) ? {} : { [name]: value });
  return {
    model: options.upstreamModel ?? model.upstreamModel,
    messages: wireMessages(request, dialect),
    ...(request.tools.length === 0
      ? {}
      : {
          tools: wireTools(request.tools),
          tool_choice: wireChoice(request),
          ...sent("parallel_tool_calls", request.parallelToolCalls),
        }),
    temperature: request.temperature,
    top_p: request.topP,
    ...sent("presence_penalty", request.presencePenalty),
    ...(request.seed === null ? {} : sent("seed", request.seed)),
    ...dialect.always,
    [dialect.maxTokensField]: Math.max(1, Math.min(request.maxOutputTokens, cap, room)),
    ...thinkingSwitch(request, dialect),
    ...(dialect.parseReasoning ? { parse_reasoning: true, include_reasoning: thinks(request) } : {}),
    stream,
    ...(stream ? { stream_options: { include_usage: true } } : {}),
  };
}

/** Whether there will be thinking: some models can't be kept from it, and some have none. */
export const thinks = ({ model, thinking }: Pick<ModelRequest, "model" | "thinking">): boolean =>
  model.thinking.control === "always" || (model.thinking.control !== "never" && thinking);

/**
 * The switch of thinking, said on every call: K-EXAONE thinks unless told not to, but vLLM's parser for it looks for
 * thinking only when told that there is some.
 */
function thinkingSwitch(request: ModelRequest, dialect: Dialect): HostFields & { reasoning_effort?: string } {
  const { control, effort } = request.model.thinking;
  const on = thinks(request);
  if (control === "reasoning_effort") {
    const word = on ? effort?.on : effort?.off;
    return word ? { reasoning_effort: word } : {};
  }
  if (dialect.thinkingSwitch === "none" || control === "never") return {};
  // Hosts drop the thinking of earlier turns unless told not to (GLM's README).
  const keep = request.model.thinking.history === "preserved" ? { clear_thinking: false as const } : {};
  if (dialect.thinkingSwitch === "type") return { thinking: { type: on ? "enabled" : "disabled", ...keep } };
  const names = new Set(control === "always" ? dialect.alsoKwargs : [control, ...dialect.alsoKwargs]);
  return names.size === 0
    ? {}
    : { chat_template_kwargs: { ...Object.fromEntries([...names].map((name) => [name, on] as const)), ...keep } };
}

const wireChoice = ({ toolChoice = "auto" }: ModelRequest) =>
  toolChoice === "auto" ? "auto" : { type: "function" as const, function: { name: toolChoice.named } };

/**
 * Stripped to the fields every host knows, and sorted: the tools head the prompt, so another order would void its cached
 * prefix. Descriptions are neutralised since an MCP server may have written them.
 */
function wireTools(tools: readonly ToolDeclaration[]): ChatCompletionTool[] {
  return tools
    .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    .map(({ name, description, parameters }) => ({
      type: "function",
      function: { name, description: neutralised(description), parameters: wireSchema(parameters) },
    }));
}

/** `parameters` is required by Friendli, also of a tool that takes none. */
function wireSchema(parameters: ToolDeclaration["parameters"]): Record<string, unknown> {
  const schema = Object.keys(parameters).length === 0 ? { type: "object", properties: {} } : { ...parameters };
  const text = JSON.stringify(schema);
  const safe = neutralised(text);
  return safe === text ? schema : JSON.parse(safe);
}
