import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, statSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { freePort } from "@maru/store/embedded";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { until } from "./setup/house.ts";

// Each starts Maru several times over.
vi.setConfig({ testTimeout: 120_000 });

let folder: string;
const children: ChildProcess[] = [];
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "maru-standalone-"));
});
afterAll(() => {
  for (const child of children) child.kill("SIGKILL");
  rmSync(folder, { recursive: true, force: true });
});

/** `npm start` without npm, with a data folder of its own and neither Postgres nor Redis given. */
function start(args: string[], env: Record<string, string>) {
  const { DATABASE_URL: _d, REDIS_URL: _r, ...rest } = process.env;
  const child = spawn(process.execPath, [resolve("services/standalone/src/main.ts"), ...args], {
    env: {
      ...rest,
      MARU_DATA_DIR: join(folder, "data"),
      SIMULATOR_FIRST_BYTE_MS: "0",
      SIMULATOR_TOKENS_PER_SECOND: "0",
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  children.push(child);
  const output = { text: "" };
  for (const stream of [child.stdout, child.stderr])
    stream?.on("data", (data) => {
      output.text += data;
    });
  const exit = once(child, "exit").then(([code]) => code as number | null);
  return { child, output, exit };
}

test("does the main job, stays up, stops cleanly, and goes on with everything kept", async () => {
  const port = String(await freePort());
  const first = start([], { PORT: port });
  await until("it is up", () => first.output.text.includes("Ctrl-C stops it") || first.child.exitCode !== null);
  expect(first.output.text).toMatch(/Model: K-EXAONE, simulated/);
  expect(first.output.text).toMatch(
    /thinking .*\n(?:.*\n)*? {2}call {6}get_weather \{"city": ?"서울"\}\n {2}result {4}\{.*temperature_c.*\}\n(?:.*\n)*? {2}answer .*서울/,
  );
  const shown =
    readFileSync("README.md", "utf8").match(/^ {2}(?:create|call|result|answer|completed|tokens)\b.*$/gm) ?? [];
  expect(shown.length).toBeGreaterThan(6);
  for (const told of shown) expect(first.output.text).toContain(told.replace(/; through .*|…$/, ""));
  expect(first.output.text).toMatch(/tokens 0 of 10,000,000 used[\s\S]*tokens \d{3} of 10,000,000 used/);
  const key = /export MARU_API_KEY=(\S+)/.exec(first.output.text)?.[1] as string;
  const runs = async () =>
    (
      (await (
        await fetch(`http://127.0.0.1:${port}/v1/runs`, { headers: { authorization: `Bearer ${key}` } })
      ).json()) as { data: unknown[] }
    ).data;
  expect(await runs()).toHaveLength(1);
  expect(statSync(join(folder, "data", "state.json")).mode & 0o777).toBe(0o600);

  const second = start([], { PORT: String(await freePort()) });
  expect(await second.exit).toBe(1);
  expect(second.output.text).toMatch(/already running/);

  first.child.kill("SIGINT");
  expect(await first.exit).toBe(0);
  expect(first.output.text).toMatch(/Everything is kept/);

  const again = start([], { PORT: port });
  await until("it is up again", () => again.output.text.includes("Ctrl-C stops it") || again.child.exitCode !== null);
  expect(again.output.text).toMatch(/unchanged: deployment weather, revision 1/);
  expect(again.output.text).toContain(key);
  expect(await runs()).toHaveLength(2);
  // Killed without a word, it leaves no database behind that would be in the way of the next start.
  again.child.kill("SIGKILL");
  await again.exit;
  const once = start(["--once"], { PORT: port });
  expect(await once.exit).toBe(0);
  expect(once.output.text).toMatch(/completed \(simulated answer\)/);
});

test("a taken port says so", async () => {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  const run = start(["--once"], { PORT: String(port) });
  expect(await run.exit).toBe(1);
  expect(run.output.text).toMatch(new RegExp(`Port ${port} is taken`));
  server.close();
});

test("a wrong argument or variable says which", async () => {
  const argument = start(["--twice"], {});
  expect([await argument.exit, argument.output.text]).toEqual([1, expect.stringContaining("Unknown argument --twice")]);
  const variable = start(["--once"], { PORT: "eighty" });
  expect([await variable.exit, variable.output.text]).toEqual([
    1,
    expect.stringContaining("PORT must be a whole number"),
  ]);
});

test("a run in flight at the stop is handed back and finished after the next start", async () => {
  const port = String(await freePort());
  const slow = start([], { PORT: port, WORKER_DRAIN_MS: "100" });
  await until("it is up", () => slow.output.text.includes("Ctrl-C stops it") || slow.child.exitCode !== null);
  const key = /export MARU_API_KEY=(\S+)/.exec(slow.output.text)?.[1] as string;
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const created = (await (
    await fetch(`http://127.0.0.1:${port}/v1/runs`, {
      method: "POST",
      headers,
      body: JSON.stringify({ deployment: "weather", input: "#sim slow 3000\n서울 날씨" }),
    })
  ).json()) as { id: string };
  const status = async () =>
    ((await (await fetch(`http://127.0.0.1:${port}/v1/runs/${created.id}`, { headers })).json()) as { status: string })
      .status;
  await until("the run runs", async () => (await status()) === "running");
  slow.child.kill("SIGTERM");
  expect(await slow.exit).toBe(0);
  const next = start([], { PORT: port });
  await until("it is up again", () => next.output.text.includes("Ctrl-C stops it") || next.child.exitCode !== null);
  await until("the run is completed", async () => (await status()) === "completed");
  next.child.kill("SIGINT");
  expect(await next.exit).toBe(0);
});
