import type { ModelRequest } from "@maru/contract";
import { reasoningReplay } from "./messages.ts";

/** Roles, separators and end-of-turn marks of one message in K-EXAONE's template. */
const MESSAGE_TOKENS = 8;

// Hundredths of a token, so that sums are exact. Rounded up from what tokenizers of this size do: 4 Latin letters and 2.2
// Korean syllables a token; digits, punctuation and scripts the vocabulary hardly knows take more.
const LETTER = 25;
const SIGN = 40;
const HANGUL_OR_HAN = 46;
const OTHER_SCRIPT = 50;
const SURROGATE = 100;

/**
 * Tokens a text will probably take, rather too many than too few: for reservations and limits. What is charged is what
 * the host reports.
 */
export function estimateTokens(text: string): number {
  let hundredths = 0;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code < 0x80) hundredths += (code | 32) >= 97 && (code | 32) <= 122 ? LETTER : code <= 32 ? LETTER : SIGN;
    else if (code < 0x250) hundredths += SIGN;
    else if (code < 0x1100) hundredths += OTHER_SCRIPT;
    else hundredths += code >= 0xd800 && code < 0xe000 ? SURROGATE : HANGUL_OR_HAN;
  }
  return Math.ceil(hundredths / 100);
}

/** Tokens of a request's prompt: messages, the past thinking that goes along, and tool declarations. */
export function estimateRequestTokens(request: ModelRequest): number {
  const replays = reasoningReplay(request);
  let tokens = MESSAGE_TOKENS;
  for (const [index, message] of request.messages.entries()) {
    tokens += estimateTokens(message.content) + MESSAGE_TOKENS;
    if (message.role !== "assistant") continue;
    if (message.reasoning !== undefined && replays(index)) tokens += estimateTokens(message.reasoning);
    for (const call of message.toolCalls ?? [])
      tokens += estimateTokens(call.name) + estimateTokens(call.arguments) + MESSAGE_TOKENS;
  }
  for (const tool of request.tools) tokens += estimateTokens(JSON.stringify(tool)) + MESSAGE_TOKENS;
  return tokens;
}
