import { afterAll, beforeAll, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
});
afterAll(() => house?.close());

test("a long thread is summarised once it is due, and its messages all stay", async () => {
  const { key } = person;
  await house.deploy(person, manifest("keeper", { memory: "{ thread: { strategy: summarise, maxTokens: 1000 } }" }));
  const thread = (await house.api("POST", "/v1/threads", { key, body: {} })).body.id;
  const steps = [];
  for (let turn = 1; turn <= 6; turn++) {
    const run = await house.run(person, "keeper", `Turn ${turn}: ${"please remember this ".repeat(30)}`, {
      thread_id: thread,
    });
    expect(run.status).toBe("completed");
    steps.push((await house.api("GET", `/v1/runs/${run.id}/steps`, { key })).body.data);
  }
  const summaries = steps.flat().filter((step: { summarised_messages?: number }) => step.summarised_messages);
  expect(summaries.length).toBeGreaterThanOrEqual(1);
  expect(summaries.length).toBeLessThan(5);
  const [row] = await house.database.query<{ summary: string; summary_upto: number }>(
    "SELECT summary, summary_upto FROM threads",
  );
  expect(row?.summary).toBe(summaries.at(-1).text);
  expect(row?.summary_upto).toBe(
    1 + summaries.reduce((sum: number, step: { summarised_messages: number }) => sum + step.summarised_messages, 0),
  );
  const messages = (await house.api("GET", `/v1/threads/${thread}/messages?limit=100`, { key })).body.data;
  expect(messages).toHaveLength(12);
  expect(JSON.stringify(messages)).not.toContain("What was said before");
});
