/** A call written as text: what stood between its tags. Not `closed` = the answer ended first. */
export interface CallBlock {
  readonly body: string;
  readonly closed: boolean;
}
export interface Content {
  readonly text: string;
  /** Thinking that was left in the content. It is not shown live: what it is, is only known when it is over. */
  readonly reasoning: string;
  readonly blocks: readonly CallBlock[];
}

const OPEN_THINK = "<think>";
const CLOSE_THINK = "</think>";
const OPEN_CALL = "<tool_call>";
const CLOSE_CALL = "</tool_call>";
const MARKS = [OPEN_CALL, CLOSE_CALL, OPEN_THINK, CLOSE_THINK];
const MARK = new RegExp(MARKS.join("|"));
/** Characters of content that wait for a bare `</think>` before they are shown live; some 20,000 tokens of thinking. */
const HELD_LIMIT = 65_536;

/**
 * Sorts the content field of a stream into text, thinking that a host left in it, and calls the model wrote as text.
 * What is shown live and the end come from one pass, so the text shown is the text of the answer; how the content was cut
 * into pieces changes nothing of the answer.
 *
 * The prompt of a thinking K-EXAONE ends inside `<think>`, so a host that parses nothing sends thinking with only a
 * `</think>` behind it. While that may still come, text is held back; past `HELD_LIMIT` it is shown, and only the answer
 * is put right when the mark comes after all.
 */
export function createContentReader({ thinking }: { thinking: boolean }) {
  let state: "text" | "think" | "call" = "text";
  let raw = "";
  let pending = "";
  /** In a call: where to look on for its end. */
  let searched = 0;
  let text = "";
  let blank = "";
  let reasoning = "";
  let blocks: CallBlock[] = [];
  let bareClosePossible = thinking;
  /** The end of `raw`, in which a `</think>` may have begun. */
  let seam = "";
  let fieldSeen = false;
  /** Not given out yet. Apart from `text`, because cutting that on every piece would copy all of it every time. */
  let freshText = "";

  /** Blank ends of the whole text are not part of it: hosts put empty lines around thinking and calls. */
  const show = (piece: string): void => {
    const whole = blank + piece;
    const kept = whole.trimEnd().length;
    const part = text === "" ? whole.slice(0, kept).trimStart() : whole.slice(0, kept);
    blank = whole.slice(kept);
    text += part;
    freshText += part;
  };

  const addThought = (piece: string): void => {
    // Thinking that also came elsewhere, or again, is only taken out of the text.
    if (fieldSeen || reasoning !== "") return;
    reasoning = piece;
  };

  /** A `</think>` without its opening: all so far was thinking. */
  const splitAtBareClose = (): void => {
    const at = raw.indexOf(CLOSE_THINK);
    bareClosePossible = false;
    if (raw.slice(0, at).includes(OPEN_THINK)) return;
    addThought(raw.slice(0, at));
    pending = raw.slice(at + CLOSE_THINK.length);
    state = "text";
    text = "";
    freshText = "";
    blank = "";
    blocks = [];
  };

  /** Takes the next thing off `pending`; false when it takes more content to know what that is. */
  const advance = (): boolean => {
    if (state === "text") {
      const mark = pending.includes("<") ? MARK.exec(pending) : null;
      if (mark === null) {
        const end = pending.length - heldSuffix(pending);
        show(pending.slice(0, end));
        pending = pending.slice(end);
        return false;
      }
      show(pending.slice(0, mark.index));
      pending = pending.slice(mark.index + mark[0].length);
      if (mark[0] === OPEN_CALL) {
        state = "call";
        searched = 0;
      }
      if (mark[0] === OPEN_THINK) {
        state = "think";
        bareClosePossible = false;
      }
      return true;
    }
    if (state === "think") {
      const end = pending.indexOf(CLOSE_THINK);
      if (end < 0) return false;
      addThought(pending.slice(0, end));
      pending = pending.slice(end + CLOSE_THINK.length);
      state = "text";
      return true;
    }
    for (let end = pending.indexOf(CLOSE_CALL, searched); end >= 0; end = pending.indexOf(CLOSE_CALL, searched)) {
      if (!endsInsideString(pending.slice(0, end))) {
        closeCall(end);
        return true;
      }
      searched = end + CLOSE_CALL.length;
    }
    searched = Math.max(searched, pending.length - CLOSE_CALL.length + 1);
    return false;
  };

  const closeCall = (end: number): void => {
    blocks.push({ body: pending.slice(0, end), closed: true });
    pending = pending.slice(end + CLOSE_CALL.length);
    state = "text";
  };

  /** The content is over while a mark waits for its end: decides what that was. `pending` shrinks every time. */
  const giveUpWaiting = (cut: boolean): void => {
    if (state === "call") {
      const end = pending.indexOf(CLOSE_CALL);
      // Quotes that never match kept the call open: then its first end was the end after all.
      if (end >= 0) {
        closeCall(end);
        return;
      }
      if (cut || /^\s*(?:\{|[A-Za-z0-9_-]+\s*<arg_key>)/.test(pending)) {
        blocks.push({ body: pending, closed: false });
        pending = "";
      } else show(OPEN_CALL); // An answer about the mark itself.
    } else if (text === "") {
      addThought(pending);
      pending = "";
    } else show(OPEN_THINK);
    state = "text";
  };

  const take = (): string => {
    if (bareClosePossible && raw.length <= HELD_LIMIT) return "";
    const fresh = freshText;
    freshText = "";
    return fresh;
  };

  return {
    /** The text this piece adds, as far as it can be shown. */
    push(piece: string): string {
      raw += piece;
      pending += piece;
      if (bareClosePossible) {
        seam += piece;
        if (seam.includes(CLOSE_THINK)) splitAtBareClose();
        seam = seam.slice(1 - CLOSE_THINK.length);
      }
      while (advance());
      return take();
    },

    /** The host sends thinking in a field of its own, so what is held back was text. */
    reasoningFieldSeen(): string {
      fieldSeen = true;
      bareClosePossible = false;
      return take();
    },

    /** All content so far, as it came. */
    raw: () => raw,

    /** The content is over, `cut` short or not: the last text. Nothing may be pushed after this. */
    finish(cut: boolean): string {
      bareClosePossible = false;
      while (advance());
      while (state !== "text") {
        giveUpWaiting(cut);
        while (advance());
      }
      show(pending);
      pending = "";
      return take();
    },

    /** What it all was, once it is finished. */
    result: (): Content => ({ text, reasoning, blocks }),
  };
}

/** Length of the longest suffix that may be the start of a mark. */
function heldSuffix(text: string): number {
  const at = text.lastIndexOf("<");
  if (at < 0 || text.length - at > CLOSE_CALL.length) return 0;
  const tail = text.slice(at);
  return MARKS.some((mark) => mark.startsWith(tail)) ? tail.length : 0;
}

/** Whether a JSON text ends inside a string: then a `</tool_call>` behind it is part of an argument. */
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
