import type { Message, ToolCall } from "@maru/contract";
import { trimHistory } from "@maru/domain";
import type { Claim, StoredStep } from "@maru/store";

/**
 * The run's conversation rebuilt from its journal: what any worker sees after a crash is what the first one saw. Results
 * follow in the order of the calls, not of completion: K-EXAONE's template carries no call id, so the model pairs
 * results with calls by position. Steps that failed are not part of it: their successor replaced them.
 */
export function conversation(
  claim: Claim,
  steps: readonly StoredStep[],
  estimate: (text: string) => number,
): Message[] {
  const history = trimHistory(
    claim.threadMessages,
    claim.spec.memory.thread.maxTokens,
    (message) => estimate(message.content) + 8,
  );
  return [{ role: "system", content: claim.spec.instructions }, ...history, ...exchange(claim.input, steps)];
}

/** What this run alone adds: the user's input and every finished step. */
export function exchange(input: string, steps: readonly StoredStep[]): Message[] {
  const messages: Message[] = [{ role: "user", content: input }];
  for (const step of [...steps].sort((a, b) => a.seq - b.seq)) {
    if (step.kind === "model" && step.state === "done" && step.output !== null) {
      const { text, reasoning, toolCalls } = step.output;
      messages.push({
        role: "assistant",
        content: text,
        ...(reasoning === "" ? {} : { reasoning }),
        ...(toolCalls.length === 0 ? {} : { toolCalls }),
      });
    }
    if (step.kind === "tool" && step.output !== null) {
      messages.push({ role: "tool", toolCallId: step.input.id, name: step.name, content: step.output.output });
    }
  }
  return messages;
}

/** As a thread keeps it: without thinking, which the next user turn must not see (interleaved thinking). */
export function threadMessages(input: string, steps: readonly StoredStep[]): Message[] {
  return exchange(input, steps).map((message) =>
    message.role === "assistant"
      ? {
          role: "assistant",
          content: message.content,
          ...(message.toolCalls === undefined ? {} : { toolCalls: message.toolCalls }),
        }
      : message,
  );
}

/**
 * The name of a call the model keeps repeating: asked for again after it already ran `times` times in a row with the same
 * arguments and the same result, so one more run of it can't tell anything new. Null when there is none.
 */
export function repeatedCall(calls: readonly ToolCall[], steps: readonly StoredStep[], times: number): string | null {
  const done = steps.filter((step) => step.kind === "tool" && step.output !== null);
  for (const call of calls) {
    const key = callKey(call);
    let repeats = 0;
    let result: string | undefined;
    for (const step of done.toReversed()) {
      if (step.kind !== "tool" || step.name !== call.name) break;
      if (callKey(step.input) !== key || (result !== undefined && step.output?.output !== result)) break;
      result = step.output?.output;
      repeats++;
    }
    if (repeats >= times) return call.name;
  }
  return null;
}

function callKey({ name, arguments: text }: ToolCall): string {
  try {
    return `${name} ${JSON.stringify(sortKeys(JSON.parse(text === "" ? "{}" : text)))}`;
  } catch {
    return `${name} ${text}`;
  }
}

function sortKeys(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sortKeys);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, item]) => [key, sortKeys(item)]),
  );
}
