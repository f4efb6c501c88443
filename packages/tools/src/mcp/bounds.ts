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

/** Of one answer, a list of tools or what a call came to. */
const ANSWER_BYTES = 8 * 1_048_576;
/** An event has at least two: some ten thousand notifications beside one answer. */
const ANSWER_LINES = 20_000;

/** Of a stream that is open for as long as the session is, on which results come (HTTP with SSE) or only notifications. */
const STREAM = {
  results: { bytes: ANSWER_BYTES, bytesPerSecond: 1_048_576, lines: ANSWER_LINES, linesPerSecond: 1_000 },
  notifications: { bytes: 262_144, bytesPerSecond: 16_384, lines: 2_000, linesPerSecond: 100 },
} as const;

type Meter = (chunk: Uint8Array) => boolean;

const LINE_FEED = 0x0a;
function linesIn(chunk: Uint8Array): number {
  let lines = 0;
  for (let at = chunk.indexOf(LINE_FEED); at >= 0; at = chunk.indexOf(LINE_FEED, at + 1)) lines++;
  return lines;
}

function answerMeter(events: boolean): Meter {
  let bytes = 0;
  let lines = 0;
  return (chunk) => {
    bytes += chunk.length;
    if (events) lines += linesIn(chunk);
    return bytes <= ANSWER_BYTES && lines <= ANSWER_LINES;
  };
}

/** Room that fills up again while time passes. */
function streamMeter(room: (typeof STREAM)[keyof typeof STREAM], now: () => number): Meter {
  let { bytes, lines }: { bytes: number; lines: number } = room;
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
    readonly getCarries: keyof typeof STREAM;
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
    const admits = method === "GET" && events ? streamMeter(STREAM[deps.getCarries], deps.now) : answerMeter(events);
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
