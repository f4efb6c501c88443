import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type House, manifest, openHouse, type Person, until } from "../setup/house.ts";
import { sandboxProcesses } from "../setup/sandbox-processes.ts";

const TOOLS = `    - { name: run_javascript, type: code, timeout: 20s }
    - name: median
      type: function
      description: The median of numbers
      parameters: { type: object, properties: { values: { type: array, items: { type: number } } }, required: [values] }
      source: |
        const sorted = (values) => [...values].sort((a, b) => a - b);

        export default function ({ values }) {
          const all = sorted(values);
          return { median: all[Math.floor(all.length / 2)], count: all.length };
        }
    - name: strict
      type: function
      description: Needs approval
      parameters: { type: object, properties: { n: { type: number } } }
      source: "export default ({ n }) => n * 2"
      approval: always
`;

let house: House;
let person: Person;
beforeAll(async () => {
  house = await openHouse("postgres");
  person = await house.register();
  const deployed = await house.deploy(person, manifest("coder", { tools: TOOLS }));
  expect([deployed.status, deployed.body.action]).toEqual([201, "create"]);
});
afterAll(async () => {
  await house?.close();
  // Nothing of it runs on: neither the gateway's process nor the worker's.
  if (process.platform === "linux") expect(sandboxProcesses()).toEqual([]);
});

const toolSteps = async (id: string) =>
  (await house.api("GET", `/v1/runs/${id}/steps`, { key: person.key })).body.data.filter(
    ({ kind }: { kind: string }) => kind === "tool",
  );
const call = (name: string, args: object) => `#sim tool ${name} ${JSON.stringify(args)}`;
const start = async (input: string) =>
  (await house.api("POST", "/v1/runs", { key: person.key, body: { deployment: "coder", input } })).body.id as string;
const ended = async (id: string) => {
  let run = { status: "" };
  await until("the run ends", async () => {
    run = (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
    return !["queued", "running", "waiting"].includes(run.status);
  });
  return run;
};

describe("an agent with code tools", () => {
  test("runs what the model writes, and the function it was deployed with; results are in the journal", async () => {
    const code = "console.log('n is', input.n);\nreturn Array.from({ length: input.n }, (_, i) => i ** 2)";
    const input = [call("run_javascript", { code, input: { n: 4 } }), call("median", { values: [3, 9, 1] })].join("\n");
    const run = await house.run(person, "coder", input);
    expect(run.status).toBe("completed");
    const steps = await toolSteps(run.id);
    expect(
      steps.map(({ name, output, error_code = null }: { name: string; output: string; error_code?: string | null }) => [
        name,
        output,
        error_code,
      ]),
    ).toEqual([
      ["run_javascript", '{"result":[0,1,4,9],"console":"n is 4"}', null],
      ["median", '{"median":3,"count":3}', null],
    ]);
  });

  test("calls of one model step go on side by side", async () => {
    const values = [1, 2, 3, 4].map((n) => `median ${JSON.stringify({ values: [n] })}`).join(" ");
    const run = await house.run(person, "coder", `#sim parallel ${values}`);
    expect((await toolSteps(run.id)).map(({ output }: { output: string }) => JSON.parse(output).median)).toEqual([
      1, 2, 3, 4,
    ]);
  });

  test("tells the model what went wrong, and the run goes on", async () => {
    const input = [
      call("run_javascript", { code: "const a = 1;\nreturn a.b.c" }),
      call("run_javascript", { code: "return 'x'.repeat(1e9)" }),
      call("run_javascript", { code: "return process.env" }),
      call("median", { values: [] }),
    ].join("\n");
    const run = await house.run(person, "coder", input);
    expect(run.status).toBe("completed");
    expect(
      (await toolSteps(run.id)).map(({ error_code = null, output }: { error_code?: string | null; output: string }) => [
        error_code,
        output,
      ]),
    ).toEqual([
      ["code_error", "TypeError: cannot read property 'c' of undefined (line 2, column 11)"],
      ["code_memory", "The code needs more than 33554432 bytes of memory."],
      ["code_error", "ReferenceError: 'process' is not defined (line 1, column 8)"],
      [null, '{"count":0}'],
    ]);
  });

  test("waits for a person where the manifest says so", async () => {
    const id = await start(call("strict", { n: 21 }));
    let run = { status: "", required_action: { approvals: [{ call_id: "" }] } };
    await until("it waits", async () => {
      run = (await house.api("GET", `/v1/runs/${id}`, { key: person.key })).body;
      return run.status === "waiting";
    });
    const [asked] = run.required_action.approvals;
    await house.api("POST", `/v1/runs/${id}/approvals`, {
      key: person.key,
      body: { approvals: [{ call_id: asked?.call_id, decision: "approve" }] },
    });
    expect((await ended(id)).status).toBe("completed");
    expect((await toolSteps(id)).map(({ output }: { output: string }) => output)).toEqual(["42"]);
  });
});

const linux = process.platform === "linux";
describe.skipIf(!linux)(`a sandbox process${linux ? "" : " (not run: it reads /proc)"}`, () => {
  const ENDLESS = call("run_javascript", { code: "for (;;) {}" });
  /** More than starting takes: the code is in its loop. */
  const busy = () => sandboxProcesses().find(({ cpu }) => cpu > 100);

  test("killed in the middle of a call is an error of that call, and the run is not lost", async () => {
    const id = await start(ENDLESS);
    await until("the code runs", () => busy() !== undefined);
    process.kill(busy()?.pid as number, "SIGKILL");
    expect((await ended(id)).status).toBe("completed");
    expect(await toolSteps(id)).toMatchObject([
      {
        error_code: "code_error",
        output: "The process that ran the code was lost. Nothing is wrong with the call.",
      },
    ]);
    const next = await house.run(person, "coder", call("run_javascript", { code: "return 1" }));
    expect(await toolSteps(next.id)).toMatchObject([{ output: '{"result":1}' }]);
  });

  test("is killed when its run is cancelled", async () => {
    const id = await start(ENDLESS);
    await until("the code runs", () => busy() !== undefined);
    await house.api("POST", `/v1/runs/${id}/cancel`, { key: person.key, body: {} });
    expect((await ended(id)).status).toBe("cancelled");
    await until("it is gone", () => busy() === undefined);
  });
});

describe("a function at deploy", () => {
  const broken = (source: string) =>
    house.deploy(
      person,
      manifest("broken", {
        tools: `    - name: f\n      type: function\n      description: d\n      source: ${source}\n`,
      }),
    );

  test("that does not compile is refused with its line in the manifest and its place in the source", async () => {
    const block = "|\n        const a = 1;\n        export default () => {\n          return (a;\n        }";
    const { status, body } = await broken(block);
    expect([status, body.code]).toEqual([400, "source_invalid"]);
    expect(body.errors).toEqual([
      {
        pointer: "/spec/tools/0/source",
        code: "source_invalid",
        detail: "SyntaxError: expecting ')' (line 3, column 12)",
        line: 13,
        column: 20,
      },
    ]);
    const lines = manifest("broken", {
      tools: `    - name: f\n      type: function\n      description: d\n      source: ${block}\n`,
    }).split("\n");
    expect(lines[12]?.slice(19)).toBe(";");
  });

  test.each<[string, string, RegExp]>([
    ["has no default export", '"const f = () => 1"', /default export/],
    ["imports", "\"import fs from 'fs'; export default () => fs\"", /could not load module/],
    ["is no code", '"this is not code"', /SyntaxError/],
    ["loops when it is loaded", '"for (;;) {} export default () => 1"', /did not load within/],
  ])("that %s is refused", async (_name, source, detail) => {
    const { status, body } = await broken(source);
    expect([status, body.code, body.errors[0].pointer]).toEqual([400, "source_invalid", "/spec/tools/0/source"]);
    expect(body.errors[0].detail).toMatch(detail);
    expect(body.errors[0].line).toBe(10);
  });

  test.each<[string, string, string, string]>([
    [
      "a source of 40 KB",
      `      source: "export default () => 1 //${"x".repeat(40_000)}"`,
      "validation_failed",
      "/source",
    ],
    [
      "a source of few characters, many bytes",
      `      source: "export default () => 1 //${"한".repeat(12_000)}"`,
      "limit_out_of_range",
      "/source",
    ],
    ["a minute", '      source: "export default () => 1"\n      timeout: 1m', "limit_out_of_range", "/timeout"],
    ["a gigabyte", '      source: "export default () => 1"\n      memory: 1024MiB', "limit_out_of_range", "/memory"],
    ["an effect", '      source: "export default () => 1"\n      effect: safe', "unknown_field", "/effect"],
  ])("with %s is refused", async (_name, lines, code, pointer) => {
    const text = manifest("broken", { tools: `    - name: f\n      type: function\n      description: d\n${lines}\n` });
    const { status, body } = await house.deploy(person, text);
    expect([status, body.code, body.errors[0].pointer]).toEqual([400, code, `/spec/tools/0${pointer}`]);
  });

  test("the same manifest twice is one revision; another source is another", async () => {
    const again = await house.deploy(person, manifest("coder", { tools: TOOLS }));
    expect([again.status, again.body.action]).toEqual([200, "unchanged"]);
    const other = await house.deploy(person, manifest("coder", { tools: TOOLS.replace("n * 2", "n * 3") }));
    expect([other.status, other.body.action]).toEqual([200, "update"]);
    expect(other.body.changes.map(({ path }: { path: string }) => path)).toEqual(["/tools/strict/source"]);
  });
});
