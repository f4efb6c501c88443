/** A call the model decided on. `json` is written into the answer as it is, so a script can make it invalid. */
export interface SpokenCall {
  readonly name: string;
  readonly json: string;
}

/** One answer of the model before it becomes raw text. */
export interface Utterance {
  readonly think: string;
  readonly text: string;
  readonly calls: readonly SpokenCall[];
}

const RESERVED = /<\/?(?:think|tool_call|tool_result|tool)>|<\|[a-z_]{1,24}\|>/g;

/** Text without the template's own markup: what a user or a tool wrote must not close a think block or open a call. */
export function withoutMarkup(text: string): string {
  return text.replace(RESERVED, "");
}

/**
 * The raw text a model would write after the prompt, which ends in `<think>\n` when it is to think. Think text and
 * answer are freed of markup here, calls are not: whoever decides on a call answers for its JSON.
 */
export function toRawText({ think, text, calls }: Utterance, thinking: boolean): string {
  const blocks = calls.map(
    (call) => `<tool_call>{"name": ${JSON.stringify(call.name)}, "arguments": ${call.json}}</tool_call>`,
  );
  const answer = withoutMarkup(text);
  if (answer !== "") blocks.unshift(answer);
  return `${thinking ? `${withoutMarkup(think)}\n</think>\n\n` : ""}${blocks.join("\n")}`;
}
