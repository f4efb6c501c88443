const OPEN = "<think>";
const CLOSE = "</think>";

export interface Split {
  /** Null: this parser moved nothing. */
  readonly reasoning: string | null;
  /** Null: everything was reasoning. */
  readonly content: string | null;
}

/** How a host's reasoning parser treats the raw text of one call. */
export interface ReasoningRule {
  /** False: the parser passes everything on as content. */
  readonly active: boolean;
  /** SGLang's later detectors take a `<tool_call>` inside the think block for its end. */
  readonly endsAtToolCall: boolean;
}

export const IDENTITY: ReasoningRule = { active: false, endsAtToolCall: false };
export const SPLIT_AT_THINK_END: ReasoningRule = { active: true, endsAtToolCall: false };

/**
 * One-time parsing. The opening tag belongs to the prompt, so the text before the first `</think>` is reasoning; an
 * opening tag the model repeats is dropped; text without a closing tag is all reasoning. Newlines are kept.
 */
export function splitReasoning(raw: string, rule: ReasoningRule): Split {
  if (!rule.active) return { reasoning: null, content: raw };
  const text = raw.startsWith(OPEN) ? raw.slice(OPEN.length) : raw;
  const end = text.indexOf(CLOSE);
  if (end >= 0) return { reasoning: text.slice(0, end), content: text.slice(end + CLOSE.length) };
  const call = rule.endsAtToolCall ? text.indexOf("<tool_call>") : -1;
  return call < 0 ? { reasoning: text, content: null } : { reasoning: text.slice(0, call), content: text.slice(call) };
}

/** Incremental parsing: feeds on token pieces (tags come whole) and tells which kind of text each adds. */
export function createReasoningStream(
  rule: ReasoningRule,
): (piece: string) => { readonly reasoning: string; readonly content: string } {
  let thinking = rule.active;
  return (piece) => {
    if (!thinking) return { reasoning: "", content: piece };
    if (piece === OPEN) return { reasoning: "", content: "" };
    if (piece === CLOSE) {
      thinking = false;
      return { reasoning: "", content: "" };
    }
    if (rule.endsAtToolCall && piece === "<tool_call>") {
      thinking = false;
      return { reasoning: "", content: piece };
    }
    return { reasoning: piece, content: "" };
  };
}
