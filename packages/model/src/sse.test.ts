import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { cut } from "../test/kit.ts";
import { createSseSplitter } from "./sse.ts";

const split = (pieces: readonly string[]) => {
  const splitter = createSseSplitter();
  return [...pieces.flatMap((piece) => splitter.push(piece)), ...splitter.end()];
};
const data = (...lines: string[]) => lines.map((line) => ({ event: "", data: line }));

describe("S1: a stream is split into events", () => {
  test.each([
    ["LF", "data: a\n\ndata: b\n\n"],
    ["CRLF", "data: a\r\n\r\ndata: b\r\n\r\n"],
    ["no space behind the colon", "data:a\n\ndata:b\n\n"],
    ["comments and fields nobody knows", ": ping\n\ndata: a\nid: 7\nretry: 3\nfoo\n\n:\ndata: b\n\n"],
    ["several blank lines", "\n\ndata: a\n\n\n\ndata: b\n\n\n"],
    ["no blank line at the end", "data: a\n\ndata: b"],
  ])("%s", (_name, stream) => {
    expect(split([stream])).toEqual(data("a", "b"));
  });

  test("data lines of one event are joined by LF, and only one space is taken off", () => {
    expect(split(["data: {\ndata:  x\ndata\n\n"])).toEqual(data("{\n x\n"));
  });

  test("the event's name goes with its data and is forgotten after it", () => {
    expect(split(["event: error\ndata: a\n\ndata: b\n\nevent: only a name\n\n"])).toEqual([
      { event: "error", data: "a" },
      { event: "", data: "b" },
    ]);
  });

  test("however the text is cut, the events are the same", () => {
    const stream = ': hi\r\ndata: {"a":"서울"}\r\n\r\nevent: x\ndata:b\ndata: c\n\ndata: [DONE]\n\n';
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1 }), (sizes) => {
        expect(split(cut(stream, sizes))).toEqual(split([stream]));
      }),
    );
  });
});
