import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { CodeFailure, CodeJob, CodeOutcome } from "./protocol.ts";
import { createSandbox, type Sandbox } from "./sandbox.ts";

let sandbox: Sandbox;
beforeAll(() => {
  sandbox = createSandbox({ processes: 1, graceMs: 1_000 });
});
afterAll(() => sandbox.close());

const never = new AbortController().signal;
const run = (source: string, over: Partial<CodeJob> = {}): Promise<CodeOutcome> =>
  sandbox.run({ kind: "body", source, input: "null", timeoutMs: 25_000, memoryBytes: 20 << 20, ...over }, never);
const value = async (source: string, over: Partial<CodeJob> = {}): Promise<unknown> => {
  const outcome = await run(source, over);
  if (!outcome.ok) throw new Error(`${outcome.code}: ${outcome.message}`);
  return outcome.output === null ? undefined : JSON.parse(outcome.output);
};
const failure = async (source: string, over: Partial<CodeJob> = {}): Promise<CodeFailure> => {
  const outcome = await run(source, over);
  if (outcome.ok) throw new Error(`it ended well: ${outcome.output?.slice(0, 100)}`);
  return outcome;
};
const module = { kind: "module" } as const;
const short = { timeoutMs: 300 };

describe("code that keeps to the rules", () => {
  test.each<[string, string, unknown, Partial<CodeJob>?]>([
    ["a returned value", "return { a: [1, 'ü', null, true] }", { a: [1, "ü", null, true] }],
    ["its input", "return input.n * 2", 42, { input: '{"n":21}' }],
    ["await and promises", "return (await Promise.all([1, Promise.resolve(2)])).length", 2],
    ["a last line that is a comment", "return 1 // done", 1],
    ["nothing returned", "1 + 1", undefined],
    [
      "a module",
      "const twice = (n) => n * 2;\nexport default ({ n }) => twice(n);",
      8,
      { ...module, input: '{"n":4}' },
    ],
    ["an async module", "export default async function ({ n }) { return n }", 4, { ...module, input: '{"n":4}' }],
    ["a named function exported below", "function f() { return 7 }\nexport { f as default }", 7, module],
    ["await outside a function", "const n = await Promise.resolve(5);\nexport default () => n;", 5, module],
    ["a thenable", "return { then(done) { done(3) } }", 3],
    ["dates", "return new Date(0).toISOString() + new Date(0).getTimezoneOffset()", "1970-01-01T00:00:00.000Z0"],
    ["regular expressions", "return 'a1b22'.match(/\\d+/g)", ["1", "22"]],
    ["big integers as text", "return String(2n ** 100n)", "1267650600228229401496703205376"],
    ["eval of its own", "return eval('1 + 1') + Function('return 2')()", 4],
    [
      "ten thousand promises",
      "let n = 0; await Promise.all(Array.from({ length: 1e4 }, async () => { await null; n++ })); return n",
      10_000,
    ],
    [
      "what JSON leaves out",
      "return { a: undefined, b() {}, c: Symbol('x'), d: [undefined, NaN] }",
      { d: [null, null] },
    ],
  ])("%s", async (_name, source, expected, over) => expect(await value(source, over)).toEqual(expected));

  test("what it prints comes with the result, in order and as text", async () => {
    const source = "console.log('a', { b: 1 }); console.warn(null, [2]); console.error(new TypeError('no')); return 1";
    expect(await run(source)).toEqual({ ok: true, output: "1", console: 'a {"b":1}\nnull [2]\nTypeError: no' });
  });
  test("what it printed before it failed comes with the failure", async () => {
    expect((await failure("console.log('here'); throw new Error('x')")).console).toBe("here");
    expect((await failure("console.log('here'); for (;;) {}", short)).console).toBe("here");
  });
});

describe("code that does not", () => {
  test.each<[string, CodeFailure["code"], string, Partial<CodeJob>?]>([
    // Loops
    ["an endless loop", "code_timeout", "for (;;) {}", short],
    ["a loop outside the function", "code_timeout", "for (;;) {}\nexport default () => 1", { ...module, ...short }],
    [
      "a loop that catches everything",
      "code_timeout",
      "for (;;) { try { for (;;) {} } catch {} finally { continue } }",
      short,
    ],
    ["a regular expression that backtracks", "code_timeout", "return /^(a+)+$/.test('a'.repeat(40) + '!')", short],
    [
      "an endless chain of promises",
      "code_timeout",
      "const next = () => Promise.resolve().then(next); await next()",
      short,
    ],
    [
      "promises nobody waits for",
      "code_timeout",
      "const next = () => { Promise.resolve().then(next) }; next(); await new Promise(() => {})",
      short,
    ],
    [
      "a loop inside the engine's own code",
      "code_timeout",
      "return Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)",
      short,
    ],
    ["a huge sparse array as text", "code_timeout", "return new Array(2e9) + ''", short],
    ["a loop in toJSON", "code_timeout", "return { toJSON() { for (;;) {} } }", short],
    [
      "a loop in a thrown error's message",
      "code_error",
      "const e = new Error(); Object.defineProperty(e, 'message', { get() { for (;;) {} } }); throw e",
    ],
    ["a promise that nothing settles", "code_error", "await new Promise(() => {})"],
    // Memory
    ["an array that grows", "code_memory", "const a = []; for (;;) a.push(new Array(1000).fill(a.length))"],
    ["a string that grows", "code_memory", "const a = []; for (;;) a.push('x'.repeat(1e5) + a.length)"],
    ["a string of a billion", "code_memory", "return 'a'.repeat(1e9)"],
    ["a buffer of a gigabyte", "code_memory", "return new Uint8Array(2 ** 30).length"],
    ["objects without end", "code_memory", "let o = null; for (;;) o = { o }"],
    ["a map without end", "code_memory", "const m = new Map(); for (let i = 0; ; i++) m.set(i, {})"],
    ["too much for a larger limit", "code_memory", "return 'a'.repeat(7e7).length", { memoryBytes: 64 << 20 }],
    ["promises without end", "code_memory", "const all = []; for (;;) all.push(new Promise(() => {}))"],
    // Stacks
    ["recursion", "code_error", "const f = () => f() + 1; return f()"],
    ["recursion through a getter", "code_error", "const o = { get a() { return this.a } }; return o.a"],
    [
      "recursion through proxies",
      "code_error",
      "let p = {}; for (let i = 0; i < 1e5; i++) p = new Proxy(p, {}); return p.a",
    ],
    ["a result nested deeply", "code_error", "let o = []; for (let i = 0; i < 1e5; i++) o = [o]; return o"],
    ["an input of its own, nested deeply", "code_error", "return JSON.parse('['.repeat(1e5))"],
    [
      "a regular expression nested deeply",
      "code_error",
      "return new RegExp('('.repeat(1e5) + ')'.repeat(1e5)).test('')",
    ],
    ["source nested deeply", "code_error", `return ${"[".repeat(10_000)}`],
    // Results
    ["a BigInt", "code_output_invalid", "return { n: 1n }"],
    ["a bare BigInt", "code_output_invalid", "return 1n"],
    ["a cycle", "code_output_invalid", "const o = {}; o.o = o; return o"],
    ["a symbol", "code_output_invalid", "return Symbol('x')"],
    ["a function", "code_output_invalid", "return () => 1"],
    ["a toJSON that throws", "code_output_invalid", "return { toJSON() { throw 1 } }"],
    ["a toJSON that gives nothing", "code_output_invalid", "return { toJSON() {} }"],
    ["a getter that throws", "code_output_invalid", "return { get a() { throw new Error('no') } }"],
    ["a proxy that throws", "code_output_invalid", "return new Proxy({}, { ownKeys() { throw new Error('no') } })"],
    ["ten megabytes", "code_output_too_large", "return 'a'.repeat(1e7)"],
    ["few characters, many bytes", "code_output_too_large", "return '한'.repeat(1e5)"],
    // Throwing
    ["null", "code_error", "throw null"],
    ["a string of a megabyte", "code_error", "throw 'x'.repeat(1e6)"],
    ["a proxy", "code_error", "throw new Proxy({}, { getPrototypeOf() { throw 1 } })"],
    ["an error that can't be read", "code_error", "throw Object.assign(new Error(), { toString() { throw 1 } })"],
    // Not there
    ["import()", "code_error", "return await import('node:fs')"],
    ["an import", "code_error", "import fs from 'node:fs';\nexport default () => 1", module],
    ["require", "code_error", "return require('fs')"],
    ["process", "code_error", "return process.env"],
    [
      "process by way of a constructor",
      "code_error",
      "return this?.constructor ?? (() => {}).constructor.constructor('return process')()",
    ],
    ["fetch", "code_error", "return await fetch('http://127.0.0.1/')"],
    ["timers", "code_error", "return setTimeout(() => {}, 1)"],
    ["WebAssembly", "code_error", "return new WebAssembly.Memory({ initial: 1 })"],
    ["Atomics", "code_error", "return Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)"],
    ["no function exported", "code_error", "export default 5", module],
    ["nothing exported", "code_error", "const a = 1", module],
    ["words that are no code", "code_error", "this is not code"],
  ])("%s: %s, and the next job is as ever", async (_name, code, source, over) => {
    const outcome = await failure(source, over);
    expect([outcome.code, outcome.message.length < 2_100]).toEqual([code, true]);
    expect(JSON.stringify(outcome)).not.toMatch(/node_modules|packages|wasm|\/home|file:/);
    expect(await value("return [typeof leaked, {}.polluted, typeof input, [].length]")).toEqual([
      "undefined",
      null,
      "object",
      0,
    ]);
  });

  test.each<[string, string, Partial<CodeJob>, object]>([
    [
      "at run time",
      "const a = null;\n  return a.b;",
      {},
      { message: "TypeError: cannot read property 'b' of null", line: 2 },
    ],
    ["in the first line", "return nope", {}, { message: "ReferenceError: 'nope' is not defined", line: 1, column: 8 }],
    [
      "in a function",
      "export default () => {\n\n  throw new RangeError('far');\n}",
      module,
      { message: "RangeError: far", line: 3 },
    ],
    [
      "of syntax",
      "export default () => {\n  let b = ;\n}",
      { kind: "load" },
      { message: "SyntaxError: unexpected token in expression: ';'", line: 2, column: 11 },
    ],
    ["of a missing bracket", "if (input) {\n  return 1;", {}, { line: 2 }],
  ])("an error %s names its place in the user's code", async (_name, source, over, expected) => {
    expect(await failure(source, over)).toMatchObject({ code: "code_error", ...expected });
  });

  test("a console without end is cut, and the code goes on", async () => {
    const outcome = await run("for (let i = 0; i < 1e5; i++) console.log('x'.repeat(100)); return 1");
    if (!outcome.ok) throw new Error(outcome.message);
    expect(outcome.output).toBe("1");
    expect(outcome.console.length).toBeGreaterThan(60_000);
    expect(Buffer.byteLength(outcome.console)).toBeLessThan(66_000);
  });
});

describe("what one job leaves", () => {
  test("is nothing: globals and prototypes are those of a fresh engine", async () => {
    const pollute =
      "globalThis.leaked = 1; Object.prototype.polluted = 1; Array.prototype.push = null; JSON.stringify = () => '\"mine\"'; Promise.prototype.then = null; return { a: 1 }";
    expect(await value(pollute)).toEqual({ a: 1 });
    expect(await value("return [typeof leaked, {}.polluted ?? 0, typeof [].push, JSON.stringify(1)]")).toEqual([
      "undefined",
      0,
      "function",
      "1",
    ]);
  });

  test("is no prototype of ours: __proto__ crosses as the text it is", async () => {
    const outcome = await run('return [input, JSON.parse(\'{"__proto__":{"b":1}}\')]', {
      input: '{"__proto__":{"a":1}}',
    });
    expect(outcome).toMatchObject({ ok: true, output: '[{"__proto__":{"a":1}},{"__proto__":{"b":1}}]' });
    expect(({} as { a?: unknown }).a).toBeUndefined();
  });

  test("is no sight of the host: the engine's globals are the language's own", async () => {
    const names = (await value("return Object.getOwnPropertyNames(globalThis)")) as string[];
    const host = [
      "process",
      "require",
      "module",
      "fetch",
      "WebAssembly",
      "Atomics",
      "setTimeout",
      "queueMicrotask",
      "std",
      "os",
    ];
    expect(names.filter((name) => host.includes(name))).toEqual([]);
    expect(names).toContain("console");
  });
});
