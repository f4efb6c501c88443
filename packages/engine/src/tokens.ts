import type { Message } from "@maru/contract";

/** Roles, separators and end marks of one message. */
const MESSAGE_TOKENS = 8;

/** Tokens of a message with its marks. */
export const messageTokens = (message: Message, estimate: (text: string) => number): number =>
  estimate(message.content) +
  MESSAGE_TOKENS +
  (message.role === "assistant"
    ? estimate(message.reasoning ?? "") +
      (message.toolCalls ?? []).reduce((sum, call) => sum + estimate(call.arguments) + MESSAGE_TOKENS, 0)
    : 0);
