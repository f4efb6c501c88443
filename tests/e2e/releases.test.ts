import { setTimeout as delay } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";

/** Deploys at once of the test with many, and runs a second under which one rolls back; 1000 and 200 are the full form. */
const DEPLOYS = Number(process.env.RELEASE_DEPLOYS ?? 100);
const RUNS_PER_SECOND = Number(process.env.RELEASE_RUNS_PER_SECOND ?? 80);

/** A manifest of the agent with other instructions, and so another revision. */
const version = (name: string, words: string, deploy = "{}") =>
  manifest(name, { instructions: words })
    .replace(/\ndeploy:[^\n]*/, "")
    .concat(`\ndeploy: ${deploy}\n`);

describe("releases", () => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse("postgres");
    person = await house.register();
  });
  afterAll(() => house?.close());

  const call = (method: string, path: string, body?: object, headers: Record<string, string> = {}) =>
    house.api(method, path, { key: person.key, headers, ...(body === undefined ? {} : { body }) });
  const deploy = async (name: string, words: string, settings = "{}") =>
    (await house.deploy(person, version(name, words, settings))).body;
  const start = async (deployment: string, extra: object = {}) =>
    call("POST", "/v1/runs", { deployment, input: "hi", ...extra });
  const releases = async (name: string) => (await call("GET", `/v1/deployments/${name}/releases`)).body.data;

  test("a canary gets its part of new runs, and nothing of those that are pinned; promote sends all there, rollback back", async () => {
    await deploy("shop", "one");
    const canary = await deploy("shop", "two", "{ traffic: { canary: 30 } }");
    expect(canary).toMatchObject({
      action: "update",
      revision: 2,
      deployment: {
        revision: 1,
        traffic: [
          { revision: 1, percent: 70 },
          { revision: 2, percent: 30 },
        ],
      },
    });
    const runs = await Promise.all(Array.from({ length: 200 }, () => start("shop")));
    const second = runs.filter(({ body }) => body.revision === 2).length;
    // 60 are expected; less than 30 or more than 95 come once in ten million times.
    expect(second).toBeGreaterThan(30);
    expect(second).toBeLessThan(95);
    for (const revision of [1, 2]) expect((await start("shop", { revision })).body.revision).toBe(revision);
    expect((await start("shop", { revision: 9 })).body).toMatchObject({ status: 404, code: "not_found" });

    const promoted = await call("POST", "/v1/deployments/shop/promote", { note: "it is good" });
    expect(promoted.body).toMatchObject({ revision: 2, traffic: [{ revision: 2, percent: 100 }], canary: null });
    expect((await start("shop")).body.revision).toBe(2);
    const back = await call("POST", "/v1/deployments/shop/rollback", {});
    expect(back.body).toMatchObject({ revision: 1, release: 4 });
    expect((await start("shop")).body.revision).toBe(1);
    expect(
      (await releases("shop")).map(({ number, kind, revision, note }: Record<string, unknown>) => [
        number,
        kind,
        revision,
        note,
      ]),
    ).toEqual([
      [4, "rollback", 1, null],
      [3, "promote", 2, "it is good"],
      [2, "canary", 1, null],
      [1, "deploy", 1, null],
    ]);
    const [newest] = await releases("shop");
    expect(newest.by).toMatch(/^key_/);
    expect(newest.digest).toMatch(/^[0-9a-f]{64}$/);
    // To any release.
    expect((await call("POST", "/v1/deployments/shop/rollback", { release: 3 })).body.revision).toBe(2);
    expect((await call("POST", "/v1/deployments/shop/rollback", { release: 99 })).status).toBe(404);
  });

  test("a manifest that was deployed before is the revision it was then", async () => {
    for (const [words, revision] of [
      ["a", 1],
      ["b", 2],
      ["a", 1],
      ["b", 2],
    ] as const)
      expect((await deploy("twice", words)).revision).toBe(revision);
    expect((await deploy("twice", "b")).action).toBe("unchanged");
    expect((await releases("twice")).map(({ revision }: { revision: number }) => revision)).toEqual([2, 1, 2, 1]);
  });

  test("threads stay with the revision of their runs while that has a part of the traffic", async () => {
    await deploy("chat", "one");
    const threads = await Promise.all(
      Array.from({ length: 12 }, async () => (await call("POST", "/v1/threads", {})).body.id as string),
    );
    const turn = async (thread: string) => {
      const run = await house.run(person, "chat", "hi", { thread_id: thread });
      return run.revision as number;
    };
    const before = threads.slice(0, 6);
    for (const thread of before) expect(await turn(thread)).toBe(1);
    await deploy("chat", "two", "{ traffic: { canary: 50 } }");
    // Those that began before do not change in the middle; of the new ones each keeps what it got.
    for (const thread of before) expect(await turn(thread)).toBe(1);
    const got = new Map<string, number>();
    for (const thread of threads.slice(6)) got.set(thread, await turn(thread));
    for (const [thread, revision] of got) expect(await turn(thread)).toBe(revision);
    await call("POST", "/v1/deployments/chat/rollback", {});
    for (const thread of threads) expect(await turn(thread)).toBe(1);
  });

  test("a split of one's own must be one", async () => {
    await deploy("parts", "one");
    await deploy("parts", "two");
    await deploy("parts", "three");
    const put = (split: [number, number][]) =>
      call("PUT", "/v1/deployments/parts/traffic", {
        split: split.map(([revision, percent]) => ({ revision, percent })),
      });
    expect(
      (
        await put([
          [1, 20],
          [2, 30],
          [3, 50],
        ])
      ).body.traffic,
    ).toHaveLength(3);
    expect(
      (
        await put([
          [1, 50],
          [2, 49],
        ])
      ).body,
    ).toMatchObject({
      status: 400,
      code: "traffic_invalid",
      detail: "The parts must sum to 100 percent, and these sum to 99.",
    });
    expect(
      (
        await put([
          [1, 50],
          [1, 50],
        ])
      ).body,
    ).toMatchObject({ code: "traffic_invalid" });
    expect(
      (
        await put([
          [1, 50],
          [7, 50],
        ])
      ).body,
    ).toMatchObject({ status: 404 });
    expect(
      (
        await put([
          [1, 50],
          [2, -50],
          [3, 100],
        ])
      ).status,
    ).toBe(400);
    expect(
      (
        await put([
          [2, 100],
          [3, 0],
        ])
      ).body,
    ).toMatchObject({ revision: 2, traffic: [{ revision: 2, percent: 100 }] });
  });

  test("a deploy warns that the quota has no room, and stands", async () => {
    const other = await house.register();
    await house.api("PUT", "/v1/quota/limits/few", { key: other.key, body: { unit: "runs", amount: 1, per: "1h" } });
    expect((await house.deploy(other, version("counted", "one"))).body.warnings).toEqual([]);
    await house.run(other, "counted", "hi");
    const { status, body } = await house.deploy(other, version("counted", "two"));
    expect([status, body.action]).toEqual([200, "update"]);
    expect(body.warnings).toEqual([
      {
        pointer: "",
        code: "quota_exhausted",
        detail: expect.stringMatching(/^All of few \(1\) is used or held: runs are refused, until 20/),
      },
    ]);
  });

  test("a canary on the first deploy is beside nothing, and that is said", async () => {
    const first = await deploy("alone", "one", "{ traffic: { canary: 10 } }");
    expect(first).toMatchObject({
      action: "create",
      deployment: { traffic: [{ revision: 1, percent: 100 }], canary: null },
    });
    expect(first.warnings).toMatchObject([{ pointer: "/deploy/traffic/canary", code: "canary_alone" }]);
  });

  test("nothing to promote, nothing to go back to", async () => {
    await deploy("single", "one");
    expect((await call("POST", "/v1/deployments/single/promote", {})).body).toMatchObject({
      status: 409,
      code: "nothing_to_release",
    });
    expect((await call("POST", "/v1/deployments/single/rollback", {})).body).toMatchObject({
      status: 409,
      code: "nothing_to_release",
    });
    expect((await call("POST", "/v1/deployments/nowhere/promote", {})).status).toBe(404);
  });

  test.each([
    ["PUT", "traffic", { split: [{ revision: 2_147_483_648, percent: 100 }] }, "/split/0/revision"],
    ["POST", "promote", { revision: 1e20 }, "/revision"],
    ["POST", "rollback", { release: 2_147_483_648 }, "/release"],
  ])("%s %s of a number that none can have is refused with its place", async (method, change, body, pointer) => {
    await deploy("numbered", "one");
    expect((await call(method, `/v1/deployments/numbered/${change}`, body)).body).toMatchObject({
      status: 400,
      errors: [{ pointer }],
    });
  });

  test("a paused deployment takes no runs and says why; resumed it does", async () => {
    await deploy("resting", "one");
    const paused = await call("POST", "/v1/deployments/resting/pause", { note: "The shop is closed." });
    expect(paused.body).toMatchObject({
      health: { status: "paused", reasons: ["It is paused (The shop is closed.): it takes no runs."] },
      paused: { reason: "The shop is closed." },
    });
    expect((await start("resting")).body).toMatchObject({
      status: 409,
      code: "deployment_paused",
      detail: "The shop is closed. Resume it, or try again later.",
    });
    // Deploying does not wake it.
    expect((await deploy("resting", "two")).deployment.health.status).toBe("paused");
    await call("POST", "/v1/deployments/resting/resume", {});
    expect((await start("resting")).status).toBe(202);
  });

  test("a deleted deployment takes no runs, those it has end, and its name is free", async () => {
    await deploy("gone", "one");
    house.simulator.settings.firstByteMs = 400;
    const { body: run } = await start("gone");
    const deleted = await call("DELETE", "/v1/deployments/gone");
    expect(deleted.body).toEqual({ name: "gone", runs: 1 });
    house.simulator.settings.firstByteMs = 0;
    expect((await start("gone")).status).toBe(404);
    expect((await call("GET", "/v1/deployments/gone")).status).toBe(404);
    expect((await call("GET", "/v1/deployments")).body.data.map(({ name }: { name: string }) => name)).not.toContain(
      "gone",
    );
    await until("its run ends", async () => (await call("GET", `/v1/runs/${run.id}`)).body.status === "completed");
    expect((await call("GET", `/v1/runs/${run.id}`)).body.deployment).toBe("gone");
    const usage = (await call("GET", "/v1/usage?group_by=deployment")).body.data;
    expect(usage.map(({ key }: { key: { deployment: string } }) => key.deployment)).toContain("gone");
    const again = await deploy("gone", "two");
    expect(again).toMatchObject({ action: "create", deployment: { release: 1 } });
    expect((await start("gone")).status).toBe(202);

    house.simulator.settings.firstByteMs = 60_000;
    const { body: slow } = await start("gone");
    await call("DELETE", "/v1/deployments/gone?cancel_runs=true");
    await until(
      "its run is cancelled",
      async () => (await call("GET", `/v1/runs/${slow.id}`)).body.status === "cancelled",
    );
    house.simulator.settings.firstByteMs = 0;
  });

  test("two who change it at once by the same version: one wins, the other is told, nothing is mixed", async () => {
    await deploy("race", "one");
    const { headers } = await call("GET", "/v1/deployments/race");
    const tag = String(headers.get("etag"));
    const send = (words: string) =>
      house.api("POST", "/v1/deployments", {
        key: person.key,
        raw: { type: "application/yaml", text: version("race", words) },
        headers: { "if-match": tag },
      });
    const replies = await Promise.all([send("two"), send("three")]);
    expect(replies.map(({ status }) => status).sort()).toEqual([200, 412]);
    expect((await call("POST", "/v1/deployments/race/pause", {}, { "if-match": tag })).body).toMatchObject({
      status: 412,
    });
  });

  test("many deploys of one manifest at once make one revision and one release", async () => {
    const replies = await Promise.all(
      Array.from({ length: DEPLOYS }, () => house.deploy(person, version("same", "one"))),
    );
    expect(replies.filter(({ status }) => status === 201)).toHaveLength(1);
    expect(replies.every(({ body }) => body.revision === 1)).toBe(true);
    expect((await call("GET", "/v1/agents/same/revisions")).body.data).toHaveLength(1);
    expect(await releases("same")).toHaveLength(1);
  });

  test("revisions have labels, and say what they change: long texts line by line", async () => {
    await deploy("words", "first line\nsecond line\n");
    await deploy("words", "first line\nanother line\n");
    const { changes } = (await call("GET", "/v1/agents/words/revisions/2/diff")).body;
    expect(changes).toHaveLength(1);
    expect(changes[0]).toMatchObject({ path: "/instructions", op: "change" });
    expect(changes[0].diff).toContain("-second line\n+another line");
    expect((await call("GET", "/v1/agents/words/revisions/1/diff?with=2")).body).toMatchObject({ from: 2, to: 1 });
    expect((await call("GET", "/v1/agents/words/revisions/1/diff")).body.from).toBeNull();
    const labelled = await call("PATCH", "/v1/agents/words/revisions/1", { labels: { ticket: "A-1" } });
    expect(labelled.body.labels).toEqual({ ticket: "A-1" });
    expect((await call("PATCH", "/v1/agents/words/revisions/9", { labels: {} })).status).toBe(404);
  });

  test("old revisions are forgotten, but none that ran, was released or has a label", async () => {
    await deploy("old", "one");
    await house.database.query(
      `INSERT INTO revisions (workspace_id, agent_id, number, digest, spec, reserve_tokens, labels)
       SELECT r.workspace_id, r.agent_id, n, 'digest' || n, r.spec, 1, CASE WHEN n = 5 THEN '{"keep": "me"}' ELSE '{}' END::jsonb
         FROM revisions r JOIN agents a ON a.id = r.agent_id, generate_series(2, 20) n WHERE a.name = 'old'`,
    );
    await house.database.query("UPDATE agents SET latest_revision = 20 WHERE name = 'old'");
    expect((await start("old", { revision: 7 })).status).toBe(202);
    await house.database.query("SELECT forget_revisions(10, 1000)");
    const left = (await call("GET", "/v1/agents/old/revisions?limit=50")).body.data.map(
      ({ number }: { number: number }) => number,
    );
    expect(left).toEqual([20, 19, 18, 17, 16, 15, 14, 13, 12, 11, 7, 5, 1]);
  });
});

describeEachBackend("a canary with a rule", (backend) => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse(backend, { workerConfig: { sweepMs: 100 } });
    person = await house.register();
  });
  afterAll(() => house?.close());
  const get = async (path: string) => (await house.api("GET", path, { key: person.key })).body;

  test("that fails three runs in ten is taken back by itself; no run is lost, and threads stay where they were", async () => {
    const base = "one";
    await house.deploy(person, version("shaky", base));
    const thread = (await house.api("POST", "/v1/threads", { key: person.key, body: {} })).body.id;
    await house.run(person, "shaky", "hi", { thread_id: thread });
    // Every third run fails; only those of the canary are judged.
    await house.deploy(
      person,
      version(
        "shaky",
        "two",
        "{ traffic: { canary: 50 }, canary: { rollback: { errorRate: 0.1, minRuns: 10 }, promote: { runs: 500 } } }",
      ),
    );
    const ids: string[] = [];
    await until("it is taken back", async () => {
      const n = ids.length;
      const reply = await house.api("POST", "/v1/runs", {
        key: person.key,
        body: { deployment: "shaky", input: n % 3 === 0 ? "#sim error 400" : "hello" },
      });
      expect(reply.status).toBe(202);
      ids.push(reply.body.id);
      return (await get("/v1/deployments/shaky")).canary === null;
    });
    const [newest] = (await get("/v1/deployments/shaky/releases")).data;
    expect(newest).toMatchObject({ kind: "rollback", by: "rule", revision: 1 });
    expect(newest.reason).toMatch(/of \d+ runs failed: more than 10 %/);
    for (const id of ids) await until(`${id} ends`, async () => (await get(`/v1/runs/${id}`)).finished_at !== null);
    expect((await house.run(person, "shaky", "hi", { thread_id: thread })).revision).toBe(1);
    expect(
      (await house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "shaky", input: "x" } })).body
        .revision,
    ).toBe(1);
  });

  test("that does well takes all the traffic by itself", async () => {
    await house.deploy(person, version("steady", "one"));
    await house.deploy(
      person,
      version(
        "steady",
        "two",
        "{ traffic: { canary: 60 }, canary: { promote: { runs: 5 }, rollback: { errorRate: 0.5, minRuns: 5 } } }",
      ),
    );
    await until("it is promoted", async () => {
      await house.run(person, "steady", "hi");
      return (await get("/v1/deployments/steady")).revision === 2;
    });
    const [newest] = (await get("/v1/deployments/steady/releases")).data;
    expect(newest).toMatchObject({ kind: "promote", by: "rule", revision: 2 });
  });
});

describe("rolling back under load", () => {
  test("every run finishes on the revision it started with, and new ones use the old one at once", async () => {
    const house = await openHouse("postgres");
    try {
      const person = await house.register();
      await house.deploy(person, version("busy", "one"));
      await house.deploy(person, version("busy", "two"));
      const started: { id: string; revision: number; after: boolean }[] = [];
      let back = false;
      const start = async () => {
        // What was true when it was sent.
        const after = back;
        const { status, body } = await house.api("POST", "/v1/runs", {
          key: person.key,
          body: { deployment: "busy", input: "hi" },
        });
        expect(status).toBe(202);
        started.push({ id: body.id, revision: body.revision, after });
      };
      // By the clock, however long each takes.
      const begun = performance.now();
      const sent: Promise<void>[] = [];
      const load = async (seconds: number) => {
        for (const until = performance.now() + seconds * 1_000; performance.now() < until; await delay(5))
          while (sent.length < ((performance.now() - begun) * RUNS_PER_SECOND) / 1_000) sent.push(start());
      };
      await load(1.5);
      const rollback = house.api("POST", "/v1/deployments/busy/rollback", { key: person.key, body: {} }).then(() => {
        back = true;
      });
      await Promise.all([load(1.5), rollback]);
      await Promise.all(sent);
      const perSecond = (sent.length / (performance.now() - begun)) * 1_000;
      console.log(`rolled back under ${Math.round(perSecond)} runs/s`);
      expect(
        started
          .filter(({ after }) => after)
          .map(({ revision }) => revision)
          .filter((n) => n !== 1),
      ).toEqual([]);
      expect(started.some(({ revision }) => revision === 2)).toBe(true);
      await until("all have ended", async () => {
        const [row] = await house.database.query("SELECT count(*)::int AS n FROM runs WHERE finished_at IS NULL");
        return row?.n === 0;
      });
      const { data } = (await house.api("GET", "/v1/usage?group_by=deployment", { key: person.key })).body;
      expect(data[0].runs).toBe(started.length);
      const ended = await house.database.query("SELECT status, count(*)::int AS n FROM runs GROUP BY 1");
      expect(ended).toEqual([{ status: "completed", n: started.length }]);
      for (const { id, revision } of started.filter((_, index) => index % 20 === 0))
        expect((await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body.revision).toBe(revision);
    } finally {
      await house.close();
    }
  });
});
