import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ModelDelta, TokenUsage } from "@maru/contract";
import { afterEach, describe, expect, test } from "vitest";
import { aRequest, chunk, standingClock } from "../test/kit.ts";
import { type CompleteOptions, createModelClient, type ModelClientOptions } from "./client.ts";

type Answer = (response: ServerResponse, request: IncomingMessage) => void;

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A host on loopback that gives these answers in turn, the last one from then on, and a client of it. */
async function host(answers: readonly Answer[], change: Partial<ModelClientOptions> = {}) {
  const seen: { headers: IncomingMessage["headers"]; url: string | undefined; body: Record<string, unknown> }[] = [];
  let connections = 0;
  let arrived = () => {};
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    seen.push({ headers: request.headers, url: request.url, body: JSON.parse(body) });
    answers[Math.min(seen.length, answers.length) - 1]?.(response, request);
    arrived();
  });
  server.on("connection", () => connections++);
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const clock = (change.clock as ReturnType<typeof standingClock> | undefined) ?? standingClock();
  const waits: number[] = [];
  const client = createModelClient({
    baseUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    apiKey: "a-key",
    simulated: true,
    clock,
    // Pauses between attempts are over at once.
    sleep: async (ms) => {
      waits.push(ms);
      clock.advance(ms);
    },
    random: () => 1,
    ...change,
  });
  return {
    client,
    clock,
    waits,
    seen,
    connections: () => connections,
    /** The next request has been answered, as far as it will be. */
    arrival: () => new Promise<void>((done) => (arrived = done)),
    complete: (options: Partial<CompleteOptions> = {}) =>
      client.complete(aRequest({ thinking: false }), { signal: new AbortController().signal, ...options }),
  };
}

const status =
  (code: number, body: unknown, headers: Record<string, string> = {}): Answer =>
  (response) => {
    response
      .writeHead(code, { "content-type": "application/json", ...headers })
      .end(typeof body === "string" ? body : JSON.stringify(body));
  };
const open = (response: ServerResponse) => response.writeHead(200, { "content-type": "text/event-stream" });
const raw =
  (...pieces: (string | Buffer)[]): Answer =>
  (response) => {
    open(response);
    for (const piece of pieces) response.write(piece);
    response.end();
  };
const event = (piece: unknown) => `data: ${JSON.stringify(piece)}\n\n`;
const HI = event(chunk({ content: "hi" }));
const STOP = event(chunk({}, "stop"));
const USAGE = event({ choices: [], usage: { prompt_tokens: 9, completion_tokens: 2 } });
const DONE = "data: [DONE]\n\n";
const good = raw(HI, STOP, USAGE, DONE);
/** Sends this and then nothing more. */
const stall =
  (...pieces: string[]): Answer =>
  (response) => {
    open(response).flushHeaders();
    for (const piece of pieces) response.write(piece);
  };

describe("sending", () => {
  test("one call is one POST to the host's chat completions, with the key and the team", async () => {
    const { complete, seen } = await host([good], { team: "my-team" });
    await complete();
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      url: "/v1/chat/completions",
      headers: { authorization: "Bearer a-key", "x-friendli-team": "my-team" },
      body: { model: "LGAI-EXAONE/K-EXAONE-236B-A23B", stream: true, parse_reasoning: true },
    });
  });

  test("a connection carries many calls, also when the body's end comes after [DONE]", async () => {
    let closed: Promise<void> = Promise.resolve();
    const { complete, connections } = await host([
      (response) => {
        closed = new Promise((done) => response.on("close", done));
        open(response).write(HI + STOP + DONE);
        setImmediate(() => setImmediate(() => response.end()));
      },
    ]);
    for (let turn = 0; turn < 8; turn++) {
      await complete();
      await closed;
    }
    // The end of a body is read beside the answer, so one more may open meanwhile; not one for each call.
    expect(connections()).toBeLessThanOrEqual(2);
  });
});

describe("S1: reading the body", () => {
  test.each<[string, Answer]>([
    ["comments and CRLF", raw(`: ping\r\n\r\n${(HI + STOP + USAGE + DONE).replaceAll("\n", "\r\n")}`)],
    ["no [DONE]", raw(HI, STOP, USAGE)],
    ["no blank line at the end", raw((HI + STOP + USAGE).trimEnd())],
    ["something behind [DONE]", raw(HI, STOP, USAGE, DONE, event({ error: { message: "late" } }), "garbage\n\n")],
    ["a mangled event behind the end", raw(HI, STOP, USAGE, 'data: {"us\n\n', DONE)],
    [
      "a body that is one JSON document",
      status(200, {
        choices: [{ message: { content: "hi" }, finish_reason: "stop" }],
        usage: { prompt_tokens: 9, completion_tokens: 2 },
      }),
    ],
  ])("an answer with %s is whole", async (_name, answer) => {
    const { complete } = await host([answer], { maxRetries: 0 });
    expect(await complete()).toMatchObject({
      text: "hi",
      usage: { inputTokens: 9, outputTokens: 2, estimated: false },
    });
  });

  test("a character cut between two packets is read whole", async () => {
    const bytes = Buffer.from(event(chunk({ content: "서울" }, "stop")));
    const at = bytes.indexOf(Buffer.from("서")) + 1;
    const { complete } = await host([
      (response) => {
        open(response).write(bytes.subarray(0, at));
        setTimeout(() => response.end(bytes.subarray(at)), 20);
      },
    ]);
    expect((await complete()).text).toBe("서울");
  });

  test.each<[string, Answer]>([
    ["ends without a reason", raw(HI)],
    ["ends in the middle of an event", raw(HI, 'data: {"choi')],
    ["is empty", raw()],
    ["is an empty JSON reply", status(200, "")],
    ["is a page", (response) => response.writeHead(200, { "content-type": "text/html" }).end("<html>hi</html>")],
    ["is no JSON", raw("data: hello\n\n")],
  ])("a body that %s is no answer", async (_name, answer) => {
    const { complete } = await host([answer], { maxRetries: 0 });
    await expect(complete()).rejects.toMatchObject({ code: "stream_interrupted", retryable: true });
  });
});

test("S1: a body whose connection breaks is no answer", async () => {
  let reply: ServerResponse | undefined;
  const { complete } = await host([
    (response) => {
      reply = open(response);
      reply.write(HI);
    },
  ]);
  await expect(complete({ onDelta: () => reply?.destroy() })).rejects.toMatchObject({
    code: "stream_interrupted",
    retryable: true,
    usage: { outputTokens: 1, estimated: true },
  });
});

describe("E1: what is tried again, and when", () => {
  test("a busy host: as long as it asks, else 0.5 s growing by half", async () => {
    const { complete, waits, seen } = await host([
      status(429, { error: { message: "slow" } }, { "retry-after": "2" }),
      status(503, "<html>busy</html>"),
      status(529, ""),
      status(500, {}, { "retry-after": "soon" }),
      good,
    ]);
    expect((await complete()).text).toBe("hi");
    expect([waits, seen.length]).toEqual([[2_000, 750, 1_125, 1_687.5], 5]);
  });

  test("Retry-After may be a date", async () => {
    const clock = standingClock(Date.parse("2026-01-28T15:00:00Z"));
    const { complete, waits } = await host(
      [status(503, {}, { "retry-after": "Wed, 28 Jan 2026 15:00:09 GMT" }), good],
      {
        clock,
      },
    );
    await complete();
    expect(waits).toEqual([9_000]);
  });

  test("a host that asks for longer than a call can wait is not asked again too soon", async () => {
    const { complete, waits, seen } = await host([status(429, {}, { "retry-after": "3600" })]);
    await expect(complete()).rejects.toMatchObject({
      code: "upstream_rate_limited",
      retryAfterMs: 3_600_000,
      status: 429,
    });
    expect([waits, seen.length]).toEqual([[], 1]);
  });

  test("attempts are bounded, jitter halves a pause at most, and the last error is told", async () => {
    const { complete, waits, seen } = await host([status(503, {})], { maxRetries: 2, random: () => 0 });
    await expect(complete()).rejects.toMatchObject({ code: "upstream_unavailable", retryable: true, status: 503 });
    expect([waits, seen.length]).toEqual([[250, 375], 3]);
  });

  test("a host that can't be reached is unavailable", async () => {
    const { complete } = await host([(response) => response.destroy()], { maxRetries: 1 });
    await expect(complete()).rejects.toMatchObject({ code: "upstream_unavailable", retryable: true });
  });

  test.each([
    [400, { error: { message: "This model's maximum context length is 262144 tokens." } }, "context_overflow", ""],
    [400, { error: { message: "x", code: "context_length_exceeded" } }, "context_overflow", ""],
    [400, { object: "error", message: "flat" }, "model_bad_request", "flat"],
    [400, { error: "just text" }, "model_bad_request", "just text"],
    [404, { detail: "no such model" }, "model_not_found", ""],
    [413, "too big", "model_bad_request", "too big"],
    [422, { detail: "text" }, "model_bad_request", "text"],
    [422, { detail: [{ loc: ["body", "tools", 0], msg: "bad", type: "x" }] }, "model_bad_request", "body.tools.0: bad"],
    [401, {}, "model_unauthorized", ""],
    [402, {}, "model_unauthorized", "credit"],
    [403, "<html>no</html>", "model_unauthorized", ""],
  ])("E2: %i %j is not tried again", async (code, body, expected, said) => {
    const { complete, seen } = await host([status(code, body)]);
    await expect(complete()).rejects.toMatchObject({
      code: expected,
      retryable: false,
      status: code,
      message: expect.stringContaining(said),
    });
    expect(seen).toHaveLength(1);
  });

  test("E2: a proxy's page is not quoted", async () => {
    const { complete } = await host([status(400, "<html>secret hostnames</html>")]);
    await expect(complete()).rejects.toMatchObject({ message: "The model's host refused the request (400)" });
  });

  test("E5: a model that was withdrawn is told apart from a busy host", async () => {
    const { complete } = await host([status(404, { error: { message: "model not found" } })]);
    await expect(complete()).rejects.toMatchObject({ code: "model_not_found", retryable: false });
  });
});

describe("S6: an error inside a stream that began well", () => {
  test.each([
    [
      "a rate limit",
      event({ error: { message: "Too many requests", type: "rate_limit", code: "429", status: 429 } }),
      "upstream_rate_limited",
      true,
    ],
    [
      "a rate limit by its type",
      event({ error: { message: "slow", type: "rate_limit" } }),
      "upstream_rate_limited",
      true,
    ],
    [
      "vLLM's",
      event({ error: { message: "boom", type: "InternalServerError", code: 500 } }) + DONE,
      "upstream_unavailable",
      true,
    ],
    ["a flat one", event({ object: "error", message: "bad", code: 400 }), "model_bad_request", false],
    ["event: error", 'event: error\ndata: {"message": "boom"}\n\n', "upstream_unavailable", true],
    ["event: error with plain text", "event: error\ndata: boom\n\n", "upstream_unavailable", true],
    [
      "an overflow",
      event({ error: { message: "maximum context length is 262144", code: 400 } }),
      "context_overflow",
      false,
    ],
  ])("%s is of the same kind as its HTTP status", async (_name, sent, code, retryable) => {
    const { complete } = await host([raw(sent)], { maxRetries: 0 });
    await expect(complete()).rejects.toMatchObject({ code, retryable });
  });

  test("it is tried again while nothing was shown, and what was read is thrown away", async () => {
    const { client, seen } = await host([
      raw(event(chunk({ content: "half" })), event({ error: { status: 500 } })),
      good,
    ]);
    const deltas: ModelDelta[] = [];
    const abandoned: TokenUsage[] = [];
    // Thinking was asked for, so the text waits for a bare </think> and is not shown yet.
    const answer = await client.complete(aRequest(), {
      signal: new AbortController().signal,
      onDelta: (delta) => deltas.push(delta),
      onAbandoned: (usage) => abandoned.push(usage),
    });
    expect([answer.text, deltas, seen.length]).toEqual(["hi", [{ kind: "text", text: "hi" }], 2]);
    expect(abandoned).toEqual([expect.objectContaining({ outputTokens: 1, estimated: true })]);
  });

  test("it is not tried again once something was shown; the error says what the attempt used", async () => {
    const { complete, seen } = await host([raw(HI, event({ error: { status: 500 } })), good]);
    const abandoned: TokenUsage[] = [];
    await expect(complete({ onDelta: () => {}, onAbandoned: (usage) => abandoned.push(usage) })).rejects.toMatchObject({
      code: "upstream_unavailable",
      usage: { outputTokens: 1, estimated: true },
    });
    expect([seen.length, abandoned]).toEqual([1, []]);
  });

  test("where nobody listens nothing was shown", async () => {
    const { complete, seen } = await host([raw(HI, event({ error: { status: 500 } })), good]);
    expect([(await complete()).text, seen.length]).toEqual(["hi", 2]);
  });
});

describe("S7: limits and aborts", () => {
  test("a host that does not begin to answer in time is given up", async () => {
    const { complete, clock, arrival } = await host([() => {}], { maxRetries: 0 });
    const came = arrival();
    const outcome = expect(complete()).rejects.toMatchObject({
      code: "model_timeout",
      retryable: true,
      usage: undefined,
    });
    await came;
    clock.advance(289_999);
    clock.advance(1);
    await outcome;
  });

  test("a host that falls silent is given up, and a sign of life starts the time anew", async () => {
    let response: ServerResponse | undefined;
    const { complete, clock } = await host(
      [
        (reply) => {
          response = open(reply);
          reply.write(HI);
        },
      ],
      { maxRetries: 0 },
    );
    let heard = () => {};
    const shown = new Promise<void>((done) => (heard = done));
    const outcome = expect(complete({ onDelta: () => heard() })).rejects.toMatchObject({
      code: "model_timeout",
      usage: { outputTokens: 1, estimated: true },
    });
    await shown;
    clock.advance(89_999);
    const again = new Promise<void>((done) => (heard = done));
    response?.write(HI);
    await again;
    clock.advance(89_999);
    clock.advance(1);
    await outcome;
  });

  test("a call may have limits of its own", async () => {
    const { complete, clock, arrival } = await host([() => {}], { maxRetries: 0 });
    const came = arrival();
    const outcome = expect(complete({ timeouts: { firstByteMs: 61_000 } })).rejects.toMatchObject({
      code: "model_timeout",
    });
    await came;
    clock.advance(61_000);
    await outcome;
  });

  test("an abort ends the call upstream, with the caller's own reason and what it had used", async () => {
    let closed: Promise<void> | undefined;
    const { complete, seen } = await host([
      (response, request) => {
        closed = new Promise((done) => response.on("close", done));
        stall(HI)(response, request);
      },
    ]);
    const controller = new AbortController();
    const reason = new Error("stop");
    const abandoned: TokenUsage[] = [];
    const deltas: ModelDelta[] = [];
    const call = complete({
      signal: controller.signal,
      onAbandoned: (usage) => abandoned.push(usage),
      onDelta: (delta) => {
        deltas.push(delta);
        controller.abort(reason);
      },
    });
    await expect(call).rejects.toBe(reason);
    await closed;
    expect([deltas.length, seen.length]).toEqual([1, 1]);
    expect(abandoned).toEqual([expect.objectContaining({ outputTokens: 1, estimated: true })]);
  });

  test("an abort ends a pause between attempts, and one before the call sends nothing", async () => {
    const controller = new AbortController();
    const reason = new Error("stop");
    const { complete, seen } = await host([status(503, {})], {
      sleep: (_ms, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("the sleep's own error")));
          controller.abort(reason);
        }),
    });
    await expect(complete({ signal: controller.signal })).rejects.toBe(reason);
    await expect(complete({ signal: controller.signal })).rejects.toBe(reason);
    expect(seen).toHaveLength(1);
  });

  test("closing the client ends the calls in flight and refuses further ones", async () => {
    const { client, complete, arrival, seen } = await host([stall()]);
    const came = arrival();
    const outcome = expect(complete()).rejects.toMatchObject({ code: "upstream_unavailable", retryable: false });
    await came;
    client.close();
    await outcome;
    await expect(complete()).rejects.toMatchObject({ code: "upstream_unavailable", retryable: false });
    expect(seen).toHaveLength(1);
  });

  test("a listener's own error is not taken for the host's", async () => {
    const { complete, seen } = await host([good]);
    const bug = new TypeError("in the listener");
    await expect(
      complete({
        onDelta: () => {
          throw bug;
        },
      }),
    ).rejects.toBe(bug);
    expect(seen).toHaveLength(1);
  });
});

describe("the host's cap, names and ways", () => {
  test("a host that can't stream is asked for a whole answer, and it reads the same", async () => {
    const body = {
      model: "m",
      choices: [{ index: 0, message: { role: "assistant", content: "whole" }, finish_reason: "stop" }],
      usage: { prompt_tokens: 9, completion_tokens: 2 },
    };
    const { complete, seen } = await host([status(200, body)], { stream: false });
    expect(await complete()).toMatchObject({ text: "whole", finishReason: "stop", usage: { inputTokens: 9 } });
    expect(seen[0]?.body).toMatchObject({ stream: false });
    expect(seen[0]?.body).not.toHaveProperty("stream_options");
  });

  test("R3: the host's cap goes before the model's, and its name for the model before the catalogue's", async () => {
    const { complete, seen } = await host([good], { maxOutputTokens: 8_192, modelNames: { "k-exaone": "endpoint-7" } });
    await complete();
    expect(seen[0]?.body).toMatchObject({ model: "endpoint-7", max_tokens: 8_192 });
  });
});

describe("a host in trouble is left alone", () => {
  const down = status(503, { error: { message: "down" } });

  test("after five failed calls the next is refused without being sent, then one probe is let through", async () => {
    const { complete, seen, clock } = await host([down, down, down, down, down, down, good], { maxRetries: 0 });
    for (let call = 0; call < 5; call++) await expect(complete()).rejects.toMatchObject({ status: 503 });
    await expect(complete()).rejects.toMatchObject({ code: "upstream_unavailable", status: undefined });
    expect(seen).toHaveLength(5);
    clock.advance(5_000);
    await expect(complete()).rejects.toMatchObject({ status: 503 });
    // The probe failed: twice as long.
    clock.advance(9_999);
    await expect(complete()).rejects.toMatchObject({ status: undefined });
    clock.advance(1);
    expect((await complete()).text).toBe("hi");
    expect((await complete()).text).toBe("hi");
    expect(seen).toHaveLength(8);
  });

  test("a patient call waits for the probe's time instead of failing", async () => {
    const { complete, seen, waits } = await host([down, down, down, down, down, good], { maxRetries: 1 });
    // With the one retry each, the fifth failed call is the tenth attempt: only the first five were answered badly.
    for (let call = 0; call < 2; call++) await complete({ impatient: true }).catch(() => {});
    expect(seen).toHaveLength(4);
    expect((await complete()).text).toBe("hi");
    expect(waits.length).toBeGreaterThan(0);
  });

  test("the caller's own faults never open the circuit", async () => {
    const { complete, seen } = await host([status(400, { error: { message: "bad" } })]);
    for (let call = 0; call < 8; call++) await expect(complete()).rejects.toMatchObject({ code: "model_bad_request" });
    expect(seen).toHaveLength(8);
  });

  test("an impatient call tries twice and does not wait long: another model may answer", async () => {
    const slow = status(429, { error: { message: "slow" } }, { "retry-after": "30" });
    const busy = await host([slow, good]);
    await expect(busy.complete({ impatient: true })).rejects.toMatchObject({ code: "upstream_rate_limited" });
    expect(busy.seen).toHaveLength(1);
    const failing = await host([down]);
    await expect(failing.complete({ impatient: true })).rejects.toMatchObject({ status: 503 });
    expect(failing.seen).toHaveLength(2);
  });
});

describe("E3: one limiter for a key", () => {
  test("calls over the limit wait their turn and none fails", async () => {
    const { complete, waits, seen } = await host([good], { limits: { callsPerMinute: 60, inFlight: null } });
    await Promise.all(Array.from({ length: 12 }, () => complete()));
    expect(seen).toHaveLength(12);
    // Six may come at once (a tenth of a minute's), then one a second.
    expect(waits.reduce((sum, ms) => sum + ms, 0)).toBeGreaterThanOrEqual(6_000);
  });

  test("a pause the host asks for holds back every call of the key", async () => {
    const { complete, waits } = await host([status(429, "", { "retry-after": "7" }), good], {
      limits: { callsPerMinute: 6_000, inFlight: null },
    });
    const [first, second] = await Promise.all([complete(), complete()]);
    expect([first.text, second.text]).toEqual(["hi", "hi"]);
    expect(Math.max(...waits)).toBe(7_000);
  });
});
