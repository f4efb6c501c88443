import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { CALLS, type Choice, clock, post, startSimulator, TEXT } from "../test/client.ts";
import type { Simulator } from "./index.ts";

let simulator: Simulator;
let url: string;
let control: string;
beforeEach(async () => {
  ({ simulator, url } = await startSimulator());
  control = (await simulator.listenControl({ port: 0 })).url;
});
afterEach(() => simulator.close());

const put = (path: string, body: unknown): Promise<Response> =>
  fetch(`${control}/_sim/${path}`, { method: "PUT", body: JSON.stringify(body) });
const get = async (path: string): Promise<unknown> => (await fetch(`${control}/_sim/${path}`)).json();
async function ask(body: object): Promise<Choice> {
  return ((await (await post(url, body)).json()) as { choices: [Choice] }).choices[0];
}
const content = async (body: object): Promise<string | undefined> => (await ask(body)).message.content?.trim();

describe("a scenario", () => {
  test("says what the first rule that fits says, and leaves the rest to the model", async () => {
    const rules = [
      {
        when: { user: "환불", step: 0 },
        say: { think: "주문부터 보자.", calls: [{ name: "get_weather", arguments: { city: "제주" } }] },
      },
      { when: { user: "환불", result: "거절" }, say: { text: "환불이 거절되었습니다." } },
      { when: { tools: ["nobody_has_this"] }, say: { text: "never" } },
    ];
    expect((await put("scenario", rules)).status).toBe(204);
    expect(await get("scenario")).toEqual(rules);
    const first = { ...CALLS, messages: [{ role: "user", content: "환불해 주세요" }] };
    const { message } = await ask(first);
    expect(message.reasoning_content).toBe("주문부터 보자.\n");
    expect(message.tool_calls?.[0]?.function.arguments).toBe('{"city": "제주"}');
    const result = { role: "tool", tool_call_id: "x", content: "거절" };
    expect(await content({ ...first, messages: [...first.messages, message, result] })).toBe("환불이 거절되었습니다.");
    expect(await content(TEXT)).toContain("안녕하세요!");
    await fetch(`${control}/_sim/scenario`, { method: "DELETE" });
    expect(simulator.scenario()).toEqual([]);
  });

  test("may give raw text, which the parsers take as it is, and a fault", async () => {
    simulator.setScenario([{ say: { raw: 'a</think>b<tool_call>{"name": "x"' } }]);
    expect((await ask(CALLS)).message).toMatchObject({ reasoning_content: "a", content: "b" });
    simulator.setScenario([
      {
        say: {
          raw: 'a\n</think>\n\nb<tool_call>{"name": "x", "arguments": {"y": 1}}</tool_call>',
          fault: "unknown-tool",
        },
      },
    ]);
    expect((await ask(CALLS)).message).toMatchObject({
      tool_calls: [{ function: { name: "Read", arguments: '{"y": 1}' } }],
    });
    simulator.setScenario([{ say: { fault: "overloaded-503" } }]);
    expect((await post(url, TEXT)).status).toBe(503);
  });

  test("without a step loops", async () => {
    simulator.setScenario([{ say: { calls: [{ name: "get_weather", arguments: "{}" }] } }]);
    const { message } = await ask(CALLS);
    const next = await ask({
      ...CALLS,
      messages: [...CALLS.messages, message, { role: "tool", tool_call_id: "x", content: "1" }],
    });
    expect(next.message.tool_calls?.[0]?.function).toEqual(message.tool_calls?.[0]?.function);
  });

  test.each([
    [{}, "a scenario is a list of rules"],
    [[{ say: 1 }], "rule 0: needs an object `say`"],
    [[{ say: { fault: "nonsense" } }], "no fault is named nonsense"],
    [[{ say: {}, when: { step: "1" } }], "`when.step` is a whole number"],
    [[{ say: { calls: [{}] } }], "every call needs a name"],
  ])("that is wrong is refused with the reason: %j", async (rules, reason) => {
    const response = await put("scenario", rules);
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining(reason)]);
  });
});

test("faults are listed, set and taken away", async () => {
  expect(await get("faults")).toMatchObject({
    current: null,
    known: expect.arrayContaining([expect.objectContaining({ name: "html-502", layer: "http" })]),
  });
  expect((await put("faults", { name: "html-502", times: 1 })).status).toBe(204);
  expect(await get("faults")).toMatchObject({ current: { name: "html-502", times: 1 } });
  expect([(await post(url, TEXT)).status, (await post(url, TEXT)).status]).toEqual([502, 200]);
  expect((await put("faults", { name: "nonsense" })).status).toBe(400);
  await fetch(`${control}/_sim/faults`, { method: "DELETE" });
  expect(simulator.fault()).toBeNull();
});

test("the clock stands at the instant it is set to, and scales times", async () => {
  expect((await put("clock", { now: "2026-02-13T00:00:00Z", scale: 0.5 })).status).toBe(204);
  expect(await get("clock")).toEqual({ now: "2026-02-13T00:00:00.000Z", scale: 0.5 });
  const { created } = (await (await post(url, TEXT)).json()) as { created: number };
  expect(created).toBe(1_770_940_800);
  await put("clock", { now: null });
  expect(simulator.now()).toEqual(clock.now());
  expect((await put("clock", { now: "yesterday" })).status).toBe(400);
  expect((await put("clock", { scale: -1 })).status).toBe(400);
});

test("the journal has every call with its answer, and reset forgets all", async () => {
  simulator.setFault("credit-402");
  await post(url, TEXT);
  await post(url, "no json");
  const entries = (await get("journal")) as { body: unknown }[];
  expect(entries).toMatchObject([
    { number: 1, at: "2026-01-10T00:00:00.000Z", dialect: "friendli", body: TEXT, status: 402, fault: "credit-402" },
    { number: 2, body: "no json", status: 422, fault: null, digest: null },
  ]);
  expect((await fetch(`${control}/_sim/reset`, { method: "POST" })).status).toBe(204);
  expect([simulator.journal(), simulator.calls(), simulator.fault(), simulator.scenario()]).toEqual([[], 0, null, []]);
});

test("the control plane is not on the model's port", async () => {
  expect((await fetch(`${url}/_sim/journal`)).status).toBe(404);
});
