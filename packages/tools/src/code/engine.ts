import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import release from "@jitl/quickjs-wasmfile-release-sync";
import {
  newQuickJSWASMModuleFromVariant,
  newVariant,
  type QuickJSHandle,
  type QuickJSSyncVariant,
  type QuickJSWASMModule,
} from "quickjs-emscripten-core";
import { cutToBytes } from "../kind.ts";
import { prelude } from "./prelude.ts";
import {
  CODE_CONSOLE_BYTES,
  CODE_OUTPUT_BYTES,
  type CodeErrorCode,
  type CodeJob,
  type CodeOutcome,
} from "./protocol.ts";

/** The part of the WebAssembly API used here; its types come only with those of the browser. */
const { WebAssembly } = globalThis as unknown as {
  WebAssembly: {
    compile(bytes: Uint8Array): Promise<object>;
    Memory: new (size: { initial: number; maximum: number }) => object;
  };
};
/** The package declares its types for CommonJS only, where the default would be a property. */
const variant = release as unknown as QuickJSSyncVariant;

const PAGE = 65_536;
/** With how much QuickJS's build begins: a smaller limit could not be told from none. */
const INITIAL_BYTES = 16 << 20;
/** The ceiling is V8's, above the 128 MiB that QuickJS itself may be allowed to give. */
const MEMORY = { initial: INITIAL_BYTES / PAGE, maximum: (192 << 20) / PAGE };
/** Far less than V8 has for the WebAssembly frames beneath. */
const STACK_BYTES = 256 << 10;
/** For saying what went wrong once a limit was reached. */
const POSTMORTEM = { bytes: 1 << 20, ms: 100 };
const JOBS_AT_A_TIME = 100;
const CONSOLE_LINES = 1_000;
const MESSAGE_BYTES = 2_000;
const FILE = "code.js";
/** On the first line of a body, so that its lines keep their numbers. */
const BODY_HEAD = "export default async (input) => {";

/** An engine for one job. @throws Error when the engine itself breaks: its process is not to be used again */
export type Engine = (job: CodeJob) => CodeOutcome;

/** Compiles QuickJS once; each call then makes an engine with a memory of its own, so that nothing of one job is in the next. */
export async function loadEngines(): Promise<() => Promise<Engine>> {
  const wasm = createRequire(import.meta.url).resolve("@jitl/quickjs-wasmfile-release-sync/wasm");
  const wasmModule = await WebAssembly.compile(readFileSync(wasm));
  return async () => {
    const wasmMemory = new WebAssembly.Memory(MEMORY);
    return createEngine(await newQuickJSWASMModuleFromVariant(newVariant(variant, { wasmModule, wasmMemory })));
  };
}

interface Position {
  readonly line: number;
  readonly column: number;
}

/** What ends a job without a result. */
class Failed extends Error {
  readonly code: CodeErrorCode;
  readonly position: Position | null;
  constructor(code: CodeErrorCode, message: string, position: Position | null = null) {
    super(message);
    this.code = code;
    this.position = position;
  }
}

function createEngine(quickjs: QuickJSWASMModule): Engine {
  const runtime = quickjs.newRuntime();
  runtime.setMaxStackSize(STACK_BYTES);
  let deadline = Number.POSITIVE_INFINITY;
  let interrupted = false;
  runtime.setInterruptHandler(() => {
    if (performance.now() <= deadline) return false;
    interrupted = true;
    return true;
  });
  const context = runtime.newContext();
  const parts = context.unwrapResult(context.evalCode(prelude(CODE_CONSOLE_BYTES, CONSOLE_LINES), "prelude.js"));
  const run = context.getProp(parts, 0);
  const describe = context.getProp(parts, 1);
  const printed = context.getProp(parts, 2);

  /** Text from one of the prelude's own functions; null when even that fails. */
  const tell = (fn: QuickJSHandle, ...args: QuickJSHandle[]): string | null => {
    const result = context.callFunction(fn, context.undefined, ...args);
    return result.error === undefined ? context.getString(result.value) : null;
  };
  const timedOut = (ms: number) => new Failed("code_timeout", `The code did not end within ${ms} ms.`);

  return (job) => {
    runtime.setMemoryLimit(job.memoryBytes);
    deadline = performance.now() + job.timeoutMs;
    const checkTime = () => {
      if (interrupted || performance.now() > deadline) throw timedOut(job.timeoutMs);
    };
    const allowPostmortem = () => {
      runtime.setMemoryLimit(job.memoryBytes + POSTMORTEM.bytes);
      deadline = performance.now() + POSTMORTEM.ms;
    };
    /** With no room left for an error QuickJS throws null. Code may throw it too; then the heap shows what was meant. */
    const wasFull = (thrown: QuickJSHandle): boolean => {
      const { byteLength } = quickjs.getWasmMemory().buffer;
      return (
        context.typeof(thrown) === "object" &&
        context.eq(thrown, context.null) &&
        byteLength > INITIAL_BYTES &&
        byteLength >= job.memoryBytes
      );
    };
    const outOfMemory = () => new Failed("code_memory", `The code needs more than ${job.memoryBytes} bytes of memory.`);
    const failure = (thrown: QuickJSHandle): Failed => {
      if (interrupted) return timedOut(job.timeoutMs);
      allowPostmortem();
      if (wasFull(thrown)) return outOfMemory();
      const told = tell(describe, thrown) ?? "";
      const [, length = "0"] = /^(\d+):/.exec(told) ?? [];
      const start = length.length + 1;
      const message = told.slice(start, start + Number(length));
      const stack = told.slice(start + Number(length));
      if (ranOutOfMemory(message)) return outOfMemory();
      return new Failed(
        "code_error",
        cutToBytes(message, MESSAGE_BYTES).text || "What was thrown can't be read",
        positionIn(stack, job),
      );
    };
    const unwrap = <T>(result: { error: QuickJSHandle } | { error?: undefined; value: T }): T => {
      if (result.error !== undefined) throw failure(result.error);
      checkTime();
      return result.value;
    };

    /** The value of a promise; runs what it waits for. */
    const settled = (handle: QuickJSHandle): QuickJSHandle => {
      for (;;) {
        const state = context.getPromiseState(handle);
        if (state.type === "fulfilled") return state.value;
        if (state.type === "rejected") throw failure(state.error);
        // There are no timers and no network: a promise nothing is queued for stays as it is.
        if (!runtime.hasPendingJob()) {
          checkTime();
          throw new Failed("code_error", "The code waits for a promise that nothing will settle.");
        }
        unwrap(runtime.executePendingJobs(JOBS_AT_A_TIME));
      }
    };

    const execute = (): string | null => {
      const source = job.kind === "body" ? `${BODY_HEAD}${job.source}\n}` : job.source;
      const exports = settled(unwrap(context.evalCode(source, FILE, { type: "module" })));
      const fn = context.getProp(exports, "default");
      if (context.typeof(fn) !== "function")
        throw new Failed("code_error", "The source has no default export that is a function.", { line: 1, column: 1 });
      if (job.kind === "load") return null;
      const answer = settled(unwrap(context.callFunction(run, context.undefined, fn, context.newString(job.input))));
      if (context.getNumber(context.getProp(answer, "length")) > CODE_OUTPUT_BYTES + 1) throw tooLarge();
      const text = context.getString(answer);
      const value = text.slice(1);
      if (text[0] === "0") return null;
      if (text[0] === "=") {
        if (Buffer.byteLength(value) > CODE_OUTPUT_BYTES) throw tooLarge();
        return value;
      }
      if (ranOutOfMemory(value)) throw outOfMemory();
      throw new Failed("code_output_invalid", `The result is no JSON: ${cutToBytes(value, MESSAGE_BYTES).text}`);
    };

    const console = () => {
      allowPostmortem();
      return cutToBytes(tell(printed) ?? "", CODE_CONSOLE_BYTES).text;
    };
    try {
      const output = execute();
      return { ok: true, output, console: console() };
    } catch (error) {
      if (!(error instanceof Failed)) throw error;
      const { code, message, position } = error;
      return {
        ok: false,
        code,
        message,
        line: position?.line ?? null,
        column: position?.column ?? null,
        console: console(),
      };
    }
  };
}

const tooLarge = () => new Failed("code_output_too_large", `The result has more than ${CODE_OUTPUT_BYTES} bytes.`);

const ranOutOfMemory = (message: string): boolean => message.startsWith("InternalError: out of memory");

/** The innermost place of the user's code that a stack names. */
function positionIn(stack: string, { kind, source }: CodeJob): Position | null {
  const match = new RegExp(`${FILE}:(\\d{1,9}):(\\d{1,9})`).exec(stack);
  if (match === null) return null;
  const lines = source.split("\n").length;
  const line = Math.min(Math.max(1, Number(match[1])), lines);
  const column = Number(match[2]) - (kind === "body" && line === 1 ? BODY_HEAD.length : 0);
  return { line, column: Math.max(1, column) };
}
