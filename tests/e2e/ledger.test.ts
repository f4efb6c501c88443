import { uuidOf } from "@maru/contract";
import { type Claim, type JournalWrite, openStore, type Store } from "@maru/store";
import { type Admin, openAdmin } from "@maru/store/admin";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";

// Random batches of what moves amounts, each batch at once over one pool: reserving, settling (once, twice at the same time, more
// than was held), releasing, cancelling, granting, losing a worker, time going on, a campaign's end being moved, a run that left its
// reservation behind; under limits of the workspace and of end users, over a period, rolling and of pace. After each batch every balance is the sum of its entries, what
// is settled is what was reported, and nothing is beyond its limit but what a model reported beyond its reservation.
// LEDGER: sequences tried (default 60).

const SEQUENCES = Number(process.env.LEDGER ?? 60);
let house: House;
let person: Person;
let store: Store;
let admin: Admin;
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  person = await house.register();
  await house.deploy(person, manifest("ledger", { model: "{ maxOutputTokens: 100 }" }));
  store = await openStore({ url: house.database.runtimeUrl });
  admin = openAdmin(house.database.ownerUrl);
  await house.database.query("CREATE TABLE test_clock (ahead interval NOT NULL)");
  await house.database.query("INSERT INTO test_clock VALUES ('0')");
  await house.database.query("GRANT SELECT ON test_clock TO PUBLIC");
  await house.database.query(
    `CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS
       $$ SELECT date_trunc('milliseconds', clock_timestamp()) + (SELECT ahead FROM test_clock) $$`,
  );
  const day = 86_400_000;
  await admin.makePlan({
    id: "ledger",
    renew: "campaign",
    timeZone: "Asia/Seoul",
    throughDay: null,
    startsAt: new Date(Date.now() - day),
    endsAt: new Date(Date.now() + 900 * day),
    graceS: null,
    limits: [
      { unit: "tokens", amount: 3_000, spanS: null },
      { unit: "runs", amount: 12, spanS: null },
      { unit: "output_tokens", name: "users", subject: "end_user", amount: 700, spanS: null },
    ],
    note: "",
  });
  await admin.changePlan(person.workspaceId, "ledger", null, "");
  const own = { subject: "workspace", subjectId: null, spanS: null } as const;
  await store.limits.set(person.workspaceId, "minute", { ...own, unit: "tokens", amount: 2_500, spanS: 60 }, null);
  await store.limits.set(person.workspaceId, "pace", { ...own, unit: "requests", amount: 9, spanS: 20 }, null);
  await store.limits.set(person.workspaceId, "six", { ...own, unit: "concurrent_runs", amount: 6 }, null);
});
afterAll(async () => {
  await admin?.close();
  await store?.close();
  await house?.close();
});

type Move =
  | { readonly kind: "create" }
  | {
      readonly kind: "settle";
      readonly run: number;
      readonly used: number;
      readonly next: number;
      readonly twice: boolean;
    }
  | { readonly kind: "end"; readonly run: number; readonly used: number }
  | { readonly kind: "cancel"; readonly run: number }
  | { readonly kind: "lose"; readonly run: number }
  | { readonly kind: "grant"; readonly key: number; readonly amount: number }
  | { readonly kind: "advance"; readonly seconds: number }
  | { readonly kind: "extend" }
  | { readonly kind: "leak"; readonly run: number };

const run = fc.nat(8);
const moves: fc.Arbitrary<Move> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("create" as const) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      kind: fc.constant("settle" as const),
      run,
      used: fc.nat(900),
      next: fc.nat(600),
      twice: fc.boolean(),
    }),
  },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant("end" as const), run, used: fc.nat(900) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("cancel" as const), run }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("lose" as const), run }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("advance" as const), seconds: fc.constantFrom(1, 20, 61) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("extend" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("leak" as const), run }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("grant" as const), key: fc.nat(3), amount: fc.constantFrom(100, 300) }),
  },
);

const REFUSALS = new Set(["quota_exhausted", "rate_limited", "concurrency_exceeded"]);
let users = 0;
let days = 0;

interface Open {
  readonly claim: Claim;
  step: number;
}

const answer = (tokens: number) => ({
  reasoning: "",
  text: "",
  toolCalls: [],
  finishReason: "stop",
  model: "m",
  usage: { inputTokens: tokens, cachedInputTokens: 0, outputTokens: 0, estimated: false },
});
const settling = (step: number, tokens: number): Pick<JournalWrite, "done" | "usage"> => ({
  done: [{ seq: step, state: "done", output: answer(tokens) }],
  usage: {
    step,
    model: "k-exaone",
    inputTokens: tokens,
    cachedInputTokens: 0,
    outputTokens: 0,
    costMicros: 1,
    estimated: false,
    simulated: true,
  },
});

test("no order of moves, at once or one after another, puts the ledger out", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.array(moves, { minLength: 1, maxLength: 6 }), { minLength: 1, maxLength: 6 }),
      async (batches) => {
        await house.api("GET", "/v1/quota", { key: person.key });
        const open: Open[] = [];
        let reported = 0;
        const write = (item: Open, entry: Partial<JournalWrite>) =>
          store.journal.write(item.claim, {
            done: [],
            start: [],
            events: [],
            usage: null,
            reserveTokens: 0,
            end: null,
            ...entry,
          });

        const make = async (move: Move): Promise<void> => {
          if (move.kind === "create") {
            const id = store.runs.newId();
            const made = await store.runs
              .create(person.workspaceId, {
                id,
                deployment: "ledger",
                input: "x",
                inputTokens: 5,
                threadId: null,
                revision: null,
                onThreadBusy: null,
                metadata: { user: `user-${users++ % 3}` },
                simulated: true,
                apiKeyId: null,
                idempotency: null,
              })
              .catch((error: { code?: string }) => error.code);
            if (REFUSALS.has(String(made))) return;
            if (typeof made === "string") throw new Error(made);
            const claim = await store.journal.claim(person.workspaceId, id, 60_000, 5);
            if (!("ended" in claim)) open.push({ claim, step: 1 });
            return;
          }
          if (move.kind === "grant") {
            // The same key with another amount is refused; with the same it is the same grant.
            await admin
              .grant({
                workspaceId: person.workspaceId,
                key: `k${move.key}`,
                limit: "tokens",
                amount: move.amount,
                note: "",
              })
              .catch(() => {});
            return;
          }
          if (move.kind === "advance") {
            await house.database.query("UPDATE test_clock SET ahead = ahead + $1 * interval '1 second'", [
              move.seconds,
            ]);
            return;
          }
          if (move.kind === "extend") {
            days++;
            await admin.extendCampaign("ledger", new Date(Date.now() + (900 + days) * 86_400_000), null, "");
            return;
          }
          const item = open[move.run % Math.max(1, open.length)];
          if (item === undefined) return;
          const step = item.step++;
          if (move.kind === "settle") {
            const entry = {
              ...settling(step, move.used),
              start: [{ seq: step + 1, kind: "model", name: "k-exaone", effect: "model", input: null }] as const,
              reserveTokens: move.next,
            };
            // A retry of a write that may have got through: whichever comes second changes nothing.
            const tries = await Promise.allSettled(
              move.twice ? [write(item, entry), write(item, entry)] : [write(item, entry)],
            );
            const taken = tries.filter((attempt) => attempt.status === "fulfilled" && attempt.value.ok).length;
            expect(taken).toBeLessThanOrEqual(1);
            reported += taken * move.used;
          }
          if (move.kind === "end") {
            const end = {
              status: "completed",
              output: "",
              reason: null,
              error: null,
              messages: [],
              tokens: 0,
            } as const;
            const done = await write(item, {
              ...settling(step, move.used),
              events: [{ type: "run.completed", data: {} }],
              end,
            }).catch(() => null);
            if (done?.ok) reported += move.used;
          }
          if (move.kind === "leak") {
            // As a bug would leave it: the run has ended, and what it held was not closed.
            await house.database.query(
              "UPDATE runs SET status = 'cancelled', finished_at = maru_now() - interval '2 minutes', lease_until = NULL WHERE id = $1 AND finished_at IS NULL",
              [uuidOf("run", item.claim.runId)],
            );
            await store.quotas.expireLeaked(10);
          }
          if (move.kind === "cancel") await store.runs.cancel(person.workspaceId, item.claim.runId);
          if (move.kind === "lose") {
            // Its worker is gone and another has it: what the first one still writes is refused.
            await house.database.query(
              "UPDATE runs SET epoch = epoch + 1 WHERE epoch = $1 AND status = 'running' AND id = (SELECT id FROM runs ORDER BY id LIMIT 1)",
              [item.claim.epoch],
            );
          }
        };
        try {
          for (const batch of batches) {
            await Promise.all(batch.map(make));
            // One run's writes at once are more than an engine does: steps may stay open here, amounts may not.
            expect(
              (await brokenInvariants(house.database)).filter((what) => !/^open steps|^end of/.test(what)),
            ).toEqual([]);
            expect((await store.quotas.findings(person.workspaceId)).map(({ finding }) => finding)).toEqual([]);
            const [tokens] = await house.database.query<Record<string, string>>(
              "SELECT used, reserved, amount, overdraft FROM quota_windows WHERE limit_name = 'tokens' AND ends_at > maru_now()",
            );
            expect(Number(tokens?.used)).toBe(reported);
            expect(Number(tokens?.used) + Number(tokens?.reserved)).toBeLessThanOrEqual(
              Number(tokens?.amount) + Number(tokens?.overdraft),
            );
          }
        } finally {
          await house.database.query(
            "TRUNCATE runs, run_steps, run_events, quota_windows, quota_entries, quota_reservations, quota_spent, quota_notices, quota_grants, usage_records, thread_messages CASCADE",
          );
        }
      },
    ),
    { numRuns: SEQUENCES },
  );
}, 1_500_000);
