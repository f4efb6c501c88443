import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
  await house.deploy(person, manifest("weather"));
});
afterAll(() => house?.close());

const get = (path: string, accept?: string) =>
  house.api("GET", path, { key: person.key, ...(accept === undefined ? {} : { headers: { accept } }) });
const check = (body: object, who = person) => house.api("POST", "/v1/quota/check", { key: who.key, body });
/** Sets the limit of windows nobody has used yet. */
const limit = (unit: string, amount: number) =>
  house.database.query("UPDATE quota_windows SET amount = $2 WHERE unit = $1 AND used = 0 AND reserved = 0", [
    unit,
    amount,
  ]);

describe("asked beforehand", () => {
  test("a run that would be accepted is told what it would hold, and nothing is kept", async () => {
    const before = (await get("/v1/quota")).body.windows;
    const { status, body } = await check({ deployment: "weather", input: "서울 날씨" });
    expect([status, body.admitted, body.enqueued, body.refusal]).toEqual([200, true, false, null]);
    expect(body.holds.map(({ unit }: { unit: string }) => unit)).toEqual(["tokens", "runs"]);
    expect((await get("/v1/quota")).body.windows).toEqual(before);
    expect((await get("/v1/runs")).body.data).toEqual([]);
    // It is what creating the run does.
    const made = await house.api("POST", "/v1/runs", {
      key: person.key,
      body: { deployment: "weather", input: "#sim slow 500" },
    });
    const [tokens] = (await get("/v1/quota")).body.windows;
    const again = await check({ deployment: "weather", input: "#sim slow 500" });
    expect(again.body.holds[0].amount).toBe(tokens.reserved);
    await house.api("POST", `/v1/runs/${made.body.id}/cancel`, { key: person.key });
  });

  test("one that would be refused is told why and until when", async () => {
    const stranger = await house.register();
    await house.deploy(stranger, manifest("weather"));
    await get("/v1/quota");
    await house.api("GET", "/v1/quota", { key: stranger.key });
    await limit("tokens", 10);
    const { status, body } = await check({ deployment: "weather", input: "hello" }, stranger);
    await limit("tokens", 10_000_000);
    expect([status, body.admitted, body.holds]).toEqual([200, false, []]);
    expect(body.refusal).toMatchObject({ code: "quota_exhausted", status: 429, limit: "tokens" });
    expect(Date.parse(body.refusal.frees_at)).toBeGreaterThan(Date.now());
    const thread = (await house.api("POST", "/v1/threads", { key: stranger.key, body: {} })).body.id;
    const busy = { deployment: "weather", input: "#sim slow 3000", thread_id: thread };
    const made = await house.api("POST", "/v1/runs", { key: stranger.key, body: busy });
    expect((await check(busy, stranger)).body.refusal).toMatchObject({ code: "thread_busy", frees_at: null });
    expect((await check({ ...busy, on_thread_busy: "enqueue" }, stranger)).body).toMatchObject({
      admitted: true,
      enqueued: true,
    });
    // Asking whether an interrupt would be accepted interrupts nobody.
    expect((await check({ ...busy, on_thread_busy: "interrupt" }, stranger)).body.admitted).toBe(true);
    expect((await house.api("GET", `/v1/runs/${made.body.id}`, { key: stranger.key })).body.status).toMatch(
      /queued|running/,
    );
    await house.api("POST", `/v1/runs/${made.body.id}/cancel`, { key: stranger.key });
  });

  test("a question that is wrong is a mistake, not a refusal", async () => {
    expect((await check({ deployment: "nobody", input: "hello" })).body.code).toBe("not_found");
    expect((await check({ deployment: "weather" })).status).toBe(400);
  });
});

describe("what was used", () => {
  test("is grouped by hour in the caller's zone and by end user, and exported as a table", async () => {
    for (const user of ["hana", "duri", "=cmd|' /C calc'!A0"])
      await house.run(person, "weather", "서울 날씨", { metadata: { user } });
    const byUser = (await get("/v1/usage?group_by=user")).body;
    expect(byUser.data.map(({ key, runs }: { key: { user: string }; runs: number }) => [key.user, runs])).toEqual(
      expect.arrayContaining([
        ["hana", 1],
        ["duri", 1],
      ]),
    );
    const byHour = (await get("/v1/usage?group_by=hour,user&time_zone=Asia/Seoul")).body;
    const hour = new Intl.DateTimeFormat("sv-SE", {
      timeZone: "Asia/Seoul",
      dateStyle: "short",
      timeStyle: "short",
    }).format(new Date());
    expect(byHour.data.some(({ key }: { key: { hour: string } }) => key.hour.slice(0, 10) === hour.slice(0, 10))).toBe(
      true,
    );
    expect(byHour.total.total_tokens).toBe(byUser.total.total_tokens);

    const csv = await get("/v1/usage?group_by=user", "text/csv");
    expect(csv.headers.get("content-type")).toContain("text/csv");
    const [head, ...lines] = String(csv.body).trim().split("\r\n");
    expect(head).toBe("user,runs,model_calls,input_tokens,cached_input_tokens,output_tokens,total_tokens,cost_micros");
    expect(lines.length).toBe(byUser.data.length);
    // A spreadsheet must not take it for a formula.
    expect(lines.some((line) => line.startsWith("'=cmd"))).toBe(true);

    const records = await get("/v1/usage/records", "text/csv");
    const rows = String(records.body).trim().split("\r\n");
    const all = (await get("/v1/usage/records?limit=100")).body.data;
    expect(rows.length - 1).toBe(all.length);
    expect(rows[1]?.split(",")[0]).toBe(all[0].id);
    expect(all.map(({ user }: { user: string }) => user)).toContain("duri");
    expect((await get("/v1/runs", "text/csv")).status).toBe(406);
    const none = (await get("/v1/usage/records?from=2020-01-01T00:00:00Z&to=2020-01-02T00:00:00Z")).body.data;
    expect(none).toEqual([]);
    expect((await get("/v1/usage/records?from=2020-01-02T00:00:00Z&to=2020-01-01T00:00:00Z")).status).toBe(400);
    expect((await get("/v1/usage?group_by=planet")).status).toBe(400);
  });

  test("is said of each step of a run, in tokens and money", async () => {
    const run = await house.run(person, "weather", "서울 날씨");
    const steps = (await get(`/v1/runs/${run.id}/steps`)).body.data;
    const models = steps.filter(({ kind }: { kind: string }) => kind === "model");
    expect(models.every(({ cost_micros: cost }: { cost_micros?: number }) => cost !== undefined)).toBe(true);
    expect(models.reduce((sum: number, { cost_micros: cost }: { cost_micros: number }) => sum + cost, 0)).toBe(
      run.usage.cost_micros,
    );
    expect(
      steps.filter(({ kind }: { kind: string }) => kind === "tool").every((step: object) => !("cost_micros" in step)),
    ).toBe(true);
  });
});

test("an audit finds every kind of mistake in the ledger, and none where there is none", async () => {
  const audit = async () => (await get("/v1/quota/audit")).body;
  expect(await audit()).toEqual({ exact: true, findings: [] });
  const run = await house.run(person, "weather", "hello");
  expect(await audit()).toEqual({ exact: true, findings: [] });
  const broken = async (sql: string, undo: string) => {
    await house.database.query(sql);
    const { exact, findings } = await audit();
    await house.database.query(undo);
    expect(exact).toBe(false);
    return findings.map(({ finding }: { finding: string }) => finding).toSorted();
  };
  expect(
    await broken(
      "UPDATE quota_windows SET used = used + 1 WHERE unit = 'tokens'",
      "UPDATE quota_windows SET used = used - 1 WHERE unit = 'tokens'",
    ),
  ).toEqual(["used is not the sum of the entries"]);
  expect(
    await broken(
      "UPDATE quota_windows SET reserved = reserved + 1 WHERE unit = 'runs'",
      "UPDATE quota_windows SET reserved = reserved - 1 WHERE unit = 'runs'",
    ),
  ).toEqual(["reserved is not the sum of the entries", "reserved is not what open runs hold"]);
  const last = "WHERE id = (SELECT id FROM runs ORDER BY id DESC LIMIT 1)";
  expect(
    await broken(
      `UPDATE runs SET input_tokens = input_tokens + 1 ${last}`,
      `UPDATE runs SET input_tokens = input_tokens - 1 ${last}`,
    ),
  ).toEqual(["the run's own count is not that of its usage records"]);
  const record = "WHERE run_id = (SELECT id FROM runs ORDER BY id DESC LIMIT 1)";
  expect(
    await broken(
      `UPDATE usage_records SET output_tokens = output_tokens + 1 ${record}`,
      `UPDATE usage_records SET output_tokens = output_tokens - 1 ${record}`,
    ),
  ).toEqual([
    "the run's own count is not that of its usage records",
    "tokens charged are not those of the usage records",
  ]);
  expect(run.status).toBe("completed");
  expect((await audit()).exact).toBe(true);
});
