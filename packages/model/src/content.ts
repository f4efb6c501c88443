/** A call written as text: what stood between its tags. Not `closed` = the answer ended first. */
export interface CallBlock {
  readonly body: string;
  readonly closed: boolean;
}
/** What one piece of content adds for the reader's eyes. */
export interface ContentDelta {
  readonly text: string;
  readonly reasoning: string;
}

const MARKS = ["<tool_call>", "</tool_call>", "<think>", "</think>"] as const;
const MARK = /<\/?(?:tool_call|think)>/;
const OPEN_THINK = "<think>";
const CLOSE_THINK = "</think>";
const CLOSE_CALL = "</tool_call>";
/** Characters of content that wait for a bare `</think>` before they are shown live; some 20,000 tokens of thinking. */
const HELD_LIMIT = 65_536;

/**
 * Sorts the content field of a stream into text, thinking that a host left in it, and calls the model wrote as text.
 * Deltas and end come from one pass, so the text shown live is the text of the answer; how the content was cut into
 * pieces changes nothing of the answer.
 *
 * The prompt of a thinking K-EXAONE ends inside `<think>`, so a host that parses nothing sends thinking with only a
 * `</think>` behind it. While that may still come, text is held back; past `HELD_LIMIT` it is shown, and only the answer
 * is put right when the mark comes after all.
 */
export function createContentReader({ thinkingRequested }: { thinkingRequested: boolean }) {
  let state: "text" | "think" | "call" = "text";
  let raw = "";
  let pending = "";
  /** In a call: where to look on for its end. */
  let searched = 0;
  let text = "";
  let blank = "";
  let reasoning = "";
  let bareClosePossible = thinkingRequested;
  let fieldSeen = false;
  /** How much of `text` was given out. */
  let shown = 0;
  let blocks: CallBlock[] = [];

  const show = (piece: string): void => {
    const whole = blank + piece;
    const kept = whole.trimEnd().length;
    blank = whole.slice(kept);
    text += text === "" ? whole.slice(0, kept).trimStart() : whole.slice(0, kept);
  };

  /** All so far was thinking. */
  const splitAtBareClose = (): void => {
    const at = raw.indexOf(CLOSE_THINK);
    bareClosePossible = false;
    if (raw.slice(0, at).includes(OPEN_THINK)) return;
    reasoning = raw.slice(0, at);
    pending = raw.slice(at + CLOSE_THINK.length);
    state = "text";
    text = "";
    blank = "";
    shown = 0;
    blocks = [];
  };

  /** Reads on in `pending`; true when it stopped for want of more. */
  const advance = (): boolean => {
    if (state === "text") {
      const mark = pending.includes("<") ? MARK.exec(pending) : null;
      if (mark === null) {
        const keep = heldSuffix(pending);
        show(pending.slice(0, pending.length - keep));
        pending = pending.slice(pending.length - keep);
        return true;
      }
      show(pending.slice(0, mark.index));
      pending = pending.slice(mark.index + mark[0].length);
      if (mark[0] === OPEN_THINK) state = "think";
      if (mark[0] === "<tool_call>") state = "call";
      if (state !== "think") return false;
      bareClosePossible = false;
      return false;
    }
    if (state === "think") {
      const end = pending.indexOf(CLOSE_THINK);
      if (end < 0) return true;
      if (!fieldSeen) reasoning += pending.slice(0, end);
      pending = pending.slice(end + CLOSE_THINK.length);
      state = "text";
      return false;
    }
    for (let end = pending.indexOf(CLOSE_CALL, searched); end >= 0; end = pending.indexOf(CLOSE_CALL, end + 1)) {
      searched = end + CLOSE_CALL.length;
      if (endsInsideString(pending.slice(0, end))) continue;
      closeCall(end);
      return false;
    }
    searched = Math.max(searched, pending.length - CLOSE_CALL.length + 1);
    return true;
  };

  const closeCall = (end: number): void => {
    blocks.push({ body: pending.slice(0, end), closed: true });
    pending = pending.slice(end + CLOSE_CALL.length);
    searched = 0;
    state = "text";
  };

  /** The content is over, and something in it was left open. */
  const settle = (): void => {
    for (;;) {
      while (!advance());
      if (state === "text") break;
      if (state === "call") {
        // Its arguments never left their string: then the first end tag was the end after all.
        const end = pending.indexOf(CLOSE_CALL);
        if (end >= 0) {
          closeCall(end);
          continue;
        }
        if (/^\s*(?:\{|[A-Za-z0-9_-]+\s*(?:<arg_key>|$))/.test(pending)) blocks.push({ body: pending, closed: false });
        else show(`<tool_call>${pending}`);
        pending = "";
      } else if (text === "" && blocks.length === 0) {
        if (!fieldSeen) reasoning += pending;
        pending = "";
      } else show(OPEN_THINK);
      searched = 0;
      state = "text";
    }
    show(pending);
    pending = "";
  };

  const delta = (before: number): ContentDelta => {
    const thought = reasoning.length > before ? reasoning.slice(before) : "";
    if (bareClosePossible && raw.length <= HELD_LIMIT) return { text: "", reasoning: thought };
    const fresh = text.slice(shown);
    shown = text.length;
    return { text: fresh, reasoning: thought };
  };

  return {
    push(piece: string): ContentDelta {
      const before = reasoning.length;
      const from = Math.max(0, raw.length - CLOSE_THINK.length);
      raw += piece;
      pending += piece;
      if (bareClosePossible && raw.indexOf(CLOSE_THINK, from) >= 0) splitAtBareClose();
      while (!advance());
      return delta(before);
    },

    /** The host sends thinking in a field of its own: what is held back was text. */
    reasoningFieldSeen(): ContentDelta {
      if (fieldSeen) return NOTHING;
      fieldSeen = true;
      bareClosePossible = false;
      return delta(reasoning.length);
    },

    /** All content so far, as it came. */
    raw: () => raw,

    /** The last of it; after this the reader is spent. */
    end(): ContentDelta & { readonly answer: { text: string; reasoning: string; blocks: readonly CallBlock[] } } {
      const before = reasoning.length;
      bareClosePossible = false;
      settle();
      return { ...delta(before), answer: { text, reasoning, blocks } };
    },
  };
}

const NOTHING: ContentDelta = { text: "", reasoning: "" };

/** Length of the longest suffix that may be the start of a mark. */
function heldSuffix(text: string): number {
  const at = text.lastIndexOf("<");
  if (at < 0 || text.length - at > CLOSE_CALL.length) return 0;
  const tail = text.slice(at);
  return MARKS.some((mark) => mark.startsWith(tail)) ? tail.length : 0;
}

/** Whether a JSON text ends inside a string: then a `</tool_call>` behind it belongs to an argument. */
function endsInsideString(text: string): boolean {
  if (!/^\s*\{/.test(text)) return false;
  let inside = false;
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (inside && code === 92) index++;
    else if (code === 34) inside = !inside;
  }
  return inside;
}
