import type { CodeToolSpec, FunctionToolSpec } from "@maru/contract";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { checkSources, checkToolSpec, createSandbox, prepareTools, type Sandbox } from "../index.ts";
import { callContext, toolDeps } from "../testing/context.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = createSandbox({ processes: 1 });
});
afterAll(() => sandbox.close());

const limits = { timeoutMs: 5_000, memoryBytes: 32 << 20 };
const code = (over: Partial<CodeToolSpec> = {}): CodeToolSpec => ({
  type: "code",
  name: "run_javascript",
  ...limits,
  ...over,
});
const add = (over: Partial<FunctionToolSpec> = {}): FunctionToolSpec => ({
  type: "function",
  name: "add",
  description: "Adds",
  parameters: {
    type: "object",
    properties: { a: { type: "number" }, b: { type: "number" } },
    required: ["a", "b"],
  },
  source: "export default ({ a, b }) => ({ sum: a + b });",
  ...limits,
  ...over,
});
const prepare = (spec: CodeToolSpec | FunctionToolSpec) => {
  const tool = prepareTools([spec], toolDeps({ sandbox })).get(spec.name);
  if (tool === undefined) throw new Error("no tool");
  return tool;
};
const call = (spec: CodeToolSpec | FunctionToolSpec, args: Record<string, unknown>, over = {}) =>
  prepare(spec).call(args, callContext(over));

describe("code the model writes", () => {
  test.each<[string, Record<string, unknown>, string]>([
    ["a result", { code: "return [input.n, 2]", input: { n: 1 } }, '{"result":[1,2]}'],
    ["a result and what was printed", { code: "console.log('a\"b'); return 1" }, '{"result":1,"console":"a\\"b"}'],
    ["only print", { code: "console.log(6 * 7)" }, '{"result":null,"console":"42"}'],
    ["no input", { code: "return input" }, '{"result":null}'],
    [
      "nothing at all",
      { code: "1 + 1" },
      '{"result":null,"note":"Nothing was returned: end the code with `return value`."}',
    ],
  ])("answers %s as JSON", async (_name, args, output) => {
    expect(await call(code(), args)).toEqual({ output, isError: false, code: null, truncated: false });
    expect(() => JSON.parse(output)).not.toThrow();
  });

  test("an error names the place, and what was printed before it", async () => {
    expect(await call(code(), { code: "console.log('at', 1);\nreturn input.x.y" })).toEqual({
      output: "TypeError: cannot read property 'x' of null (line 2, column 13)\nPrinted before:\nat 1",
      isError: true,
      code: "code_error",
      truncated: false,
    });
  });

  test("tells the model its limits, or what the manifest says", () => {
    expect(prepare(code()).declaration.description).toMatch(/It may take 5 s and 32 MiB\.$/);
    expect(prepare(code({ description: "Mine" })).declaration.description).toBe("Mine");
    expect(prepare(code()).checkArguments({ input: 1 })).toMatch(/code/);
    expect(prepare(code()).checkArguments({ code: "return 1", input: [1, { a: null }] })).toBeNull();
  });
});

describe("a function of the manifest", () => {
  test("gets its arguments and answers with its result alone", async () => {
    const result = await call(add({ source: "console.log('unseen');\nexport default async ({ a, b }) => a + b" }), {
      a: 1,
      b: 2,
    });
    expect(result).toEqual({ output: "3", isError: false, code: null, truncated: false });
    expect(await call(add(), { a: 1, b: 2 })).toMatchObject({ output: '{"sum":3}' });
    expect(await call(add({ source: "export default () => {}" }), {})).toMatchObject({ output: "null" });
  });

  test("is bounded by its own limits", async () => {
    const slow = await call(add({ source: "export default () => { for (;;) {} }", timeoutMs: 200 }), {});
    expect(slow).toMatchObject({ isError: true, code: "code_timeout", output: "The code did not end within 200 ms." });
    const large = await call(add({ source: "export default () => 'a'.repeat(3e7).length", memoryBytes: 16 << 20 }), {});
    expect(large).toMatchObject({ isError: true, code: "code_memory" });
    const long = await call(add({ source: "export default () => 'ab'.repeat(500)" }), {}, { maxOutputBytes: 256 });
    expect([long.truncated, long.output.slice(0, 3)]).toEqual([true, '"ab']);
    expect(long.output).toMatch(/\[cut: 746 more bytes\]$/);
  });

  test("is safe to repeat, and asks for approval as the manifest says", () => {
    expect(prepare(add()).effect).toBe("safe");
    expect(prepare(add({ approval: "always" })).needsApproval?.({})).toBe(true);
    const large = { when: { properties: { a: { minimum: 10 } } } };
    expect(prepare(add({ approval: large })).needsApproval?.({ a: 1 })).toBe(false);
    expect(prepare(add({ approval: large })).needsApproval?.({ a: 10 })).toBe(true);
  });

  test("stops with its run, with the run's reason", async () => {
    const reason = new Error("cancelled");
    const stopped = call(
      add({ source: "export default () => { for (;;) {} }" }),
      {},
      { signal: AbortSignal.abort(reason) },
    );
    await expect(stopped).rejects.toBe(reason);
  });

  test("without a sandbox is not run at all", async () => {
    const tool = prepareTools([add()], toolDeps()).get("add");
    expect(await tool?.call({ a: 1, b: 2 }, callContext())).toMatchObject({ isError: true, code: "code_error" });
  });
});

describe("sources at deploy", () => {
  const check = (...sources: string[]) =>
    checkSources(
      [code(), ...sources.map((source, index) => add({ name: `f${index}`, source }))],
      sandbox,
      new AbortController().signal,
    );

  test("are loaded: each that does not load is named, with the place in it", async () => {
    expect(
      await check(
        "export default () => 1",
        "export default () => {\n  return (1;\n}",
        "const a = 1;",
        "export default nope;",
        "import { x } from 'lodash';\nexport default () => x",
      ),
    ).toEqual([
      {
        pointer: "/spec/tools/2/source",
        code: "source_invalid",
        detail: "SyntaxError: expecting ')' (line 2, column 12)",
        within: { line: 2, column: 12 },
      },
      {
        pointer: "/spec/tools/3/source",
        code: "source_invalid",
        detail: "The source has no default export that is a function. (line 1, column 1)",
        within: { line: 1, column: 1 },
      },
      {
        pointer: "/spec/tools/4/source",
        code: "source_invalid",
        detail: "ReferenceError: 'nope' is not defined (line 1, column 16)",
        within: { line: 1, column: 16 },
      },
      {
        pointer: "/spec/tools/5/source",
        code: "source_invalid",
        detail: "ReferenceError: could not load module 'lodash'",
        within: null,
      },
    ]);
  });

  test("that take too long are refused, and do not hold up the rest for long", async () => {
    const problems = await check(...Array(6).fill("for (;;) {}\nexport default () => 1"));
    expect(problems.map(({ detail }) => detail)).toEqual(Array(3).fill("The source did not load within 2000 ms."));
  });

  test("have parameters that are judged as any tool's", () => {
    const wrong = add({ parameters: { type: "objekt" } });
    expect(checkToolSpec(wrong, "/spec/tools/0")[0]).toMatchObject({
      pointer: "/spec/tools/0/parameters/type",
      code: "tool_schema_invalid",
    });
  });
});
