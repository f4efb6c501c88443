import { expect, test } from "vitest";
import { paceOf, scheduleOf } from "./pacing.ts";

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
