import fc from "fast-check";
import { expect, test } from "vitest";
import type { RunEvent } from "./stream.ts";
import { createTextKeeper, createTranscript } from "./text.ts";

const run_id = "run_1";
const delta = (offset: number, text: string, step = 2): RunEvent => ({
  type: "delta",
  run_id,
  step,
  kind: "text",
  offset,
  text,
});
const snapshot = (text: string, step = 2): RunEvent => ({
  type: "snapshot",
  run_id,
  step,
  reasoning: "",
  text,
  tool_call: "",
});
const finished = (text: string, extra: object = {}): RunEvent =>
  ({
    type: "step.finished",
    run_id,
    seq: 9,
    at: "2026-11-20T00:00:00Z",
    step: { seq: 2, kind: "model", state: "done", reused: false, text, ...extra },
  }) as RunEvent;

/** What is told of events: text that is added, `=text` where it is put in its place, and types. */
function told(...events: RunEvent[]): string[] {
  const keeper = createTextKeeper();
  return events
    .flatMap((event) => [...keeper.tell(event)])
    .map((event) => (event.type === "delta" ? event.text : event.type === "snapshot" ? `=${event.text}` : event.type));
}

test("a snapshot of what was told already adds what is new of it", () => {
  expect(told(delta(0, "He"), snapshot("Hello"), delta(5, " you"), finished("Hello you"))).toEqual([
    "He",
    "llo",
    " you",
    "step.finished",
  ]);
});

test("what was written while nobody was there comes before the event that closes its step", () => {
  expect(told(delta(0, "He"), finished("Hello"))).toEqual(["He", "llo", "step.finished"]);
  expect(told(finished("Hello"))).toEqual(["Hello", "step.finished"]);
  expect(told(delta(0, "\n Hel"), finished("Hello"))).toEqual(["\n Hel", "lo", "step.finished"]);
  expect(told(delta(0, "\n Hello \n"), finished("Hello"))).toEqual(["\n Hello \n", "step.finished"]);
});

test("a step that is written anew is told again only where it differs", () => {
  expect(told(delta(0, "Hello"), snapshot(""), delta(0, "He"), delta(2, "llo"), delta(5, "!"))).toEqual(["Hello", "!"]);
  expect(told(delta(0, "Hello"), delta(0, "He"), delta(2, "y"), delta(3, "!"), finished("Hey!"))).toEqual([
    "Hello",
    "=Hey",
    "!",
    "step.finished",
  ]);
  expect(told(delta(0, "Hello"), delta(0, "He"), finished("He"))).toEqual(["Hello", "=He", "step.finished"]);
});

test("what nobody wrote for a reader is not told: summaries, reused steps, failed ones", () => {
  for (const extra of [{ summarised_messages: 3 }, { reused: true }, { state: "error" }, { kind: "tool" }])
    expect(told(finished("Hello", extra))).toEqual(["step.finished"]);
});

test("wherever connections drop, what is told adds up to the text", () => {
  const piece = fc.string({ minLength: 1, maxLength: 4, unit: "grapheme" });
  fc.assert(
    fc.property(
      fc.array(piece, { minLength: 1, maxLength: 20 }),
      fc.infiniteStream(fc.constantFrom("stay", "stay", "drop", "miss")),
      fc.boolean(),
      (pieces, fate, seesEnd) => {
        const keeper = createTextKeeper();
        const transcript = createTranscript();
        const sum: string[] = [];
        const hear = (event: RunEvent) => {
          for (const item of keeper.tell(event)) {
            transcript.add(item);
            if (item.type === "delta") {
              expect(item.offset).toBe(sum.join("").length);
              sum.push(item.text);
            }
            expect(item.type).not.toBe("snapshot");
          }
        };
        let text = "";
        let connected = true;
        for (const item of pieces) {
          const what = fate.next().value;
          if (what === "miss") connected = false;
          if (what === "drop" || (what === "stay" && !connected)) {
            // A new connection begins with all the text so far.
            hear(snapshot(text));
            connected = true;
          }
          if (connected) hear(delta(text.length, item));
          text += item;
        }
        if (seesEnd || !connected) hear(finished(text.trim()));
        if (seesEnd || !connected) expect(sum.join("").trim()).toBe(text.trim());
        else expect(sum.join("")).toBe(text);
        expect(transcript.text).toBe(sum.join(""));
      },
    ),
    { numRuns: 500 },
  );
});
