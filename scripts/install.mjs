// Makes the tree ready to run: dependencies, the pinned Node, Prisma's client. Plain JavaScript for any Node from 18 on.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Kept in step with the lock file's format. */
const PNPM = "pnpm@12.21.0";
const LOCK_STALE_MS = 10 * 60_000;

/** Installs what is missing; does nothing when the stamp says that nothing changed since the last time. */
export async function install(root) {
  const stampFile = join(root, "node_modules", ".maru-installed");
  const stamp = fingerprint(root);
  const current = () =>
    existsSync(stampFile) && readFileSync(stampFile, "utf8") === stamp && existsSync(nodeBinary(root));
  if (current()) return;
  mkdirSync(join(root, "node_modules"), { recursive: true });
  const unlock = await lock(join(root, "node_modules", ".maru-installing"));
  try {
    if (current()) return;
    console.log("Setting up: installing dependencies from the npm registry (about half a minute, once) …");
    run("npx", ["--yes", PNPM, "install", "--frozen-lockfile"], root);
    run(nodeBinary(root), [join(root, "node_modules", "prisma", "build", "index.js"), "generate"], root);
    writeFileSync(stampFile, stamp);
  } finally {
    unlock();
  }
}

/** The Node 24 of the npm package `node`. */
export function nodeBinary(root) {
  const name = process.platform === "win32" ? "node.exe" : "node";
  return join(root, "node_modules", "node", "bin", name);
}

function fingerprint(root) {
  const hash = createHash("sha256");
  for (const file of ["pnpm-lock.yaml", "package.json", "pnpm-workspace.yaml", "prisma/schema.prisma"])
    hash.update(readFileSync(join(root, file)));
  return hash.update(`${process.platform} ${process.arch}`).digest("hex");
}

/** Runs a command quietly; on failure shows what it printed and throws. */
function run(command, args, cwd) {
  const result = spawnSync(command, args, {
    cwd,
    encoding: "utf8",
    shell: process.platform === "win32",
    maxBuffer: 64 * 1024 * 1024,
    env: { ...process.env, CI: "true", PRISMA_HIDE_UPDATE_MESSAGE: "1" },
  });
  if (result.status === 0) return;
  process.stderr.write(`${result.stdout ?? ""}${result.stderr ?? ""}`);
  throw new Error(`${command} ${args.join(" ")} failed${result.error ? `: ${result.error.message}` : ""}`);
}

/** Two commands started together must not install at the same time; a lock left by a dead process is taken over. */
async function lock(folder) {
  for (;;) {
    try {
      mkdirSync(folder);
      return () => rmSync(folder, { recursive: true, force: true });
    } catch {
      const age = Date.now() - (statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? Date.now());
      if (age > LOCK_STALE_MS) rmSync(folder, { recursive: true, force: true });
      await new Promise((done) => setTimeout(done, 500));
    }
  }
}
