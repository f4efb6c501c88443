import type { Message } from "@maru/contract";

/**
 * The newest whole exchanges that fit: an exchange is a user message and everything up to the next one, so a tool result
 * never loses its call. The last exchange is kept even when it alone is too large; what to do then is the caller's.
 */
export function trimHistory(
  messages: readonly Message[],
  maxTokens: number,
  estimate: (message: Message) => number,
): Message[] {
  const exchanges: Message[][] = [];
  for (const message of messages) {
    if (message.role === "user" || exchanges.length === 0) exchanges.push([]);
    exchanges.at(-1)?.push(message);
  }
  const kept: Message[][] = [];
  let tokens = 0;
  for (const exchange of exchanges.toReversed()) {
    tokens += exchange.reduce((sum, message) => sum + estimate(message), 0);
    if (tokens > maxTokens && kept.length > 0) break;
    kept.unshift(exchange);
  }
  return kept.flat();
}
