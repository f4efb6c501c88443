import { expect, test } from "vitest";
import { bytes, cut, dollars, duration, harmless, pad, price, widthOf } from "./format.ts";

test("letters take the columns a terminal gives them", () => {
  expect(["abc", "서울", "é", "👩‍👩‍👧", "❤️", "ａ"].map(widthOf)).toEqual([3, 4, 1, 2, 2, 2]);
  expect(cut("서울 날씨", 5)).toBe("서울…");
  expect(cut("abc", 3)).toBe("abc");
  expect([pad("서울", 6), pad("7", 3, true)]).toEqual(["서울  ", "  7"]);
});

test("nothing of a text moves the cursor or turns the reading around", () => {
  expect(harmless("a\u001b[2Jb\rc\u202ed\n\te\r\nf")).toBe("a�[2Jb�c�d\n\te\nf");
});

test("figures are read as people write them", () => {
  expect([dollars(80), price(200_000), price(1_234_567), price(0)]).toEqual([
    "$0.000080",
    "$0.20",
    "$1.234567",
    "$0.00",
  ]);
  expect([12, 1_500, 61_000, 3_720_000].map(duration)).toEqual(["12 ms", "1.5 s", "1 min 1 s", "1 h 2 min"]);
  expect([12, 2_048, 3_145_728].map(bytes)).toEqual(["12 B", "2.0 KiB", "3.0 MiB"]);
});
