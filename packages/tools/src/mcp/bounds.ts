/** More came than may: what came is not looked at. */
export class Overflow extends Error {
  constructor() {
    super("The server sent more than is taken.");
    this.name = "Overflow";
  }
}

export class Redirected extends Error {
  constructor() {
    super("The server answered with a redirect.");
    this.name = "Redirected";
  }
}

/** What may come at once, and how fast room for more comes back. A line costs its parsing, whatever is in it. */
interface Room {
  readonly bytes: number;
  readonly bytesPerSecond: number;
  readonly lines: number;
  readonly linesPerSecond: number;
}

const ANSWER_BYTES = 8 * 1_048_576;
const ROOMS = {
  /** A list of tools, or what a call came to. */
  answer: { bytes: ANSWER_BYTES, bytesPerSecond: 0, lines: Number.POSITIVE_INFINITY, linesPerSecond: 0 },
  /** The same as events: an event has two or three lines, so that is some twenty a second beside the answer. */
  events: { bytes: ANSWER_BYTES, bytesPerSecond: 0, lines: 3_000, linesPerSecond: 60 },
  /** A stream that is open for as long as the session is, on which all answers come (HTTP with SSE) … */
  results: { bytes: ANSWER_BYTES, bytesPerSecond: 1_048_576, lines: 3_000, linesPerSecond: 300 },
  /** … or only what the server says of itself. */
  notifications: { bytes: 262_144, bytesPerSecond: 16_384, lines: 2_000, linesPerSecond: 60 },
} satisfies Record<string, Room>;

const LINE_FEED = 0x0a;
function linesIn(chunk: Uint8Array): number {
  let lines = 0;
  for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, at + 1)) lines++;
  return lines;
}

/** Says of each chunk whether there is room for it. */
function meter(room: Room, now: () => number): (chunk: Uint8Array) => boolean {
  let { bytes, lines } = room;
  let since = now();
  return (chunk) => {
    const seconds = (now() - since) / 1_000;
    since += seconds * 1_000;
    bytes = Math.min(room.bytes, bytes + seconds * room.bytesPerSecond) - chunk.length;
    lines = Math.min(room.lines, lines + seconds * room.linesPerSecond) - linesIn(chunk);
    return bytes >= 0 && lines >= 0;
  };
}

/**
 * A fetch for the SDK's transports whose answers end: no redirects, and no more bytes or events than a session has use for.
 * `onEnd` hears of the end of every body, with the request's own body and, when it was cut, the error.
 */
export function boundedFetch(
  base: typeof globalThis.fetch,
  deps: {
    readonly getCarries: "results" | "notifications";
    readonly now: () => number;
    readonly onEnd: (request: { method: string; body: unknown }, cut: Overflow | null) => void;
  },
): typeof globalThis.fetch {
  return async (input, init) => {
    const method = init?.method ?? "GET";
    const response = await base(input, init);
    if (response.status >= 300 && response.status < 400) {
      await response.body?.cancel();
      throw new Redirected();
    }
    if (response.body === null) return response;
    const events = /^text\/event-stream\b/i.test(response.headers.get("content-type") ?? "");
    const admits = meter(ROOMS[events ? (method === "GET" ? deps.getCarries : "events") : "answer"], deps.now);
    const ended = (cut: Overflow | null) => deps.onEnd({ method, body: init?.body }, cut);
    const body = response.body.pipeThrough(
      new TransformStream<Uint8Array, Uint8Array>({
        transform(chunk, controller) {
          if (admits(chunk)) return controller.enqueue(chunk);
          const cut = new Overflow();
          controller.error(cut);
          ended(cut);
        },
        flush: () => ended(null),
      }),
    );
    return new Response(body, { status: response.status, statusText: response.statusText, headers: response.headers });
  };
}
