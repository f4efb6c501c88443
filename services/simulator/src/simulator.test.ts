import http from "node:http";
import { setImmediate as nextTick } from "node:timers/promises";
import { afterEach, describe, expect, test, vi } from "vitest";
import { createSimulator, MODEL_ID, type Simulator, type SimulatorOptions } from "./index.ts";
import type { WireMessage } from "./wire/dialect.ts";

interface Usage {
  readonly prompt_tokens: number;
  readonly completion_tokens: number;
  readonly total_tokens: number;
  readonly prompt_tokens_details: { readonly cached_tokens: number };
}

interface Completion {
  readonly id: string;
  readonly created: number;
  readonly choices: readonly [{ readonly message: WireMessage; readonly finish_reason: string }];
  readonly usage: Usage;
}
interface Chunk {
  readonly id: string;
  readonly choices: readonly { readonly delta: Record<string, unknown>; readonly finish_reason: string | null }[];
  readonly usage: Usage | null;
}

const clock = { now: () => new Date("2026-01-10T00:00:00Z") };
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    description: "현재 날씨",
    parameters: { type: "object", properties: { city: { type: "string" } }, required: ["city"] },
  },
};
const body = { model: MODEL_ID, messages: [{ role: "user", content: "서울과 부산의 날씨는?" }], tools: [weather] };

const open: Simulator[] = [];
afterEach(async () => {
  vi.useRealTimers();
  await Promise.all(open.splice(0).map((simulator) => simulator.close()));
});

async function start(options: SimulatorOptions = {}): Promise<{ readonly simulator: Simulator; readonly url: string }> {
  const simulator = createSimulator({ clock, ...options });
  open.push(simulator);
  return { simulator, url: (await simulator.listen({ port: 0 })).url };
}

function post(url: string, request: unknown, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json", ...headers },
    body: typeof request === "string" ? request : JSON.stringify(request),
  });
}

async function complete(url: string, request: unknown): Promise<Completion> {
  const response = await post(url, request);
  expect(response.status).toBe(200);
  return (await response.json()) as Completion;
}

function ask(content: string, more: object = {}): object {
  return { model: MODEL_ID, messages: [{ role: "user", content }], ...more };
}

async function chunksOf(response: Response): Promise<Chunk[]> {
  const events = (await response.text()).split("\n\n");
  expect(events.slice(-2)).toEqual(["data: [DONE]", ""]);
  return events.slice(0, -2).map((event) => JSON.parse(event.replace(/^data: /, "")) as Chunk);
}

/** Puts a stream together as a client would. */
function assemble(chunks: readonly Chunk[]): {
  readonly message: Record<string, unknown>;
  readonly finish: string | null;
} {
  const message: Record<string, unknown> = {};
  const calls: { id: string; type: string; function: { name: string; arguments: string } }[] = [];
  let finish: string | null = null;
  for (const choice of chunks.flatMap((chunk) => chunk.choices)) {
    finish = choice.finish_reason ?? finish;
    const {
      role,
      tool_calls: parts = [],
      ...texts
    } = choice.delta as {
      role?: string;
      tool_calls?: { index: number; id: string; type: string; function: { name: string; arguments: string } }[];
    } & Record<string, string>;
    if (role !== undefined) message.role = role;
    for (const [key, piece] of Object.entries(texts)) message[key] = `${message[key] ?? ""}${piece}`;
    for (const { index, ...part } of parts) {
      const call = calls[index];
      if (call === undefined) calls[index] = part;
      else call.function.arguments += part.function.arguments;
    }
  }
  if (calls.length > 0) message.tool_calls = calls;
  return { message, finish };
}

describe("an answer", () => {
  test("thinks, calls the tool for both cities and counts its tokens", async () => {
    const { url, simulator } = await start();
    const { id, created, choices, usage } = await complete(url, body);
    expect(id).toMatch(/^chatcmpl-[0-9a-f]{24}$/);
    expect(created).toBe(1_768_003_200);
    const [{ message, finish_reason }] = choices;
    expect(finish_reason).toBe("tool_calls");
    expect(message.reasoning_content).toBe(
      "사용자가 “서울과 부산의 날씨는?”이라고 했다. get_weather 도구를 2번 부르면 된다.\n",
    );
    expect(message.tool_calls?.map((call) => call.function.arguments)).toEqual([
      '{"city": "서울"}',
      '{"city": "부산"}',
    ]);
    expect(new Set(message.tool_calls?.map((call) => call.id)).size).toBe(2);
    expect(usage.total_tokens).toBe(usage.prompt_tokens + usage.completion_tokens);
    expect(usage.prompt_tokens_details.cached_tokens).toBe(0);
    expect(simulator.calls()).toBe(1);
  });

  test("is the same bytes for the same request and seed, on another simulator too", async () => {
    const [a, b, other] = await Promise.all([start({ seed: 7 }), start({ seed: 7 }), start({ seed: 8 })]);
    const streamed = { ...body, stream: true };
    expect(await (await post(a.url, body)).text()).toBe(await (await post(b.url, body)).text());
    expect(await (await post(a.url, streamed)).text()).toBe(await (await post(b.url, streamed)).text());
    expect((await complete(other.url, body)).id).not.toBe((await complete(a.url, body)).id);
    expect((await complete(a.url, { ...body, seed: 1 })).id).not.toBe((await complete(a.url, body)).id);
  });

  test("has no reasoning when thinking is off, and fewer tokens", async () => {
    const { url } = await start();
    const on = await complete(url, body);
    const off = await complete(url, { ...body, chat_template_kwargs: { enable_thinking: false } });
    expect(off.choices[0].message).not.toHaveProperty("reasoning_content");
    expect(off.choices[0].message.content).toBeNull();
    expect(off.usage.completion_tokens).toBeLessThan(on.usage.completion_tokens);
  });

  test("ends with length at max_tokens, first in the reasoning, then in a call", async () => {
    const { url } = await start();
    const thinking = await complete(url, { ...body, max_tokens: 5 });
    expect(thinking.choices[0]).toMatchObject({ finish_reason: "length", message: { content: null } });
    expect(thinking.choices[0].message).not.toHaveProperty("tool_calls");
    expect(thinking.usage.completion_tokens).toBe(5);
    const calling = await complete(url, { ...body, max_tokens: 14, chat_template_kwargs: { enable_thinking: false } });
    expect(calling.choices[0].finish_reason).toBe("length");
    expect(calling.choices[0].message.tool_calls?.[0]?.function.arguments).toMatch(/^\{"c/);
    expect(() => JSON.parse(calling.choices[0].message.tool_calls?.[0]?.function.arguments ?? "")).toThrow(SyntaxError);
  });

  test("ends before a stop string", async () => {
    const { url } = await start();
    const { choices } = await complete(
      url,
      ask("#sim long 9", { stop: ["word4"], chat_template_kwargs: { enable_thinking: false } }),
    );
    expect(choices[0]).toMatchObject({ finish_reason: "stop", message: { content: "word1 word2 word3 " } });
  });

  test("finds the prompt of the same key's previous request in the cache", async () => {
    const { url } = await start();
    const first = await complete(url, body);
    const [{ message }] = first.choices;
    const results =
      message.tool_calls?.map((call) => ({ role: "tool", tool_call_id: call.id, content: '{"temperature_c":1}' })) ??
      [];
    const next = { ...body, messages: [...body.messages, message, ...results] };
    const second = await complete(url, next);
    const cached = second.usage.prompt_tokens_details.cached_tokens;
    expect(cached).toBe(Math.floor(first.usage.prompt_tokens / 16) * 16);
    expect(second.choices[0].message.content).toBe("\n\n서울: 기온 1°C입니다.\n부산: 기온 1°C입니다.");
    const stranger = (await (await post(url, next, { authorization: "Bearer other" })).json()) as Completion;
    expect(stranger.usage.prompt_tokens_details.cached_tokens).toBe(0);
  });
});

describe("a stream", () => {
  test.each([
    ["calls", body],
    ["text", ask("안녕하세요 😀 반가워요")],
    ["an empty answer", ask("#sim empty", { chat_template_kwargs: { enable_thinking: false } })],
    ["a cut call", { ...body, max_tokens: 40 }],
    ["bad arguments", { ...body, messages: [{ role: "user", content: "서울 날씨\n#sim badargs" }] }],
    ["unparsed reasoning", { ...body, parse_reasoning: false }],
  ])("put together is the answer that is not streamed: %s", async (_what, request) => {
    const { url } = await start();
    const { id, choices } = await complete(url, request);
    const chunks = await chunksOf(await post(url, { ...request, stream: true }));
    const { message, finish } = assemble(chunks);
    const { content, ...rest } = choices[0].message;
    expect(message).toEqual(content === null ? rest : { ...rest, content });
    expect(finish).toBe(choices[0].finish_reason);
    expect(new Set(chunks.map((chunk) => chunk.id))).toEqual(new Set([id]));
    expect(chunks.every((chunk) => chunk.usage === null)).toBe(true);
  });

  test("starts with role and content, ends with an empty delta, then usage when asked", async () => {
    const { url } = await start();
    const { usage } = await complete(url, body);
    const response = await post(
      url,
      { ...body, stream: true, stream_options: { include_usage: true } },
      { authorization: "Bearer new" },
    );
    expect(response.headers.get("content-type")).toContain("text/event-stream");
    const chunks = await chunksOf(response);
    expect(Object.keys(chunks[0]?.choices[0]?.delta ?? {})).toEqual(["role", "reasoning_content"]);
    expect(chunks.at(-2)).toMatchObject({ choices: [{ delta: {}, finish_reason: "tool_calls" }], usage: null });
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage });
  });

  test("with latency has the same bytes", async () => {
    const [fast, slow] = await Promise.all([start(), start()]);
    slow.simulator.settings.callMs = 20;
    slow.simulator.settings.writeIntervalMs = 5;
    const request = { ...body, stream: true };
    expect(await (await post(slow.url, request)).text()).toBe(await (await post(fast.url, request)).text());
    const plain = await post(slow.url, { ...body, seed: 1 }, { authorization: "Bearer new" });
    expect(((await plain.json()) as Completion).choices[0].finish_reason).toBe("tool_calls");
  });
});

test.each([[true], [false]])("a client that goes away stops the clock of its call (stream: %s)", async (stream) => {
  const { url, simulator } = await start();
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const request = http.request(`${url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
  });
  request.on("error", () => {});
  request.end(JSON.stringify(ask("hi\n#sim slow 600000", { stream })));
  while (simulator.calls() === 0 || vi.getTimerCount() === 0) await nextTick();
  request.destroy();
  while (vi.getTimerCount() > 0) await nextTick();
  expect(vi.getTimerCount()).toBe(0);
});

describe("refusals", () => {
  test("a forced error has its status, and after `times` tries the same request succeeds", async () => {
    const { url } = await start();
    const limited = await post(url, ask("hi\n#sim error 429 retry-after=3"));
    expect([limited.status, limited.headers.get("retry-after")]).toEqual([429, "3"]);
    expect(await limited.json()).toMatchObject({ error: { type: "rate_limit_error", code: "429" } });
    const statuses: number[] = [];
    for (let tries = 0; tries < 4; tries++) statuses.push((await post(url, ask("hi\n#sim error 503 times=2"))).status);
    expect(statuses).toEqual([503, 503, 200, 200]);
  });

  test("an unknown model is 404, a missing or wrong key 401", async () => {
    const { url } = await start({ apiKeys: ["flp_test"] });
    const key = { authorization: "Bearer flp_test" };
    expect((await post(url, { ...body, model: "gpt-4" }, key)).status).toBe(404);
    expect((await post(url, body)).status).toBe(401);
    expect((await post(url, body, { authorization: "Bearer flp_other" })).status).toBe(401);
    expect((await post(url, body, key)).status).toBe(200);
  });

  test("bad input is never a 500", async () => {
    const errors: unknown[] = [];
    const { url } = await start({ onError: (error) => errors.push(error) });
    const statusOf = async (request: unknown, headers?: Record<string, string>): Promise<number> =>
      (await post(url, request, headers)).status;
    expect(await statusOf("{nonsense")).toBe(422);
    expect(await statusOf("")).toBe(422);
    expect(await statusOf("[]")).toBe(422);
    expect(await statusOf("null", { "content-type": "text/plain" })).toBe(422);
    expect(await statusOf('{"__proto__": {"model": 1}}')).toBe(422);
    expect(await statusOf(`${"[".repeat(200_000)}${"]".repeat(200_000)}`)).toBe(422);
    expect(await statusOf(ask("x".repeat(9_000_000)))).toBe(413);
    expect(await statusOf(ask("x".repeat(1_100_000)))).toBe(400);
    expect((await fetch(`${url}/nowhere`)).status).toBe(404);
    expect((await fetch(`${url}/demo/weather?city=%ff`)).status).toBe(404);
    expect(errors).toEqual([]);
  });
});

test("both mounts serve the chat and the model list", async () => {
  const { url } = await start();
  const response = await fetch(`${url}/serverless/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  expect(response.status).toBe(200);
  for (const path of ["/v1/models", "/serverless/v1/models"]) {
    expect(await (await fetch(url + path)).json()).toMatchObject({
      object: "list",
      data: expect.arrayContaining([expect.objectContaining({ id: MODEL_ID, context_length: 262_144 })]),
    });
  }
  expect(await (await fetch(`${url}/health`)).json()).toEqual({ status: "ok" });
});

describe("the demo API", () => {
  test("has the same weather for a city under all its names", async () => {
    const { url } = await start();
    const get = async (city: string): Promise<Record<string, unknown>> =>
      (await (await fetch(`${url}/demo/weather?city=${encodeURIComponent(city)}`)).json()) as Record<string, unknown>;
    const korean = await get("서울");
    const { city, condition, ...values } = await get("Seoul");
    expect(city).toBe("Seoul");
    expect(condition).toEqual(expect.any(String));
    expect(korean).toMatchObject({ city: "서울", ...values });
    expect(Object.keys(korean)).toEqual(["city", "condition", "temperature_c", "humidity_percent", "wind_mps"]);
    expect(await get("서울특별시")).toEqual(korean);
    expect(await get("부산")).not.toMatchObject(values);
  });

  test("has air, and tells an unknown city from a missing one", async () => {
    const { url } = await start();
    const air = (await (await fetch(`${url}/demo/air?city=Jeju`)).json()) as Record<string, unknown>;
    expect(air).toEqual({
      city: "Jeju",
      pm10_ugm3: expect.any(Number),
      pm25_ugm3: expect.any(Number),
      grade: expect.any(String),
    });
    const unknown = await fetch(`${url}/demo/air?city=Atlantis`);
    expect([unknown.status, await unknown.json()]).toMatchObject([404, { error: "unknown city: Atlantis" }]);
    expect((await fetch(`${url}/demo/weather`)).status).toBe(400);
  });
});
