import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { CALLS, type Choice, post, startSimulator, TEXT } from "../test/client.ts";
import type { FaultName } from "./faults/faults.ts";
import type { Simulator } from "./simulator.ts";

let simulator: Simulator;
let url: string;
beforeAll(async () => {
  ({ simulator, url } = await startSimulator());
});
afterAll(() => simulator.close());

describe("a fault", () => {
  const rate = async (body: object, headers = {}): Promise<number> => (await post(url, body, headers)).status;

  test("comes by a script line, and with times=N only for the first N tries of the same request", async () => {
    const scripted = (text: string): object => ({ ...TEXT, messages: [{ role: "user", content: text }] });
    const twice = scripted("hi\n#sim fault overloaded-503 times=2");
    expect([await rate(twice), await rate(twice), await rate(twice)]).toEqual([503, 503, 200]);
    expect(
      await rate({ ...TEXT, messages: [{ role: "system", content: "#sim fault html-502" }, ...CALLS.messages] }),
    ).toBe(502);
  });

  test("comes by the method, for each request its number of times, until it is taken away", async () => {
    simulator.setFault("rate-limit-429", { times: 1 });
    expect([await rate(TEXT), await rate(CALLS), await rate(TEXT)]).toEqual([429, 429, 200]);
    simulator.setFault("credit-402");
    expect(simulator.fault()).toEqual({ name: "credit-402", times: null });
    expect([await rate(TEXT), await rate(TEXT, { "x-sim-fault": "html-502" })]).toEqual([402, 502]);
    simulator.setFault(null);
    expect(await rate(TEXT)).toBe(200);
    expect(() => simulator.setFault("nonsense" as FaultName)).toThrow("no fault is named nonsense");
  });

  test("does nothing to an answer that cannot have it, and is not counted there", async () => {
    const script = { role: "system", content: "#sim fault reset-mid-text times=1" };
    const calling = { ...CALLS, messages: [script, ...CALLS.messages] };
    const { choices } = (await (await post(url, calling)).json()) as { choices: [Choice] };
    expect(choices[0].finish_reason).toBe("tool_calls");
    const response = await post(url, { ...TEXT, messages: [script, ...TEXT.messages] });
    await expect(response.text()).rejects.toThrow();
  });

  test("of the thinking does nothing where thinking is off", async () => {
    const response = await post(
      url,
      { ...TEXT, chat_template_kwargs: { enable_thinking: false } },
      { "x-sim-fault": "length-mid-think" },
    );
    const { choices } = (await response.json()) as { choices: [Choice] };
    expect(choices[0].finish_reason).toBe("stop");
    expect(simulator.journal().at(-1)?.fault).toBeNull();
  });

  test("of an unknown name is refused with the names there are", async () => {
    const response = await post(url, TEXT, { "x-sim-fault": "nonsense" });
    expect(response.status).toBe(400);
    expect(await response.text()).toContain("known are think-leak-open-tag");
  });

  test("hits the other hosts' wires too, through their own parsers", async () => {
    const at = async (dialect: string, name: FaultName): Promise<Choice> => {
      const response = await post(url, CALLS, { "x-sim-fault": name, "x-sim-dialect": dialect });
      return ((await response.json()) as { choices: [Choice] }).choices[0];
    };
    expect((await at("vllm", "arguments-malformed")).message).toMatchObject({ tool_calls: [] });
    expect((await at("sglang", "arguments-malformed")).finish_reason).toBe("tool_calls");
    expect((await at("sglang", "unknown-tool")).message.tool_calls?.map((call) => call.function.name)).toEqual([
      "get_weather",
    ]);
    expect((await at("vllm", "closing-tag-in-argument")).message.content).toContain("<tool_call>");
    expect((await at("vllm", "think-leak-bare-close")).message.content).toContain("</think>");
  });
});
