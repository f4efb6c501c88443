import type { Message, ModelRequest } from "@maru/contract";
import type {
  ChatCompletionCreateParamsStreaming,
  ChatCompletionMessageParam,
} from "openai/resources/chat/completions";
import { estimateRequestTokens } from "./tokens.ts";

/** Fields of K-EXAONE's hosts beside OpenAI's own. */
export interface HostFields {
  readonly chat_template_kwargs: { readonly enable_thinking: boolean };
  readonly parse_reasoning?: boolean;
  readonly include_reasoning?: boolean;
}

/** What differs between hosts, as data. */
export interface Dialect {
  /** Asks the host to move thinking out of the content. */
  readonly parseReasoning: boolean;
  /** Field names under which past thinking goes back. */
  readonly reasoningFields: readonly ("reasoning_content" | "reasoning")[];
}

export const DIALECTS = {
  friendli: { parseReasoning: true, reasoningFields: ["reasoning_content"] },
  // An unknown vLLM may read either name, depending on its age.
  vllm: { parseReasoning: false, reasoningFields: ["reasoning_content", "reasoning"] },
} as const satisfies Record<string, Dialect>;
export type DialectName = keyof typeof DIALECTS;

/** The wire form of a request. Thinking and sampling are always explicit: hosts' defaults differ, and silently. */
export function buildRequest(
  request: ModelRequest,
  dialect: Dialect,
): ChatCompletionCreateParamsStreaming & HostFields {
  const { model } = request;
  const room = model.contextTokens - estimateRequestTokens(request);
  const tools = [...request.tools].sort((a, b) => (a.name < b.name ? -1 : 1));
  return {
    model: model.upstreamModel,
    messages: wireMessages(request.messages, dialect, request.thinking),
    // Sorted and stripped to what every host knows: the tools head the prompt, so any change would void its cached prefix.
    ...(tools.length === 0
      ? {}
      : {
          tools: tools.map(({ name, description, parameters }) => ({
            type: "function" as const,
            function: { name, description, parameters: { ...parameters } },
          })),
          tool_choice: "auto" as const,
          parallel_tool_calls: request.parallelToolCalls,
        }),
    temperature: request.temperature,
    top_p: request.topP,
    presence_penalty: request.presencePenalty,
    ...(request.seed === null ? {} : { seed: request.seed }),
    max_tokens: Math.max(1, Math.min(request.maxOutputTokens, model.maxOutputTokens.max, room)),
    chat_template_kwargs: { enable_thinking: request.thinking },
    ...(dialect.parseReasoning ? { parse_reasoning: true, include_reasoning: true } : {}),
    stream: true,
    stream_options: { include_usage: true },
  };
}

function wireMessages(messages: readonly Message[], dialect: Dialect, thinking: boolean): ChatCompletionMessageParam[] {
  const lastUser = messages.findLastIndex(({ role }) => role === "user");
  return messages.map((message, index): ChatCompletionMessageParam => {
    switch (message.role) {
      case "system":
        return { role: "system", content: message.content };
      case "user":
        return { role: "user", content: neutralised(message.content) };
      case "tool":
        return { role: "tool", tool_call_id: message.toolCallId, content: neutralised(message.content) };
      default: {
        // Interleaved thinking: kept within the current user turn, where the template expects it, and dropped before.
        const reasoning = thinking && index > lastUser ? message.reasoning : undefined;
        const calls = message.toolCalls ?? [];
        return {
          role: "assistant",
          content: message.content === "" && calls.length > 0 ? null : message.content,
          ...(calls.length === 0
            ? {}
            : {
                tool_calls: calls.map((call) => ({
                  id: call.id,
                  type: "function" as const,
                  function: { name: call.name, arguments: objectText(call.arguments) },
                })),
              }),
          ...(reasoning === undefined
            ? {}
            : Object.fromEntries(dialect.reasoningFields.map((field) => [field, reasoning]))),
        };
      }
    }
  });
}

/** Templates render past arguments as JSON and fail on anything else, so what was no object goes back as an empty one. */
function objectText(text: string): string {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? text : "{}";
  } catch {
    return "{}";
  }
}

const TEMPLATE_TOKENS =
  /<(\|(?:endofturn|assistant|system|user|tool|tool_declare)\||\/?(?:tool_result|tool_call|think|tool))>/g;

/**
 * Text from users and tools with the template's own marks made harmless: a zero-width joiner after `<` keeps them
 * readable, but they no longer end a turn or a tool result. K-EXAONE's tool results are set off by plain tags only, so a
 * page that holds them could otherwise speak as the system.
 */
export const neutralised = (text: string): string =>
  text.includes("<") ? text.replace(TEMPLATE_TOKENS, "<\u200d$1>") : text;
