import { afterEach, describe, expect, test } from "vitest";
import { CALLS, type Choice, chunksOf, finishesOf, post, startSimulator, TEXT, WEATHER } from "../test/client.ts";
import { DIALECT_NAMES, MODEL_ID, MODELS, type Simulator, type SimulatorOptions } from "./index.ts";
import { detokenize, tokenize } from "./token-api.ts";

const open: Simulator[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((simulator) => simulator.close()));
});
async function start(options: SimulatorOptions = {}): Promise<string> {
  const { simulator, url } = await startSimulator(options);
  open.push(simulator);
  return url;
}
async function messageOf(response: Response): Promise<Choice["message"]> {
  expect(response.status).toBe(200);
  return ((await response.json()) as { choices: [Choice] }).choices[0].message;
}

describe("a dialect", () => {
  test("is the option's, the header's or the mount's, the mount first", async () => {
    const url = await start({ dialect: "vllm" });
    expect(await messageOf(await post(url, CALLS))).toHaveProperty("reasoning");
    expect(await messageOf(await post(url, CALLS, { "x-sim-dialect": "vllm-legacy" }))).toMatchObject({
      reasoning_content: expect.any(String),
      tool_calls: [{}, {}],
    });
    const mounted = await post(url, CALLS, { "x-sim-dialect": "vllm-legacy" }, "/d/openai/v1/chat/completions");
    const message = await messageOf(mounted);
    expect(message).not.toHaveProperty("reasoning_content");
    expect(message.content).toBeNull();
    expect((await post(url, CALLS, {}, "/d/sglang/serverless/v1/chat/completions")).status).toBe(200);
    expect((await fetch(`${url}/d/vllm/v1/models`)).status).toBe(200);
  });

  test("of an unknown name is refused with the names there are", async () => {
    const response = await post(await start(), CALLS, { "x-sim-dialect": "tgi" });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining("friendli, vllm")]);
  });

  test("other than Friendli's takes a looser body, and refuses with 400", async () => {
    const url = await start({ dialect: "vllm" });
    const loose = {
      model: MODEL_ID,
      messages: [
        { role: "developer", content: [{ type: "text", text: "Be brief." }] },
        { role: "user", content: "서울 날씨" },
        {
          role: "assistant",
          tool_calls: [{ id: "a", type: "function", function: { name: "get_weather", arguments: { city: "서울" } } }],
        },
        { role: "tool", tool_call_id: "a", content: [{ type: "text", text: '{"temperature_c": 3}' }] },
      ],
      tools: [{ ...WEATHER, function: { ...WEATHER.function, strict: true } }],
      max_completion_tokens: 200,
      stop: "never",
    };
    expect((await messageOf(await post(url, loose))).content).toContain("3°C");
    expect((await post(url, loose, { "x-sim-dialect": "friendli" })).status).toBe(422);
    const refused = await post(url, { ...loose, messages: 1 });
    expect([refused.status, await refused.json()]).toMatchObject([400, { error: { type: "BadRequestError" } }]);
    const legacy = await post(url, { ...loose, messages: 1 }, { "x-sim-dialect": "vllm-legacy" });
    expect(await legacy.json()).toMatchObject({ object: "error", code: 400 });
  });

  test("of old vLLM drops reasoning that comes back under the newer name", async () => {
    const url = await start();
    const history = {
      role: "assistant",
      content: null,
      reasoning: "a long thought about the weather".repeat(10),
      tool_calls: [{ id: "a", type: "function", function: { name: "get_weather", arguments: "{}" } }],
    };
    const body = {
      ...CALLS,
      messages: [...CALLS.messages, history, { role: "tool", tool_call_id: "a", content: "1" }],
    };
    const tokens = async (dialect: string): Promise<number> => {
      const response = await post(url, body, { "x-sim-dialect": dialect });
      return ((await response.json()) as { usage: { prompt_tokens: number } }).usage.prompt_tokens;
    };
    expect(await tokens("vllm-legacy")).toBeLessThan(await tokens("vllm"));
  });

  test("has its own usage, extras and release switches", async () => {
    const url = await start({ versions: { sglang: { duplicateFinish: true }, vllm: { enableThinkingAware: false } } });
    const streamed = { ...CALLS, stream: true, stream_options: { include_usage: true } };
    const sglang = chunksOf(await (await post(url, streamed, {}, "/d/sglang/v1/chat/completions")).text());
    expect(finishesOf(sglang)).toEqual(["tool_calls", "tool_calls"]);
    expect(sglang.at(-1)?.usage).toMatchObject({ reasoning_tokens: expect.any(Number) });
    const vllm = await messageOf(await post(url, TEXT, {}, "/d/vllm/v1/chat/completions"));
    expect(vllm.content).toContain("</think>");
    const chunks = chunksOf(await (await post(url, streamed, {}, "/d/vllm/v1/chat/completions")).text());
    expect(chunks.slice(0, -1).every((chunk) => !("usage" in chunk))).toBe(true);
    expect(chunks.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens_details: {} } });
  });
});

test.each(DIALECT_NAMES)("bad input is never a 500 in the dialect %s", async (dialect) => {
  const errors: unknown[] = [];
  const url = await start({ dialect, onError: (error) => errors.push(error) });
  const deep = `${'{"a":'.repeat(20_000)}1${"}".repeat(20_000)}`;
  const history = { role: "assistant", tool_calls: [{ id: "a", function: { name: "f", arguments: "DEEP" } }] };
  const bodies = [
    "{nonsense",
    "[]",
    { ...CALLS, messages: [{ role: "user", content: `#sim tool get_weather ${deep}` }] },
    JSON.stringify({ ...CALLS, messages: [...CALLS.messages, history] }).replace('"DEEP"', deep),
    { ...CALLS, messages: [null, 1, { role: "tool", content: [null] }], tools: [null, { function: 1 }], stop: {} },
    { ...CALLS, chat_template_kwargs: { thinking: "yes", enable_thinking: 1 } },
  ];
  for (const body of bodies) {
    for (const stream of [false, true]) {
      const given = typeof body === "string" ? body : { ...body, stream };
      expect((await post(url, given)).status).toBeLessThan(500);
    }
  }
  expect(errors).toEqual([]);
});

describe("limits", () => {
  test("a tier caps the output", async () => {
    for (const [tier, cap] of [
      [0, 8_192],
      [2, 16_384],
      [4, 65_536],
    ] as const) {
      const list = (await (await fetch(`${await start({ tier })}/v1/models`)).json()) as {
        data: { max_completion_tokens: number }[];
      };
      expect(list.data[0]?.max_completion_tokens).toBe(cap);
    }
  });

  test("requests a minute are counted by key, or by team, over a sliding minute", async () => {
    let seconds = 0;
    const clock = { now: () => new Date(Date.UTC(2026, 0, 10, 0, 0, seconds)) };
    const url = await start({ clock, requestsPerMinute: 2, retryAfter: true });
    const call = async (key: string, team?: string): Promise<number> =>
      (await post(url, TEXT, { authorization: `Bearer ${key}`, ...(team ? { "x-friendli-team": team } : {}) })).status;
    expect([await call("a"), await call("a"), await call("b"), await call("a")]).toEqual([200, 200, 200, 429]);
    expect([await call("x", "t"), await call("y", "t"), await call("z", "t")]).toEqual([200, 200, 429]);
    seconds = 20;
    const refused = await post(url, TEXT, { authorization: "Bearer a" });
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([429, "40"]);
    seconds = 61;
    expect(await call("a")).toBe(200);
    const silent = await start({ requestsPerMinute: 0 });
    expect((await post(silent, TEXT)).headers.get("retry-after")).toBeNull();
  });

  test("tier 0 refuses some requests, always the same, and lets the next try pass", async () => {
    const ask = (n: number): object => ({ ...TEXT, messages: [{ role: "user", content: `question ${n}` }] });
    const fates = async (): Promise<number[]> => {
      const url = await start({ tier: 0 });
      const statuses: number[] = [];
      for (let n = 0; n < 24; n++) statuses.push((await post(url, ask(n))).status);
      for (const [n, status] of statuses.entries())
        if (status === 429) expect((await post(url, ask(n))).status).toBe(200);
      return statuses;
    };
    const first = await fates();
    expect(new Set(first)).toEqual(new Set([200, 429]));
    expect(await fates()).toEqual(first);
  });
});

describe("models", () => {
  test("are all listed, served and limited each by its own context", async () => {
    const url = await start();
    const { data } = (await (await fetch(`${url}/v1/models`)).json()) as { data: { id: string }[] };
    expect(data.map(({ id }) => id)).toEqual(MODELS.map(({ id }) => id));
    expect((await post(url, { ...TEXT, model: "zai-org/GLM-4.7" })).status).toBe(200);
    const long = { ...TEXT, messages: [{ role: "user", content: "x".repeat(4 * 40_000) }] };
    expect((await post(url, long)).status).toBe(200);
    const overflow = await post(url, { ...long, model: "NC-AI-consortium-VAETKI/VAETKI" });
    expect([overflow.status, await overflow.text()]).toEqual([400, expect.stringContaining("32768 tokens")]);
    const own = await start({ models: [{ id: "m", contextTokens: 100, maxOutputTokens: 10 }] });
    expect((await post(own, TEXT)).status).toBe(404);
    expect((await post(own, { ...TEXT, model: "m" })).status).toBe(200);
  });
});

describe("tool_call_id", () => {
  const body = { ...CALLS, messages: [...CALLS.messages, { role: "tool", tool_call_id: "stray", content: "1" }] };
  test("may be anybody's by default, and must be a call's when so switched", async () => {
    expect((await post(await start(), body)).status).toBe(200);
    const refused = await post(await start({ matchToolCallIds: true }), body);
    expect([refused.status, await refused.json()]).toMatchObject([
      422,
      { detail: [{ loc: ["body", "messages", 1, "tool_call_id"] }] },
    ]);
  });
});

describe("the token routes", () => {
  test("render gives the prompt as the model sees it", async () => {
    const response = await post(await start(), CALLS, {}, "/serverless/v1/chat/render");
    const { text } = (await response.json()) as { text: string };
    expect(text.startsWith('<|tool_declare|>\n# Tools\n<tool>{"type": "function"')).toBe(true);
    expect(text.endsWith("<|endofturn|>\n<|assistant|>\n<think>\n")).toBe(true);
  });

  test("tokens are read back as the text", async () => {
    const url = await start();
    const text = "서울의 weather 는 맑음 😀\n";
    const { tokens } = (await (await post(url, { prompt: text }, {}, "/serverless/v1/tokenize")).json()) as {
      tokens: number[];
    };
    expect(await (await post(url, { tokens }, {}, "/serverless/v1/detokenize")).json()).toEqual({ text });
    expect(detokenize(tokenize("\0a\u{10ffff}한글"))).toBe("\0a\u{10ffff}한글");
    expect((await post(url, {}, {}, "/serverless/v1/tokenize")).status).toBe(422);
    expect((await post(url, { tokens: ["x"] }, {}, "/serverless/v1/detokenize")).status).toBe(422);
  });
});

test("with chunkBytes the body is written in pieces of that size, and is the same body", async () => {
  const whole = await (await post(await start(), { ...CALLS, stream: true })).text();
  expect(await (await post(await start({ chunkBytes: 50 }), { ...CALLS, stream: true })).text()).toBe(whole);
});
