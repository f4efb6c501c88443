import { fork } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { afterEach, describe, expect, test } from "vitest";
import type { CodeJob } from "./protocol.ts";
import { createSandbox, type Sandbox, type SandboxOptions } from "./sandbox.ts";

const open: Sandbox[] = [];
const opened = (options: SandboxOptions = {}): Sandbox => {
  const sandbox = createSandbox(options);
  open.push(sandbox);
  return sandbox;
};
afterEach(async () => {
  for (const sandbox of open.splice(0)) await sandbox.close();
});

const never = new AbortController().signal;
const job = (source: string, timeoutMs = 20_000): CodeJob => ({
  kind: "body",
  source,
  input: "null",
  timeoutMs,
  memoryBytes: 32 << 20,
});
const ENDLESS = job("for (;;) {}");
const ONE = { ok: true, output: "1", console: "" };
const lives = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};
const until = async (what: string, holds: () => boolean): Promise<void> => {
  for (let tries = 0; tries < 1_000; tries++) {
    if (holds()) return;
    await new Promise((done) => setTimeout(done, 20));
  }
  throw new Error(`never happened: ${what}`);
};
/** Jiffies of processor time: above the start's own, the code is in its loop. */
const cpu = (pid: number): number => {
  const [, rest = ""] = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ");
  const fields = rest.split(" ");
  return Number(fields[11]) + Number(fields[12]);
};
/** Starts an endless job in a warm process; resolves once it has spent time in its loop. */
async function looping(sandbox: Sandbox, signal = never) {
  expect(await sandbox.run(job("return 1"), never)).toEqual(ONE);
  const [pid] = sandbox.processIds() as [number];
  const before = cpu(pid);
  const outcome = sandbox.run(ENDLESS, signal).then(
    (result) => ({ result }),
    (error: unknown) => ({ error }),
  );
  await until("the code runs", () => cpu(pid) > before + 20);
  return { pid, outcome };
}

const linux = process.platform === "linux";

describe.skipIf(!linux)(`a sandbox process${linux ? "" : " (not run: it reads /proc)"}`, () => {
  test("is started when first needed and gone when the sandbox is closed", async () => {
    const sandbox = opened();
    expect(sandbox.processIds()).toEqual([]);
    await sandbox.run(job("return 1"), never);
    const pids = sandbox.processIds();
    expect(pids.length).toBe(1);
    await sandbox.close();
    expect(pids.filter(lives)).toEqual([]);
    await expect(sandbox.run(job("return 1"), never)).rejects.toThrow("the sandbox is closed");
  });

  test("killed while the code runs is a lost call, which is not repeated, and the next call has a new one", async () => {
    const lost: string[] = [];
    const sandbox = opened({ processes: 1, onLost: ({ message }) => lost.push(message) });
    const { pid, outcome } = await looping(sandbox);
    process.kill(pid, "SIGKILL");
    expect(await outcome).toMatchObject({ error: { name: "SandboxLost", began: true } });
    expect(lost.length).toBe(1);
    expect(await sandbox.run(job("return 1"), never)).toEqual(ONE);
    expect(sandbox.processIds()).not.toContain(pid);
  });

  test("killed before the code began is replaced, and the call does not notice", async () => {
    const lost: boolean[] = [];
    const sandbox = opened({ processes: 1, onLost: ({ began }) => lost.push(began) });
    const outcome = sandbox.run(job("return 1"), never);
    await until("it is being started", () => sandbox.processIds().length === 1);
    process.kill(sandbox.processIds()[0] as number, "SIGKILL");
    expect(await outcome).toEqual(ONE);
    expect(lost).toEqual([false]);
  });

  test("is killed at once when its run is stopped", async () => {
    const sandbox = opened({ processes: 1 });
    const stop = new AbortController();
    const { pid, outcome } = await looping(sandbox, stop.signal);
    const reason = new Error("cancelled");
    stop.abort(reason);
    expect(await outcome).toEqual({ error: reason });
    await until("it is gone", () => !lives(pid));
    expect(await sandbox.run(job("return 1"), never)).toEqual(ONE);
  });

  test("is waited for in the order of asking, and a call that is stopped while it waits is passed over", async () => {
    const sandbox = opened({ processes: 1 });
    const order: string[] = [];
    const call = (name: string, signal = never) =>
      sandbox.run(job(`return "${name}"`), signal).then(({ ok }) => order.push(ok ? name : "failed"));
    const stop = new AbortController();
    const first = call("a");
    const second = call("b", stop.signal);
    const third = call("c");
    stop.abort(new Error("stopped"));
    await expect(second).rejects.toThrow("stopped");
    await Promise.all([first, third]);
    expect(order).toEqual(["a", "c"]);
    expect(sandbox.processIds().length).toBe(1);
  });

  test("is one for each call at a time", async () => {
    const sandbox = opened({ processes: 2 });
    const outcomes = await Promise.all(Array.from({ length: 12 }, () => sandbox.run(job("return 1"), never)));
    expect(outcomes).toEqual(Array(12).fill(ONE));
    expect(sandbox.processIds().length).toBe(2);
  });

  test("is replaced after its number of calls, and after one that had to be killed", async () => {
    const sandbox = opened({ processes: 1, jobsPerProcess: 3 });
    const seen = new Set<number>();
    for (let call = 0; call < 7; call++) {
      expect(await sandbox.run(job("return 1"), never)).toEqual(ONE);
      for (const pid of sandbox.processIds()) seen.add(pid);
    }
    expect(seen.size).toBeGreaterThanOrEqual(3);
    const native = job("return Array.prototype.lastIndexOf.call({ length: 2 ** 53 - 1 }, 1)", 200);
    expect(await sandbox.run(native, never)).toMatchObject({ code: "code_timeout" });
    expect(await sandbox.run(job("return 1"), never)).toEqual(ONE);
  });

  test("has no environment, and no leave to write a file or start a process", async () => {
    const sandbox = opened({ processes: 1 });
    await sandbox.run(job("return 1"), never);
    const [pid] = sandbox.processIds() as [number];
    const environment = readFileSync(`/proc/${pid}/environ`, "utf8").split("\0").filter(Boolean);
    expect(environment.map((line) => line.split("=")[0]).sort()).toEqual([
      "NODE_CHANNEL_FD",
      "NODE_CHANNEL_SERIALIZATION_MODE",
      "TZ",
    ]);
    const [, ...options] = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
    expect(options).toContain("--permission");
    expect(options.filter((option) => option.startsWith("--allow-")).map((option) => option.split("=")[0])).toEqual([
      "--allow-worker",
      ...options.filter((option) => option.startsWith("--allow-fs-read")).map(() => "--allow-fs-read"),
    ]);
  });

  test("dies with its parent, even when that is killed while the code is in a native loop", async () => {
    const parent = fork(fileURLToPath(new URL("./testing/orphan-parent.ts", import.meta.url)), [], { execArgv: [] });
    const [pid] = (await once(parent, "message")) as [number];
    const before = cpu(pid);
    await until("the code runs", () => cpu(pid) > before + 20);
    parent.kill("SIGKILL");
    await until("the orphan is gone", () => !lives(pid));
  });
});

describe.skipIf(!linux)("many calls", () => {
  /** The default run is short; SANDBOX_CALLS=1000 is the long form. */
  const calls = Number(process.env.SANDBOX_CALLS ?? 150);
  const rssMb = (pid: number) =>
    Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? Number.NaN) / 1_024;

  test(`${calls} calls in one process leave it and its parent as large as they were`, {
    timeout: 600_000,
  }, async () => {
    const sandbox = opened({ processes: 1, jobsPerProcess: calls * 2 });
    const call = () => sandbox.run(job("return Array.from({ length: 1000 }, (_, i) => i).length"), never);
    for (let warm = 0; warm < 50; warm++) await call();
    const [pid] = sandbox.processIds() as [number];
    const before = { child: rssMb(pid), parent: rssMb(process.pid) };
    for (let count = 0; count < calls; count++) expect(await call()).toMatchObject({ ok: true, output: "1000" });
    expect(sandbox.processIds()).toEqual([pid]);
    expect(rssMb(pid) - before.child).toBeLessThan(64);
    expect(rssMb(process.pid) - before.parent).toBeLessThan(64);
  });
});
