import type { DeltaEvent, SnapshotEvent, Step } from "./generated.ts";
import type { RunEvent } from "./stream.ts";

type Part = DeltaEvent["kind"];
type Texts = Record<Part, string>;
const PARTS: readonly Part[] = ["reasoning", "text", "tool_call"];
const blank = (): Texts => ({ reasoning: "", text: "", tool_call: "" });

/**
 * Makes one text of what several connections say of it. A reader that joins in the middle is sent a snapshot; a step that another
 * worker takes over is written anew; what is written while no connection is there is only in the step at its end. Here all of it
 * becomes deltas that add up to the step's text, none twice. Only where a text really was written differently does a `snapshot`
 * take its place.
 */
export function createTextKeeper() {
  let step = 0;
  /** What the reader of the events was told. */
  let told = blank();
  /** What the latest writing says; behind `told` while it writes the same again. */
  let said = blank();

  const turnTo = (next: number) => {
    if (next === step) return;
    step = next;
    told = blank();
    said = blank();
  };

  function* reconcile(runId: string): Generator<DeltaEvent | SnapshotEvent> {
    if (PARTS.some((part) => !said[part].startsWith(told[part]) && !told[part].startsWith(said[part]))) {
      told = { ...said };
      yield { type: "snapshot", run_id: runId, step, ...said };
      return;
    }
    for (const part of PARTS) {
      const offset = told[part].length;
      if (said[part].length <= offset) continue;
      yield { type: "delta", run_id: runId, step, kind: part, offset, text: said[part].slice(offset) };
      told[part] = said[part];
    }
  }

  function* finish(runId: string, { seq, kind, state, reused, ...finished }: Step): Generator<RunEvent> {
    // Summaries of threads are not shown as they are written, and reused steps not written at all.
    if (kind !== "model" || state !== "done" || reused || finished.summarised_messages !== undefined) return;
    turnTo(seq);
    for (const part of ["reasoning", "text"] as const) {
      const whole = finished[part] ?? "";
      // The step's own has no space around it.
      if (told[part].trim() === whole.trim()) said[part] = told[part];
      else if (whole.startsWith(told[part].trimStart()))
        said[part] = told[part] + whole.slice(told[part].trimStart().length);
      else said[part] = whole;
    }
    said.tool_call = told.tool_call;
    // A shorter text is another one: here nothing more is written.
    if ((["reasoning", "text"] as const).some((part) => said[part].length < told[part].length)) {
      told = { ...said };
      yield { type: "snapshot", run_id: runId, step, ...said };
    } else yield* reconcile(runId);
  }

  return {
    /** The event as it should be told, after whatever has to be told before it. */
    *tell(event: RunEvent): Generator<RunEvent> {
      if (event.type === "delta") {
        turnTo(event.step);
        const { kind, offset, text } = event;
        // What was told and what is said are one text, and this goes on with it.
        if (offset === told[kind].length && offset === said[kind].length) {
          said[kind] += text;
          told[kind] = said[kind];
          yield event;
        } else {
          said[kind] = said[kind].slice(0, offset) + text;
          yield* reconcile(event.run_id);
        }
      } else if (event.type === "snapshot") {
        turnTo(event.step);
        const { reasoning, text, tool_call } = event;
        said = { reasoning, text, tool_call };
        yield* reconcile(event.run_id);
      } else {
        if (event.type === "step.finished") yield* finish(event.run_id, event.step);
        yield event;
      }
    },
  };
}

/**
 * Puts the text of a run together from its events.
 *
 *     const transcript = createTranscript();
 *     for await (const event of client.runs.stream(run)) { transcript.add(event); show(transcript.text); }
 */
export function createTranscript() {
  const steps = new Map<number, Texts>();
  const last = (part: Part) => [...steps.values()].findLast((texts) => texts[part] !== "")?.[part] ?? "";
  return {
    add(event: RunEvent): void {
      if (event.type === "snapshot") {
        const { reasoning, text, tool_call } = event;
        steps.set(event.step, { reasoning, text, tool_call });
      }
      if (event.type === "delta") {
        const texts = steps.get(event.step) ?? blank();
        texts[event.kind] += event.text;
        steps.set(event.step, texts);
      }
    },
    /** What the latest step that says something says so far. */
    get text(): string {
      return last("text");
    },
    /** The latest thinking so far. */
    get reasoning(): string {
      return last("reasoning");
    },
    /** What one step says so far. */
    of: (step: number): Readonly<Texts> => steps.get(step) ?? blank(),
  };
}
export type Transcript = ReturnType<typeof createTranscript>;
