import { type Admin, openAdmin } from "@maru/store/admin";
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { runAdmin } from "../../services/standalone/src/admin.ts";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
let admin: Admin;
let person: Person;
const command = (...args: string[]) => runAdmin(args, admin);
const refusal = async (...args: string[]) =>
  command(...args).then(
    (text) => `done: ${text}`,
    (error: Error) => error.message,
  );
beforeAll(async () => {
  house = await openHouse("postgres", { worker: false });
  admin = openAdmin(house.database.ownerUrl);
});
beforeEach(async () => {
  await clock("2026-01-20T00:00:00Z");
  person = await house.register();
  await house.deploy(person, manifest("agent"));
});
afterAll(async () => {
  await admin?.close();
  await house?.close();
});

const clock = (instant: string) =>
  house.database.query(
    `CREATE OR REPLACE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE AS $$ SELECT '${instant}'::timestamptz $$`,
  );
const run = () => house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "agent", input: "hello" } });
const quota = async () => (await house.api("GET", "/v1/quota", { key: person.key })).body;
const audit = async () => (await house.api("GET", "/v1/quota/audit", { key: person.key })).body;

describe("the launch of K-EXAONE", () => {
  test("is free through the 28th, then through the day it was extended to, and not a millisecond more", async () => {
    await command("plan", person.workspaceId, "k-exaone-launch");
    expect((await quota()).windows[0]).toMatchObject({
      ends_at: "2026-01-28T15:00:00.000Z",
      last_day: "2026-01-28",
      resets_at: null,
    });
    await clock("2026-01-28T14:59:59.999Z");
    expect((await run()).status).toBe(202);
    await clock("2026-02-12T14:59:59.999Z");
    expect((await run()).status).toBe(202);
    expect((await quota()).windows[0]).toMatchObject({ ends_at: "2026-02-12T15:00:00.000Z", last_day: "2026-02-12" });
    await clock("2026-02-12T15:00:00.000Z");
    const ended = await run();
    expect([ended.status, ended.body.code, ended.body.ends_at]).toEqual([
      402,
      "free_tier_ended",
      "2026-02-12T15:00:00.000Z",
    ]);
    expect((await audit()).exact).toBe(true);
    expect(await command("plans")).toContain("free through February 12th");
  });
});

describe("a campaign of one's own", () => {
  test("begins, is extended while runs come in without one being refused, and ends", async () => {
    await command(
      "campaign",
      "make",
      "spring",
      "--from",
      "2026-02-01",
      "--through",
      "2026-02-10",
      "--tokens",
      "5000000",
      "--runs",
      "500",
    );
    await command("plan", person.workspaceId, "spring", "--note", "asked for it");
    const early = await run();
    expect([early.status, early.body.code]).toEqual([402, "free_tier_not_begun"]);
    expect(early.body.resets_at).toBe("2026-01-31T15:00:00.000Z");
    await clock("2026-02-05T00:00:00Z");
    const running = Promise.all(Array.from({ length: 30 }, run));
    expect(await command("campaign", "extend", "spring", "--through", "2026-03-01", "--note", "liked")).toContain(
      "2026-03-01T15:00:00.000Z",
    );
    expect((await running).map(({ status }) => status)).toEqual(Array(30).fill(202));
    await clock("2026-02-20T00:00:00Z");
    expect((await run()).status).toBe(202);
    const { windows, renew } = await quota();
    // One window, whose end moved: nothing of it began anew.
    expect([renew, windows[1].used + windows[1].reserved, windows[1].last_day]).toEqual(["campaign", 31, "2026-03-01"]);
    await clock("2026-03-01T15:00:00Z");
    expect((await run()).body.code).toBe("free_tier_ended");
    expect(await refusal("campaign", "extend", "spring", "--through", "2026-04-01")).toContain(
      "begin another campaign",
    );
    expect((await audit()).exact).toBe(true);
  });

  test("an extension that takes effect later is told when it does, and admits nobody less meanwhile", async () => {
    await command(
      "campaign",
      "make",
      "later",
      "--from",
      "2026-01-10",
      "--through",
      "2026-01-25",
      "--tokens",
      "5000000",
      "--runs",
      "500",
    );
    await command("plan", person.workspaceId, "later");
    await command("campaign", "extend", "later", "--through", "2026-02-05", "--effective", "2026-01-24T00:00:00Z");
    expect((await run()).status).toBe(202);
    await clock("2026-01-26T00:00:00Z");
    expect((await run()).status).toBe(202);
    expect((await quota()).windows[0].last_day).toBe("2026-02-05");
  });

  test("what makes no sense is refused in words, and nothing is changed", async () => {
    const before = await command("plans");
    const make = (...more: string[]) => refusal("campaign", "make", "bad", ...more);
    const limits = ["--tokens", "5", "--runs", "5"];
    expect(await make("--from", "2026-02-10", "--through", "2026-02-01", ...limits)).toContain("ends before it starts");
    expect(await make("--from", "2026-02-30", "--through", "2026-03-01", ...limits)).toContain("a day that there is");
    expect(await make("--from", "2026-02-01", "--through", "2026-03-01", "--zone", "Mars/X", ...limits)).toContain(
      "no time zone Mars/X",
    );
    for (const amount of ["-5", "0", "1.5", "1e3", "99999999999999999999", "abc"])
      expect(
        await make("--from", "2026-02-01", "--through", "2026-03-01", `--tokens=${amount}`, "--runs", "5"),
      ).toContain("whole number");
    expect(
      await refusal("campaign", "make", "free", "--from", "2026-02-01", "--through", "2026-03-01", ...limits),
    ).toContain("already");
    expect(await refusal("campaign", "extend", "free", "--through", "2026-04-01")).toContain(
      "a plan by the calendar, not a campaign",
    );
    expect(await refusal("campaign", "extend", "k-exaone-launch", "--through", "2026-01-19")).toContain(
      "must lie ahead",
    );
    expect(await refusal("plan", person.workspaceId, "nothing")).toContain("no such plan");
    expect(await refusal("plan", "wsp_01h455vb4pex5vsknk084sn02q", "free")).toContain("no such workspace");
    expect(await refusal("plan", "somebody", "free")).toContain("is no workspace id");
    expect(await refusal("plan", person.workspaceId, "free", "--from", "2020-01-01T00:00:00Z")).toContain("past");
    expect(await refusal("plan", person.workspaceId, "free", "--from", "tomorrow")).toContain("must be an instant");
    expect(await refusal("nonsense")).toContain("npm run admin");
    expect(await command("plans")).toBe(before);
  });
});

describe("a plan that changes", () => {
  test("counts from its instant on; runs the old one admitted stay with it", async () => {
    await run();
    const before = (await quota()).windows[1];
    await command(
      "campaign",
      "make",
      `big-${person.workspaceId}`,
      "--from",
      "2026-01-01",
      "--through",
      "2026-06-30",
      "--tokens",
      "999000000",
      "--runs",
      "99000",
    );
    await command("plan", person.workspaceId, `big-${person.workspaceId}`, "--from", "2026-01-21T00:00:00Z");
    expect((await quota()).windows[1]).toMatchObject({
      limit: before.limit,
      reserved: 1,
      ends_at: "2026-01-21T00:00:00.000Z",
    });
    await clock("2026-01-21T00:00:00.000Z");
    expect((await quota()).windows[1]).toMatchObject({ limit: 99_000, reserved: 0, last_day: "2026-06-30" });
    expect((await run()).status).toBe(202);
    // And back to the monthly one in the middle of its period.
    await clock("2026-01-22T00:00:00.000Z");
    await command("plan", person.workspaceId, "free");
    expect((await run()).status).toBe(202);
    expect((await quota()).windows[1]).toMatchObject({
      limit: 10_000,
      reserved: 1,
      started_at: "2026-01-22T00:00:00.000Z",
      ends_at: "2026-01-28T15:00:00.000Z",
    });
    expect((await audit()).exact).toBe(true);
    const spans = await house.database.query<{ n: string }>(
      `SELECT count(*) AS n FROM quota_windows a JOIN quota_windows b ON a.workspace_id = b.workspace_id AND a.unit = b.unit AND a.id < b.id
        WHERE a.starts_at < b.ends_at AND b.starts_at < a.ends_at`,
    );
    expect(Number(spans[0]?.n)).toBe(0);
  });
});

describe("a grant", () => {
  test("adds to the open window, once for its key, also when asked for many times at once", async () => {
    expect(await refusal("grant", person.workspaceId, "tokens", "500", "--key", "g1")).toContain(
      "No window of tokens is open",
    );
    await quota();
    const texts = await Promise.all(
      Array.from({ length: 1 }, () => command("grant", person.workspaceId, "tokens", "500", "--key", "g1")),
    );
    expect(texts[0]).toBe("Granted: the window's limit is 10000500 tokens.");
    const admins = Array.from({ length: 5 }, () => openAdmin(house.database.ownerUrl));
    const again = await Promise.all(
      admins.map((other) => runAdmin(["grant", person.workspaceId, "tokens", "70", "--key", "g2"], other)),
    );
    for (const other of admins) await other.close();
    expect(again.filter((text) => text.startsWith("Granted:")).length).toBe(1);
    expect((await quota()).windows[0].limit).toBe(10_000_570);
    expect(await refusal("grant", person.workspaceId, "tokens", "71", "--key", "g2")).toContain("another grant");
    expect(await refusal("grant", person.workspaceId, "gold", "71", "--key", "g3")).toContain(
      "has no limit gold over its period",
    );
    expect(await refusal("grant", person.workspaceId, "runs", "1")).toContain("--key");
    expect((await audit()).exact).toBe(true);
    await house.database.query(
      "UPDATE quota_windows SET amount = amount + 1 WHERE unit = 'tokens' AND amount = 10000570",
    );
    expect((await audit()).findings).toMatchObject([{ finding: "the limit is not the plan's and what was granted" }]);
  });

  test("lets a run in that was refused", async () => {
    await quota();
    await house.database.query(
      "UPDATE quota_windows SET amount = 0, base_amount = 0 WHERE unit = 'runs' AND used + reserved = 0",
    );
    expect((await run()).body.code).toBe("quota_exhausted");
    await command("grant", person.workspaceId, "runs", "1", "--key", "one-more");
    expect((await run()).status).toBe(202);
    expect((await run()).body.code).toBe("quota_exhausted");
  });
});
