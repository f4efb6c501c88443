import { gunzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, test } from "vitest";
import {
  CALLS,
  type Choice,
  type Chunk,
  chunksOf,
  finishesOf,
  partsOf,
  post,
  startSimulator,
  TEXT,
  textOf,
} from "../../test/client.ts";
import type { Simulator } from "../simulator.ts";
import { DIALECT_NAMES, type DialectName } from "../wire/dialect.ts";
import type { Transmission } from "./fault.ts";
import { FAULTS, type FaultName } from "./faults.ts";

let simulator: Simulator;
let url: string;
// At scale 0 what comes late comes at once; how late it would be is asked of the faults themselves.
beforeAll(async () => {
  ({ simulator, url } = await startSimulator({ timing: { scale: 0 } }));
});
afterAll(() => simulator.close());

const request = (name: FaultName, body: object): Promise<Response> => post(url, body, { "x-sim-fault": name });
const base = (name: FaultName): object => (FAULTS[name].on === "text" ? TEXT : CALLS);

async function whole(name: FaultName, body = base(name)): Promise<Choice & { readonly usage: unknown }> {
  const response = await request(name, body);
  expect(response.status).toBe(200);
  const { choices, usage } = (await response.json()) as { choices: [Choice]; usage: unknown };
  return { ...choices[0], usage };
}
async function streamText(name: FaultName, body = base(name)): Promise<string> {
  const response = await request(name, { ...body, stream: true, stream_options: { include_usage: true } });
  expect(response.status).toBe(200);
  return response.text();
}
const stream = async (name: FaultName, body = base(name)): Promise<Chunk[]> => chunksOf(await streamText(name, body));

const callNames = (choice: Choice): unknown[] => (choice.message.tool_calls ?? []).map((call) => call.function.name);
const callArguments = (choice: Choice): unknown[] =>
  (choice.message.tool_calls ?? []).map((call) => call.function.arguments);
/** Puts the parts of a sound stream together by their index. */
function argumentsByIndex(chunks: readonly Chunk[]): string[] {
  const texts: string[] = [];
  for (const part of partsOf(chunks)) {
    const at = part.index ?? 0;
    texts[at] = `${texts[at] ?? ""}${part.function.arguments ?? ""}`;
  }
  return texts;
}
const quiet = { chat_template_kwargs: { enable_thinking: false } };

async function leaksAsText(name: FaultName, mark: string): Promise<void> {
  const choice = await whole(name);
  expect(choice.message.tool_calls).toBeUndefined();
  expect(choice.message.content).toContain(mark);
  expect(choice.finish_reason).toBe("stop");
  expect(textOf(await stream(name))).toContain(mark);
}
async function finishesWith(name: FaultName, finish: string | null): Promise<void> {
  expect((await whole(name)).finish_reason).toBe(finish);
  expect(finishesOf(await stream(name))).toEqual(finish === null ? [] : [finish]);
}
async function isRefused(name: FaultName, status: number, headers: Record<string, string> = {}): Promise<void> {
  for (const streams of [false, true]) {
    const response = await request(name, { ...CALLS, stream: streams });
    expect(response.status).toBe(status);
    for (const [header, value] of Object.entries(headers)) expect(response.headers.get(header)).toBe(value);
    expect(await response.json()).toMatchObject({ error: { message: expect.any(String) } });
  }
}
async function isCut(name: FaultName, streams: boolean): Promise<void> {
  const response = await request(name, { ...base(name), stream: streams });
  expect(response.status).toBe(200);
  await expect(response.text()).rejects.toThrow();
}

/** The wire that each fault gives. */
const CHECKS: Readonly<Record<FaultName, () => Promise<void>>> = {
  async "think-leak-bare-close"() {
    const choice = await whole("think-leak-bare-close", TEXT);
    expect(choice.message.content).toMatch(/^[^<]+\n<\/think>\n\n/);
    expect(choice.message).not.toHaveProperty("reasoning_content");
    expect(textOf(await stream("think-leak-bare-close", TEXT))).toBe(choice.message.content);
  },
  async "think-leak-open-tag"() {
    const choice = await whole("think-leak-open-tag", { ...TEXT, ...quiet });
    expect(choice.message.content).toMatch(/^<think>\n[^<]+\n<\/think>\n\n/);
  },
  async "think-unclosed"() {
    const { message, finish_reason } = await whole("think-unclosed", TEXT);
    expect([message.content, finish_reason]).toEqual([null, "stop"]);
    expect(message.reasoning_content).toContain("안녕하세요");
  },
  "call-as-text-hermes": () => leaksAsText("call-as-text-hermes", '<tool_call>{"name": "get_weather", "arguments": {'),
  "call-as-text-attributes": () =>
    leaksAsText("call-as-text-attributes", '{"get_weather" name="get_weather" arguments={"city": "서울"}}'),
  "call-as-text-name-key": () => leaksAsText("call-as-text-name-key", '{"name_get_weather": {"city": "서울"}}'),
  "call-as-text-xml": () =>
    leaksAsText("call-as-text-xml", "<tool_call>get_weather\n<arg_key>city</arg_key><arg_value>서울</arg_value>\n"),
  async "call-in-think"() {
    const { message, finish_reason } = await whole("call-in-think");
    expect(message.reasoning_content).toContain("<tool_call>");
    expect([message.tool_calls, message.content, finish_reason]).toEqual([undefined, "\n\n", "stop"]);
  },
  async "arguments-malformed"() {
    const choice = await whole("arguments-malformed");
    expect(callArguments(choice)).toEqual(['{city: "서울"}', '{"city": "부산"}']);
    expect(argumentsByIndex(await stream("arguments-malformed"))).toEqual(callArguments(choice));
  },
  async "arguments-truncated"() {
    expect(callArguments(await whole("arguments-truncated"))).toEqual(['{"city": "서울"}', '{"city"']);
  },
  async "unknown-tool"() {
    expect(callNames(await whole("unknown-tool"))).toEqual(["Read", "get_weather"]);
  },
  async "closing-tag-in-argument"() {
    expect(callArguments(await whole("closing-tag-in-argument"))[0]).toBe('{"city": "서울</tool_call>"}');
  },
  async "call-twice"() {
    expect(callArguments(await whole("call-twice")).slice(0, 2)).toEqual(['{"city": "서울"}', '{"city": "서울"}']);
  },
  async "endless-call"() {
    const first = await whole("endless-call");
    const results = [{ role: "tool", tool_call_id: "x", content: '{"temperature_c": 3}' }];
    const next = await whole("endless-call", { ...CALLS, messages: [...CALLS.messages, first.message, ...results] });
    expect(callArguments(first)).toEqual(['{"city": "서울"}']);
    expect(callArguments(next)).toEqual(callArguments(first));
  },
  async "empty-answer"() {
    const { message, finish_reason } = await whole("empty-answer");
    expect([message.content, message.tool_calls, finish_reason]).toEqual(["\n\n", undefined, "stop"]);
  },
  async "length-mid-think"() {
    const { message, finish_reason } = await whole("length-mid-think");
    expect([message.content, message.tool_calls, finish_reason]).toEqual([null, undefined, "length"]);
  },
  async "length-mid-text"() {
    const { message, finish_reason } = await whole("length-mid-text");
    expect(finish_reason).toBe("length");
    expect(message.content?.trim()).toMatch(/^안녕하세요/);
    expect(message.content).not.toContain("도와드릴까요");
  },
  async "length-mid-call"() {
    const choice = await whole("length-mid-call");
    expect(callArguments(choice)).toEqual(['{"city": "서울"}', '{"city"']);
    expect(choice.finish_reason).toBe("length");
  },
  async "reasoning-renamed"() {
    const { message } = await whole("reasoning-renamed");
    expect(message.reasoning).toEqual(expect.any(String));
    expect(message).not.toHaveProperty("reasoning_content");
    expect(textOf(await stream("reasoning-renamed"), "reasoning_content")).toBe("");
  },
  async "duplicate-text-and-call"() {
    const { message } = await whole("duplicate-text-and-call");
    expect(message.content).toContain('<tool_call>{"name": "get_weather", "arguments": {"city": "서울"}}</tool_call>');
    expect(message.tool_calls).toHaveLength(2);
    const chunks = await stream("duplicate-text-and-call");
    expect(textOf(chunks)).toBe(message.content);
    expect(argumentsByIndex(chunks)).toEqual(['{"city": "서울"}', '{"city": "부산"}']);
  },
  async "arguments-object"() {
    expect(callArguments(await whole("arguments-object"))).toEqual([{ city: "서울" }, { city: "부산" }]);
    expect(partsOf(await stream("arguments-object")).map((part) => part.function.arguments)).toEqual([
      { city: "서울" },
      { city: "부산" },
    ]);
  },
  async "arguments-null"() {
    expect(callArguments(await whole("arguments-null"))).toEqual([null, null]);
    expect(partsOf(await stream("arguments-null")).map((part) => part.function.arguments)).toEqual([null, null]);
  },
  async "arguments-empty"() {
    expect(callArguments(await whole("arguments-empty"))).toEqual(["", ""]);
    expect(argumentsByIndex(await stream("arguments-empty"))).toEqual(["", ""]);
  },
  async "id-missing"() {
    for (const call of (await whole("id-missing")).message.tool_calls ?? []) expect(call).not.toHaveProperty("id");
    for (const part of partsOf(await stream("id-missing"))) expect(part).not.toHaveProperty("id");
  },
  async "id-twice"() {
    expect((await whole("id-twice")).message.tool_calls?.map(({ id }) => id)).toEqual(["call_0", "call_0"]);
    expect(partsOf(await stream("id-twice")).flatMap(({ id }) => id ?? [])).toEqual(["call_0", "call_0"]);
  },
  async "id-per-delta"() {
    const parts = partsOf(await stream("id-per-delta"));
    expect(new Set(parts.map(({ id }) => id)).size).toBe(parts.length);
    expect(parts.filter((part) => part.function.name)).toHaveLength(2);
  },
  async "index-missing"() {
    for (const part of partsOf(await stream("index-missing"))) expect(part).not.toHaveProperty("index");
  },
  async "index-always-zero"() {
    const parts = partsOf(await stream("index-always-zero"));
    expect(new Set(parts.map(({ index }) => index))).toEqual(new Set([0]));
    expect(parts.flatMap(({ id }) => id ?? [])).toHaveLength(2);
  },
  async "name-twice"() {
    const names = partsOf(await stream("name-twice")).map((part) => part.function.name);
    expect(names.length).toBeGreaterThan(2);
    expect(new Set(names)).toEqual(new Set(["get_weather"]));
  },
  async "two-calls-in-one-chunk"() {
    const chunks = await stream("two-calls-in-one-chunk");
    expect(chunks.filter((chunk) => partsOf([chunk]).length > 0)).toHaveLength(1);
    expect(argumentsByIndex(chunks)).toEqual(['{"city": "서울"}', '{"city": "부산"}']);
  },
  async "tool-delta-before-reasoning"() {
    const chunks = await stream("tool-delta-before-reasoning");
    const lastPart = chunks.findLastIndex((chunk) => partsOf([chunk]).length > 0);
    const firstThought = chunks.findIndex((chunk) => textOf([chunk], "reasoning_content") !== "");
    expect(lastPart).toBeLessThan(firstThought);
    expect(finishesOf(chunks.slice(firstThought))).toEqual(["tool_calls"]);
  },
  async "delta-null"() {
    expect((await stream("delta-null")).filter((chunk) => chunk.choices?.[0]?.delta === null)).toHaveLength(1);
  },
  async "choices-missing"() {
    expect((await stream("choices-missing")).filter((chunk) => !("choices" in chunk))).toHaveLength(1);
  },
  async "finish-twice"() {
    expect(finishesOf(await stream("finish-twice"))).toEqual(["tool_calls", "tool_calls"]);
  },
  "finish-missing": () => finishesWith("finish-missing", null),
  "finish-null-string": () => finishesWith("finish-null-string", "null"),
  "finish-abort": () => finishesWith("finish-abort", "abort"),
  "finish-content-filter": () => finishesWith("finish-content-filter", "content_filter"),
  async "stop-with-calls"() {
    await finishesWith("stop-with-calls", "stop");
    expect((await whole("stop-with-calls")).message.tool_calls).toHaveLength(2);
  },
  async "tool-calls-without-calls"() {
    await finishesWith("tool-calls-without-calls", "tool_calls");
    expect((await whole("tool-calls-without-calls")).message.tool_calls).toBeUndefined();
  },
  async "length-with-calls"() {
    await finishesWith("length-with-calls", "length");
    expect(callArguments(await whole("length-with-calls"))).toEqual(['{"city": "서울"}', '{"city": "부산"}']);
  },
  async "usage-missing"() {
    expect((await whole("usage-missing")).usage).toBeUndefined();
    expect((await stream("usage-missing")).every((chunk) => chunk.usage === null)).toBe(true);
  },
  async "usage-every-chunk"() {
    const counts = (await stream("usage-every-chunk")).map((chunk) => chunk.usage?.completion_tokens);
    expect(counts.every((count) => typeof count === "number")).toBe(true);
    expect(counts).toEqual(counts.toSorted((a, b) => Number(a) - Number(b)));
  },
  async "usage-null-details"() {
    expect((await whole("usage-null-details")).usage).toMatchObject({ prompt_tokens_details: null });
    expect((await stream("usage-null-details")).at(-1)?.usage).toMatchObject({ prompt_tokens_details: null });
  },
  async "error-429-in-stream"() {
    const chunks = await stream("error-429-in-stream");
    expect(chunks.at(-1)).toEqual({ error: expect.objectContaining({ status: 429 }) });
    expect(chunks.length).toBeGreaterThan(2);
  },
  async "error-500-in-stream"() {
    expect(await stream("error-500-in-stream")).toEqual([{ error: expect.objectContaining({ code: 500 }) }]);
  },
  async "korean-split-utf8"() {
    const plain = await (await post(url, CALLS)).json();
    const split = (await (await request("korean-split-utf8", CALLS)).json()) as object;
    expect(split).toMatchObject({ choices: (plain as { choices: unknown[] }).choices });
    expect(argumentsByIndex(await stream("korean-split-utf8"))).toEqual(['{"city": "서울"}', '{"city": "부산"}']);
    const { pieces } = transmitted("korean-split-utf8", ["서울"]);
    expect(pieces).toEqual([Buffer.from([0xec]), Buffer.from([0x84, 0x9c, 0xec]), Buffer.from([0x9a, 0xb8])]);
  },
  async "done-missing"() {
    const text = await streamText("done-missing");
    expect(text).not.toContain("[DONE]");
    expect(finishesOf(chunksOf(text))).toEqual(["tool_calls"]);
  },
  async "bytes-after-done"() {
    expect((await streamText("bytes-after-done")).split("data: [DONE]\n\n")[1]).toMatch(/^: late/);
  },
  async "truncated-json"() {
    const body = await (await request("truncated-json", CALLS)).text();
    expect(() => JSON.parse(body)).toThrow(SyntaxError);
    const text = await streamText("truncated-json");
    expect(() => chunksOf(text)).toThrow(SyntaxError);
    expect(text.endsWith("data: [DONE]\n\n")).toBe(true);
  },
  async "reset-mid-call"() {
    await isCut("reset-mid-call", false);
    await isCut("reset-mid-call", true);
  },
  async "reset-mid-text"() {
    await isCut("reset-mid-text", false);
    await isCut("reset-mid-text", true);
  },
  "reset-mid-think": () => isCut("reset-mid-think", true),
  async "empty-body"() {
    const response = await request("empty-body", CALLS);
    expect([response.status, await response.text()]).toEqual([200, ""]);
    expect(await streamText("empty-body")).toBe("");
  },
  async gzip() {
    const response = await request("gzip", CALLS);
    expect(response.headers.get("content-encoding")).toBe("gzip");
    expect(await response.json()).toMatchObject({ choices: [{ finish_reason: "tool_calls" }] });
    const { pieces } = transmitted("gzip", ["a", "b"]);
    expect(gunzipSync(pieces[0] as Buffer).toString()).toBe("ab");
  },
  async "slow-first-byte"() {
    expect((await whole("slow-first-byte")).finish_reason).toBe("tool_calls");
    expect(transmitted("slow-first-byte", ["a"]).pace).toEqual({ firstMs: 30_000, lastMs: 30_000 });
  },
  async "stall-mid-stream"() {
    const response = await request("stall-mid-stream", { ...CALLS, stream: true });
    const reader = response.body?.getReader();
    expect(new TextDecoder().decode((await reader?.read())?.value)).toMatch(/^data: \{/);
    await reader?.cancel();
    expect(transmitted("stall-mid-stream", ["a", "b", "c", "d"])).toMatchObject({ pieces: ["a", "b"], ending: "hang" });
  },
  async "slow-loris"() {
    expect((await whole("slow-loris")).finish_reason).toBe("tool_calls");
    expect(transmitted("slow-loris", ["a", "b", "c"])).toMatchObject({ separate: true, pace: { lastMs: 3_000 } });
  },
  async "sse-crlf"() {
    const text = await streamText("sse-crlf");
    expect(text.replaceAll("\r\n", "")).not.toContain("\n");
    expect(finishesOf(chunksOf(text))).toEqual(["tool_calls"]);
  },
  async "sse-comments"() {
    expect(await streamText("sse-comments")).toMatch(/^: keep-alive\n\nevent: message\nid: 1\ndata: \{/);
  },
  async "sse-no-space"() {
    expect(await streamText("sse-no-space")).toMatch(/^data:\{/);
  },
  async "error-422"() {
    const response = await request("error-422", CALLS);
    expect([response.status, await response.json()]).toMatchObject([
      422,
      { detail: [{ loc: ["body", "messages", 0] }] },
    ]);
  },
  "error-400": () => isRefused("error-400", 400),
  "unauthorized-401": () => isRefused("unauthorized-401", 401),
  "credit-402": () => isRefused("credit-402", 402),
  "forbidden-403": () => isRefused("forbidden-403", 403),
  "model-withdrawn": () => isRefused("model-withdrawn", 404),
  async "context-overflow"() {
    const response = await request("context-overflow", CALLS);
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: { code: "context_length_exceeded" } },
    ]);
  },
  "rate-limit-429": () => isRefused("rate-limit-429", 429),
  "rate-limit-429-seconds": () => isRefused("rate-limit-429-seconds", 429, { "retry-after": "1" }),
  "rate-limit-429-date": () =>
    isRefused("rate-limit-429-date", 429, { "retry-after": "Sat, 10 Jan 2026 00:00:02 GMT" }),
  "server-error-500": () => isRefused("server-error-500", 500),
  async "html-502"() {
    const response = await request("html-502", CALLS);
    expect([response.status, response.headers.get("content-type")]).toEqual([502, "text/html"]);
    expect(await response.text()).toMatch(/^<html>/);
  },
  "overloaded-503": () => isRefused("overloaded-503", 503),
  async "timeout-504"() {
    const response = await request("timeout-504", CALLS);
    expect([response.status, await response.text()]).toEqual([504, ""]);
  },
};

function transmitted(name: FaultName, pieces: readonly string[]): Transmission {
  const fault = FAULTS[name];
  if (fault.layer !== "transport") throw new Error(`${name} is of another layer`);
  return fault.transmit({ headers: {}, pieces, pace: { firstMs: 0, lastMs: 0 }, separate: false, ending: "end" }, 1);
}

test.each(Object.entries(CHECKS))("%s", (_name, check) => check());

test("every fault has a check", () => {
  expect(Object.keys(CHECKS).toSorted()).toEqual(Object.keys(FAULTS).toSorted());
});

test.each(DIALECT_NAMES)("every fault can be had in the dialect %s, each noted in the journal", async (dialect) => {
  simulator.reset();
  // What hangs is tried above; the rest must end, soundly or not.
  const names = (Object.keys(FAULTS) as FaultName[]).filter((name) => name !== "stall-mid-stream");
  for (const name of names) {
    const stream = FAULTS[name].streams !== "whole";
    const response = await post(url, { ...base(name), stream }, { "x-sim-fault": name, "x-sim-dialect": dialect });
    await response.text().catch(() => "cut");
  }
  const entries = simulator.journal();
  expect(entries.map(({ fault }) => fault)).toEqual(names);
  const refused = entries.filter(({ status }) => status !== 200).map(({ fault }) => fault);
  expect(refused).toEqual(names.filter((name) => FAULTS[name].layer === "http"));
});

/** What cannot go wrong in a dialect: it has no names of reasoning to mix up, or no details of token counts anyway. */
const HARMLESS: Readonly<Record<DialectName, readonly FaultName[]>> = {
  friendli: [],
  vllm: [],
  "vllm-legacy": ["usage-null-details"],
  sglang: [],
  openai: ["reasoning-renamed"],
};

test.each(DIALECT_NAMES)("every fault of the text or its JSON changes what the dialect %s sends", async (dialect) => {
  const names = (Object.keys(FAULTS) as FaultName[]).filter((name) => ["raw", "wire"].includes(FAULTS[name].layer));
  const unchanged: FaultName[] = [];
  for (const name of names) {
    const body = { ...base(name), stream: FAULTS[name].streams !== "whole", stream_options: { include_usage: true } };
    const sent = async (headers = {}): Promise<string> => {
      const text = await (await post(url, body, { "x-sim-dialect": dialect, ...headers })).text();
      return text.replace(/"cached_tokens":\d+/g, "");
    };
    if ((await sent()) === (await sent({ "x-sim-fault": name }))) unchanged.push(name);
  }
  expect(unchanged).toEqual(HARMLESS[dialect]);
});
