import { spawn, spawnSync } from "node:child_process";
import { freePort } from "@maru/store/embedded";
import { Redis } from "ioredis";

/** A Redis of our own on a free loopback port (or this one) that dies with us; null when `redis-server` is not on PATH. */
export async function startRedis(folder: string, at?: number): Promise<{ url: string; stop(): Promise<void> } | null> {
  if (spawnSync("redis-server", ["--version"]).status !== 0) return null;
  const port = at ?? (await freePort());
  // The shell ends the server when our end of its standard input closes, however we ended.
  const keeper = spawn(
    "sh",
    [
      "-c",
      '"$@" </dev/null >/dev/null 2>&1 & child=$!; cat >/dev/null; kill -9 $child; wait $child 2>/dev/null',
      "keeper",
      "redis-server",
      "--bind",
      "127.0.0.1",
      "--port",
      String(port),
      "--save",
      "",
      "--appendonly",
      "no",
      "--dir",
      folder,
    ],
    { stdio: ["pipe", "ignore", "ignore"], detached: true },
  );
  const gone = new Promise<void>((done) => keeper.once("exit", () => done()));
  const url = `redis://127.0.0.1:${port}`;
  const probe = new Redis(url, { retryStrategy: () => 50, maxRetriesPerRequest: 100 });
  probe.on("error", () => {});
  await probe.ping();
  probe.disconnect();
  keeper.unref();
  return {
    url,
    stop: async () => {
      // Unreferenced, its end would not be waited for, nor anything after it.
      keeper.ref();
      keeper.stdin?.end();
      await gone;
    },
  };
}
