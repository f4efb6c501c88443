import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person } from "../setup/house.ts";

const NAMES = ["calculator", "current_time", "date_math", "json_query", "regex", "text_diff"];

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
  const tools = NAMES.map((name) => `    - { name: ${name}, type: builtin }\n`).join("");
  expect((await house.deploy(person, manifest("clerk", { tools }))).status).toBe(201);
});
afterAll(() => house?.close());

const call = (name: string, args: object) => `#sim tool ${name} ${JSON.stringify(args)}`;
const toolSteps = async (id: string): Promise<{ name: string; output: string; error_code?: string | null }[]> =>
  (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data.filter(
    ({ kind }: { kind: string }) => kind === "tool",
  );

describe("an agent with the builtin tools", () => {
  test("calls each of them, and their results are in the journal", async () => {
    const run = await house.run(
      person,
      "clerk",
      [
        call("calculator", { expression: "0.1 + 0.2" }),
        call("json_query", { json: { items: [{ price: 3 }, { price: 12 }] }, query: "$.items[?@.price > 5].price" }),
        call("regex", { action: "replace", pattern: "(\\d+)원", text: "3000원", replacement: "KRW $1" }),
        call("text_diff", { before: "빨간 사과", after: "파란 사과", mode: "words" }),
        call("date_math", { action: "add", date: "2026-01-31", months: 1 }),
        call("current_time", { timezone: "UTC" }),
      ].join("\n"),
    );
    expect(run.status).toBe("completed");
    const steps = await toolSteps(run.id);
    expect(steps.slice(0, 5).map(({ name, output }) => [name, output])).toEqual([
      ["calculator", "0.3"],
      ["json_query", '{"count":1,"values":[12]}'],
      ["regex", '{"count":1,"text":"KRW 3000"}'],
      ["text_diff", "[-빨간-]{+파란+} 사과"],
      ["date_math", '{"date":"2026-02-28","weekday":"Saturday"}'],
    ]);
    expect(JSON.parse(steps[5]?.output ?? "")).toMatchObject({
      iso: expect.stringMatching(/\+00:00$/),
      timezone: "UTC",
      unix: expect.any(Number),
    });
  });

  test("tells the model in words what it may not ask for, and the run goes on", async () => {
    const run = await house.run(
      person,
      "clerk",
      [
        call("calculator", { expression: "9 ** 9 ** 9 ** 9" }),
        call("json_query", { json: {}, query: "items" }),
        call("regex", { action: "match", pattern: "(a)\\1", text: "aa" }),
        call("regex", { action: "match", pattern: "(a+)+$", text: `${"a".repeat(5_000)}!` }),
        call("text_diff", { before: "a" }),
        call("date_math", { action: "add", date: "2026-02-30" }),
        call("current_time", { timezone: "KST" }),
      ].join("\n"),
    );
    expect(run.status).toBe("completed");
    expect((await toolSteps(run.id)).map(({ error_code = null, output }) => [error_code, output])).toEqual([
      ["tool_failed", expect.stringContaining("a value is larger than 1e10000")],
      ["tool_failed", expect.stringContaining("expected '$'")],
      ["tool_failed", expect.stringContaining("Back-references are not supported")],
      [null, '{"matches":false}'],
      ["tool_arguments_invalid", expect.stringContaining("'after'")],
      ["tool_failed", expect.stringContaining("There is no such date")],
      ["tool_failed", "There is no time zone KST. Did you mean Asia/Seoul?"],
    ]);
  });

  test("there is no other, and the names there are are said", async () => {
    const { status, body } = await house.deploy(
      person,
      manifest("other", { tools: "    - { name: json_quary, type: builtin }\n" }),
    );
    expect([status, body.errors[0].pointer]).toEqual([400, "/spec/tools/0/name"]);
    for (const name of NAMES) expect(body.errors[0].detail).toContain(name);
  });
});
