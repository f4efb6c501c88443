import { expect, test } from "vitest";
import { paceOf, scheduleOf, scheduleThinking } from "./pacing.ts";

const off = { callMs: 0, firstByteMs: 0, tokensPerSecond: 0, writeIntervalMs: 15 };

test("a call's time is callMs, or first byte plus tokens by their rate; #sim slow comes on top", () => {
  expect(paceOf(off, 100, 0)).toEqual({ firstMs: 0, lastMs: 0 });
  expect(paceOf({ ...off, callMs: 300, firstByteMs: 50 }, 100, 0)).toEqual({ firstMs: 50, lastMs: 300 });
  expect(paceOf({ ...off, callMs: 300, firstByteMs: 900 }, 100, 0)).toEqual({ firstMs: 300, lastMs: 300 });
  expect(paceOf({ ...off, firstByteMs: 310, tokensPerSecond: 50 }, 100, 0)).toEqual({ firstMs: 310, lastMs: 2_310 });
  expect(paceOf({ ...off, callMs: 300 }, 100, 2_000)).toEqual({ firstMs: 2_000, lastMs: 2_300 });
});

test("pieces are spread evenly from the first byte to the last, none lost", () => {
  const writes = scheduleOf(["a", "b", "c", "d", "e"], { firstMs: 100, lastMs: 500 }, 100);
  expect(writes).toEqual([
    { atMs: 100, text: "a" },
    { atMs: 200, text: "b" },
    { atMs: 300, text: "c" },
    { atMs: 400, text: "d" },
    { atMs: 500, text: "e" },
  ]);
});

test("pieces that fall into one write interval share a write", () => {
  const pieces = Array.from({ length: 100 }, (_, index) => `${index},`);
  const writes = scheduleOf(pieces, { firstMs: 0, lastMs: 30 }, 15);
  expect(writes.map((write) => write.atMs)).toEqual([0, 15, 30]);
  expect(writes.map((write) => write.text).join("")).toBe(pieces.join(""));
});

test("thinking comes between the first byte and the first text, and scale multiplies everything", () => {
  const timing = { thinkingMs: 60_000, scale: 0.01 };
  const latency = { ...off, firstByteMs: 300, tokensPerSecond: 50 };
  expect(paceOf(latency, 100, 0, timing, true)).toEqual({ firstMs: 3, thoughtMs: 603, lastMs: 623 });
  expect(paceOf(latency, 100, 0, timing, false)).toEqual({ firstMs: 3, lastMs: 23 });
  const writes = scheduleThinking(["t1", "t2", "a", "b"], 2, { firstMs: 0, thoughtMs: 100, lastMs: 200 }, 50);
  expect(writes).toEqual([
    { atMs: 0, text: "t1" },
    { atMs: 100, text: "t2" },
    { atMs: 100, text: "a" },
    { atMs: 200, text: "b" },
  ]);
});
