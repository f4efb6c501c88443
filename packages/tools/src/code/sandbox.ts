import { SandboxLost, type SandboxProcess, startProcess } from "./process.ts";
import type { CodeJob, CodeOutcome } from "./protocol.ts";

export interface SandboxOptions {
  /** Jobs at a time, each in a process of its own; started when first needed. */
  readonly processes?: number;
  /** After so many jobs a process is replaced. */
  readonly jobsPerProcess?: number;
  /**
   * The child ends its code at the deadline; when native code inside keeps it from doing so, it is killed so many
   * milliseconds later.
   */
  readonly graceMs?: number;
  /** Hears of each process that was lost, and why. */
  readonly onLost?: (error: SandboxLost) => void;
}

/** Runs JavaScript in processes that can be killed. */
export interface Sandbox {
  /**
   * Waits for a free process, first come first served; that time does not count. A process that is lost before the code
   * began is replaced once.
   * @throws SandboxLost, or the signal's reason: what runs is then killed at once
   */
  run(job: CodeJob, signal: AbortSignal): Promise<CodeOutcome>;
  /** Process ids there are, for tests. */
  processIds(): number[];
  /** Kills every process; what runs or waits fails. */
  close(): Promise<void>;
}

export const SANDBOX_DEFAULTS = { processes: 2, jobsPerProcess: 500, graceMs: 250 } as const;

export function createSandbox(options: SandboxOptions = {}): Sandbox {
  const { processes, jobsPerProcess, graceMs, onLost } = { ...SANDBOX_DEFAULTS, ...options };
  const all = new Set<SandboxProcess>();
  const idle: SandboxProcess[] = [];
  const waiting = new Set<() => void>();
  const closing = new AbortController();
  let free = processes;

  const start = (): SandboxProcess => {
    const process = startProcess(graceMs);
    all.add(process);
    return process;
  };
  const end = async (process: SandboxProcess) => {
    await process.kill();
    all.delete(process);
  };
  /** One of the turns there are; resolves in the order of asking. */
  const turn = async (signal: AbortSignal): Promise<void> => {
    signal.throwIfAborted();
    if (free > 0) {
      free--;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const abort = () => {
      waiting.delete(resolve);
      reject(signal.reason);
    };
    waiting.add(resolve);
    signal.addEventListener("abort", abort, { once: true });
    await promise.finally(() => signal.removeEventListener("abort", abort));
  };
  const giveBack = () => {
    const [next] = waiting;
    if (next === undefined) free++;
    else {
      waiting.delete(next);
      next();
    }
  };
  const attempt = async (job: CodeJob, signal: AbortSignal): Promise<CodeOutcome> => {
    await turn(signal);
    const process = idle.pop() ?? start();
    try {
      return await process.run(job, signal);
    } finally {
      if (process.usable() && process.jobs < jobsPerProcess) idle.push(process);
      else {
        void end(process);
        // The next job need not wait for a start.
        if (!closing.signal.aborted) idle.push(start());
      }
      giveBack();
    }
  };

  return {
    async run(job, callerSignal) {
      const signal = AbortSignal.any([callerSignal, closing.signal]);
      for (let tries = 1; ; tries++) {
        try {
          return await attempt(job, signal);
        } catch (error) {
          if (!(error instanceof SandboxLost)) throw error;
          onLost?.(error);
          if (error.began || tries > 1) throw error;
        }
      }
    },
    processIds: () => [...all].flatMap(({ pid }) => pid ?? []),
    async close() {
      closing.abort(new Error("the sandbox is closed"));
      await Promise.all([...all].map(end));
    },
  };
}
