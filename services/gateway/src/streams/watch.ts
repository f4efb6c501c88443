import type { LiveEvent, ProgressEvent } from "@maru/contract";
import type { LiveBus, LiveMessage, TextMessage } from "@maru/queue";
import type { Store, StoredEvent } from "@maru/store";
import type { Heads } from "./heads.ts";
import { createTextView } from "./text-view.ts";

export type Watched =
  | { readonly kind: "event"; readonly event: StoredEvent }
  | { readonly kind: "live"; readonly event: LiveEvent };

const PAGE = 50;
/** Messages waiting for a slow reader; past this they are dropped and read from the rows, the text as one snapshot. */
const MAX_WAITING = 200;
const TEXT = new Set(["delta", "snapshot", "piece"]);
const PROGRESS = "progress";

export const isTerminal = (type: string): boolean =>
  /^run\.(?:completed|incomplete|failed|cancelled|expired)$/.test(type);

/**
 * Everything a run says after `afterSeq`, in order, until it ends: each durable event exactly once, and between them the
 * text as it is written. Rows are the truth; the bus only makes it quick. Text joins at any point: what was written
 * before comes as one snapshot, so there is neither gap nor repetition.
 *
 * Listening begins at the call, before the first `next()`: a caller may create the run afterwards and miss nothing.
 */
export function watchRun(
  deps: { store: Store; bus: LiveBus; heads: Heads },
  about: { workspaceId: string; runId: string; afterSeq: number; live: boolean },
) {
  const { store, bus, heads } = deps;
  const { workspaceId, runId } = about;
  const waiting: LiveMessage[] = [];
  let wake: (() => void) | null = null;
  let last = about.afterSeq;
  const push = (message: LiveMessage) => {
    if (message.kind === "join" || message.kind === "cancel") return;
    if (!about.live && (TEXT.has(message.kind) || message.kind === PROGRESS)) return;
    if (waiting.length >= MAX_WAITING) {
      waiting.length = 0;
      waiting.push({ kind: "reload" }, { kind: "behind" });
    } else waiting.push(message);
    wake?.();
  };
  const stopListening = bus.subscribe(runId, push);
  // Liveness never depends on one notification: where the run stands is looked at from time to time.
  const stopLooking = heads.watch(
    runId,
    () => last,
    () => push({ kind: "reload" }),
  );
  const unsubscribe = () => {
    stopListening();
    stopLooking();
  };

  /**
   * `createdAt`: set when the listener was there before the run, which then has said nothing it could have missed. The
   * rows need no reading, and the text of a quick run keeps its place between the events.
   */
  async function* watch(signal: AbortSignal, createdAt: string | null = null): AsyncGenerator<Watched, void> {
    const view = createTextView(runId, () => bus.publish(runId, { kind: "join" }));
    const onAbort = () => wake?.();
    signal.addEventListener("abort", onAbort);

    /** Whether the run has ended and everything it said was read. */
    let over = false;
    async function* fromRows(): AsyncGenerator<StoredEvent> {
      for (;;) {
        const page = await store.runs.eventsAfter(workspaceId, runId, last, PAGE);
        for (const event of page.events) {
          last = event.seq;
          yield event;
        }
        if (last < page.lastSeq) continue;
        over = page.ended;
        return;
      }
    }

    /** An event, and before the one that closes a model step what its reader has not seen of the text. */
    function* told(event: StoredEvent): Generator<Watched> {
      const whole = about.live ? view.close(event) : null;
      if (whole !== null) yield { kind: "live", event: whole };
      yield { kind: "event", event };
    }

    try {
      if (createdAt !== null) {
        last = 1;
        yield { kind: "event", event: { seq: 1, type: "run.queued", data: {}, at: createdAt } };
      } else {
        for await (const event of fromRows()) {
          yield { kind: "event", event };
          if (isTerminal(event.type)) return;
        }
        if (over) return;
        if (about.live && last > 1) view.join();
      }
      while (!signal.aborted) {
        const message = waiting.shift();
        if (message === undefined) {
          await new Promise<void>((resolve) => {
            wake = resolve;
            if (signal.aborted) resolve();
          });
          wake = null;
          continue;
        }
        if (message.kind === "reload") {
          for await (const event of fromRows()) {
            yield* told(event);
            if (isTerminal(event.type)) return;
          }
          if (over) return;
          continue;
        }
        if (message.kind === "behind") {
          if (about.live) view.join();
          continue;
        }
        if (message.kind === "events") {
          const events = message.events as StoredEvent[];
          const next = events.filter(({ seq }) => seq > last);
          const whole = next.every(({ seq }, index) => seq === last + 1 + index);
          if (next.length === 0) continue;
          if (whole) last = next.at(-1)?.seq ?? last;
          for await (const event of whole ? next : fromRows()) {
            yield* told(event);
            if (isTerminal(event.type)) return;
          }
          continue;
        }
        if (message.kind === PROGRESS) {
          const { kind: _, ...said } = message;
          yield { kind: "live", event: { type: "progress", run_id: runId, ...said } as ProgressEvent };
          continue;
        }
        if (TEXT.has(message.kind))
          for (const event of view.take(message as unknown as TextMessage)) yield { kind: "live", event };
      }
    } finally {
      signal.removeEventListener("abort", onAbort);
      unsubscribe();
    }
  }
  return { watch, unsubscribe };
}
