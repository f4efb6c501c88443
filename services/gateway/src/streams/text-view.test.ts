import type { DeltaMessage, PieceMessage, SnapshotMessage, TextMessage } from "@maru/queue";
import type { StoredStep } from "@maru/store";
import { expect, test } from "vitest";
import { createTextView } from "./text-view.ts";

const delta = (offset: number, text: string, at: Partial<DeltaMessage> = {}): DeltaMessage => ({
  kind: "delta",
  epoch: 1,
  step: 1,
  part: "text",
  offset,
  text,
  ...at,
});
const snapshot = (text: number, at: Partial<SnapshotMessage> = {}): SnapshotMessage => ({
  kind: "snapshot",
  epoch: 1,
  step: 1,
  reasoning: 0,
  text,
  tool_call: 0,
  ...at,
});
const piece = (offset: number, text: string): PieceMessage => ({ ...delta(offset, text), kind: "piece" });
const finished = (text: string, seq = 1) => ({
  type: "step.finished",
  data: { step: { kind: "model", seq, output: { reasoning: "", text, toolCalls: [] } } as unknown as StoredStep },
});

/** A view, and what its reader has on the screen. */
function open() {
  let asked = 0;
  let clock = 0;
  let screen = "";
  const view = createTextView(
    "run_1",
    () => asked++,
    () => clock,
  );
  const show = (event: ReturnType<typeof view.close>) => {
    if (event?.type === "snapshot") screen = event.text;
    if (event?.type === "delta" && event.kind === "text") {
      expect(event.offset).toBe(screen.length);
      screen += event.text;
    }
  };
  return {
    take: (message: TextMessage) => {
      for (const event of view.take(message)) show(event);
    },
    close: (event: Parameters<typeof view.close>[0]) => show(view.close(event)),
    join: () => view.join(),
    pass: (ms: number) => {
      clock += ms;
    },
    screen: () => screen,
    asked: () => asked,
  };
}

test("text comes once and without a gap, however its pieces overlap", () => {
  const reader = open();
  reader.take(delta(0, "one "));
  reader.take(delta(0, "one two "));
  reader.take(delta(4, "two three"));
  expect(reader.screen()).toBe("one two three");
  expect(reader.asked()).toBe(0);
});

test("where a piece is missing the whole is asked for, and shown at once when all of it has come", () => {
  const reader = open();
  reader.take(delta(0, "one "));
  reader.take(delta(8, "three"));
  reader.take(delta(13, " four"));
  expect([reader.screen(), reader.asked()]).toEqual(["one ", 1]);
  reader.take(snapshot(18));
  reader.take(piece(0, "one two "));
  expect(reader.screen()).toBe("one ");
  reader.take(piece(8, "three four"));
  expect(reader.screen()).toBe("one two three four");
  reader.take(delta(18, " five"));
  expect(reader.screen()).toBe("one two three four five");
});

test("a snapshot that was lost is asked for again, but not with every piece that comes", () => {
  const reader = open();
  reader.join();
  for (let n = 0; n < 10; n++) reader.take(delta(100 + n, "x"));
  expect(reader.asked()).toBe(1);
  reader.pass(501);
  reader.take(delta(200, "x"));
  expect(reader.asked()).toBe(2);
});

test("a step that another worker begins anew takes back what was shown of it, and late words of the first are not heard", () => {
  const reader = open();
  reader.take(delta(0, "first words"));
  reader.take(delta(0, "second", { epoch: 2 }));
  expect(reader.screen()).toBe("second");
  reader.take(delta(11, " and more"));
  reader.take(snapshot(40));
  expect(reader.screen()).toBe("second");
});

test("what a reader was not shown of a step's text comes before the event that closes it", () => {
  const reader = open();
  reader.take(delta(0, "one "));
  reader.close(finished("one two three"));
  expect(reader.screen()).toBe("one two three");
  // Of a step it was shown nothing of, or all of, nothing is added.
  reader.close(finished("another", 3));
  reader.close(finished("one two three"));
  expect(reader.screen()).toBe("one two three");
});
