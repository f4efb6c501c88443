import type { StreamItem, WireObject } from "../wire/envelope.ts";

// What the wire's faults need to find their way in bodies and chunks.

interface Fn {
  name?: string | null | undefined;
  arguments?: unknown;
}
export interface Part {
  index?: number;
  id?: string | null;
  type?: string;
  function: Fn;
}
interface Choice {
  finish_reason?: unknown;
  delta?: { tool_calls?: Part[] | null; content?: string | null; [name: string]: unknown } | null;
  message?: { tool_calls?: Part[] | null; content?: string | null; [name: string]: unknown };
}

/** The one choice of a body or a chunk; undefined in what has none. */
export function choiceOf(item: StreamItem | WireObject): Choice | undefined {
  return item === "[DONE]" || !Array.isArray(item.choices) ? undefined : (item.choices[0] as Choice | undefined);
}
export const partsOf = (item: StreamItem): Part[] => choiceOf(item)?.delta?.tool_calls ?? [];
export const callsOf = (body: WireObject): Part[] => choiceOf(body)?.message?.tool_calls ?? [];

/** The stream without its parts of calls; where they began, what `emit` puts there, given the whole calls. */
export function gatherCalls(
  items: readonly StreamItem[],
  emit: (calls: readonly Part[], put: (parts: Part[]) => void) => void,
): StreamItem[] {
  const calls: Part[] = [];
  for (const part of items.flatMap(partsOf)) {
    const index = part.index ?? 0;
    const call = calls[index];
    if (call === undefined)
      calls[index] = { ...part, function: { ...part.function, arguments: part.function.arguments ?? "" } };
    else call.function.arguments = `${call.function.arguments}${part.function.arguments ?? ""}`;
  }
  const separate = items.flatMap(withoutFinish);
  const first = separate.findIndex((item) => partsOf(item).length > 0);
  if (first < 0) return separate;
  const emitted: StreamItem[] = [];
  emit(calls, (parts) => emitted.push(chunk({ tool_calls: parts })));
  const rest = separate.slice(first).filter((item) => partsOf(item).length === 0);
  return [...separate.slice(0, first), ...emitted, ...rest];
}

/** A chunk that has both a delta and a finish reason as two. */
export function withoutFinish(item: StreamItem): StreamItem[] {
  const choice = choiceOf(item);
  if (item === "[DONE]" || choice?.finish_reason == null || Object.keys(choice.delta ?? {}).length === 0) return [item];
  return [
    { ...item, choices: [{ ...choice, finish_reason: null }] },
    { ...item, choices: [{ ...choice, delta: {} }] },
  ];
}

export function chunk(delta: object | null): WireObject {
  return { choices: [{ index: 0, delta, logprobs: null, finish_reason: null }], usage: null };
}

/** `added` halfway through the chunks before `[DONE]`. */
export function inTheMiddle(items: readonly StreamItem[], ...added: StreamItem[]): StreamItem[] {
  const middle = Math.floor((items.length - 1) / 2);
  return [...items.slice(0, middle), ...added, ...items.slice(middle)];
}
