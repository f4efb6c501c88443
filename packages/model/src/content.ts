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
const ANY_MARK = new RegExp(MARKS.join("|"), "g");
/** Characters of content that wait for a bare `</think>` before they are shown live; some 20,000 tokens of thinking. */
const HELD_LIMIT = 65_536;
/** Marks without their ends that are each looked into at the end of an answer; behind so many, marks are only taken out. */
const MAX_GIVEN_UP = 64;

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
  /** What waits for the end of a mark; null = in the text. */
  let waiting: { readonly open: typeof OPEN_THINK | typeof OPEN_CALL; readonly wait: Wait } | null = null;
  let raw = "";
  /** The end of the text, where it may begin a mark. */
  let pending = "";
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
    const kept = piece.trimEnd().length;
    if (kept === 0) {
      if (text !== "") blank += piece;
      return;
    }
    const part = text === "" ? piece.slice(0, kept).trimStart() : blank + piece.slice(0, kept);
    blank = piece.slice(kept);
    text += part;
    freshText += part;
  };

  const addThought = (piece: string): void => {
    // Thinking that also came elsewhere, or again, is only taken out of the text.
    if (fieldSeen || reasoning !== "") return;
    reasoning = piece;
  };

  /** A `</think>` without its opening: all so far was thinking. What stands behind it, to be read anew; null = it was opened. */
  const splitAtBareClose = (): string | null => {
    const at = raw.indexOf(CLOSE_THINK);
    bareClosePossible = false;
    if (raw.slice(0, at).includes(OPEN_THINK)) return null;
    addThought(raw.slice(0, at));
    waiting = null;
    pending = "";
    text = "";
    freshText = "";
    blank = "";
    blocks = [];
    return raw.slice(at + CLOSE_THINK.length);
  };

  /** Each character is looked at once, but for those that may begin a mark: a host could send any number of pieces. */
  const read = (piece: string): void => {
    let rest = piece;
    for (;;) {
      if (waiting !== null) {
        const found = waiting.wait.push(rest);
        if (found === null) return;
        if (waiting.open === OPEN_THINK) addThought(found.body);
        else blocks.push({ body: found.body, closed: true });
        waiting = null;
        rest = found.rest;
      }
      const content = pending + rest;
      pending = "";
      const mark = content.includes("<") ? MARK.exec(content) : null;
      if (mark === null) {
        const end = content.length - heldSuffix(content);
        show(content.slice(0, end));
        pending = content.slice(end);
        return;
      }
      show(content.slice(0, mark.index));
      rest = content.slice(mark.index + mark[0].length);
      if (mark[0] === OPEN_CALL) waiting = { open: OPEN_CALL, wait: createCallWait() };
      if (mark[0] === OPEN_THINK) {
        waiting = { open: OPEN_THINK, wait: createThinkWait() };
        bareClosePossible = false;
      }
    }
  };

  /** The content is over while a mark waits for its end: decides what that was, and gives what is to be read as text. */
  const giveUp = ({ open, wait }: NonNullable<typeof waiting>, cut: boolean): string => {
    const held = wait.text();
    if (open === OPEN_THINK) {
      if (text !== "") show(OPEN_THINK);
      else addThought(held);
      return text === "" ? "" : held;
    }
    const end = held.indexOf(CLOSE_CALL);
    // Quotes that never match kept the call open: then its first end was the end after all.
    if (end >= 0) {
      blocks.push({ body: held.slice(0, end), closed: true });
      return held.slice(end + CLOSE_CALL.length);
    }
    if (cut || /^\s*(?:\{|[A-Za-z0-9_-]+\s*<arg_key>)/.test(held)) {
      blocks.push({ body: held, closed: false });
      return "";
    }
    // An answer about the mark itself.
    show(OPEN_CALL);
    return held;
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
      let fresh: string | null = null;
      if (bareClosePossible) {
        seam += piece;
        if (seam.includes(CLOSE_THINK)) fresh = splitAtBareClose();
        seam = seam.slice(1 - CLOSE_THINK.length);
      }
      read(fresh ?? piece);
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
      for (let times = 0; waiting !== null; times++) {
        const open = waiting;
        waiting = null;
        if (times < MAX_GIVEN_UP) read(giveUp(open, cut));
        else show(open.wait.text().replace(ANY_MARK, ""));
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

/** Collects what follows an opening mark. */
interface Wait {
  /** What stood before the end mark, and what comes behind it; null while it has not come. */
  push(piece: string): { readonly body: string; readonly rest: string } | null;
  /** All so far. */
  text(): string;
}

function createThinkWait(): Wait {
  const parts: string[] = [];
  let tail = "";
  return {
    push(piece) {
      const seen = tail + piece;
      const at = seen.indexOf(CLOSE_THINK);
      parts.push(piece);
      tail = seen.slice(1 - CLOSE_THINK.length);
      if (at < 0) return null;
      const all = parts.join("");
      const end = all.length - seen.length + at;
      return { body: all.slice(0, end), rest: all.slice(end + CLOSE_THINK.length) };
    },
    text: () => parts.join(""),
  };
}

/** A `</tool_call>` inside a string of the call's JSON is part of an argument. */
function createCallWait(): Wait {
  const parts: string[] = [];
  let begun = false;
  let isJson = false;
  let inString = false;
  let escaped = false;
  /** Characters of the end mark that have come. */
  let matched = 0;
  const sees = (char: number): boolean => {
    if (!begun && !isBlank(char)) {
      begun = true;
      isJson = char === 123;
    }
    if (isJson) {
      if (escaped) escaped = false;
      else if (inString && char === 92) escaped = true;
      else if (char === 34) inString = !inString;
    }
    // The mark's first character stands nowhere else in it.
    if (char === CLOSE_CALL.charCodeAt(matched)) matched++;
    else matched = char === 60 ? 1 : 0;
    if (matched < CLOSE_CALL.length) return false;
    matched = 0;
    return !inString;
  };
  return {
    push(piece) {
      for (let at = 0; at < piece.length; at++) {
        if (!sees(piece.charCodeAt(at))) continue;
        parts.push(piece.slice(0, at + 1));
        const all = parts.join("");
        return { body: all.slice(0, -CLOSE_CALL.length), rest: piece.slice(at + 1) };
      }
      parts.push(piece);
      return null;
    },
    text: () => parts.join(""),
  };
}

const isBlank = (char: number): boolean => char <= 32 || (char > 127 && /\s/.test(String.fromCharCode(char)));
