import { type ChildProcess, fork, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

const RESTART_MS = 200;

/** A process that is kept: whatever ends it, a new one takes its place until it is closed. */
export interface KeptProcess {
  /** Resolves when it serves; answers what it said then. */
  ready(): Promise<unknown>;
  /** Whether it serves now: started, not stopped. */
  running(): boolean;
  /** SIGKILL; a fresh process is started. */
  kill(): void;
  /** SIGSTOP for so long, then SIGCONT; resolves when it goes on. */
  pause(ms: number): Promise<void>;
  /** How often it ended after it had served, though nobody killed it. */
  ownDeaths(): number;
  close(): Promise<void>;
}

/**
 * Starts a script with one argument and keeps it. One that ends before it serves is tried again: at its start a service
 * may refuse to work without its database. It dies with us, since the script exits when its IPC channel closes.
 */
export function keepProcess(options: { script: string; argument: string; logFile: string }): KeptProcess {
  let child: ChildProcess | null = null;
  let ready: Promise<unknown> = Promise.resolve();
  let serving = false;
  let paused = false;
  let deaths = 0;
  let killed = false;
  let closed = false;

  const start = async (): Promise<unknown> => {
    while (!closed) {
      const log = openSync(options.logFile, "a");
      const next = fork(resolve(options.script), [options.argument], { stdio: ["ignore", log, log, "ipc"] });
      closeSync(log);
      child = next;
      killed = false;
      const gone = once(next, "exit");
      void gone.then(() => {
        if (!serving || child !== next) return;
        serving = false;
        if (!killed && !closed) deaths++;
        if (!closed) ready = start();
      });
      const first = await Promise.race([once(next, "message"), gone.then(() => null)]);
      if (first !== null) {
        serving = true;
        return first[0];
      }
      await sleep(RESTART_MS);
    }
    return null;
  };
  ready = start();

  return {
    ready: () => ready,
    running: () => serving && !paused,
    kill() {
      killed = true;
      child?.kill("SIGKILL");
    },
    async pause(ms) {
      paused = true;
      // A shell of its own stops it and wakes it: were it us, our own death would leave it stopped for ever.
      const script = 'kill -STOP "$0" && sleep "$1" && kill -CONT "$0"';
      const shell = spawn("sh", ["-c", script, String(child?.pid), String(ms / 1_000)], { stdio: "ignore" });
      await once(shell, "exit");
      paused = false;
    },
    ownDeaths: () => deaths,
    async close() {
      closed = true;
      const last = child;
      if (last === null || last.exitCode !== null || last.signalCode !== null) return;
      const gone = once(last, "exit");
      last.kill("SIGKILL");
      await gone;
    },
  };
}
