import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, readEvents, until } from "../setup/house.ts";

describeEachBackend("the main job", (backend) => {
  let house: House;
  let person: Person;

  beforeAll(async () => {
    // No sweeps while statements are counted.
    house = await openHouse(backend, { workerConfig: { sweepMs: 600_000 } });
    person = await house.register();
    expect((await house.deploy(person, manifest("weather"))).status).toBe(201);
  });
  afterAll(() => house?.close());

  const stream = async (body: object, headers: Record<string, string> = {}) =>
    readEvents(
      await fetch(`${house.url}/v1/runs`, {
        method: "POST",
        headers: {
          authorization: `Bearer ${person.key}`,
          "content-type": "application/json",
          accept: "text/event-stream",
          ...headers,
        },
        body: JSON.stringify(body),
      }),
    );

  test("an agent answers with the result of its tool, and says that the answer is simulated", async () => {
    const run = await house.run(person, "weather", "서울 날씨 어때?");
    expect(run).toMatchObject({ status: "completed", simulated: true, model: "k-exaone", revision: 1, error: null });
    expect(run.output).toMatch(/서울.*°C/s);
    expect(run.usage).toMatchObject({ model_calls: 2, tool_calls: 1, estimated: false });
  });

  test("the same manifest again changes nothing, another one is the next revision, and a dry run writes nothing", async () => {
    const again = await house.deploy(person, manifest("weather"));
    expect([again.status, again.body.action, again.body.revision, again.body.changes]).toEqual([
      200,
      "unchanged",
      1,
      [],
    ]);
    const other = manifest("weather", { instructions: "Answer briefly." });
    const plan = await house.api("POST", "/v1/deployments?dry_run=true", {
      key: person.key,
      raw: { type: "application/yaml", text: other },
    });
    expect(plan.body).toMatchObject({
      action: "update",
      dry_run: true,
      revision: 1,
      changes: [{ path: "/instructions", op: "change", after: "Answer briefly." }],
    });
    expect((await house.api("GET", "/v1/deployments/weather", { key: person.key })).body.revision).toBe(1);
    const next = await house.deploy(person, other);
    expect([next.status, next.body.action, next.body.revision]).toEqual([200, "update", 2]);
    // JSON is the same manifest in other clothes.
    const json = { apiVersion: "maru/v1", kind: "Agent", metadata: { name: "plain" }, spec: { instructions: "Hi." } };
    expect((await house.api("POST", "/v1/deployments", { key: person.key, body: json })).status).toBe(201);
    expect((await house.api("POST", "/v1/deployments", { key: person.key, body: json })).body.action).toBe("unchanged");
  });

  test("a deploy that saw an old version is refused", async () => {
    const { headers } = await house.api("GET", "/v1/deployments/weather", { key: person.key });
    const etag = headers.get("etag") as string;
    const change = (text: string) =>
      house.api("POST", "/v1/deployments", {
        key: person.key,
        raw: { type: "application/yaml", text: manifest("weather", { instructions: text }) },
        headers: { "if-match": etag },
      });
    expect((await change("first")).status).toBe(200);
    const late = await change("second");
    expect([late.status, late.body.code]).toEqual([412, "precondition_failed"]);
  });

  test("the stream has every durable event once and in order, and the text between them adds up to the steps", async () => {
    const events = await stream({ deployment: "weather", input: "서울과 부산 날씨 알려줘" });
    const durable = events.filter(({ id }) => id !== null);
    expect(durable.map(({ id }) => Number(id))).toEqual(durable.map((_, index) => index + 1));
    expect(durable.map(({ event }) => event)).toEqual([
      "run.queued",
      "run.running",
      "step.started",
      "step.finished",
      "step.started",
      "step.started",
      "step.finished",
      "step.finished",
      "step.started",
      "step.finished",
      "run.completed",
    ]);
    // Where the live bus left a gap, a snapshot stands for the text so far.
    const text = (step: number, kind: string) =>
      events.reduce((all, { event, data }) => {
        if (data.step !== step) return all;
        if (event === "snapshot") return data[kind] as string;
        return event === "delta" && data.kind === kind ? all + data.text : all;
      }, "");
    const run = durable.at(-1)?.data.run;
    const last = durable.findLast(({ event }) => event === "step.finished")?.data.step;
    expect(text(last.seq, "text").trim()).toBe(run.output);
    expect(text(last.seq, "reasoning").trim()).toBe(last.reasoning);
    // Results stand in the order of the calls, whichever came back first.
    const calls = durable.find(({ event }) => event === "step.finished")?.data.step.tool_calls;
    const steps = (await house.api("GET", `/v1/runs/${run.id}/steps`, { key: person.key })).body.data;
    expect(
      steps.filter((step: { kind: string }) => step.kind === "tool").map((step: { call_id: string }) => step.call_id),
    ).toEqual(calls.map((call: { id: string }) => call.id));
  });

  test("a reader that comes back gets exactly the events after the last one it saw", async () => {
    const run = await house.run(person, "weather", "제주 날씨");
    const response = await fetch(`${house.url}/v1/runs/${run.id}/events`, {
      headers: { authorization: `Bearer ${person.key}`, accept: "text/event-stream", "last-event-id": "4" },
    });
    const events = await readEvents(response);
    expect(events.map(({ id }) => id)).toEqual(["5", "6", "7", "8", "9"]);
    const listing = await house.api("GET", `/v1/runs/${run.id}/events?after_seq=4`, { key: person.key });
    expect(listing.body.data.map((event: { seq: number }) => event.seq)).toEqual([5, 6, 7, 8, 9]);
    expect(listing.body.data).toEqual(events.map(({ data }) => data));
  });

  test("who joins in the middle gets the text so far once, then only what follows", async () => {
    const created = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "plain", input: "#sim long 200\n#sim slow 1000" },
    });
    house.simulator.settings.tokensPerSecond = 200;
    const join = () =>
      fetch(`${house.url}/v1/runs/${created.body.id}/events`, {
        headers: { authorization: `Bearer ${person.key}`, accept: "text/event-stream" },
      });
    const [seen, first] = ((await join()).body as ReadableStream<Uint8Array>).tee();
    // The second one joins when the first has read some text.
    const reader = seen.pipeThrough(new TextDecoderStream()).getReader();
    for (let text = ""; !text.includes("event: delta"); ) text += (await reader.read()).value ?? "";
    void reader.cancel();
    const [one, two] = await Promise.all([readEvents(new Response(first)), join().then(readEvents)]);
    house.simulator.settings.tokensPerSecond = 0;
    expect(two.map(({ event }) => event)).toContain("snapshot");
    for (const events of [one, two]) {
      const output = events.at(-1)?.data.run.output as string;
      let text = "";
      for (const { event, data } of events) {
        if (event === "snapshot") text = data.text;
        if (event === "delta" && data.kind === "text") {
          expect(data.offset).toBe(text.length);
          text += data.text;
        }
      }
      expect(text.trim()).toBe(output);
    }
  });

  test("a run with two model calls and a tool call costs at most eight round trips", async () => {
    await house.run(person, "weather", "대전 날씨");
    const before = house.gateway.roundTrips() + (house.worker?.roundTrips() ?? 0);
    await house.run(person, "weather", "광주 날씨");
    const spent = house.gateway.roundTrips() + (house.worker?.roundTrips() ?? 0) - before;
    expect(spent).toBeLessThanOrEqual(8);
  });

  test("the same Idempotency-Key makes one run, however many ask at once; another body is a conflict", async () => {
    const ask = (input: string) =>
      house.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "weather", input },
        headers: { "idempotency-key": "order-1", prefer: "wait=20" },
      });
    const replies = await Promise.all(Array.from({ length: 10 }, () => ask("인천 날씨")));
    expect(new Set(replies.map(({ body }) => body.id)).size).toBe(1);
    expect(replies.filter(({ headers }) => headers.get("idempotency-replayed") === "true")).toHaveLength(9);
    const other = await ask("another question");
    expect([other.status, other.body.code]).toEqual([409, "idempotency_mismatch"]);
    // Other creations keep their reply, secrets included.
    const key = () =>
      house.api("POST", "/v1/api-keys", {
        key: person.key,
        body: { name: "once", scopes: ["runs:read"] },
        headers: { "idempotency-key": "key-1" },
      });
    expect((await key()).body).toEqual((await key()).body);
  });

  test("cancelling aborts the call upstream, charges what was written, and a cancel of what has ended changes nothing", async () => {
    const created = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "plain", input: "#sim slow 20000" },
    });
    const path = `/v1/runs/${created.body.id}`;
    await until(
      "the run runs",
      async () => (await house.api("GET", path, { key: person.key })).body.status === "running",
    );
    expect((await house.api("POST", `${path}/cancel`, { key: person.key })).status).toBe(202);
    await until(
      "the run is cancelled",
      async () => (await house.api("GET", path, { key: person.key })).body.status === "cancelled",
    );
    expect((await house.api("POST", `${path}/cancel`, { key: person.key })).status).toBe(200);
    const { body } = await house.api("GET", path, { key: person.key });
    expect(body.usage).toMatchObject({ model_calls: 1, output_tokens: 0, estimated: true });
    expect(body.usage.input_tokens).toBeGreaterThan(0);
    const finished = await house.run(person, "plain", "hello");
    const late = await house.api("POST", `/v1/runs/${finished.id}/cancel`, { key: person.key });
    expect([late.status, late.body]).toEqual([200, finished]);
  });

  test("runs of a thread share a conversation, one at a time", async () => {
    const thread = (
      await house.api("POST", "/v1/threads", { key: person.key, body: { metadata: { topic: "weather" } } })
    ).body;
    await house.run(person, "weather", "서울 날씨 어때?", { thread_id: thread.id });
    const second = await house.run(person, "weather", "그럼 부산은?", { thread_id: thread.id });
    expect(second.output).toMatch(/부산.*°C/s);
    const messages = (await house.api("GET", `/v1/threads/${thread.id}/messages?limit=100`, { key: person.key })).body
      .data;
    expect(messages.map((message: { role: string }) => message.role)).toEqual([
      "user",
      "assistant",
      "tool",
      "assistant",
      "user",
      "assistant",
      "tool",
      "assistant",
    ]);
    const asks = await Promise.all(
      Array.from({ length: 5 }, () =>
        house.api("POST", "/v1/runs", {
          key: person.key,
          body: { deployment: "plain", input: "#sim slow 600", thread_id: thread.id },
        }),
      ),
    );
    expect(asks.map(({ status }) => status).sort()).toEqual([202, 409, 409, 409, 409]);
    expect(asks.find(({ status }) => status === 409)?.body.code).toBe("thread_busy");
    const busy = await house.api("DELETE", `/v1/threads/${thread.id}`, { key: person.key });
    expect([busy.status, busy.body.code]).toEqual([409, "thread_in_use"]);
    const id = asks.find(({ status }) => status === 202)?.body.id;
    await until(
      "the thread is free",
      async () => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body.finished_at !== null,
    );
    expect((await house.api("DELETE", `/v1/threads/${thread.id}`, { key: person.key })).status).toBe(204);
    expect((await house.api("GET", `/v1/threads/${thread.id}`, { key: person.key })).status).toBe(404);
    expect((await house.api("GET", `/v1/runs/${id}`, { key: person.key })).status).toBe(200);
  });

  test("a run always ends: repeats, steps, tokens and time are bounded", async () => {
    const ends = async (name: string, limits: string, input: string) => {
      await house.deploy(person, manifest(name, { limits }));
      const { status, incomplete_reason } = await house.run(person, name, input);
      return [status, incomplete_reason];
    };
    expect(await ends("repeats", "{ identicalCalls: 2 }", "#sim loop\n서울 날씨")).toEqual([
      "incomplete",
      "repeated_call",
    ]);
    expect(await ends("steps", "{ steps: 5 }", "#sim steps 30\n서울 날씨")).toEqual(["incomplete", "max_steps"]);
    expect(await ends("tokens", "{ tokens: 1000, steps: 200 }", "#sim steps 100\n서울 날씨")).toEqual([
      "incomplete",
      "max_tokens",
    ]);
    expect(await ends("time", "{ duration: 1s }", "#sim slow 20000\nhello")).toEqual(["incomplete", "max_duration"]);
  });

  test("a failing host fails the run with a reason, an empty answer is asked for once more", async () => {
    const failed = await house.run(person, "plain", "#sim error 422\nhello");
    expect([failed.status, failed.error.code]).toEqual(["failed", "model_bad_request"]);
    const empty = await house.run(person, "plain", "#sim empty\n#sim empty\nhello");
    expect([empty.status, empty.error?.code, empty.usage.model_calls]).toEqual(["failed", "empty_answer", 2]);
  });

  test("wrong arguments and unknown tools come back to the model as results, not as failures", async () => {
    const run = await house.run(person, "weather", "#sim badargs\n서울 날씨");
    expect(run.status).toBe("completed");
    const steps = (await house.api("GET", `/v1/runs/${run.id}/steps`, { key: person.key })).body.data;
    expect(steps.find((step: { kind: string }) => step.kind === "tool")).toMatchObject({
      state: "error",
      error_code: "tool_arguments_invalid",
    });
  });

  test("the ledger, the usage and the runs say the same to the token", async () => {
    const quota = (await house.api("GET", "/v1/quota", { key: person.key })).body;
    const [row] = await house.database.query<{ tokens: string; runs: string }>(
      "SELECT sum(input_tokens + output_tokens) AS tokens, count(*) FILTER (WHERE model_calls > 0) AS runs FROM runs",
    );
    const [ledger] = await house.database.query<{ used: string; reserved: string }>(
      "SELECT sum(used_delta) AS used, sum(reserved_delta) AS reserved FROM quota_entries WHERE unit = 'tokens'",
    );
    const [tokens, runs] = quota.windows;
    expect([tokens.unit, runs.unit]).toEqual(["tokens", "runs"]);
    expect(tokens.used).toBe(Number(row?.tokens));
    expect(runs.used).toBe(Number(row?.runs));
    expect([Number(ledger?.used), Number(ledger?.reserved)]).toEqual([tokens.used, 0]);
    expect([tokens.reserved, runs.reserved]).toEqual([0, 0]);
    const usage = (
      await house.api("GET", "/v1/usage?group_by=day,agent,model,key&time_zone=Asia/Seoul", { key: person.key })
    ).body;
    expect(usage.total.total_tokens).toBe(tokens.used);
    expect(usage.data.length).toBeGreaterThan(1);
  });
});
