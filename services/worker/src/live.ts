import type { LivePort } from "@maru/engine";
import { type LiveBus, PIECE_UNITS, TEXT_PARTS, type TextMessage, type TextPart } from "@maru/queue";

/** Text gathers this long before it is published: one message for a dozen tokens. */
const GATHER_MS = 40;
/** A call says how far it is this often at most; what it says between is left out. */
const PROGRESS_MS = 250;

interface Written {
  readonly epoch: number;
  readonly step: number;
  readonly texts: Record<TextPart, string>;
  /** Lengths already published. */
  readonly sent: Record<TextPart, number>;
}

/** The live side of the runs this process holds: deltas gathered, a snapshot for who joins in the middle. */
export function createLive(bus: Pick<LiveBus, "publish">, now: () => number = () => performance.now()) {
  const written = new Map<string, Written>();
  const dirty = new Set<string>();
  /** Runs somebody joined: one snapshot serves all who joined meanwhile. */
  const joined = new Set<string>();
  let scheduled = false;
  /** When a call was last said to go on. */
  const told = new Map<string, number>();

  const say = (runId: string, message: TextMessage) => bus.publish(runId, message);
  const sayText = (kind: "delta" | "piece", runId: string, now: Written, part: TextPart, from: number) => {
    for (let offset = from; offset < now.texts[part].length; offset += PIECE_UNITS) {
      const text = now.texts[part].slice(offset, offset + PIECE_UNITS);
      say(runId, { kind, epoch: now.epoch, step: now.step, part, offset, text });
    }
  };
  const publish = (runId: string) => {
    const now = written.get(runId);
    if (now === undefined) return;
    for (const part of TEXT_PARTS) {
      sayText("delta", runId, now, part, now.sent[part]);
      now.sent[part] = now.texts[part].length;
    }
    if (!joined.delete(runId)) return;
    say(runId, { kind: "snapshot", epoch: now.epoch, step: now.step, ...now.sent });
    for (const part of TEXT_PARTS) sayText("piece", runId, now, part, 0);
  };
  const flush = () => {
    scheduled = false;
    for (const runId of dirty) publish(runId);
    dirty.clear();
  };
  const soon = (runId: string) => {
    dirty.add(runId);
    if (!scheduled) setTimeout(flush, GATHER_MS);
    scheduled = true;
  };

  const port: LivePort = {
    delta({ runId, epoch }, step, part, text) {
      let now = written.get(runId);
      if (now === undefined || now.step !== step || now.epoch !== epoch) {
        now = {
          epoch,
          step,
          texts: { reasoning: "", text: "", tool_call: "" },
          sent: { reasoning: 0, text: 0, tool_call: 0 },
        };
        written.set(runId, now);
      }
      now.texts[part] += text;
      soon(runId);
    },
    progress({ runId }, step, { progress, total, message }) {
      const key = `${runId} ${step}`;
      const at = now();
      if (at - (told.get(key) ?? Number.NEGATIVE_INFINITY) < PROGRESS_MS) return;
      told.set(key, at);
      bus.publish(runId, {
        kind: "progress",
        step,
        progress,
        ...(total === undefined ? {} : { total }),
        ...(message === undefined ? {} : { message }),
      });
    },
    committed({ runId }, events) {
      // What was written comes before the event that says it is done.
      if (dirty.delete(runId)) publish(runId);
      bus.publish(runId, { kind: "events", events });
    },
  };
  return {
    port,
    /** Answers a listener that joined: all the text of the step in flight. */
    snapshot(runId: string): void {
      if (!written.has(runId)) return;
      joined.add(runId);
      soon(runId);
    },
    forget(runId: string): void {
      written.delete(runId);
      joined.delete(runId);
      dirty.delete(runId);
      for (const key of told.keys()) if (key.startsWith(`${runId} `)) told.delete(key);
    },
  };
}
export type Live = ReturnType<typeof createLive>;
