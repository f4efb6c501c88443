import { describe, expect, test } from "vitest";
import { citiesIn, cityNamed } from "./cities.ts";
import { expressionsIn } from "./expression.ts";

describe("arithmetic in a sentence", () => {
  test.each([
    ["12 × (3+4)를 계산해줘", ["12 * (3+4)"]],
    ["12 곱하기 3은 얼마야?", ["12 * 3"]],
    ["128 나누기 4 더하기 2", ["128 / 4 + 2"]],
    ["200의 15%", ["200 * 15 / 100"]],
    ["16의 제곱근은?", ["sqrt(16)"]],
    ["3 + 4와 5*6을 계산해줘", ["3 + 4", "5*6"]],
    ["what is 17 * 23?", ["17 * 23"]],
    ["calculate 2 plus 2.", ["2 + 2"]],
    ["15% of 200", ["200 * 15 / 100"]],
    ["1,234 + 5", ["1234 + 5"]],
    ["2026-01-28까지", []],
    ["call 010-1234-5678", []],
    ["order A-12-34", []],
    ["I have 3 apples", []],
  ])("%s", (text, expressions) => {
    expect(expressionsIn(text)).toEqual(expressions);
  });
});

describe("cities in a sentence", () => {
  test.each([
    ["서울의 날씨와 부산은 어때?", ["서울", "부산"]],
    ["서울날씨", ["서울"]],
    ["제주도는 더워?", ["제주"]],
    ["부산광역시에서", ["부산"]],
    ["weather in seoul and New York", ["Seoul", "New York"]],
    ["대구탕 맛집", []],
    ["Seoul, 서울", ["Seoul", "서울"]],
  ])("%s", (text, cities) => {
    expect(citiesIn(text)).toEqual(cities);
  });

  test("a city is known by both names and with its suffix", () => {
    expect(cityNamed("제주특별자치도")).toBe(cityNamed("jeju"));
    expect(cityNamed(" 서울시 ")?.en).toBe("Seoul");
    expect(cityNamed("아틀란티스")).toBeUndefined();
  });
});
