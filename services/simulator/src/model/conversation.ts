import { parseObject } from "../python-json.ts";
import type { ChatMessage } from "../request.ts";
import { withoutDirectives } from "./directives.ts";
import { hasHangul } from "./korean.ts";

/** A call of the conversation with what came back for it. */
export interface PastCall {
  readonly name: string;
  /** Null when the arguments were no JSON object. */
  readonly args: Readonly<Record<string, unknown>> | null;
  /** The tool's text; null when no result came back. */
  readonly result: string | null;
}

/** One user message and all that followed it. */
export interface Turn {
  /** What the user wrote, without directive lines. */
  readonly text: string;
  readonly calls: readonly PastCall[];
  /** Model steps of this turn that called tools. */
  readonly batches: number;
}

export interface Conversation {
  /** The turn to be answered; its text is empty when there is no user message. */
  readonly current: Turn;
  /** Earlier turns, oldest first. */
  readonly earlier: readonly Turn[];
  readonly korean: boolean;
  /** System texts and the last user text as they came: the only places where directives count. */
  readonly directiveSources: readonly string[];
}

/**
 * Reads the messages as the model sees them. The template gives results no id, so they are paired with the calls before
 * them by position: a platform that sends results in another order gets answers about the wrong call.
 */
export function readConversation(messages: readonly ChatMessage[]): Conversation {
  const turns: { text: string; calls: PastCall[]; batches: number }[] = [];
  const sources: string[] = [];
  let lastUser = "";
  let open: { name: string; args: Record<string, unknown> | null; result: string | null }[] = [];
  for (const message of messages) {
    if (message.role === "system") sources.push(message.content);
    else if (message.role === "user") {
      lastUser = message.content;
      turns.push({ text: withoutDirectives(message.content), calls: [], batches: 0 });
      open = [];
    } else if (message.role === "assistant") {
      open = message.calls.map((call) => ({ name: call.name, args: parseObject(call.arguments), result: null }));
      const turn = turns.at(-1);
      if (turn !== undefined && open.length > 0) {
        turn.calls.push(...open);
        turn.batches++;
      }
    } else {
      const unanswered = open.find((call) => call.result === null);
      if (unanswered !== undefined) unanswered.result = message.content;
    }
  }
  const current = turns.pop() ?? { text: "", calls: [], batches: 0 };
  return {
    current,
    earlier: turns,
    korean: hasHangul(current.text),
    directiveSources: [...sources, lastUser],
  };
}
