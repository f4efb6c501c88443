import type { ModelDelta } from "@maru/contract";
import fc from "fast-check";
import { expect, test } from "vitest";
import { asked, standingClock } from "../test/kit.ts";
import { createAssembler } from "./assembler.ts";
import { ModelError } from "./errors.ts";

import type { WireRequest } from "./request.ts";
import { openTransport, receive, send } from "./transport.ts";

const BODY = `: connected\r\n\r\n${[
  '{"id": "1", "choices": [{"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}]}',
  '{"id": "1", "choices": [{"index": 0, "delta": {"reasoning": "두 도구가 "}, "finish_reason": null}]}',
  '{"id": "1", "choices": [{"index": 0, "delta": {"content": "확인해 보겠습니다 🌤"}, "finish_reason": null}]}',
  '{"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [{"id": "a", "index": 0, "function": {"name": "weather"}}]}}]}',
  '{"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "{\\"city\\": \\"서"}}]}}]}',
  '{"id": "1", "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"arguments": "울\\"}"}}]}, "finish_reason": "tool_calls"}]}',
  '{"id": "1", "choices": [], "usage": {"prompt_tokens": 412, "completion_tokens": 88, "total_tokens": 500}}',
  "[DONE]",
]
  .map((data, index) => (index % 2 === 0 ? `data: ${data}\n\n` : `event: message\r\ndata:${data}\r\n\r\n`))
  .join("")}`;

const END = new TextEncoder().encode('data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n');

async function readIn(pieces: readonly Uint8Array[]) {
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const piece of pieces) controller.enqueue(piece);
      controller.close();
    },
  });
  const assembler = createAssembler({ thinking: true, toolNames: ["weather"], promptTokens: 1 });
  const deltas: ModelDelta[] = [];
  await receive(new Response(body, { headers: { "content-type": "text/event-stream" } }), {
    assembler,
    maxTokens: 1_000,
    clock: standingClock(),
    onDelta: (delta) => deltas.push(delta),
    onBytes: () => {},
  });
  return { answer: assembler.end(), deltas };
}

test("S1: a stream cut into any packets, also inside characters and line ends, gives the same answer", async () => {
  const bytes = new TextEncoder().encode(BODY);
  const whole = await readIn([bytes]);
  expect(whole.answer).toMatchObject({
    reasoning: "두 도구가",
    text: "확인해 보겠습니다 🌤",
    toolCalls: [asked("a", "weather", '{"city": "서울"}')],
    finishReason: "tool_calls",
    usage: { inputTokens: 412, outputTokens: 88, estimated: false },
  });
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 0, max: bytes.length }), { maxLength: 60 }), async (places) => {
      const cuts = [0, ...places.toSorted((a, b) => a - b), bytes.length];
      const pieces = cuts.slice(1).map((end, index) => bytes.slice(cuts[index], end));
      expect(await readIn(pieces)).toEqual(whole);
    }),
  );
});

test("S7: a host that sends on and on is left, soon after any answer of the tokens asked for would have ended", async () => {
  const chunk = new TextEncoder().encode(`data: {"choices":[{"delta":{"content":"${"x".repeat(60_000)}"}}]}\n\n`);
  await expect(readIn(Array.from({ length: 60 }, () => chunk))).rejects.toMatchObject({ code: "stream_interrupted" });
  await expect(readIn([...Array.from({ length: 40 }, () => chunk), END])).resolves.toBeDefined();
});

test("E2: an error nested without end, or made of odd values, is an error like any other", async () => {
  const deep = `${'{"error":'.repeat(200_000)}"x"${"}".repeat(200_000)}`;
  const odd = [
    '{"error":{"message":{"toString":1},"code":{"valueOf":1},"type":[[]]}}',
    '{"detail":[{"loc":[{}],"msg":{}},null]}',
  ];
  for (const data of [deep, ...odd])
    await expect(readIn([new TextEncoder().encode(`data: ${data}\n\n`)])).rejects.toBeInstanceOf(ModelError);
});

test("A8: a host that reports more tokens than any call has reports nothing", async () => {
  for (const tokens of [1e15, -1, 1.5, "7", 2 ** 31]) {
    const body = {
      choices: [{ delta: { content: "hi" }, finish_reason: "stop" }],
      usage: { prompt_tokens: tokens, completion_tokens: 1 },
    };
    const { answer } = await readIn([new TextEncoder().encode(`data: ${JSON.stringify(body)}\n\n`)]);
    expect(answer.usage).toMatchObject({ inputTokens: 1, estimated: true });
  }
});
const refusedWith = (body: string | ReadableStream, status = 400) => {
  const fetch = async () => new Response(body, { status, headers: { "content-type": "application/json" } });
  const openai = openTransport({ baseUrl: "http://host/v1", apiKey: "key", team: null, fetch });
  const request = { model: "m", messages: [], stream: true } as unknown as WireRequest;
  return send(openai, request, standingClock(), new AbortController().signal).catch((error: unknown) => error);
};

test("E2: of a refusal without an end only the beginning is read", async () => {
  let sent = 0;
  let cancelled = false;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1_024;
      controller.enqueue(new Uint8Array(1_024).fill(97));
    },
    cancel() {
      cancelled = true;
    },
  });
  expect(await refusedWith(body, 500)).toMatchObject({ code: "upstream_unavailable", status: 500 });
  expect([sent <= 70_000, cancelled]).toEqual([true, true]);
});

test("E2: a refusal nested too deeply to be written down is a refusal all the same", async () => {
  for (const deep of ['{"error":', '{"message":', "["]) {
    const error = await refusedWith(deep.repeat(7_000));
    expect(error).toBeInstanceOf(ModelError);
    expect(error).toMatchObject({ code: "model_bad_request", status: 400 });
  }
  const whole = `${'{"error":'.repeat(6_000)}1${"}".repeat(6_000)}`;
  expect(await refusedWith(whole)).toMatchObject({ code: "model_bad_request", status: 400 });
});

test.each([
  '{"error":{"code":{"toString":1,"valueOf":1},"type":{"toString":1,"valueOf":1},"message":{}}}',
  '{"error":{"status":{"toString":1,"valueOf":1}}}',
  '{"detail":[{"loc":[{"toString":1,"valueOf":1}],"msg":{"toString":1,"valueOf":1}},[[7]],null]}',
  `{"error":${'{"error":'.repeat(50_000)}1${"}".repeat(50_000)}}`,
])("S6: an error envelope of any shape is an error of ours: %.60s", async (envelope) => {
  const bytes = new TextEncoder().encode(`data: ${envelope}\n\n`);
  await expect(readIn([bytes])).rejects.toBeInstanceOf(ModelError);
});
