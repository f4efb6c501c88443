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
  /** A line whose end has not come: in pieces, since joining and searching them each time would take quadratic time. */
  let rest: string[] = [];
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
      let start = 0;
      for (let end = text.indexOf("\n"); end >= 0; end = text.indexOf("\n", start)) {
        const line = rest.length === 0 ? text.slice(start, end) : rest.join("") + text.slice(start, end);
        rest = [];
        take(line.endsWith("\r") ? line.slice(0, -1) : line, events);
        start = end + 1;
      }
      if (start < text.length) rest.push(text.slice(start));
      return events;
    },

    /** What stood at the end of the body without the blank line that closes an event; hosts forget it. */
    end(): SseEvent[] {
      const events: SseEvent[] = [];
      const line = rest.join("");
      rest = [];
      if (line !== "") take(line.endsWith("\r") ? line.slice(0, -1) : line, events);
      take("", events);
      return events;
    },
  };
}
