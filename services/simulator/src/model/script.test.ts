import { describe, expect, test } from "vitest";
import { renderToolTurn } from "../template.ts";
import { readChatRequest } from "../validation.ts";
import { readDirectives, withoutDirectives } from "./directives.ts";
import { speak } from "./model.ts";

const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};

/** Plays a turn to its end, every call answered with `{"ok":true}`; at most `limit` steps. */
function play(
  question: string,
  limit = 20,
  system?: string,
): { readonly steps: string[][]; readonly answer: string | null } {
  const messages: object[] = [
    ...(system === undefined ? [] : [{ role: "system", content: system }]),
    { role: "user", content: question },
  ];
  const steps: string[][] = [];
  while (steps.length < limit) {
    const read = readChatRequest({ model: "m", messages, tools: [weather] }, true);
    if ("errors" in read) throw new Error(JSON.stringify(read.errors));
    const { utterance } = speak(read.request, renderToolTurn(read.request.tools), "2026-01-10");
    if (utterance.calls.length === 0) return { steps, answer: utterance.text };
    steps.push(utterance.calls.map((call) => `${call.name} ${call.json}`));
    const calls = utterance.calls.map((call, index) => ({
      id: `c${index}`,
      type: "function",
      function: { name: call.name, arguments: call.json },
    }));
    messages.push({ role: "assistant", content: null, tool_calls: calls });
    for (const call of calls) messages.push({ role: "tool", tool_call_id: call.id, content: '{"ok":true}' });
  }
  return { steps, answer: null };
}

describe("scripts", () => {
  test("loop makes the same call for ever", () => {
    const { steps, answer } = play("서울 날씨\n#sim loop", 5);
    expect(steps).toEqual(Array.from({ length: 5 }, () => ['get_weather {"city": "서울"}']));
    expect(answer).toBeNull();
  });

  test("long answers with that many words, empty with nothing", () => {
    expect(play("hi\n#sim long 500").answer?.split(" ")).toHaveLength(500);
    expect(play("안녕\n#sim long 3").answer).toBe("낱말1 낱말2 낱말3");
    expect(play("#sim empty").answer).toBe("");
  });

  test("tool makes exactly that call, verbatim, then answers", () => {
    const { steps, answer } = play('go\n#sim tool other {"a":  1}');
    expect(steps).toEqual([['other {"a":  1}']]);
    expect(answer).not.toBeNull();
    expect(play("#sim tool other {broken").steps).toEqual([["other {broken"]]);
    expect(play("#sim tool other").steps).toEqual([["other {}"]]);
  });

  test("parallel makes all its calls in one step; several lines are several steps", () => {
    const script = '#sim parallel a {"x":"} y"} b {"z":{"w":1}}\n#sim tool c {}';
    expect(play(script).steps).toEqual([['a {"x":"} y"}', 'b {"z":{"w":1}}'], ["c {}"]]);
  });

  test("steps makes N calls, each with other arguments", () => {
    const { steps, answer } = play("서울 날씨\n#sim steps 40");
    expect(steps).toHaveLength(20);
    expect(new Set(steps.map((step) => step[0])).size).toBe(20);
    expect(answer).toBeNull();
    expect(play("서울 날씨\n#sim steps 3").steps).toEqual([
      ['get_weather {"city": "서울"}'],
      ['get_weather {"city": "부산"}'],
      ['get_weather {"city": "인천"}'],
    ]);
  });

  test("badargs sends invalid JSON once, then the proper call, then answers", () => {
    const { steps, answer } = play("서울 날씨\n#sim badargs");
    expect(steps).toEqual([['get_weather {"city": "서울"'], ['get_weather {"city": "서울"}']]);
    expect(answer).not.toBeNull();
  });

  test("a script may stand in the system message", () => {
    expect(play("hello", 20, "You are helpful.\n#sim tool a {}").steps).toEqual([["a {}"]]);
  });
});

describe("directive lines", () => {
  test("only lines that begin with the mark count, and the model does not read them as text", () => {
    expect(readDirectives(["please #sim loop", " #sim loop", "#simloop"]).loop).toBe(false);
    expect(withoutDirectives("서울 날씨\n#sim loop\r\n")).toBe("서울 날씨");
  });

  test("error has a status, and may have a number of times and a Retry-After", () => {
    expect(readDirectives(["#sim error 429 times=2 retry-after=7"]).error).toEqual({
      status: 429,
      times: 2,
      retryAfterSeconds: 7,
    });
    expect(readDirectives(["#sim error 500"]).error).toEqual({
      status: 500,
      times: Number.POSITIVE_INFINITY,
      retryAfterSeconds: null,
    });
    expect(readDirectives(["#sim error 200"]).error).toBeNull();
  });

  test("senseless numbers and unknown words are passed over", () => {
    expect(readDirectives(["#sim long x\n#sim steps -1\n#sim dance\n#sim slow"])).toEqual({
      script: [],
      loop: false,
      answer: null,
      slowMs: 0,
      error: null,
    });
  });
});
