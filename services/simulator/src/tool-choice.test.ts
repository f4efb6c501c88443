import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CALLS,
  type Choice,
  chunksOf,
  finishesOf,
  partsOf,
  post,
  startSimulator,
  textOf,
  WEATHER,
} from "../test/client.ts";
import type { Simulator } from "./simulator.ts";

let simulator: Simulator;
let url: string;
beforeAll(async () => {
  ({ simulator, url } = await startSimulator());
});
afterAll(() => simulator.close());

const other = {
  type: "function",
  function: {
    name: "add_note",
    parameters: { type: "object", properties: { note: { type: "string" } }, required: ["note"] },
  },
};
const tools = [WEATHER, other];
const named = { type: "function", function: { name: "add_note" } };

async function ask(more: object, dialect = "friendli", body: object = CALLS): Promise<Choice> {
  const response = await post(url, { ...body, tools, ...more }, { "x-sim-dialect": dialect });
  expect(response.status).toBe(200);
  return ((await response.json()) as { choices: [Choice] }).choices[0];
}
const names = (choice: Choice): unknown[] => (choice.message.tool_calls ?? []).map((call) => call.function.name);
const plain = (content: string): object => ({ messages: [{ role: "user", content }] });

test("none gives text, and the tools stay in the prompt", async () => {
  const choice = await ask({ tool_choice: "none" });
  expect([names(choice), choice.finish_reason]).toEqual([[], "stop"]);
  expect(choice.message.content).not.toBe("");
});

test("auto calls what fits, required calls something even when nothing does", async () => {
  expect(names(await ask({ tool_choice: "auto" }))).toEqual(["get_weather", "get_weather"]);
  expect(names(await ask({ tool_choice: "auto", ...plain("hello") }))).toEqual([]);
  expect(names(await ask({ tool_choice: "required", ...plain("hello") }))).toHaveLength(1);
});

test("required and named calls have valid arguments, whatever a script wants", async () => {
  const script = plain("서울 날씨\n#sim badargs");
  for (const tool_choice of ["required", named]) {
    const { message } = await ask({ tool_choice, ...script });
    for (const call of message.tool_calls ?? [])
      expect(JSON.parse(String(call.function.arguments))).toBeTypeOf("object");
    expect(message.tool_calls).not.toHaveLength(0);
  }
});

test("a named tool is called though another fits better; OpenAI and vLLM then finish with stop", async () => {
  for (const [dialect, finish] of [
    ["friendli", "tool_calls"],
    ["sglang", "tool_calls"],
    ["vllm", "stop"],
    ["openai", "stop"],
  ] as const) {
    const choice = await ask({ tool_choice: named }, dialect);
    expect([names(choice), choice.finish_reason]).toEqual([["add_note"], finish]);
  }
});

test.each(["friendli", "vllm", "sglang", "openai"])(
  "%s keeps only the first call without parallel_tool_calls",
  async (dialect) => {
    const raw = ["서울", "부산"].map(
      (city) => `<tool_call>{"name": "get_weather", "arguments": {"city": "${city}"}}</tool_call>`,
    );
    simulator.setScenario([{ say: { raw: `둘 다.\n</think>\n\n${raw.join("\n")}` } }]);
    expect(names(await ask({}, dialect))).toHaveLength(2);
    expect(names(await ask({ parallel_tool_calls: false }, dialect))).toHaveLength(1);
    const body = { ...CALLS, parallel_tool_calls: false, stream: true };
    const chunks = chunksOf(await (await post(url, body, { "x-sim-dialect": dialect })).text());
    expect(new Set(partsOf(chunks).map(({ index }) => index))).toEqual(new Set([0]));
    expect(finishesOf(chunks)).toEqual(["tool_calls"]);
    expect(textOf(chunks)).not.toContain("<tool_call>");
    simulator.setScenario([]);
  },
);
