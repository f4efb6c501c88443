/** One event of a stream: `data` is its data lines joined by LF, `event` its name, empty for the unnamed kind. */
export interface SseEvent {
  readonly event: string;
  readonly data: string;
}

/**
 * Splits a text/event-stream into events (WHATWG HTML §9.2.6), as far as hosts of models use it: LF and CRLF, comments and
 * unknown fields ignored, several data lines joined. Text may be cut anywhere. Ids and reconnection are not read: a
 * completion can't be resumed.
 */
export function createSseSplitter() {
  let rest = "";
  /** How much of `rest` is known to hold no line end, so that a long line in many pieces is searched once. */
  let searched = 0;
  let event = "";
  let data: string | null = null;

  const take = (line: string, events: SseEvent[]): void => {
    if (line === "") {
      if (data !== null) events.push({ event, data });
      event = "";
      data = null;
      return;
    }
    const colon = line.indexOf(":");
    if (colon === 0) return;
    const field = colon < 0 ? line : line.slice(0, colon);
    if (field !== "data" && field !== "event") return;
    const value = colon < 0 ? "" : line.slice(line.charCodeAt(colon + 1) === 32 ? colon + 2 : colon + 1);
    if (field === "event") event = value;
    else data = data === null ? value : `${data}\n${value}`;
  };

  return {
    push(text: string): SseEvent[] {
      const events: SseEvent[] = [];
      rest += text;
      let start = 0;
      for (let end = rest.indexOf("\n", searched); end >= 0; end = rest.indexOf("\n", start)) {
        take(rest.slice(start, rest.charCodeAt(end - 1) === 13 && end > start ? end - 1 : end), events);
        start = end + 1;
      }
      rest = start === 0 ? rest : rest.slice(start);
      searched = rest.length;
      return events;
    },

    /** What stood at the end of the body without the blank line that closes an event; hosts forget it. */
    end(): SseEvent[] {
      const events: SseEvent[] = [];
      if (rest !== "") take(rest.endsWith("\r") ? rest.slice(0, -1) : rest, events);
      take("", events);
      rest = "";
      searched = 0;
      return events;
    },
  };
}
