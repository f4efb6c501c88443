import type { ModelDelta } from "@maru/contract";
import type { LivePort } from "@maru/engine";
import type { LiveBus } from "@maru/queue";

/** Text gathers this long before it is published: one message for a dozen tokens. */
const GATHER_MS = 40;

interface Written {
  step: number;
  reasoning: string;
  text: string;
  tool_call: string;
  /** Lengths already published. */
  sent: { reasoning: number; text: number; tool_call: number };
}

/** The live side of the runs this process holds: deltas gathered, a snapshot for who joins in the middle. */
export function createLive(bus: LiveBus) {
  const written = new Map<string, Written>();
  const dirty = new Set<string>();
  let scheduled = false;

  const publish = (runId: string) => {
    const now = written.get(runId);
    if (now === undefined) return;
    for (const part of ["reasoning", "text", "tool_call"] as const) {
      const from = now.sent[part];
      if (now[part].length === from) continue;
      now.sent[part] = now[part].length;
      // Well under the bus's message limit even when every character takes four bytes.
      for (let offset = from; offset < now[part].length; offset += 1_500) {
        bus.publish(runId, {
          kind: "delta",
          step: now.step,
          part,
          offset,
          text: now[part].slice(offset, offset + 1_500),
        });
      }
    }
  };
  const flush = () => {
    scheduled = false;
    for (const runId of dirty) publish(runId);
    dirty.clear();
  };

  const port: LivePort = {
    delta(runId: string, step: number, kind: ModelDelta["kind"], text: string) {
      let now = written.get(runId);
      if (now === undefined || now.step !== step) {
        now = { step, reasoning: "", text: "", tool_call: "", sent: { reasoning: 0, text: 0, tool_call: 0 } };
        written.set(runId, now);
      }
      now[kind] += text;
      dirty.add(runId);
      if (!scheduled) setTimeout(flush, GATHER_MS);
      scheduled = true;
    },
    committed(runId, events) {
      // What was written comes before the event that says it is done.
      if (dirty.delete(runId)) publish(runId);
      bus.publish(runId, { kind: "events", events });
    },
  };
  return {
    port,
    /** Answers a listener that joined: all the text of the step in flight. */
    snapshot(runId: string): void {
      const now = written.get(runId);
      if (now === undefined) return;
      if (dirty.delete(runId)) publish(runId);
      bus.publish(runId, { kind: "snapshot", step: now.step, reasoning: now.reasoning, text: now.text });
    },
    forget(runId: string): void {
      written.delete(runId);
      dirty.delete(runId);
    },
  };
}
export type Live = ReturnType<typeof createLive>;
