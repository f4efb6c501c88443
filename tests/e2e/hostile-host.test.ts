import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { createGzip } from "node:zlib";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

// An endpoint is an address that a user names: what answers there may be anything. None of it may cost more than its own run.

type Evil = (response: ServerResponse) => void;
const sse = (response: ServerResponse, ...chunks: object[]) => {
  response.writeHead(200, { "content-type": "text/event-stream" });
  response.end(chunks.map((chunk) => `data: ${JSON.stringify(chunk)}\n\n`).join(""));
};
const says = (delta: object, more: object = {}) => ({ choices: [{ index: 0, delta, finish_reason: "stop" }], ...more });
const call = (fields: object) => ({
  tool_calls: [{ index: 0, id: "c", function: { name: "get_weather", ...fields } }],
});
/** Writes for as long as somebody reads. */
const pour = (response: ServerResponse, piece: string | Buffer) => {
  const more = () => {
    if (!response.destroyed) response.write(piece, () => setImmediate(more));
  };
  more();
};

const EVILS: Record<string, { readonly evil: Evil; readonly ends: RegExp }> = {
  "a redirect into the private network": {
    evil: (response) => response.writeHead(307, { location: "http://169.254.169.254/latest/meta-data" }).end(),
    ends: /^failed/,
  },
  "a body without end": {
    evil: (response) => {
      response.writeHead(200, { "content-type": "text/event-stream" });
      pour(response, `data: ${JSON.stringify({ choices: [{ delta: { content: "x".repeat(60_000) } }] })}\n\n`);
    },
    // What was read of it counts, and is more than the run may use.
    ends: /^incomplete max_tokens/,
  },
  "an error without end": {
    evil: (response) => {
      response.writeHead(400, { "content-type": "application/json" });
      pour(response, "x".repeat(60_000));
    },
    ends: /^failed model_bad_request/,
  },
  "a body that is small until it is unzipped": {
    evil: (response) => {
      response.writeHead(200, { "content-type": "text/event-stream", "content-encoding": "gzip" });
      const gzip = createGzip();
      gzip.pipe(response);
      let left = 2_000;
      const more = () => {
        if (left-- > 0 && !response.destroyed) gzip.write(Buffer.alloc(1_048_576, 120), () => setImmediate(more));
        else gzip.end();
      };
      more();
    },
    ends: /^failed/,
  },
  "words that no database stores": {
    evil: (response) => sse(response, { ...says({ content: "a\0b\ud800c" }), model: "m\0" }),
    ends: /^completed/,
  },
  "an error in words that no database stores": {
    evil: (response) => response.writeHead(400).end(JSON.stringify({ error: { message: "no\0\ud800" } })),
    ends: /^failed model_bad_request/,
  },
  "an error nested without end": {
    evil: (response) => response.writeHead(422).end(`${'{"error":'.repeat(6_000)}1${"}".repeat(6_000)}`),
    ends: /^failed/,
  },
  "more tokens than there are": {
    evil: (response) =>
      sse(response, says({ content: "hi" }, { usage: { prompt_tokens: 9e15, completion_tokens: 2 ** 40 } })),
    ends: /^completed/,
  },
  "tokens that are no numbers": {
    evil: (response) =>
      sse(response, says({ content: "hi" }, { usage: { prompt_tokens: -5, completion_tokens: "many" } })),
    ends: /^completed/,
  },
  "ten thousand calls in one answer": {
    evil: (response) =>
      sse(
        response,
        ...Array.from({ length: 10_000 }, (_, index) => ({
          choices: [
            { delta: { tool_calls: [{ index, id: `c${index}`, function: { name: "get_weather", arguments: "{}" } }] } },
          ],
        })),
        says({}),
      ),
    ends: /^(?:failed|incomplete)/,
  },
  "two hundred calls in one answer": {
    evil: (response) =>
      sse(
        response,
        ...Array.from({ length: 200 }, (_, index) => ({
          choices: [
            { delta: { tool_calls: [{ index, id: `c${index}`, function: { name: "get_weather", arguments: "{}" } }] } },
          ],
        })),
        says({}),
      ),
    ends: /^incomplete max_steps/,
  },
  "a call with a name that no database stores": {
    evil: (response) => sse(response, says(call({ name: "get\0weather", arguments: '{"city":"\\u0000"}' }))),
    ends: /^incomplete repeated_call/,
  },
  "arguments nested without end": {
    evil: (response) => sse(response, says(call({ arguments: `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}` }))),
    ends: /^incomplete max_tokens/,
  },
  "headers without end": {
    evil: (response) => {
      response
        .writeHead(200, Object.fromEntries(Array.from({ length: 400 }, (_, n) => [`x-${n}`, "y".repeat(200)])))
        .end();
    },
    ends: /^failed/,
  },
  "a closed door": { evil: (response) => response.socket?.destroy(), ends: /^failed upstream_unavailable/ },
};

describe("an endpoint that is", () => {
  let host: Server;
  let house: House;
  let person: Person;
  let evil: Evil = (response) => response.end();
  beforeAll(async () => {
    host = createServer({ maxHeaderSize: 1_048_576 }, (request, response) => {
      response.on("error", () => {});
      request.resume();
      request.once("end", () => evil(response));
    });
    await new Promise<void>((done) => host.listen(0, "127.0.0.1", done));
    const origin = `http://127.0.0.1:${(host.address() as AddressInfo).port}`;
    house = await openHouse("postgres", { egressAllow: { "evil.internal": origin } });
    person = await house.register();
    const body = { name: "evil", upstream_model: "m", base_url: "http://evil.internal/v1", context_tokens: 8_192 };
    expect((await house.api("POST", "/v1/models", { key: person.key, body })).status).toBe(201);
    await house.deploy(person, manifest("victim", { model: "{ name: evil, maxOutputTokens: 64 }" }));
  });
  afterAll(async () => {
    await house?.close();
    host?.closeAllConnections();
    await new Promise((done) => host?.close(done));
  });

  test.each(Object.entries(EVILS))(
    "%s",
    async (_title, { evil: today, ends }) => {
      evil = today;
      const neighbour = await house.register();
      await house.deploy(neighbour, manifest("peaceful"));
      // The neighbour's run shares worker, journal batches and database with it.
      const [run, other] = await Promise.all([
        house.run(person, "victim", "hello"),
        house.run(neighbour, "peaceful", "서울 날씨 알려줘"),
      ]);
      expect([run.status, run.error?.code ?? run.incomplete_reason].filter(Boolean).join(" ")).toMatch(ends);
      expect(other.status).toBe("completed");
      const steps = await house.api("GET", `/v1/runs/${run.id}/steps?limit=100`, { key: person.key });
      expect(steps.status).toBe(200);
      expect(run.usage.input_tokens).toBeLessThan(1_000_000);
    },
    60_000,
  );
});
