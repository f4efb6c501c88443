import { createServer, request as httpRequest, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import type { ModelRequest } from "@maru/contract";
import { createAssembler, createModelClient, createSseSplitter, findModel, type WireChunk } from "@maru/model";
import { Stream } from "openai/streaming";
import { load, median, percentile } from "./load.ts";
import type { Bench } from "./setup.ts";

const ROUNDS = 5;
const BYTES = 8_000_000;
/** As much as a socket gives at once. */
const PIECE = 16_384;

interface Recording {
  readonly title: string;
  readonly bytes: Uint8Array;
  readonly chunks: number;
}

/**
 * Reading streams: bytes → events → answer with its deltas, beside the least any client must do (split lines, JSON.parse,
 * join the content), and beside the official SDK's reader doing no more than that.
 */
export async function assemblerBench(): Promise<void> {
  console.log(`\nReading streams of ${BYTES / 1e6} MB (median of ${ROUNDS} rounds)`);
  console.log("stream                    least MB/s  openai MB/s  Maru MB/s  Maru chunks/s  Maru/least  Maru/openai");
  for (const recording of [text(4), text(40), thinking(), calls()]) {
    const rounds: { least: number; openai: number; maru: number }[] = [];
    for (let round = 0; round <= ROUNDS; round++) {
      const least = timed(() => readLeast(recording));
      const openai = await timedAsync(() => readOpenai(recording));
      const maru = timed(() => readMaru(recording));
      if (round > 0) rounds.push({ least, openai, maru });
    }
    const at = (name: "least" | "openai" | "maru") => median(rounds.map((round) => round[name]));
    const megabytes = recording.bytes.length / 1e6;
    const speed = (seconds: number, width: number) => (megabytes / seconds).toFixed(0).padStart(width);
    console.log(
      `${recording.title.padEnd(24)}  ${speed(at("least"), 10)}  ${speed(at("openai"), 11)}  ${speed(at("maru"), 9)}  ` +
        `${(recording.chunks / at("maru")).toFixed(0).padStart(13)}  ` +
        `${median(rounds.map(({ least, maru }) => least / maru))
          .toFixed(2)
          .padStart(10)}  ` +
        `${median(rounds.map(({ openai, maru }) => openai / maru))
          .toFixed(2)
          .padStart(11)}`,
    );
  }
}

const record = (title: string, deltaOf: (index: number) => object): Recording => {
  const lines: string[] = [];
  let size = 0;
  for (let index = 0; size < BYTES; index++) {
    const chunk = {
      id: "chatcmpl-e190608951b043d182678c88cd8cc71b",
      object: "chat.completion.chunk",
      created: 1_753_679_183,
      model: "LGAI-EXAONE/K-EXAONE-236B-A23B",
      choices: [{ index: 0, delta: deltaOf(index), logprobs: null, finish_reason: null }],
    };
    const line = `data: ${JSON.stringify(chunk)}\n\n`;
    size += Buffer.byteLength(line);
    lines.push(line);
  }
  const end = { choices: [{ index: 0, delta: {}, finish_reason: "stop" }] };
  lines.push(`data: ${JSON.stringify(end)}\n\n`, "data: [DONE]\n\n");
  return { title, bytes: new TextEncoder().encode(lines.join("")), chunks: lines.length - 1 };
};
const KOREAN = "서울은 지금 맑고 기온은 21도입니다. 바람은 약하고 미세먼지는 보통이라 나들이하기 좋은 날씨예요. ";
const text = (length: number) =>
  record(`text, ${length} characters each`, (index) => ({
    content: KOREAN.slice((index * length) % 40, ((index * length) % 40) + length),
  }));
const thinking = () => record("thinking", () => ({ reasoning_content: "사용자는 " }));
const calls = () =>
  record("calls", (index) =>
    index % 20 === 0
      ? {
          tool_calls: [
            { index: index / 20, id: `call_${index}`, type: "function", function: { name: "weather", arguments: "" } },
          ],
        }
      : {
          tool_calls: [
            {
              index: Math.floor(index / 20),
              function: { arguments: index % 20 === 1 ? '{"city":"' : index % 20 === 19 ? '"}' : "서울 " },
            },
          ],
        },
  );

function* pieces(bytes: Uint8Array): Generator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += PIECE) yield bytes.subarray(at, at + PIECE);
}

function readLeast({ bytes }: Recording): number {
  const decoder = new TextDecoder();
  let rest = "";
  let content = "";
  for (const piece of pieces(bytes)) {
    const lines = (rest + decoder.decode(piece, { stream: true })).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      if (!line.startsWith("data: ") || line === "data: [DONE]") continue;
      const { delta } = JSON.parse(line.slice(6)).choices[0];
      content += delta.content ?? delta.reasoning_content ?? delta.tool_calls?.[0]?.function.arguments ?? "";
    }
  }
  return content.length;
}

async function readOpenai({ bytes }: Recording): Promise<number> {
  const body = ReadableStream.from(pieces(bytes));
  const stream = Stream.fromSSEResponse<{ choices: { delta: Record<string, never> }[] }>(
    new Response(body as ReadableStream),
    new AbortController(),
  );
  let length = 0;
  for await (const chunk of stream) length += String(chunk.choices[0]?.delta.content ?? "").length;
  return length;
}

function readMaru({ bytes }: Recording): number {
  const decoder = new TextDecoder();
  const splitter = createSseSplitter();
  const assembler = createAssembler({ thinking: true, toolNames: ["weather"], promptTokens: 1 });
  let length = 0;
  for (const piece of pieces(bytes)) {
    for (const { data } of splitter.push(decoder.decode(piece, { stream: true }))) {
      if (data === "[DONE]") continue;
      for (const delta of assembler.push(JSON.parse(data) as WireChunk)) length += delta.text.length;
    }
  }
  for (const delta of assembler.flush()) length += delta.text.length;
  return length + assembler.end().text.length;
}

function timed(work: () => unknown): number {
  const began = performance.now();
  work();
  return (performance.now() - began) / 1_000;
}
async function timedAsync(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now();
  await work();
  return (performance.now() - began) / 1_000;
}

const MESSAGE = "hello";
const CALLS = 300;

/** Time to the first token: through a proxy that pipes bytes, through the model layer, and through all of Maru. */
export async function firstTokenBench(bench: Bench): Promise<void> {
  await bench.latency(0);
  const host = `${bench.modelUrl}/v1`;
  const { proxy, url } = await rawProxy(bench.modelUrl);
  const client = createModelClient({ baseUrl: host, apiKey: "bench", simulated: true });
  const model = findModel("k-exaone");
  if (model === undefined) throw new Error("no model");
  const request: ModelRequest = {
    model,
    messages: [{ role: "user", content: MESSAGE }],
    tools: [],
    thinking: false,
    temperature: 1,
    topP: 0.95,
    presencePenalty: 0,
    seed: null,
    maxOutputTokens: 256,
    parallelToolCalls: true,
  };
  const raw = (base: string) => () =>
    firstMatch(`${base}/chat/completions`, { authorization: "Bearer bench" }, rawBody, /"content":"[^"]/);
  const rawBody = {
    model: model.upstreamModel,
    messages: [{ role: "user", content: MESSAGE }],
    stream: true,
    max_tokens: 256,
    chat_template_kwargs: { enable_thinking: false },
    parse_reasoning: true,
  };
  const layer = () =>
    new Promise<void>((done, failed) => {
      client.complete(request, { signal: new AbortController().signal, onDelta: () => done() }).catch(failed);
    });
  const whole = () =>
    firstMatch(
      `${bench.url}/v1/runs`,
      { authorization: `Bearer ${bench.key}`, accept: "text/event-stream" },
      { deployment: "bench", input: MESSAGE },
      /event: (?:delta|snapshot)/,
    );
  const ways = { host: raw(host), proxy: raw(`${url}/v1`), layer, whole };
  const times: Record<keyof typeof ways, number[]> = { host: [], proxy: [], layer: [], whole: [] };
  for (const [name, way] of Object.entries(ways) as [keyof typeof ways, () => Promise<void>][]) {
    await load(50, 1, way);
    times[name] = (await load(CALLS, 1, way)).times;
  }
  proxy.closeAllConnections();
  proxy.close();
  client.close();
  console.log(`\nTime to the first token, one at a time, ${CALLS} calls each, host at 0 ms`);
  console.log("              host alone  raw proxy  model layer  all of Maru  layer - proxy  Maru - proxy");
  for (const share of [0.5, 0.95]) {
    const [alone, proxied, layered, all] = [times.host, times.proxy, times.layer, times.whole].map((list) =>
      percentile(list, share),
    ) as [number, number, number, number];
    const ms = (value: number, width: number) => `${value.toFixed(1)} ms`.padStart(width);
    console.log(
      `  p${String(share * 100).padEnd(10)} ${ms(alone, 10)}  ${ms(proxied, 9)}  ${ms(layered, 11)}  ${ms(all, 11)}  ${ms(layered - proxied, 13)}  ${ms(all - proxied, 12)}`,
    );
  }
}

/** Sends, and resolves when what was looked for has come; the rest is read to keep the connection. */
async function firstMatch(url: string, headers: Record<string, string>, body: object, looked: RegExp): Promise<void> {
  const response = await fetch(url, {
    method: "POST",
    headers: { ...headers, "content-type": "application/json" },
    body: JSON.stringify(body),
  });
  if (!response.ok || response.body === null) throw new Error(`${url}: ${response.status} ${await response.text()}`);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let seen = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) throw new Error(`${url}: no token came: ${seen.slice(0, 400)}`);
    seen += value;
    if (looked.test(seen)) break;
  }
  void (async () => {
    while (!(await reader.read()).done);
  })().catch(() => {});
}

async function rawProxy(target: string): Promise<{ proxy: Server; url: string }> {
  const proxy = createServer((request, response) => {
    const onward = httpRequest(target + request.url, { method: request.method, headers: request.headers }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      answer.pipe(response);
    });
    request.pipe(onward);
  });
  await new Promise<void>((done) => proxy.listen(0, "127.0.0.1", done));
  return { proxy, url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` };
}
