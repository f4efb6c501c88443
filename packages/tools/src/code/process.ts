import { type ChildProcess, fork } from "node:child_process";
import { createRequire } from "node:module";
import type { Socket } from "node:net";
import { dirname, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import type { ChildMessage, CodeJob, CodeOutcome, ParentMessage } from "./protocol.ts";

const CHILD = fileURLToPath(new URL("./child.ts", import.meta.url));
const START_MS = 30_000;
const HEAP_MB = 96;
const NODE_MODULES = `${sep}node_modules${sep}`;

/** A sandbox process was lost, and not by what its job was told to do. */
export class SandboxLost extends Error {
  override readonly name = "SandboxLost";
  /** Whether the job's code may have begun. */
  readonly began: boolean;
  constructor(detail: string, began: boolean) {
    super(detail);
    this.began = began;
  }
}

/** All that is needed of the file system: this package, and the node_modules folders the engine's packages lie in. */
function readable(): string[] {
  const { resolve: find } = createRequire(import.meta.url);
  const packages = ["quickjs-emscripten-core", "@jitl/quickjs-wasmfile-release-sync"].map((name) => find(name));
  const types = createRequire(packages[1] as string).resolve("@jitl/quickjs-ffi-types");
  const folders = [...packages, types].map((file) =>
    file.slice(0, file.lastIndexOf(NODE_MODULES) + NODE_MODULES.length),
  );
  return [...new Set([resolve(dirname(CHILD), "../.."), ...folders])];
}

/** One sandbox process. It takes a job at a time. */
export interface SandboxProcess {
  readonly pid: number | undefined;
  readonly jobs: number;
  /** Whether it may be given another job. */
  usable(): boolean;
  /** @throws SandboxLost, or the signal's reason */
  run(job: CodeJob, signal: AbortSignal): Promise<CodeOutcome>;
  /** Ends it at once, whatever it does; resolves when it is gone. */
  kill(): Promise<void>;
}

/** Starts a process that has no environment, may write no file, start no process, and never keeps its parent running. */
export function startProcess(graceMs: number): SandboxProcess {
  const child = fork(CHILD, [], {
    execArgv: [
      `--max-old-space-size=${HEAP_MB}`,
      "--no-warnings",
      "--permission",
      "--allow-worker",
      ...readable().map((folder) => `--allow-fs-read=${folder}`),
    ],
    // The engine asks the process for its time zone.
    env: { TZ: "UTC" },
    stdio: ["ignore", "ignore", "pipe", "ipc"],
    serialization: "json",
  });
  let jobs = 0;
  let worn = false;
  let dead = false;
  let stderr = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    stderr = (stderr + chunk.toString("utf8")).slice(-1_000);
  });
  (child.stderr as Socket | null)?.unref();

  const gone = new Promise<void>((done) => {
    const end = () => {
      dead = true;
      done();
    };
    child.once("exit", end);
    child.once("error", (error) => {
      stderr += error.message;
      end();
    });
  });
  const ready = new Promise<void>((done, fail) => {
    const late = setTimeout(() => child.kill("SIGKILL"), START_MS).unref();
    const hear = (message: ChildMessage) => {
      if (message.kind !== "ready") return;
      clearTimeout(late);
      child.off("message", hear);
      done();
    };
    child.on("message", hear);
    void gone.then(() => {
      clearTimeout(late);
      fail(new SandboxLost(`a sandbox process did not start: ${stderr.trim()}`, false));
    });
  });
  ready.catch(() => {});
  hold(child, false);

  return {
    pid: child.pid,
    get jobs() {
      return jobs;
    },
    usable: () => !dead && !worn,
    async run(job, signal) {
      jobs++;
      hold(child, true);
      const aborted = Promise.withResolvers<never>();
      const abort = () => aborted.reject(signal.reason);
      signal.addEventListener("abort", abort, { once: true });
      try {
        signal.throwIfAborted();
        await Promise.race([ready, aborted.promise]);
        return await conversation(job, aborted.promise);
      } catch (error) {
        worn = true;
        child.kill("SIGKILL");
        throw error;
      } finally {
        signal.removeEventListener("abort", abort);
        if (!dead) hold(child, false);
      }
    },
    async kill() {
      worn = true;
      if (dead) return;
      hold(child, true);
      child.kill("SIGKILL");
      await gone;
    },
  };

  async function conversation(job: CodeJob, aborted: Promise<never>): Promise<CodeOutcome> {
    let began = false;
    const overdue = Promise.withResolvers<void>();
    let hear: (message: ChildMessage) => void = () => {};
    let timer = setTimeout(() => child.kill("SIGKILL"), START_MS);
    const done = new Promise<CodeOutcome>((finish) => {
      hear = (message) => {
        if (message.kind === "began") {
          began = true;
          clearTimeout(timer);
          timer = setTimeout(overdue.resolve, job.timeoutMs + graceMs);
        }
        if (message.kind !== "done") return;
        worn ||= message.worn;
        finish(message.outcome);
      };
    });
    const late = overdue.promise.then((): CodeOutcome => {
      worn = true;
      child.kill("SIGKILL");
      const message = `The code did not end within ${job.timeoutMs} ms.`;
      return { ok: false, code: "code_timeout", message, line: null, column: null, console: "" };
    });
    const lost = gone.then((): never => {
      throw new SandboxLost(`a sandbox process was lost: ${stderr.trim()}`, began);
    });
    child.on("message", hear);
    try {
      // A channel that is gone shows itself by the process's end.
      child.send({ job } satisfies ParentMessage, () => {});
      return await Promise.race([done, late, lost, aborted]);
    } finally {
      clearTimeout(timer);
      child.off("message", hear);
    }
  }
}

/** Whether the process and its channel keep this one running: only while a job is under way. */
function hold(child: ChildProcess, held: boolean): void {
  if (held) {
    child.ref();
    child.channel?.ref();
  } else {
    child.unref();
    child.channel?.unref();
  }
}
