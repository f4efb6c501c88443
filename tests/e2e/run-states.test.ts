import { type Claim, type JournalWrite, openStore, type Store } from "@maru/store";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";

// The run's state machine against a model of it: random commands of callers, workers and the clock, in any order. After each,
// the database must say what the model says, and hold what is promised of events, journal, threads and ledger.
// RUN_STATES: histories tried (default 60); a failure prints its seed and its shortest form.

const HISTORIES = Number(process.env.RUN_STATES ?? 60);
const LEASE_MS = 30_000;
const WAIT_MS = 3_600_000;
const DAY_MS = 86_400_000;
const MAX_LOST = 3;

type Status = "queued" | "running" | "waiting" | "completed" | "cancelled" | "expired" | "failed";
interface ModelRun {
  readonly id: string;
  readonly threaded: boolean;
  status: Status;
  behind: boolean;
  started: boolean;
  epoch: number;
  losses: number;
  leaseUntil: number;
  waitUntil: number;
  deadline: number;
  cancelRequested: boolean;
  /** Calls somebody has to answer: call id → kind. */
  asked: Map<string, "input" | "approval">;
  answered: Map<string, string>;
  /** The claim that may write, and those that may not any more. */
  claim: Claim | null;
  stale: Claim[];
  /** Number of the open model step of the claim, 0 when the turn is the callers'. */
  open: number;
  next: number;
  used: number;
}
interface Model {
  now: number;
  readonly runs: ModelRun[];
}
interface Real {
  readonly store: Store;
  readonly house: House;
  readonly person: Person;
  readonly thread: string;
  readonly seen: Map<string, string>;
}
type Command = fc.AsyncCommand<Model, Real>;

const ended = (run: ModelRun): boolean => !["queued", "running", "waiting"].includes(run.status);
const active = (run: ModelRun): boolean => !ended(run) && !run.behind;

let house: House;
let person: Person;
let store: Store;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
  await house.deploy(person, manifest("states"));
  await house.database.query("UPDATE quota_windows SET amount = 1000000000000");
  await house.database.query("UPDATE plan_limits SET amount = 1000000000000");
  await house.database.query("CREATE TABLE test_clock (at timestamptz(3) NOT NULL)");
  await house.database.query("GRANT SELECT ON test_clock TO PUBLIC");
  await house.database.query("INSERT INTO test_clock VALUES ('2026-11-02T00:00:00Z')");
  await house.database.query(
    "CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT at FROM public.test_clock $$",
  );
  store = await openStore({ url: house.database.runtimeUrl });
});
afterAll(async () => {
  await store?.close();
  await house?.close();
});

/** What ending a run does to the model: the next in its thread may go. */
function end(model: Model, run: ModelRun, status: Status): void {
  const had = active(run);
  run.status = status;
  run.behind = false;
  run.asked.clear();
  if (run.claim !== null) run.stale.push(run.claim);
  run.claim = null;
  if (!run.threaded || !had) return;
  const next = model.runs.find((other) => other.threaded && other.behind && other.status === "queued");
  if (next !== undefined) next.behind = false;
}

/** Holds the database against the model and against what is promised. */
async function check(model: Model, real: Real): Promise<void> {
  const rows = await real.house.database.query<{ id: string; status: string; behind: boolean; epoch: number }>(
    "SELECT id, status, behind, epoch FROM runs ORDER BY id",
  );
  const { idOf } = await import("@maru/contract");
  const byId = new Map(rows.map((row) => [idOf("run", row.id), row]));
  for (const run of model.runs) {
    const row = byId.get(run.id);
    expect([run.id, row?.status, row?.behind, row?.epoch]).toEqual([run.id, run.status, run.behind, run.epoch]);
  }
  expect(await brokenInvariants(real.house.database)).toEqual([]);
  // What is finished never changes: neither a step nor a run.
  const finished = await real.house.database.query<{ key: string; value: string }>(
    `SELECT run_id || '/' || seq AS key, to_jsonb(s)::text AS value FROM run_steps s WHERE finished_at IS NOT NULL
     UNION ALL SELECT id::text, to_jsonb(r)::text FROM runs r WHERE finished_at IS NOT NULL`,
  );
  for (const { key, value } of finished) {
    expect([key, real.seen.get(key) ?? value]).toEqual([key, value]);
    real.seen.set(key, value);
  }
}

const command = (
  name: string,
  ready: (model: Model) => boolean,
  run: (model: Model, real: Real) => Promise<void>,
): Command => ({
  check: ready,
  run: async (model, real) => {
    await run(model, real);
    await check(model, real);
  },
  toString: () => name,
});
/** The run a command is about, from what there is. */
const pick = (runs: readonly ModelRun[], n: number): ModelRun | undefined => runs[n % Math.max(1, runs.length)];

const create = (policy: "reject" | "enqueue" | "interrupt" | null) =>
  command(
    `create ${policy ?? "alone"}`,
    ({ runs }) => runs.length < 12,
    async (model, real) => {
      const id = real.store.runs.newId();
      const busy = policy !== null && model.runs.some((run) => run.threaded && !ended(run));
      const made = await real.store.runs
        .create(real.person.workspaceId, {
          id,
          deployment: "states",
          input: "x",
          inputTokens: 5,
          threadId: policy === null ? null : real.thread,
          revision: null,
          onThreadBusy: policy,
          metadata: {},
          simulated: true,
          apiKeyId: null,
          idempotency: null,
        })
        .catch((error: { code?: string }) => error.code);
      if (busy && policy === "reject") return expect(made).toBe("thread_busy");
      expect(made).toMatchObject({ run: { id, status: "queued" } });
      if (policy === "interrupt") {
        const others = model.runs.filter((run) => run.threaded && !ended(run));
        for (const other of [...others.filter(({ behind }) => behind), ...others.filter(({ behind }) => !behind)]) {
          if (other.status === "running" && other.leaseUntil >= model.now) other.cancelRequested = true;
          else end(model, other, "cancelled");
        }
      }
      model.runs.push({
        id,
        threaded: policy !== null,
        status: "queued",
        behind: policy !== null && model.runs.some((run) => run.threaded && !ended(run)),
        started: false,
        epoch: 0,
        losses: 0,
        leaseUntil: 0,
        waitUntil: 0,
        deadline: model.now + DAY_MS,
        cancelRequested: false,
        asked: new Map(),
        answered: new Map(),
        claim: null,
        stale: [],
        open: 0,
        next: 1,
        used: 0,
      });
    },
  );

/** Whether a worker may have the run now, or the claim ends it. */
function claimable(model: Model, run: ModelRun): Status | "claimed" | null {
  const lost = run.status === "running" && run.leaseUntil < model.now;
  if (ended(run) || (run.status === "running" && !lost)) return null;
  if (run.cancelRequested) return "cancelled";
  if ((!run.started && run.deadline <= model.now) || (run.status === "waiting" && run.waitUntil <= model.now))
    return "expired";
  if (lost && run.losses + 1 >= MAX_LOST) return "failed";
  const backoff = run.losses === 0 ? 0 : 2 ** (run.losses - 1) * 1_000;
  if (run.behind || run.status === "waiting" || (lost && run.leaseUntil + backoff > model.now)) return null;
  return "claimed";
}
async function claimRun(model: Model, real: Real, run: ModelRun): Promise<void> {
  const expected = claimable(model, run);
  const got = await real.store.journal.claim(real.person.workspaceId, run.id, LEASE_MS, MAX_LOST);
  if (expected !== "claimed") {
    expect(got).toMatchObject({ ended: expected !== null });
    if (expected !== null) end(model, run, expected);
    return;
  }
  if ("ended" in got) throw new Error(`${run.id} was not claimed`);
  if (run.status === "running") run.losses++;
  if (run.claim !== null) run.stale.push(run.claim);
  const first = run.next === 1;
  if (first) run.next = 2;
  Object.assign(run, {
    status: "running",
    started: true,
    epoch: run.epoch + 1,
    leaseUntil: model.now + LEASE_MS,
    claim: got,
  });
  expect(got.epoch).toBe(run.epoch);
  const open = got.steps.find(({ state }) => state === "started");
  run.open = first ? 1 : (open?.seq ?? 0);
}
const claim = (n: number) =>
  command(
    `claim ${n}`,
    ({ runs }) => runs.length > 0,
    (model, real) => claimRun(model, real, pick(model.runs, n) as ModelRun),
  );
const sweep = command(
  "sweep",
  ({ runs }) => runs.some((run) => !ended(run)),
  async (model, real) => {
    const waiting = model.runs.filter((run) => run.status === "queued" && !run.behind);
    // A wake-up that was sent this very millisecond is not sent again.
    await pass(model, real, 1);
    for (const { runId } of await real.store.journal.due(100, 0)) {
      const run = model.runs.find(({ id }) => id === runId);
      if (run !== undefined) await claimRun(model, real, run);
    }
    // Nothing that could go on is left lying; whose turn came just now is due next time.
    for (const run of waiting) expect([run.id, run.status === "queued"]).toEqual([run.id, false]);
  },
);

const usage = (step: number): JournalWrite["usage"] => ({
  step,
  model: "k-exaone",
  inputTokens: 100,
  cachedInputTokens: 0,
  outputTokens: 20,
  costMicros: 1,
  estimated: false,
  simulated: true,
});
const answer = {
  reasoning: "",
  text: "",
  toolCalls: [],
  finishReason: "stop",
  model: "m",
  usage: { inputTokens: 100, cachedInputTokens: 0, outputTokens: 20, estimated: false },
};
const entry = (fields: Partial<JournalWrite>): JournalWrite => ({
  done: [],
  start: [],
  events: [],
  usage: null,
  reserveTokens: 0,
  end: null,
  ...fields,
});

/** One write of the run's worker: the model answered, or called a tool, or asked somebody. */
const work = (n: number, what: "goes on" | "asks" | "needs approval" | "ends") =>
  command(
    `work ${n} ${what}`,
    ({ runs }) => runs.some(({ claim: held }) => held !== null),
    async (model, real) => {
      const run = pick(
        model.runs.filter(({ claim: held }) => held !== null),
        n,
      ) as ModelRun;
      const held = run.claim as Claim;
      const write = (fields: Partial<JournalWrite>) => real.store.journal.write(held, entry(fields));
      const seq = run.next;
      if (run.open === 0) {
        // The turn was the callers': the model gets the word back, and its tokens are held again.
        const start = [{ seq, kind: "model", name: "k-exaone", effect: "model", input: null }] as const;
        const approved = held.steps
          .filter(({ kind, state }) => kind === "tool" && state === "waiting")
          .map(
            (step) => ({ seq: step.seq, state: "done", output: { output: "ok", isError: false, code: null } }) as const,
          );
        expect(await write({ done: approved, start, hold: { step: seq - 1, tokens: 500 } })).toMatchObject({
          ok: true,
          room: true,
        });
        run.open = seq;
        run.next++;
        return;
      }
      const done = [{ seq: run.open, state: "done", output: answer }] as const;
      const settled = { done, usage: usage(run.open) };
      run.losses = 0;
      run.used += 120;
      if (what === "ends") {
        const last = { status: "completed", output: "", reason: null, error: null, messages: [], tokens: 0 } as const;
        expect(await write({ ...settled, events: [{ type: "run.completed", data: {} }], end: last })).toMatchObject({
          ok: true,
        });
        return end(model, run, "completed");
      }
      if (what === "goes on") {
        const start = [{ seq, kind: "model", name: "k-exaone", effect: "model", input: null }] as const;
        expect(await write({ ...settled, start, reserveTokens: 700 })).toMatchObject({ ok: true, room: true });
        run.open = seq;
        run.next++;
        return;
      }
      const call = { id: `call_${seq}`, name: "t", arguments: "{}" };
      const start: JournalWrite["start"] =
        what === "asks"
          ? [{ seq, kind: "input", state: "waiting", name: "t", effect: "none", input: call }]
          : [
              { seq, kind: "tool", state: "waiting", name: "t", effect: "at_most_once", input: call },
              {
                seq: seq + 1,
                kind: "approval",
                state: "waiting",
                name: "t",
                effect: "none",
                input: { ...call, step: seq, question: "approval" },
              },
            ];
      const result = await write({ ...settled, start, wait: { ms: WAIT_MS, step: run.open } });
      run.next += start.length;
      run.open = 0;
      run.stale.push(held);
      run.claim = null;
      if (run.cancelRequested) {
        expect(result).toMatchObject({ ok: true, waiting: false });
        run.status = "queued";
        return;
      }
      expect(result).toMatchObject({ ok: true, waiting: true });
      run.asked.set(`call_${what === "asks" ? seq : seq + 1}`, what === "asks" ? "input" : "approval");
      Object.assign(run, { status: "waiting", waitUntil: model.now + WAIT_MS });
    },
  );

/** A worker that lost its claim writes, renews and hands back: nothing happens. */
const zombie = (n: number) =>
  command(
    `zombie ${n}`,
    ({ runs }) => runs.some(({ stale }) => stale.length > 0),
    async (model, real) => {
      const run = pick(
        model.runs.filter(({ stale }) => stale.length > 0),
        n,
      ) as ModelRun;
      const held = run.stale[n % run.stale.length] as Claim;
      const last = {
        status: "completed",
        output: "zombie",
        reason: null,
        error: null,
        messages: [],
        tokens: 0,
      } as const;
      expect(
        await real.store.journal.write(held, entry({ end: last, events: [{ type: "run.completed", data: {} }] })),
      ).toEqual({ ok: false });
      expect((await real.store.journal.renew([held], LEASE_MS)).size).toBe(0);
      expect(await real.store.journal.release(held)).toBe(false);
    },
  );
const renew = (n: number) =>
  command(
    `renew ${n}`,
    ({ runs }) => runs.some(({ claim: held }) => held !== null),
    async (model, real) => {
      const run = pick(
        model.runs.filter(({ claim: held }) => held !== null),
        n,
      ) as ModelRun;
      expect((await real.store.journal.renew([run.claim as Claim], LEASE_MS)).get(run.id)).toEqual({
        cancel: run.cancelRequested,
      });
      run.leaseUntil = model.now + LEASE_MS;
    },
  );
const release = (n: number) =>
  command(
    `hand back ${n}`,
    ({ runs }) => runs.some(({ claim: held }) => held !== null),
    async (model, real) => {
      const run = pick(
        model.runs.filter(({ claim: held }) => held !== null),
        n,
      ) as ModelRun;
      expect(await real.store.journal.release(run.claim as Claim)).toBe(true);
      run.stale.push(run.claim as Claim);
      Object.assign(run, { claim: null, status: "queued" });
    },
  );
const cancel = (n: number) =>
  command(
    `cancel ${n}`,
    ({ runs }) => runs.length > 0,
    async (model, real) => {
      const run = pick(model.runs, n) as ModelRun;
      const { run: shown } = await real.store.runs.cancel(real.person.workspaceId, run.id);
      if (!ended(run)) {
        run.cancelRequested = true;
        if (run.status !== "running" || run.leaseUntil < model.now) end(model, run, "cancelled");
      }
      expect(shown.status).toBe(run.status);
    },
  );
const answers = (n: number, decision: "approve" | "reject", call: number) =>
  command(
    `answer ${n} ${decision}`,
    ({ runs }) => runs.some(({ asked, answered }) => asked.size + answered.size > 0),
    async (model, real) => {
      const run = pick(
        model.runs.filter(({ asked, answered }) => asked.size + answered.size > 0),
        n,
      ) as ModelRun;
      const ids = [...run.asked.keys(), ...run.answered.keys()];
      const callId = ids[call % ids.length] as string;
      const known = run.answered.get(callId);
      const kind =
        run.asked.get(callId) ?? (known === undefined ? undefined : known.startsWith("output") ? "input" : "approval");
      const said = kind === "input" ? `output ${decision}` : decision;
      const reply = await real.store.runs
        .answer(
          real.person.workspaceId,
          run.id,
          kind === "input"
            ? { by: "key_x", results: [{ callId, output: said, isError: false }] }
            : { by: "key_x", approvals: [{ callId, decision, reason: null, arguments: null }] },
        )
        .catch((error: { code?: string }) => error.code);
      if (run.status === "waiting" && run.waitUntil <= model.now) {
        expect(reply).toBe("wait_expired");
        return end(model, run, "expired");
      }
      if (known !== undefined) {
        if (known === said) expect(reply).toMatchObject({ resumed: null });
        else expect(reply).toBe("already_answered");
        return;
      }
      expect(reply).toMatchObject({ resumed: { runId: run.id } });
      run.asked.delete(callId);
      run.answered.set(callId, said);
      run.status = "queued";
    },
  );
async function pass(model: Model, real: Real, ms: number): Promise<void> {
  model.now += ms;
  await real.house.database.query("UPDATE test_clock SET at = $1", [new Date(model.now)]);
}
const tick = (ms: number) =>
  command(
    `${ms / 1_000} s pass`,
    () => true,
    (model, real) => pass(model, real, ms),
  );

test("whatever callers, workers and the clock do, the run is in the state it should be", async () => {
  const number = fc.nat(20);
  const commands = [
    fc
      .constantFrom("reject", "enqueue", "interrupt", null)
      .map((policy) => create(policy as Parameters<typeof create>[0])),
    number.map(claim),
    number.map(claim),
    fc.constant(sweep),
    fc
      .tuple(number, fc.constantFrom("goes on", "asks", "needs approval", "ends"))
      .map(([n, what]) => work(n, what as Parameters<typeof work>[1])),
    fc
      .tuple(number, fc.constantFrom("goes on", "asks", "needs approval"))
      .map(([n, what]) => work(n, what as Parameters<typeof work>[1])),
    fc
      .tuple(number, fc.constantFrom("approve", "reject"), number)
      .map(([n, decision, call]) => answers(n, decision as "approve", call)),
    number.map(cancel),
    number.map(zombie),
    number.map(renew),
    number.map(release),
    fc.constantFrom(10, 900, 31_000, 31_000, WAIT_MS, DAY_MS).map(tick),
  ];
  let clock = Date.parse("2026-11-02T00:00:00Z");
  await fc.assert(
    fc.asyncProperty(fc.commands(commands, { maxCommands: 60, size: "max" }), async (history) => {
      // A quota window of the instant is opened by the first run; the month must not end under a history.
      clock += 1_000;
      if (clock > Date.parse("2026-11-10T00:00:00Z")) clock = Date.parse("2026-11-02T00:00:00Z");
      await house.database.query("UPDATE test_clock SET at = $1", [new Date(clock)]);
      // The clock has gone back: calls that were counted ahead of it are forgotten.
      await house.database.query("TRUNCATE rate_limits");
      const { status, body } = await house.api("POST", "/v1/threads", { key: person.key, body: {} });
      expect(status).toBe(201);
      const model: Model = { now: clock, runs: [] };
      try {
        await fc.asyncModelRun(
          () => ({ model, real: { store, house, person, thread: body.id, seen: new Map() } }),
          history,
        );
      } finally {
        await house.database.query(
          "TRUNCATE runs, run_steps, run_events, quota_entries, quota_reservations, usage_records, thread_messages CASCADE",
        );
        await house.database.query("UPDATE quota_windows SET used = 0, reserved = 0, overdraft = 0");
      }
    }),
    { numRuns: HISTORIES, endOnFailure: false },
  );
}, 900_000);
