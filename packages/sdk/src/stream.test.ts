import { afterAll, beforeAll, expect, test } from "vitest";
import { type FakeApi, json, openFakeApi, problem, stream } from "../test/fake-api.ts";
import { type Client, createClient, type RunEvent, StreamLost } from "./index.ts";

let api: FakeApi;
let client: Client;
beforeAll(async () => {
  api = await openFakeApi();
  client = createClient({ baseUrl: api.url, apiKey: "maru_key" });
});
afterAll(() => api?.close());

const run_id = "run_1";
const event = (seq: number, type = "run.running") => ({ seq, type, run_id, at: "2026-11-20T00:00:00Z", attempt: 1 });
const end = (seq: number) => ({
  ...event(seq, "run.completed"),
  run: { id: run_id, output: "done", finished_at: "2026-11-20T00:00:00Z" },
});
const body = { deployment: "a", input: "b" };

const seqs = async (events: AsyncIterable<RunEvent>): Promise<number[]> => {
  const seen: number[] = [];
  for await (const item of events) if ("seq" in item) seen.push(item.seq);
  return seen;
};

test("a stream that breaks is taken up after the last event, and nothing comes twice", async () => {
  api.answers((response, { headers }, index) => {
    if (index === 0) return stream(response, [event(1), event(2)]);
    if (index === 1) return response.destroy();
    if (index === 2) return problem(response, 503, "unavailable", {}, { "retry-after": "0" });
    // Another gateway may begin earlier than it was asked to.
    expect(headers["last-event-id"]).toBe("2");
    stream(response, [event(2), event(3), end(4)]);
  });
  expect(await seqs(client.runs.stream(body))).toEqual([1, 2, 3, 4]);
  expect(api.seen.map(({ method, url, headers }) => [method, url, headers["last-event-id"]])).toEqual([
    ["POST", "/v1/runs", undefined],
    ["GET", "/v1/runs/run_1/events", "2"],
    ["GET", "/v1/runs/run_1/events", "2"],
    ["GET", "/v1/runs/run_1/events", "2"],
  ]);
});

test("an event that was left out is fetched", async () => {
  api.answers((response, _seen, index) =>
    index === 0 ? stream(response, [event(1), event(3), end(4)]) : stream(response, [event(2), event(3), end(4)]),
  );
  expect(await seqs(client.runs.stream(run_id))).toEqual([1, 2, 3, 4]);
});

test("a run is begun once, though the reply to its beginning is lost, or ends before it says which run it is", async () => {
  api.answers((response, _seen, index) => {
    if (index === 0) response.destroy();
    else if (index === 1) stream(response, [], { located: false });
    else stream(response, [event(1), end(2)]);
  });
  expect(await seqs(client.runs.stream(body))).toEqual([1, 2]);
  expect(api.seen).toHaveLength(3);
  expect(new Set(api.seen.map(({ method, headers }) => `${method} ${headers["idempotency-key"]}`)).size).toBe(1);
});

test("however often it breaks, a stream that comes on is not given up", async () => {
  api.answers((response, _seen, index) => stream(response, [index < 5 ? event(index + 1) : end(index + 1)]));
  expect(await seqs(client.runs.stream(run_id, { reconnects: 1 }))).toEqual([1, 2, 3, 4, 5, 6]);
});

test("a stream that stays away is given up with where it was", async () => {
  api.answers((response, _seen, index) => (index === 0 ? stream(response, [event(1), event(2)]) : response.destroy()));
  const seen: RunEvent[] = [];
  const reading = (async () => {
    for await (const item of client.runs.stream(run_id, { reconnects: 2 })) seen.push(item);
  })();
  await expect(reading).rejects.toBeInstanceOf(StreamLost);
  await expect(reading).rejects.toMatchObject({ runId: run_id, lastSeq: 2, cause: { name: "ConnectionError" } });
  expect([seen.length, api.seen.length]).toEqual([2, 3]);
});

test("a refusal is no broken stream", async () => {
  api.answers((response, _seen, index) =>
    index === 0 ? stream(response, [event(1)]) : problem(response, 401, "invalid_credentials"),
  );
  await expect(seqs(client.runs.stream(run_id))).rejects.toMatchObject({ name: "Unauthorized" });
  expect(api.seen).toHaveLength(2);
});

test("a connection that says nothing is taken for dead, one that says it is there is not", async () => {
  let beats = 0;
  let beatsBefore = 0;
  api.answers((response, _seen, index) => {
    if (index > 0) {
      beatsBefore = beats;
      return stream(response, [end(2)]);
    }
    stream(response, [event(1)], { open: true });
    const beat = setInterval(() => {
      response.write(": still here\n\n");
      if (++beats === 6) clearInterval(beat);
    }, 200);
  });
  expect(await seqs(client.runs.stream(run_id, { silenceMs: 1_000 }))).toEqual([1, 2]);
  expect(beatsBefore).toBe(6);
});

test("a reader that leaves, and one that is called away, leave nothing open", async () => {
  let closed = 0;
  api.answers((response) => {
    response.on("close", () => closed++);
    stream(response, [event(1)], { open: true });
  });
  for await (const _ of client.runs.stream(run_id)) break;
  await expect.poll(() => closed).toBe(1);
  const controller = new AbortController();
  const reason = new Error("enough");
  const reading = (async () => {
    for await (const _ of client.runs.stream(run_id, { signal: controller.signal })) controller.abort(reason);
  })();
  await expect(reading).rejects.toBe(reason);
  await expect.poll(() => closed).toBe(2);
});

test("with nothing left to say a stream is over, and its result is the run as it stands", async () => {
  api.answers((response, { url }) => {
    if (url.includes("/events")) {
      response.writeHead(204);
      response.end();
    } else json(response, 200, end(4).run);
  });
  expect(await client.runs.stream(run_id, { afterSeq: 4 }).result()).toEqual({ run: end(4).run, text: "done" });
});
