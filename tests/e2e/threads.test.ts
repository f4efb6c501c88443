import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

const ASK = `    - { name: ask_user, type: client, description: Asks the user }
`;

describeEachBackend("runs of one thread", (backend) => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse(backend);
    person = await house.register();
    expect((await house.deploy(person, manifest("plain", { tools: ASK }))).status).toBe(201);
  });
  afterAll(() => house?.close());

  const newThread = async () =>
    (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id as string;
  const start = (thread: string, input: string, busy?: string, extra: object = {}) =>
    house.api("POST", "/v1/runs", {
      key: person.key,
      body: {
        deployment: "plain",
        input,
        thread_id: thread,
        ...(busy === undefined ? {} : { on_thread_busy: busy }),
        ...extra,
      },
    });
  const get = async (id: string) => (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
  const ended = async (id: string) => {
    await until("the run ends", async () => (await get(id)).finished_at !== null);
    return get(id);
  };
  const said = async (thread: string) =>
    (await house.api("GET", `/v1/threads/${thread}/messages?limit=100`, { key: person.key })).body.data
      .filter(({ role }: { role: string }) => role === "user")
      .map(({ content }: { content: string }) => content);

  test("a second run is refused by default, and the problem says what to do", async () => {
    const thread = await newThread();
    const first = await start(thread, "#sim tool ask_user {}");
    await until("it waits", async () => (await get(first.body.id)).status === "waiting");
    const second = await start(thread, "hello");
    expect([second.status, second.body.code]).toEqual([409, "thread_busy"]);
    expect(second.body.detail).toContain("on_thread_busy");
    await house.api("POST", `/v1/runs/${first.body.id}/cancel`, { key: person.key });
    expect((await start(thread, "hello")).status).toBe(202);
  });

  test("enqueued runs take their turns in the order they came, each with what was said before", async () => {
    const thread = await newThread();
    const inputs = Array.from({ length: 8 }, (_, index) => `message ${index}`);
    const ids: string[] = [];
    for (const input of inputs) {
      const { status, body } = await start(thread, input, "enqueue");
      expect(status).toBe(202);
      ids.push(body.id);
    }
    for (const id of ids) expect((await ended(id)).status).toBe("completed");
    expect(await said(thread)).toEqual(inputs);
    const runs = await Promise.all(ids.map(get));
    for (const [index, run] of runs.entries())
      if (index > 0) expect(Date.parse(run.started_at)).toBeGreaterThanOrEqual(Date.parse(runs[index - 1].finished_at));
  });

  test("any number that race leave exactly one active, and all end", async () => {
    const thread = await newThread();
    const replies = await Promise.all(
      Array.from({ length: 30 }, (_, index) => start(thread, `race ${index}`, "enqueue")),
    );
    expect(replies.map(({ status }) => status)).toEqual(Array.from({ length: 30 }, () => 202));
    for (const { body } of replies) await ended(body.id);
    const [row] = await house.database.query<{ overlaps: string }>(
      `SELECT count(*) AS overlaps FROM runs a JOIN runs b ON a.thread_id = b.thread_id AND a.id < b.id
        WHERE a.started_at < b.finished_at AND b.started_at < a.finished_at`,
    );
    expect(Number(row?.overlaps)).toBe(0);
    expect((await said(thread)).toSorted()).toEqual(
      Array.from({ length: 30 }, (_, index) => `race ${index}`).toSorted(),
    );
  });

  test("of any number that race with reject one is taken", async () => {
    const thread = await newThread();
    const replies = await Promise.all(Array.from({ length: 20 }, () => start(thread, "#sim slow 300", "reject")));
    expect(replies.filter(({ status }) => status === 202).length).toBe(1);
    expect(replies.filter(({ body }) => body.code === "thread_busy").length).toBe(19);
  });

  test("an interrupting run cancels the one before it and those in line, and takes their place", async () => {
    const thread = await newThread();
    const slow = (await start(thread, "#sim slow 20000")).body.id;
    await until("it runs", async () => (await get(slow)).status === "running");
    const behind = (await start(thread, "in line", "enqueue")).body.id;
    const next = (await start(thread, "never mind, this instead", "interrupt")).body.id;
    expect((await ended(next)).status).toBe("completed");
    expect([(await get(slow)).status, (await get(behind)).status]).toEqual(["cancelled", "cancelled"]);
    expect(await said(thread)).toEqual(["never mind, this instead"]);
    // One that waits for somebody holds no worker: it is over at once.
    const waiting = (await start(thread, "#sim tool ask_user {}")).body.id;
    await until("it waits", async () => (await get(waiting)).status === "waiting");
    const last = await start(thread, "and again", "interrupt");
    expect((await get(waiting)).status).toBe("cancelled");
    expect((await ended(last.body.id)).status).toBe("completed");
  });

  test("interrupting runs that race leave one that is answered; the others say that they were cancelled", async () => {
    const thread = await newThread();
    const replies = await Promise.all(
      Array.from({ length: 12 }, (_, index) => start(thread, `#sim slow 100\n${index}`, "interrupt")),
    );
    expect(replies.every(({ status }) => status === 202)).toBe(true);
    const runs = await Promise.all(replies.map(({ body }) => ended(body.id)));
    // Whoever was taken last was interrupted by nobody.
    const completed = runs.filter(({ status }) => status === "completed");
    expect(completed.length).toBeGreaterThanOrEqual(1);
    expect(runs.every(({ status }) => status === "completed" || status === "cancelled")).toBe(true);
  });

  test("a run in line can be cancelled, expires like any other, and keeps its key", async () => {
    const thread = await newThread();
    const first = (await start(thread, "#sim tool ask_user {}")).body.id;
    const key = { "idempotency-key": "in-line-1" };
    const body = { deployment: "plain", input: "later", thread_id: thread, on_thread_busy: "enqueue" };
    const post = () => house.api("POST", "/v1/runs", { key: person.key, body, headers: key });
    const second = (await post()).body.id;
    expect((await post()).body.id).toBe(second);
    const third = (await start(thread, "last", "enqueue")).body.id;
    const cancelled = await house.api("POST", `/v1/runs/${second}/cancel`, { key: person.key });
    expect([cancelled.status, cancelled.body.status]).toEqual([200, "cancelled"]);
    expect((await get(third)).status).toBe("queued");
    const fourth = (await start(thread, "too late", "enqueue")).body.id;
    await house.database.query("UPDATE runs SET deadline_at = now() - interval '1 second' WHERE input = 'too late'");
    expect((await ended(fourth)).status).toBe("expired");
    const busy = await house.api("DELETE", `/v1/threads/${thread}`, { key: person.key });
    expect([busy.status, busy.body.code]).toEqual([409, "thread_in_use"]);
    await house.api("POST", `/v1/runs/${first}/cancel`, { key: person.key });
    expect((await ended(third)).status).toBe("completed");
    expect(
      (await house.api("GET", "/v1/quota", { key: person.key })).body.windows.map(
        (w: { reserved: number }) => w.reserved,
      ),
    ).toEqual([0, 0]);
  });

  test("at most a hundred wait in line", async () => {
    const thread = await newThread();
    const first = (await start(thread, "#sim tool ask_user {}")).body.id;
    const replies = await Promise.all(Array.from({ length: 105 }, () => start(thread, "x", "enqueue")));
    expect(replies.filter(({ status }) => status === 202).length).toBe(100);
    expect(replies.filter(({ body }) => body.code === "thread_full").length).toBe(5);
    await house.api("POST", `/v1/runs/${first}/cancel`, { key: person.key });
    const last = await start(thread, "enough", "interrupt");
    expect((await ended(last.body.id)).status).toBe("completed");
  });

  test("the deployment says what happens by default; changing that makes no revision", async () => {
    const text = manifest("plain", { tools: ASK, deploy: "{ onThreadBusy: enqueue }" });
    const changed = await house.deploy(person, text);
    expect(changed.body).toMatchObject({
      action: "update",
      revision: 1,
      deployment: { on_thread_busy: "enqueue" },
      changes: [{ path: "/deploy/onThreadBusy", op: "change", before: "reject", after: "enqueue" }],
    });
    expect((await house.deploy(person, text)).body.action).toBe("unchanged");
    const thread = await newThread();
    const replies = await Promise.all([start(thread, "a"), start(thread, "b")]);
    expect(replies.map(({ status }) => status)).toEqual([202, 202]);
    for (const { body } of replies) expect((await ended(body.id)).status).toBe("completed");
  });
});
