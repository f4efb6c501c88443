import type { DurableEvent, Run } from "@maru/contract";
import { type StoredEvent, type StoredStep, stepObject } from "@maru/store";
import { isTerminal } from "./watch.ts";

/** A stored event as the API shows it; the run itself is read only for the event that ends it. */
export async function renderEvent(
  runId: string,
  event: StoredEvent,
  readRun: () => Promise<Run>,
): Promise<DurableEvent> {
  const base = { seq: event.seq, at: event.at, run_id: runId };
  if (isTerminal(event.type)) return { ...base, type: event.type, run: await readRun() } as DurableEvent;
  if (event.type === "step.finished") {
    const step = event.data.step as StoredStep;
    return { ...base, type: event.type, step: stepObject({ ...step, finishedAt: event.at }) };
  }
  if (event.type === "run.waiting") {
    const expires = new Date(String(event.data.expires_at)).toISOString();
    return { ...base, type: event.type, required_action: { ...event.data, expires_at: expires } } as DurableEvent;
  }
  return { ...base, type: event.type, ...event.data } as DurableEvent;
}
