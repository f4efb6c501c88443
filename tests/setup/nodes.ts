import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";

/** Comes along with this repository, so that what we publish is tried on it wherever the tests run. */
const OLDER = resolve("packages/sdk/node_modules/node22/bin/node");

/**
 * A Node of each major version that what we publish is for, by that version: the one that runs the tests, 22, and those from 20 on that
 * are on PATH.
 */
export const nodes = new Map<string, string>();
for (const path of [
  process.execPath,
  OLDER,
  ...(process.env.PATH ?? "").split(delimiter).map((folder) => join(folder, "node")),
]) {
  if (!existsSync(path)) continue;
  const [, major = "0"] = /^v(\d+)/.exec(execFileSync(path, ["--version"], { encoding: "utf8" })) ?? [];
  if (Number(major) >= 20 && !nodes.has(major)) nodes.set(major, path);
}
