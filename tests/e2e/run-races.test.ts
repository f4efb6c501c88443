import { afterAll, beforeAll, expect, test } from "vitest";
import { seeded } from "../chaos/random.ts";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person, type Reply, until } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";

const SEED = Number(process.env.RACE_SEED ?? Date.now() % 1_000_000);
const RUNS = 60;
const TOOLS = `    - { name: ask_user, type: client, description: Asks }
    - { name: calculator, type: builtin, approval: always }
`;

describeEachBackend("everybody at once", (backend) => {
  let house: House;
  let person: Person;
  beforeAll(async () => {
    house = await openHouse(backend);
    person = await house.register();
    await house.deploy(person, manifest("races", { tools: TOOLS, limits: "{ steps: 12 }" }));
  });
  afterAll(() => house?.close());

  test(`answers, decisions, cancels, forks, interrupts and expiry race; every run ends, and nothing is off (seed ${SEED})`, async () => {
    const random = seeded(SEED);
    const call = (method: string, path: string, body?: object) =>
      house.api(method, path, { key: person.key, ...(body === undefined ? {} : { body }) });
    const threads = await Promise.all(
      Array.from({ length: 4 }, async () => (await call("POST", "/v1/threads", {})).body.id),
    );
    const replies: Reply[] = [];
    const ids: string[] = [];
    const pause = () => new Promise((done) => setTimeout(done, random.between(0, 60)));
    const start = async () => {
      const thread = random.next() < 0.6 ? random.pick(threads) : null;
      const reply = await call("POST", "/v1/runs", {
        deployment: "races",
        input: random.pick([
          "#sim tool ask_user {}",
          '#sim parallel ask_user {} calculator {"expression":"1+1"} ask_user {}',
          '#sim tool calculator {"expression":"1+1"}\n#sim tool ask_user {}',
        ]),
        ...(thread === null
          ? {}
          : { thread_id: thread, on_thread_busy: random.pick(["enqueue", "enqueue", "interrupt", "reject"]) }),
      });
      replies.push(reply);
      if (reply.status !== 202) return;
      ids.push(reply.body.id);
      await Promise.all([meddle(reply.body.id), meddle(reply.body.id), meddle(reply.body.id)]);
    };
    /** One of those who act on a run: sees what is asked, and does something, not always the right thing. */
    const meddle = async (id: string) => {
      for (let turn = 0; turn < 12; turn++) {
        await pause();
        const run = (await call("GET", `/v1/runs/${id}`)).body;
        if (run.finished_at !== null) return;
        const dice = random.next();
        if (dice < 0.04) replies.push(await call("POST", `/v1/runs/${id}/cancel`));
        else if (dice < 0.08) {
          const fork = await call("POST", `/v1/runs/${id}/fork`, { from_step: random.between(1, 4) });
          replies.push(fork);
          if (fork.status === 202) ids.push(fork.body.id);
        } else if (dice < 0.1)
          await house.database.query(
            "UPDATE runs SET wait_until = now() WHERE status = 'waiting' AND id = (SELECT id FROM runs WHERE status = 'waiting' LIMIT 1)",
          );
        else {
          const { tool_results: asked = [], approvals = [] } = run.required_action ?? {};
          const output = random.pick(["yes", "no"]);
          for (const { call_id } of asked)
            replies.push(await call("POST", `/v1/runs/${id}/tool-results`, { tool_results: [{ call_id, output }] }));
          for (const { call_id } of approvals)
            replies.push(
              await call("POST", `/v1/runs/${id}/approvals`, {
                approvals: [{ call_id, decision: random.pick(["approve", "reject"]) }],
              }),
            );
        }
      }
    };
    await Promise.all(Array.from({ length: RUNS }, start));
    for (const id of ids) replies.push(await call("POST", `/v1/runs/${id}/cancel`));
    await until("every run ends", async () => {
      const [row] = await house.database.query<{ n: string }>(
        "SELECT count(*) AS n FROM runs WHERE finished_at IS NULL",
      );
      return Number(row?.n) === 0;
    });
    const codes = new Map<string, number>();
    for (const { status, body } of replies) {
      const code = status >= 400 ? `${status} ${body.code}` : String(status);
      codes.set(code, (codes.get(code) ?? 0) + 1);
    }
    expect([...codes.keys()].filter((code) => code.startsWith("5"))).toEqual([]);
    expect(await brokenInvariants(house.database)).toEqual([]);
    // Much of it must really have met.
    expect(codes.get("409 already_answered") ?? 0).toBeGreaterThan(0);
    expect((await house.database.query("SELECT DISTINCT status FROM runs")).length).toBeGreaterThan(1);
  }, 60_000);
});
