import type { ModelRequest, ToolDeclaration } from "@maru/contract";
import type { ChatCompletionCreateParamsStreaming, ChatCompletionTool } from "openai/resources/chat/completions";
import type { Dialect } from "./dialect.ts";
import { wireMessages } from "./messages.ts";
import { neutralised } from "./neutralise.ts";
import { estimateRequestTokens } from "./tokens.ts";

/** Fields of K-EXAONE's hosts beside OpenAI's own. */
export interface HostFields {
  readonly chat_template_kwargs?: Readonly<Record<string, boolean>>;
  readonly parse_reasoning?: boolean;
  readonly include_reasoning?: boolean;
}
export type WireRequest = ChatCompletionCreateParamsStreaming & HostFields;

/** Room for an answer that is asked for even where our own count says that the context is full: the host knows better. */
const LEAST_ROOM_TOKENS = 1_024;

/**
 * The wire form of a request. Thinking, sampling and the room for the answer are always explicit: hosts' defaults differ,
 * and silently. Never has a `response_format`: Friendli refuses it together with tools.
 */
export function buildRequest(
  request: ModelRequest,
  dialect: Dialect,
  promptTokens = estimateRequestTokens(request),
): WireRequest {
  const { model, thinking } = request;
  const room = Math.max(LEAST_ROOM_TOKENS, model.contextTokens - promptTokens);
  const { thinkingKwargs, parseReasoning } = dialect;
  return {
    model: model.upstreamModel,
    messages: wireMessages(request, dialect),
    ...(request.tools.length === 0
      ? {}
      : { tools: wireTools(request.tools), tool_choice: "auto", parallel_tool_calls: request.parallelToolCalls }),
    temperature: request.temperature,
    top_p: request.topP,
    presence_penalty: request.presencePenalty,
    ...(request.seed === null ? {} : { seed: request.seed }),
    [dialect.maxTokensField]: Math.max(1, Math.min(request.maxOutputTokens, model.maxOutputTokens.max, room)),
    // K-EXAONE thinks unless told not to, but vLLM's parser for it looks for thinking only when told that there is some.
    ...(thinkingKwargs.length === 0
      ? {}
      : { chat_template_kwargs: Object.fromEntries(thinkingKwargs.map((name) => [name, thinking])) }),
    ...(parseReasoning ? { parse_reasoning: true, include_reasoning: thinking } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

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
