import type { Message } from "@maru/contract";
import { trimHistory } from "@maru/domain";
import type { Claim, StoredStep } from "@maru/store";
import { approvalOf, isResult } from "./journal-state.ts";
import { isStrayText, NUDGE, SUBMIT_TOOL } from "./submit.ts";
import { isSummary, recalled, summaryMessages } from "./summary.ts";
import { messageTokens } from "./tokens.ts";

/** Of a tool result that is too long for the context, this much stays. */
const KEPT_CHARACTERS = 400;

/**
 * The run's conversation rebuilt from its journal: what any worker sees after a crash is what the first one saw. Results
 * follow in the order of the calls, not of completion: K-EXAONE's template carries no call id, so the model pairs
 * results with calls by position. Steps that failed are not part of it: their successor replaced them.
 *
 * It is made to fit `limitTokens`: the thread's oldest exchanges go first, whole, so that no result loses its call; then
 * the oldest tool results of this run are cut down to their beginnings.
 */
export function conversation(
  claim: Claim,
  steps: readonly StoredStep[],
  estimate: (text: string) => number,
  limitTokens = Number.POSITIVE_INFINITY,
): Message[] {
  const tokens = (message: Message) => messageTokens(message, estimate);
  const total = (messages: readonly Message[]) => messages.reduce((sum, message) => sum + tokens(message), 0);

  const system: Message = { role: "system", content: claim.spec.instructions };
  const current = shortened(exchange(claim.input, steps), limitTokens - tokens(system), tokens);
  const { summary, messages } = recalled(claim, steps);
  const before = summaryMessages(summary);
  const room = limitTokens - tokens(system) - total(current) - total(before);
  const history = trimHistory(messages, Math.min(claim.spec.memory.thread.maxTokens, room), tokens);
  // The newest exchange stays even where the thread's own limit is too small for it, but not where the context is.
  return [system, ...(room < 0 ? [] : before), ...(total(history) > room ? [] : history), ...current];
}

/** Cuts the oldest tool results down until the messages fit, as far as that goes. */
function shortened(messages: readonly Message[], limit: number, tokens: (message: Message) => number): Message[] {
  let excess = messages.reduce((sum, message) => sum + tokens(message), 0) - limit;
  return messages.map((message) => {
    if (excess <= 0 || message.role !== "tool" || message.content.length <= KEPT_CHARACTERS * 2) return message;
    const start = message.content.slice(0, KEPT_CHARACTERS).toWellFormed();
    const cut = {
      ...message,
      content: `${start}\n[${message.content.length - KEPT_CHARACTERS} more characters left out to fit the model's context]`,
    };
    excess -= tokens(message) - tokens(cut);
    return cut;
  });
}

/** What this run alone adds: the user's input and every finished step. */
export function exchange(input: string, steps: readonly StoredStep[]): Message[] {
  const messages: Message[] = [{ role: "user", content: input }];
  const ordered = steps.filter((step) => !isSummary(step)).sort((a, b) => a.seq - b.seq);
  for (const [index, step] of ordered.entries()) {
    if (step.kind === "model" && step.state === "done" && step.output !== null) {
      const { text, reasoning, toolCalls } = step.output;
      messages.push({
        role: "assistant",
        content: text,
        ...(reasoning === "" ? {} : { reasoning }),
        ...(toolCalls.length === 0 ? {} : { toolCalls }),
      });
      // Words in place of the call that was asked for: the run goes on only where something was asked for.
      if (isStrayText(step) && index < ordered.length - 1) messages.push({ role: "user", content: NUDGE });
    }
    if (isResult(step) && step.output !== null) {
      const edited = approvalOf(steps, step.seq)?.output?.arguments;
      const note = edited ? `[A reviewer changed the arguments of this call to ${edited}]\n` : "";
      const content = `${note}${step.output.output}`;
      messages.push({ role: "tool", toolCallId: step.input.id, name: step.name, content });
    }
  }
  return messages;
}

/**
 * As a thread keeps it: without thinking, which the next user turn must not see (interleaved thinking), and without the
 * business of handing a structured answer in, whose outcome stands at the end as the answer.
 */
export function threadMessages(input: string, steps: readonly StoredStep[], structured: boolean): Message[] {
  const messages = exchange(input, steps).map((message): Message => {
    if (message.role !== "assistant") return message;
    const toolCalls = message.toolCalls?.filter(({ name }) => name !== SUBMIT_TOOL) ?? [];
    return { role: "assistant", content: message.content, ...(toolCalls.length === 0 ? {} : { toolCalls }) };
  });
  if (!structured) return messages;
  return messages.filter(
    (message, index) =>
      index === 0 ||
      (message.role === "assistant" && message.toolCalls !== undefined) ||
      (message.role === "tool" && message.name !== SUBMIT_TOOL),
  );
}
