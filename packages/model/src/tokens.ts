import type { ModelRequest } from "@maru/contract";

/** Roles, separators and end-of-turn marks of one message in K-EXAONE's template. */
const MESSAGE_TOKENS = 8;

/**
 * Tokens a text will probably take: one for 2.2 Korean, Chinese or Japanese characters, one for 4 others. A rule of
 * thumb for reservations and limits; what is charged is what the host reports.
 */
export function estimateTokens(text: string): number {
  let wide = 0;
  for (let index = 0; index < text.length; index++) if (text.charCodeAt(index) >= 0x1100) wide++;
  return Math.ceil(wide / 2.2 + (text.length - wide) / 4);
}

/** Tokens of a request's prompt: messages, past thinking and tool declarations. */
export function estimateRequestTokens(request: ModelRequest): number {
  let tokens = MESSAGE_TOKENS;
  for (const message of request.messages) {
    tokens += estimateTokens(message.content) + MESSAGE_TOKENS;
    if (message.role !== "assistant") continue;
    tokens += estimateTokens(message.reasoning ?? "");
    for (const call of message.toolCalls ?? [])
      tokens += estimateTokens(call.name) + estimateTokens(call.arguments) + MESSAGE_TOKENS;
  }
  for (const tool of request.tools) tokens += estimateTokens(JSON.stringify(tool)) + MESSAGE_TOKENS;
  return tokens;
}
