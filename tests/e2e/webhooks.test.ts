import { uuidOf } from "@maru/contract";
import pg from "pg";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { openWebhookReceiver, verified, type WebhookReceiver } from "../setup/webhook-receiver.ts";

const ASKS = "    - { name: ask_user, type: client, description: Asks the user }\n";

describeEachBackend("webhooks", (backend) => {
  let house: House;
  let person: Person;
  let receiver: WebhookReceiver;
  beforeAll(async () => {
    receiver = await openWebhookReceiver();
    house = await openHouse(backend, {
      egressAllow: { "hooks.maru.internal": receiver.origin },
      // Longer than any test: a receiver that never answers stays one.
      workerConfig: { webhooks: { inFlight: 64, perEndpoint: 4, timeoutMs: 120_000, leaseMs: 240_000 } },
    });
    person = await house.register();
    await house.deploy(person, manifest("weather"));
  });
  afterAll(async () => {
    await house?.close();
    await receiver?.close();
  });

  const subscribe = async (path: string, events: string[], who = person) => {
    const body = { url: `http://hooks.maru.internal${path}`, events };
    const made = (await house.api("POST", "/v1/webhooks", { key: who.key, body })).body;
    return { id: made.webhook.id as string, secret: made.secret as string };
  };
  const get = async (id: string) => (await house.api("GET", `/v1/webhooks/${id}`, { key: person.key })).body;
  const log = async (id: string) =>
    (await house.api("GET", `/v1/webhooks/${id}/deliveries?limit=100`, { key: person.key })).body.data;
  const send = (id: string, what: string) => house.api("POST", `/v1/webhooks/${id}/${what}`, { key: person.key });
  const remove = (id: string) => house.api("DELETE", `/v1/webhooks/${id}`, { key: person.key });
  const typesAt = (path: string) => receiver.at(path).map(({ body }) => body.type);
  const settled = (id: string) =>
    until("nothing is pending", async () =>
      (await log(id)).every(({ state }: { state: string }) => state !== "pending"),
    );

  test("a run's end reaches who asked for it, signed, with ids and without content", async () => {
    const { id, secret } = await subscribe("/end", ["run.*"]);
    const run = await house.run(person, "weather", "서울 날씨", { metadata: { user: "u-1", order: "7" } });
    await settled(id);
    const [message, ...more] = receiver.at("/end");
    if (message === undefined) throw new Error("nothing arrived");
    expect(more).toEqual([]);
    expect(verified(secret, message)).toEqual({
      type: "run.completed",
      timestamp: run.finished_at,
      data: {
        run_id: run.id,
        status: "completed",
        deployment: "weather",
        thread_id: null,
        user: "u-1",
        created_at: run.created_at,
        started_at: run.started_at,
        finished_at: run.finished_at,
      },
    });
    expect(message.headers).toMatchObject({ "content-type": "application/json", "user-agent": "maru-webhooks" });
    const [delivery] = await log(id);
    expect(delivery).toMatchObject({
      event: { id: message.id, type: "run.completed", timestamp: run.finished_at, data: message.body.data },
      state: "delivered",
      attempts: 1,
      next_attempt_at: null,
      last_status: 204,
      last_error: null,
    });
    expect(message.id).toMatch(/^evt_[0-7][0-9a-hjkmnp-tv-z]{25}$/);
    await remove(id);
  });

  test("quota tells of 80 %, of 100 % and of a window that ends, once each", async () => {
    const someone = await house.register();
    await house.deploy(someone, manifest("weather"));
    const { id, secret } = await subscribe("/quota-windows", ["quota.*"], someone);
    const set = (amount: number) =>
      house.api("PUT", "/v1/quota/limits/few", {
        key: someone.key,
        body: { unit: "runs", amount, subject: "deployment" },
      });
    await set(5);
    for (let n = 0; n < 5; n++) await house.run(someone, "weather", "hello");
    const deployment = (await house.api("GET", "/v1/deployments/weather", { key: someone.key })).body.id;
    await until("both have come", () => receiver.at("/quota-windows").length === 2);
    // Deliveries come in no order, and receivers of a workspace hear of all of its windows.
    const said = () =>
      receiver
        .at("/quota-windows")
        .map((message) => verified(secret, message) as { type: string; data: { limit: string; percent?: number } })
        .sort((a, b) => (a.data.percent ?? 0) - (b.data.percent ?? 0) || (a.data.limit < b.data.limit ? -1 : 1));
    const data = { limit: "few", unit: "runs", subject: "deployment", subject_id: deployment, amount: 5, reserved: 0 };
    expect(said()).toMatchObject([
      { type: "quota.threshold_reached", data: { ...data, used: 4, percent: 80 } },
      { type: "quota.threshold_reached", data: { ...data, used: 5, percent: 100 } },
    ]);
    await house.database.query(
      `UPDATE quota_windows SET starts_at = maru_now() - interval '20 days', ends_at = maru_now() + interval '2 days'
        WHERE subject = 'workspace' AND workspace_id = $1`,
      [uuidOf("workspace", someone.workspaceId)],
    );
    // As housekeeping does, every ten minutes.
    await house.database.query("SELECT notice_ending_windows()");
    await house.database.query("SELECT notice_ending_windows()");
    await until("both have come", () => receiver.at("/quota-windows").length === 4);
    expect(said().slice(0, 2)).toMatchObject(
      ["runs", "tokens"].map((limit) => ({ type: "quota.window_ending", data: { limit, subject: "workspace" } })),
    );
    await house.api("DELETE", `/v1/webhooks/${id}`, { key: someone.key });
  });

  test("patterns select: each endpoint hears of its events and of no others", async () => {
    const all = await subscribe("/all", ["run.*", "deployment.*"]);
    const some = await subscribe("/some", ["run.cancelled", "deployment.updated"]);
    const quota = await subscribe("/quota", ["quota.*"]);
    await house.deploy(person, manifest("asks", { tools: ASKS }));
    await house.deploy(person, manifest("asks", { tools: ASKS }));
    await house.deploy(person, manifest("asks", { tools: ASKS, instructions: "Ask." }));
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "asks", input: "#sim tool ask_user {}" },
      headers: { prefer: "wait=20" },
    });
    expect(body.status).toBe("waiting");
    await house.api("POST", `/v1/runs/${body.id}/cancel`, { key: person.key });
    await house.database.query(`SELECT emit_webhook($1, 'quota.threshold_reached', '{"unit":"tokens"}', maru_now())`, [
      uuidOf("workspace", person.workspaceId),
    ]);
    for (const { id } of [all, some, quota]) await settled(id);
    expect(typesAt("/all").sort()).toEqual([
      "deployment.created",
      "deployment.updated",
      "run.cancelled",
      "run.waiting",
    ]);
    expect(typesAt("/some").sort()).toEqual(["deployment.updated", "run.cancelled"]);
    expect(receiver.at("/quota").map((message) => message.body.data)).toEqual([{ unit: "tokens" }]);
    const waiting = receiver.at("/all").find((message) => message.body.type === "run.waiting")?.body.data;
    expect(waiting).toMatchObject({ run_id: body.id, status: "waiting", expires_at: body.required_action.expires_at });
    const updated = receiver.at("/some").find((message) => message.body.type === "deployment.updated")?.body.data;
    expect(updated).toMatchObject({ deployment: "asks", agent: "asks", revision: 2 });
    // One event to two endpoints is one event.
    const ids = (path: string) =>
      receiver
        .at(path)
        .filter((message) => message.body.type === "run.cancelled")
        .map((message) => message.id);
    expect(ids("/all")).toEqual(ids("/some"));
    for (const { id } of [all, some, quota]) await remove(id);
  });

  test("a hundred runs are told of, each at least once, under ids of their own", async () => {
    const { id } = await subscribe("/hundred", ["run.completed"]);
    const runs = await Promise.all(
      Array.from({ length: 100 }, (_, index) => house.run(person, "weather", `hello ${index}`)),
    );
    await until("all have arrived", () => new Set(receiver.at("/hundred").map((message) => message.id)).size >= 100);
    await until("nothing is pending", async () => {
      const { body } = await house.api("GET", `/v1/webhooks/${id}/deliveries?state=pending`, { key: person.key });
      return body.data.length === 0;
    });
    const told = new Map(receiver.at("/hundred").map((message) => [message.id, message.body.data.run_id]));
    expect([...told.values()].sort()).toEqual(runs.map((run) => run.id).sort());
    await remove(id);
  });

  test("a receiver that does not answer holds up no other", async () => {
    receiver.answer("/slow", () => "silent");
    const slow = await subscribe("/slow", ["deployment.created"]);
    const fast = await subscribe("/fast", ["deployment.created"]);
    for (let index = 0; index < 12; index++) await send(slow.id, "test");
    await until("as many as may be are at the slow one", () => receiver.at("/slow").length === 4);
    for (let index = 0; index < 12; index++) await send(fast.id, "test");
    await settled(fast.id);
    expect(new Set(receiver.at("/fast").map((message) => message.id)).size).toBe(12);
    expect(receiver.at("/slow")).toHaveLength(4);
    for (const delivery of await log(slow.id)) expect([delivery.state, delivery.last_error]).toEqual(["pending", null]);
    await remove(slow.id);
    await remove(fast.id);
  });

  test("410 disables the webhook, until somebody enables it again", async () => {
    receiver.answer("/gone", () => 410);
    const { id } = await subscribe("/gone", ["run.completed"]);
    await house.run(person, "weather", "hello");
    await settled(id);
    expect(await get(id)).toMatchObject({ enabled: false, disabled_reason: "gone" });
    const [delivery] = await log(id);
    expect(delivery).toMatchObject({ state: "dead", attempts: 1, last_status: 410 });
    await house.run(person, "weather", "hello again");
    expect(await log(id)).toHaveLength(1);
    const refused = await send(id, `deliveries/${delivery.id}/redeliver`);
    expect([refused.status, refused.body.code]).toEqual([409, "webhook_disabled"]);
    receiver.answer("/gone", () => 200);
    const enabled = await house.api("PATCH", `/v1/webhooks/${id}`, { key: person.key, body: { enabled: true } });
    expect(enabled.body).toMatchObject({ enabled: true, disabled_reason: null });
    const again = await send(id, `deliveries/${delivery.id}/redeliver`);
    await settled(id);
    expect(again.status).toBe(202);
    expect(receiver.at("/gone").map((message) => message.id)).toEqual([delivery.event.id, delivery.event.id]);
    expect((await log(id)).map(({ state }: { state: string }) => state).sort()).toEqual(["dead", "delivered"]);
    await remove(id);
  });

  test("a redirect is a failure, and is not followed", async () => {
    receiver.answer("/moved", () => ({ status: 307, headers: { location: "http://hooks.maru.internal/elsewhere" } }));
    const { id } = await subscribe("/moved", ["run.completed"]);
    await send(id, "test");
    await until("it was tried", async () => (await log(id))[0].last_status !== null);
    expect((await log(id))[0]).toMatchObject({ state: "pending", last_status: 307, last_error: "redirect" });
    expect(receiver.at("/elsewhere")).toEqual([]);
    await remove(id);
  });

  test("an address inside is refused where it is connected to as well", async () => {
    const { id } = await subscribe("/inside", ["run.completed"]);
    await house.database.query("UPDATE webhook_endpoints SET url = $1 WHERE id = $2", [
      `${receiver.origin}/inside`,
      uuidOf("webhook", id),
    ]);
    await send(id, "test");
    await until("it was tried", async () => (await log(id))[0].last_error !== null);
    expect((await log(id))[0]).toMatchObject({ state: "pending", last_status: null, last_error: "egress_blocked" });
    expect(receiver.at("/inside")).toEqual([]);
    await remove(id);
  });

  test("what is rolled back was never said", async () => {
    const { id } = await subscribe("/rolled", ["run.cancelled"]);
    await house.deploy(person, manifest("asks", { tools: ASKS }));
    const { body } = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "asks", input: "#sim tool ask_user {}" },
      headers: { prefer: "wait=20" },
    });
    const client = new pg.Client({ connectionString: house.database.runtimeUrl });
    await client.connect();
    try {
      const ids = [uuidOf("workspace", person.workspaceId), uuidOf("run", body.id)];
      await client.query("BEGIN");
      await client.query("SELECT cancel_run($1, $2)", ids);
      const inside = await client.query(
        "SELECT data->>'run_id' AS run FROM webhook_events WHERE type = 'run.cancelled' AND data->>'run_id' = $1",
        [body.id],
      );
      expect(inside.rows).toEqual([{ run: body.id }]);
      await client.query("ROLLBACK");
      const after = await house.database.query(
        "SELECT 1 FROM webhook_events WHERE data->>'run_id' = $1 AND type = 'run.cancelled'",
        [body.id],
      );
      expect(after).toEqual([]);
    } finally {
      await client.end();
    }
    expect(await log(id)).toEqual([]);
    await house.api("POST", `/v1/runs/${body.id}/cancel`, { key: person.key });
    await settled(id);
    expect(receiver.at("/rolled").map((message) => message.body.data.run_id)).toEqual([body.id]);
    await remove(id);
  });

  test("another workspace's events stay its own", async () => {
    const other = await house.register();
    await house.deploy(other, manifest("weather"));
    const { id } = await subscribe("/mine", ["run.*"]);
    await subscribe("/theirs", ["run.*"], other);
    const theirs = await house.run(other, "weather", "hello");
    const mine = await house.run(person, "weather", "hello");
    await until("both have heard", () => receiver.at("/mine").length > 0 && receiver.at("/theirs").length > 0);
    await settled(id);
    expect(receiver.at("/mine").map((message) => message.body.data.run_id)).toEqual([mine.id]);
    expect(receiver.at("/theirs").map((message) => message.body.data.run_id)).toEqual([theirs.id]);
    await remove(id);
  });

  test("without anybody who listens nothing is written", async () => {
    const quiet = await house.register();
    await house.deploy(quiet, manifest("weather"));
    await house.run(quiet, "weather", "hello");
    const rows = await house.database.query("SELECT 1 FROM webhook_events WHERE workspace_id = $1", [
      uuidOf("workspace", quiet.workspaceId),
    ]);
    expect(rows).toEqual([]);
  });
});
