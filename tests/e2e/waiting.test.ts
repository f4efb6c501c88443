import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { afterAll, beforeAll, beforeEach, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, readEvents, until } from "../setup/house.ts";

const TOOLS = `    - name: ask_user
      type: client
      description: Asks the user
      parameters: { type: object, properties: { question: { type: string } }, required: [question] }
    - name: refund
      type: http
      description: Pays money back
      parameters: { type: object, properties: { order: { type: string }, won: { type: integer } }, required: [order, won] }
      request: { method: POST, url: "http://shop.maru.internal/refund" }
      approval: { when: { properties: { won: { exclusiveMinimum: 1000 } } } }
    - name: delete_all
      type: http
      description: Deletes
      request: { method: POST, url: "http://shop.maru.internal/delete" }
      approval: always
      timeout: 300ms
      on_unknown: ask
    - { name: calculator, type: builtin }
`;

describeEachBackend("a run that waits for somebody", (backend) => {
  let house: House;
  let person: Person;
  let shop: Server;
  const calls: { url: string; body: string; key: string | undefined; epoch: string | undefined }[] = [];
  /** What the shop answers next; by default at once. */
  let hold: (() => Promise<void>) | null = null;

  beforeAll(async () => {
    shop = createServer((request, response) => {
      let body = "";
      request.on("data", (chunk) => {
        body += chunk;
      });
      request.on("end", async () => {
        const { "idempotency-key": key, "x-run-epoch": epoch } = request.headers;
        calls.push({ url: String(request.url), body, key: String(key), epoch: String(epoch) });
        await hold?.();
        response.setHeader("content-type", "application/json");
        response.end('{"ok":true}');
      });
    });
    await new Promise<void>((done) => shop.listen(0, "127.0.0.1", done));
    house = await openHouse(backend, {
      egressAllow: { "shop.maru.internal": `http://127.0.0.1:${(shop.address() as AddressInfo).port}` },
    });
    person = await house.register();
    const deployed = await house.deploy(
      person,
      manifest("shop", { tools: TOOLS, limits: "{ wait: 3d, duration: 5s }" }),
    );
    expect([deployed.status, deployed.body]).toMatchObject([201, { action: "create" }]);
  });
  beforeEach(() => {
    calls.length = 0;
    hold = null;
  });
  afterAll(async () => {
    await house?.close();
    shop?.closeAllConnections();
    await new Promise((done) => shop?.close(done));
  });

  const start = async (input: string, deployment = "shop") => {
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment, input },
      headers: { prefer: "wait=20" },
    });
    return body;
  };
  const get = async (id: string) => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
  const steps = async (id: string) => (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data;
  const post = (id: string, what: string, body: object, key = person.key) =>
    house.api("POST", `/v1/runs/${id}/${what}`, { key, body });
  const ended = async (id: string) => {
    await until("the run ends", async () => (await get(id)).finished_at !== null);
    return get(id);
  };
  const tokens = async () => (await house.api("GET", "/v1/quota", { key: person.key })).body.windows[0];

  test("a client-side tool's result is asked for, given, and read by the model", async () => {
    const run = await start('#sim tool ask_user {"question":"Which city?"}');
    expect(run).toMatchObject({ status: "waiting", finished_at: null });
    const [asked] = run.required_action.tool_results;
    expect(asked).toMatchObject({ step: 2, name: "ask_user", arguments: '{"question":"Which city?"}' });
    expect(run.required_action.approvals).toEqual([]);
    // Three days, as the manifest says, and nothing held meanwhile: no slot of a worker, no tokens.
    expect(Date.parse(run.required_action.expires_at) - Date.now()).toBeGreaterThan(2.9 * 86_400_000);
    expect(house.worker?.inFlight()).toBe(0);
    expect((await tokens()).reserved).toBe(0);
    const [lease] = await house.database.query<{ lease_until: Date | null }>(
      "SELECT lease_until FROM runs WHERE status = 'waiting'",
    );
    expect(lease?.lease_until).toBeNull();

    const given = await post(run.id, "tool-results", { tool_results: [{ call_id: asked.call_id, output: "Busan" }] });
    expect([given.status, given.body.required_action]).toEqual([200, null]);
    const end = await ended(run.id);
    expect(end).toMatchObject({ status: "completed", usage: { model_calls: 2, tool_calls: 1 } });
    const [, input] = await steps(run.id);
    expect(input).toMatchObject({
      kind: "input",
      state: "done",
      output: "Busan",
      answered_by: expect.stringMatching(/^key_/),
    });
    expect(Date.parse(input.answered_at)).toBeGreaterThan(Date.parse(run.created_at));
    // Exact to the token, with nothing left held.
    const [sum] = await house.database.query<{ used: string; held: string }>(
      "SELECT sum(used_delta) AS used, sum(reserved_delta) AS held FROM quota_entries WHERE unit = 'tokens'",
    );
    const now = await tokens();
    expect([Number(sum?.used), Number(sum?.held)]).toEqual([now.used, now.reserved]);
  });

  test("calls above the bar wait for approval, others don't", async () => {
    const small = await start('#sim tool refund {"order":"7","won":500}');
    expect([small.status, calls.length]).toEqual(["completed", 1]);
    const large = await start('#sim tool refund {"order":"7","won":5000}');
    expect(large).toMatchObject({
      status: "waiting",
      required_action: { tool_results: [], approvals: [{ name: "refund", step: 2, question: "approval" }] },
    });
    expect(calls.length).toBe(1);
    const [{ call_id }] = large.required_action.approvals;
    const approved = await post(large.id, "approvals", { approvals: [{ call_id, decision: "approve" }] });
    expect(approved.status).toBe(200);
    expect((await ended(large.id)).status).toBe("completed");
    expect(calls.map(({ body }) => JSON.parse(body))).toEqual([
      { order: "7", won: 500 },
      { order: "7", won: 5000 },
    ]);
    expect(calls[1]?.key).toBe(`${large.id}-2`);
    expect(
      (await steps(large.id)).map(({ kind, state }: { kind: string; state: string }) => `${kind} ${state}`),
    ).toEqual(["model done", "tool done", "approval done", "model done"]);
  });

  test("a rejected call is not made, and the model reads why", async () => {
    const run = await start('#sim tool refund {"order":"7","won":5000}');
    const [{ call_id }] = run.required_action.approvals;
    await post(run.id, "approvals", { approvals: [{ call_id, decision: "reject", reason: "too much" }] });
    expect((await ended(run.id)).status).toBe("completed");
    expect(calls).toEqual([]);
    const [, tool, approval] = await steps(run.id);
    expect(tool).toMatchObject({ state: "error", error_code: "rejected", output: expect.stringContaining("too much") });
    expect(approval).toMatchObject({
      decision: "reject",
      reason: "too much",
      answered_by: expect.stringMatching(/^key_/),
      call_step: 2,
    });
  });

  test("approved with other arguments, the call is made with those, and the model is told", async () => {
    const run = await start('#sim tool refund {"order":"7","won":5000}');
    const [{ call_id }] = run.required_action.approvals;
    const wrong = await post(run.id, "approvals", {
      approvals: [{ call_id, decision: "approve", arguments: { order: 7 } }],
    });
    expect([wrong.status, wrong.body.code, wrong.body.errors[0].pointer]).toEqual([
      400,
      "validation_failed",
      "/approvals/0/arguments",
    ]);
    const ok = await post(run.id, "approvals", {
      approvals: [{ call_id, decision: "approve", arguments: { won: 900, order: "7" } }],
    });
    expect(ok.status).toBe(200);
    await ended(run.id);
    expect(calls.map(({ body }) => JSON.parse(body))).toEqual([{ order: "7", won: 900 }]);
    expect((await steps(run.id))[2]).toMatchObject({ edited_arguments: '{"order":"7","won":900}' });
    const asked = house.simulator.journal().at(-1);
    expect(JSON.stringify(asked)).toContain("A reviewer changed the arguments");
  });

  test("several answers come in any order; the run goes on after the last, with results in the order of the calls", async () => {
    const run = await start(
      '#sim parallel refund {"order":"1","won":5000} ask_user {"question":"a"} calculator {"expression":"6*7"} ask_user {"question":"b"}',
    );
    const { tool_results: asked, approvals } = run.required_action;
    expect([asked.length, approvals.length]).toEqual([2, 1]);
    const one = await post(run.id, "tool-results", { tool_results: [{ call_id: asked[1].call_id, output: "B" }] });
    expect(one.body).toMatchObject({
      status: "waiting",
      required_action: { tool_results: [{ call_id: asked[0].call_id }] },
    });
    await post(run.id, "approvals", { approvals: [{ call_id: approvals[0].call_id, decision: "approve" }] });
    await post(run.id, "tool-results", {
      tool_results: [{ call_id: asked[0].call_id, output: "no idea", is_error: true }],
    });
    expect((await ended(run.id)).status).toBe("completed");
    const results = (await steps(run.id)).filter(({ kind }: { kind: string }) => kind === "tool" || kind === "input");
    expect(results.map(({ name, output }: { name: string; output: string }) => `${name} ${output}`)).toEqual([
      'refund {"ok":true}',
      "ask_user no idea",
      "calculator 42",
      "ask_user B",
    ]);
    expect(results[1]).toMatchObject({ state: "error", error_code: "client_error" });
  });

  test("a reader hears what is waited for, and the rest on the same stream", async () => {
    const response = await fetch(`${house.url}/v1/runs`, {
      method: "POST",
      headers: {
        authorization: `Bearer ${person.key}`,
        "content-type": "application/json",
        accept: "text/event-stream",
      },
      body: JSON.stringify({ deployment: "shop", input: '#sim tool ask_user {"question":"Which city?"}' }),
    });
    const id = response.headers.get("location")?.split("/").at(-1) as string;
    await until("it waits", async () => (await get(id)).status === "waiting");
    const { required_action: action } = await get(id);
    await post(id, "tool-results", { tool_results: [{ call_id: action.tool_results[0].call_id, output: "Busan" }] });
    const durable = (await readEvents(response)).filter((event) => event.id !== null);
    expect(durable.map(({ event }) => event)).toEqual([
      "run.queued",
      "run.running",
      "step.started",
      "step.finished",
      "step.started",
      "run.waiting",
      "step.finished",
      "run.queued",
      "run.running",
      "step.started",
      "step.finished",
      "run.completed",
    ]);
    expect(durable.map((event) => Number(event.id))).toEqual(durable.map((_, index) => index + 1));
    expect(durable[5]?.data.required_action).toEqual(action);
  });

  test("the time waited is not the run's", async () => {
    const run = await start('#sim tool ask_user {"question":"Which city?"}');
    await house.database.query(
      "UPDATE runs SET started_at = started_at - interval '1 hour', waiting_since = waiting_since - interval '1 hour' WHERE status = 'waiting'",
    );
    const [asked] = run.required_action.tool_results;
    await post(run.id, "tool-results", { tool_results: [{ call_id: asked.call_id, output: "Busan" }] });
    // Its five seconds would be over long ago.
    expect((await ended(run.id)).status).toBe("completed");
  });

  test("answers nobody asked for, or twice, or too large, are refused and lose nothing", async () => {
    const run = await start('#sim tool ask_user {"question":"Which city?"}');
    const [{ call_id }] = run.required_action.tool_results;
    const give = (id: string, output: string) =>
      post(run.id, "tool-results", { tool_results: [{ call_id: id, output }] });
    const code = async (reply: ReturnType<typeof give>) => {
      const { status, body } = await reply;
      return [status, body.code];
    };
    expect(await code(give("call_nobody_made", "x"))).toEqual([404, "not_found"]);
    expect(await code(give(call_id, "x".repeat(70_000)))).toEqual([413, "result_too_large"]);
    expect(await code(post(run.id, "approvals", { approvals: [{ call_id, decision: "approve" }] }))).toEqual([
      409,
      "not_answerable",
    ]);
    expect(
      await code(
        post(run.id, "tool-results", {
          tool_results: [
            { call_id, output: "a" },
            { call_id, output: "b" },
          ],
        }),
      ),
    ).toEqual([400, "validation_failed"]);
    expect(await code(post(run.id, "tool-results", { tool_results: [] }))).toEqual([400, "validation_failed"]);
    expect(await code(post(run.id, "tool-results", { tool_results: [{ call_id, output: 7 }] }))).toEqual([
      400,
      "validation_failed",
    ]);
    // All or nothing: the good one is not taken with the bad one.
    expect(
      await code(
        post(run.id, "tool-results", {
          tool_results: [
            { call_id, output: "ok" },
            { call_id: "other", output: "b" },
          ],
        }),
      ),
    ).toEqual([404, "not_found"]);
    const stranger = await house.register();
    expect(
      await code(
        house.api("POST", `/v1/runs/${run.id}/tool-results`, {
          key: stranger.key,
          body: { tool_results: [{ call_id, output: "mine" }] },
        }),
      ),
    ).toEqual([404, "not_found"]);
    expect((await get(run.id)).required_action).toEqual(run.required_action);

    expect((await give(call_id, "Busan")).status).toBe(200);
    expect((await give(call_id, "Busan")).status).toBe(200);
    expect(await code(give(call_id, "Seoul"))).toEqual([409, "already_answered"]);
    await ended(run.id);
    expect((await give(call_id, "Busan")).status).toBe(200);
    expect(await code(give(call_id, "Seoul"))).toEqual([409, "already_answered"]);
    expect((await steps(run.id))[1].output).toBe("Busan");
  });

  test("every question has an id of its own, and an answer sent twice answers no other", async () => {
    const run = await start('#sim parallel ask_user {"question":"a"} ask_user {"question":"b"}');
    const ids = run.required_action.tool_results.map((asked: { call_id: string }) => asked.call_id);
    expect(ids).toEqual(["call_2", "call_3"]);
    await post(run.id, "tool-results", { tool_results: [{ call_id: "call_2", output: "A" }] });
    // The same request once more, as after a lost reply, answers nothing else.
    await post(run.id, "tool-results", { tool_results: [{ call_id: "call_2", output: "A" }] });
    expect((await get(run.id)).required_action.tool_results.map((asked: { call_id: string }) => asked.call_id)).toEqual(
      ["call_3"],
    );
    await house.api("POST", `/v1/runs/${run.id}/cancel`, { key: person.key });
  });

  test("arguments nested without end are refused in words", async () => {
    const run = await start('#sim tool refund {"order":"7","won":5000}');
    const deep = `${'{"a":'.repeat(50_000)}1${"}".repeat(50_000)}`;
    const reply = await house.api("POST", `/v1/runs/${run.id}/approvals`, {
      key: person.key,
      raw: {
        type: "application/json",
        text: `{"approvals":[{"call_id":"call_3","decision":"approve","arguments":${deep}}]}`,
      },
      headers: { "idempotency-key": "deep" },
    });
    expect([reply.status, reply.body.code]).toEqual([400, "body_too_deep"]);
    await house.api("POST", `/v1/runs/${run.id}/cancel`, { key: person.key });
  });

  test("deciding needs its own scope", async () => {
    const run = await start('#sim tool refund {"order":"7","won":5000}');
    const { body: made } = await house.api("POST", "/v1/api-keys", {
      key: person.key,
      body: { name: "runner", scopes: ["runs:read", "runs:write"] },
    });
    const [{ call_id }] = run.required_action.approvals;
    const refused = await post(run.id, "approvals", { approvals: [{ call_id, decision: "approve" }] }, made.key);
    expect([refused.status, refused.body.code]).toEqual([403, "insufficient_scope"]);
    expect(refused.body.detail).toContain("runs:approve");
    expect((await get(run.id)).status).toBe("waiting");
    expect(calls).toEqual([]);
    await house.api("POST", `/v1/runs/${run.id}/cancel`, { key: person.key });
  });

  test("of two who decide at once one is heard", async () => {
    const run = await start('#sim tool refund {"order":"7","won":5000}');
    const [{ call_id }] = run.required_action.approvals;
    const replies = await Promise.all(
      ["approve", "reject", "approve", "reject"].map((decision) =>
        post(run.id, "approvals", { approvals: [{ call_id, decision }] }),
      ),
    );
    const taken = replies.filter(({ status }) => status === 200).length;
    expect(taken).toBe(2);
    expect(replies.filter(({ body }) => body.code === "already_answered").length).toBe(2);
    await ended(run.id);
    const [, tool, approval] = await steps(run.id);
    expect(calls.length).toBe(approval.decision === "approve" ? 1 : 0);
    expect(tool.state).toBe(approval.decision === "approve" ? "done" : "error");
  });

  test("cancelled while it waits, it ends at once, and answers come too late", async () => {
    const run = await start('#sim tool refund {"order":"7","won":5000}');
    const cancelled = await house.api("POST", `/v1/runs/${run.id}/cancel`, { key: person.key });
    expect([cancelled.status, cancelled.body.status, cancelled.body.required_action]).toEqual([200, "cancelled", null]);
    const [{ call_id }] = run.required_action.approvals;
    const late = await post(run.id, "approvals", { approvals: [{ call_id, decision: "approve" }] });
    expect([late.status, late.body.code]).toEqual([409, "run_finished"]);
    expect((await steps(run.id)).map(({ kind, state }: { kind: string; state: string }) => `${kind} ${state}`)).toEqual(
      ["model done", "tool error", "approval error"],
    );
    expect(calls).toEqual([]);
    expect((await tokens()).reserved).toBe(0);
  });

  test("cancelled just before it would wait, it ends too", async () => {
    let release = () => {};
    const held = new Promise<void>((done) => {
      release = done;
    });
    hold = () => held;
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "shop", input: '#sim parallel refund {"order":"1","won":5} ask_user {"question":"a"}' },
    });
    await until("the refund is under way", () => calls.length === 1);
    // As a cancel whose word did not get through: only the row says it.
    await house.database.query("UPDATE runs SET cancel_requested_at = now() WHERE status = 'running'");
    release();
    expect((await ended(body.id)).status).toBe("cancelled");
  });

  test("unanswered in time, it expires, and an answer after that says so", async () => {
    const run = await start('#sim tool ask_user {"question":"Which city?"}');
    const [{ call_id }] = run.required_action.tool_results;
    const answer = () => post(run.id, "tool-results", { tool_results: [{ call_id, output: "Busan" }] });
    await house.database.query("UPDATE runs SET wait_until = now() - interval '1 second' WHERE status = 'waiting'");
    const late = await answer();
    expect([late.status, late.body.code]).toEqual([410, "wait_expired"]);
    expect(await ended(run.id)).toMatchObject({ status: "expired", required_action: null });
    const later = await answer();
    expect([later.status, later.body.code]).toEqual([410, "wait_expired"]);
    // Without anybody's call the sweeper ends it.
    const other = await start('#sim tool ask_user {"question":"Which city?"}');
    await house.database.query("UPDATE runs SET wait_until = now() - interval '1 second' WHERE status = 'waiting'");
    expect((await ended(other.id)).status).toBe("expired");
  });

  test("answers given while the other calls still run are there when the run would wait", async () => {
    let release = () => {};
    const held = new Promise<void>((done) => {
      release = done;
    });
    hold = () => held;
    const created = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "shop", input: '#sim parallel refund {"order":"1","won":5} ask_user {"question":"a"}' },
    });
    const { id } = created.body;
    await until("the refund is under way", () => calls.length === 1);
    const [, , input] = await steps(id);
    const given = await post(id, "tool-results", { tool_results: [{ call_id: input.call_id, output: "yes" }] });
    expect([given.status, given.body.status]).toEqual([200, "running"]);
    release();
    expect((await ended(id)).status).toBe("completed");
    const events = (await house.api("GET", `/v1/runs/${id}/events`, { key: person.key })).body.data;
    expect(events.some(({ type }: { type: string }) => type === "run.waiting")).toBe(false);
  });

  test("a call whose outcome is unknown is told to the model by default, or fails the run where the manifest says so", async () => {
    const tools = (more: string) => `    - name: pay
      type: http
      description: Pays
      request: { method: POST, url: "http://shop.maru.internal/pay" }
      timeout: 200ms${more}
`;
    await house.deploy(person, manifest("told", { tools: tools("") }));
    await house.deploy(person, manifest("fails", { tools: tools("\n      on_unknown: fail") }));
    hold = () => new Promise((done) => setTimeout(done, 500));
    const told = await start("#sim tool pay {}", "told");
    expect(told.status).toBe("completed");
    expect((await steps(told.id))[1]).toMatchObject({
      state: "unknown",
      error_code: "outcome_unknown",
      output: expect.stringContaining("may have taken effect"),
    });
    const failed = await start("#sim tool pay {}", "fails");
    expect(failed).toMatchObject({ status: "failed", error: { code: "outcome_unknown" } });
    expect((await steps(failed.id))[1].state).toBe("unknown");
    expect(calls.length).toBe(2);
    expect((await tokens()).reserved).toBe(0);
  });

  test("cancelling aborts the calls that are under way, and says of each what is known", async () => {
    hold = () => new Promise((done) => setTimeout(done, 20_000));
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "shop", input: '#sim parallel refund {"order":"1","won":5} calculator {"expression":"1+1"}' },
    });
    await until("the refund is under way", () => calls.length === 1);
    await house.api("POST", `/v1/runs/${body.id}/cancel`, { key: person.key });
    expect((await ended(body.id)).status).toBe("cancelled");
    expect(
      (await steps(body.id)).map(({ name, state }: { name: string; state: string }) => `${name} ${state}`),
    ).toEqual(["k-exaone done", "refund unknown", "calculator done"]);
    expect((await get(body.id)).usage).toMatchObject({ model_calls: 1 });
    expect((await tokens()).reserved).toBe(0);
  });

  test("a call whose outcome is unknown is asked about, and made again only when a person says so", async () => {
    hold = () => new Promise((done) => setTimeout(done, 600));
    const run = await start("#sim tool delete_all {}");
    const decide = async (decision: string, reason?: string) => {
      const { required_action: action } = await get(run.id);
      const [{ call_id, question }] = action.approvals;
      await post(run.id, "approvals", {
        approvals: [{ call_id, decision, ...(reason === undefined ? {} : { reason }) }],
      });
      return question;
    };
    expect(await decide("approve")).toBe("approval");
    // It is sent, and no answer comes in time: whether it took effect can't be known.
    await until(
      "it is asked about",
      async () => (await get(run.id)).required_action?.approvals[0]?.question === "outcome",
    );
    expect(calls.length).toBe(1);
    hold = null;
    expect(await decide("approve")).toBe("outcome");
    expect((await ended(run.id)).status).toBe("completed");
    expect(calls.map(({ key }) => key)).toEqual([`${run.id}-2`, `${run.id}-2`]);
    expect((await steps(run.id))[1]).toMatchObject({ kind: "tool", state: "done", attempt: 2 });

    calls.length = 0;
    hold = () => new Promise((done) => setTimeout(done, 600));
    const other = await start("#sim tool delete_all {}");
    const answer = async (decision: string, reason?: string) => {
      const { required_action: action } = await get(other.id);
      await post(other.id, "approvals", {
        approvals: [{ call_id: action.approvals[0].call_id, decision, ...(reason === undefined ? {} : { reason }) }],
      });
    };
    await answer("approve");
    await until(
      "it is asked about",
      async () => (await get(other.id)).required_action?.approvals[0]?.question === "outcome",
    );
    await answer("reject", "I looked: it was deleted");
    await ended(other.id);
    expect(calls.length).toBe(1);
    expect((await steps(other.id))[1]).toMatchObject({
      state: "unknown",
      error_code: "outcome_unknown",
      output: expect.stringContaining("I looked: it was deleted"),
    });
  });
});
