import { afterAll, beforeAll, expect, test } from "vitest";
import { describeEachBackend } from "../setup/database.ts";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";
import { brokenInvariants } from "../setup/invariants.ts";

describeEachBackend("of five hundred callers at once, over two gateways", (backend) => {
  let house: House;
  let person: Person;
  let urls: string[];
  beforeAll(async () => {
    house = await openHouse(backend, { worker: false });
    urls = [house.url, await house.anotherGateway()];
    person = await house.register();
    await house.deploy(person, manifest("agent"));
  });
  afterAll(() => house?.close());

  /** Posts many runs at once, half of them to each gateway; answers how often each reply came. */
  const rush = async (count: number) => {
    const replies = await Promise.all(
      Array.from({ length: count }, async (_, index) => {
        const response = await fetch(new URL("/v1/runs", urls[index % 2]), {
          method: "POST",
          headers: { authorization: `Bearer ${person.key}`, "content-type": "application/json" },
          body: JSON.stringify({ deployment: "agent", input: "hello" }),
        });
        const body = (await response.json()) as { code?: string; limit?: string };
        return body.code === undefined ? String(response.status) : `${response.status} ${body.code} ${body.limit}`;
      }),
    );
    return Object.fromEntries(
      [...new Set(replies)].sort().map((reply) => [reply, replies.filter((other) => other === reply).length]),
    );
  };

  test("exactly as many runs are admitted as there is room for, by runs and by tokens", async () => {
    await house.api("GET", "/v1/quota", { key: person.key });
    await house.database.query("UPDATE quota_windows SET amount = 100, base_amount = 100 WHERE unit = 'runs'");
    expect(await rush(500)).toEqual({ "202": 100, "429 quota_exhausted runs": 400 });
    const [hold] = await house.database.query<{ amount: string }>(
      "SELECT amount FROM quota_reservations WHERE unit = 'tokens' LIMIT 1",
    );
    await house.database.query("UPDATE quota_windows SET amount = 1000000, base_amount = 1000000 WHERE unit = 'runs'");
    await house.database.query(
      "UPDATE quota_windows SET amount = reserved + $1, base_amount = reserved + $1 WHERE unit = 'tokens'",
      [Number(hold?.amount) * 37 + 5],
    );
    expect(await rush(200)).toEqual({ "202": 37, "429 quota_exhausted tokens": 163 });
    expect(await brokenInvariants(house.database)).toEqual([]);
    expect((await house.api("GET", "/v1/quota/audit", { key: person.key })).body).toEqual({
      exact: true,
      findings: [],
    });
  });
});
