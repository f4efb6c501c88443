import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { describe, expect, test } from "vitest";

/** What a package may import. `types` are imports that leave nothing at run time. */
const FLOORS: Record<string, { may: readonly string[]; types?: readonly string[] }> = {
  contract: { may: [] },
  domain: { may: ["contract"] },
  model: { may: ["contract", "domain"] },
  tools: { may: ["contract", "domain"] },
  store: { may: ["contract", "domain"] },
  queue: { may: ["contract", "domain"] },
  engine: { may: ["contract", "domain"], types: ["model", "tools", "store", "queue"] },
  // Generated from what the contract says, and published without it.
  sdk: { may: [] },
  cli: { may: ["contract", "sdk"] },
  gateway: { may: ["contract", "domain", "model", "tools", "store", "queue"] },
  worker: { may: ["contract", "domain", "model", "tools", "store", "queue", "engine"] },
  simulator: { may: ["contract"] },
  // It composes the services; nobody else may know one.
  standalone: {
    may: ["contract", "domain", "model", "queue", "store", "tools", "sdk", "gateway", "worker", "simulator"],
  },
};
/** Who may speak to what lies outside. */
const OUTSIDE: Record<string, readonly string[]> = {
  bullmq: ["queue"],
  ioredis: ["queue"],
  pg: ["store", "queue"],
  "@prisma/client": ["store"],
  "@prisma/adapter-pg": ["store"],
  openai: ["model"],
  undici: ["tools"],
  "@modelcontextprotocol/client": ["tools"],
  "@fastify/jwt": ["gateway"],
};

interface Import {
  readonly file: string;
  readonly target: string;
  readonly typeOnly: boolean;
}

function sources(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith(".ts") && !entry.name.endsWith(".test.ts"))
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => !file.includes("/generated/") && !file.includes("/node_modules/"));
}

function importsOf(file: string): Import[] {
  const text = readFileSync(file, "utf8").replace(/\/\*[\s\S]*?\*\//g, "");
  const found: Import[] = [];
  for (const [, typeOnly, names = "", target = ""] of text.matchAll(
    /^(?:import|export)\s+(type\s+)?([^;"'=]*?)\s*\bfrom\s*["']([^"']+)["']/gm,
  )) {
    const inner = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
    const allTypes = inner?.split(",").every((name) => name.trim() === "" || name.trim().startsWith("type ")) ?? false;
    found.push({ file, target, typeOnly: typeOnly !== undefined || allTypes });
  }
  for (const [, target = ""] of text.matchAll(/^import\s*["']([^"']+)["']/gm))
    found.push({ file, target, typeOnly: false });
  for (const [, target = ""] of text.matchAll(/\bimport\(\s*["']([^"']+)["']\s*\)/g))
    found.push({ file, target, typeOnly: false });
  return found;
}

const packages = ["packages", "services"].flatMap((group) =>
  readdirSync(group).map((name) => ({ name, folder: join(group, name) })),
);

describe.each(packages)("$name", ({ name, folder }) => {
  const files = sources(join(folder, "src"));
  const imports = files.flatMap(importsOf);
  const manifest = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };

  test("has source to judge", () => {
    expect(files.length).toBeGreaterThan(0);
    expect(FLOORS[name]).toBeDefined();
  });

  test("imports only the floors below it", () => {
    const floor = FLOORS[name];
    const upward = imports
      .filter(({ target }) => target.startsWith("@maru/"))
      .filter(({ target, typeOnly }) => {
        const other = target.split("/")[1] as string;
        return !(floor?.may.includes(other) || (typeOnly && floor?.types?.includes(other)));
      });
    expect(upward).toEqual([]);
  });

  test("declares every package it imports, and stays inside its own folder", () => {
    const declared = new Set(Object.keys(manifest.dependencies ?? {}));
    const outside = imports.filter(({ file, target }) => {
      if (target.startsWith(".")) return relative(resolve(folder), resolve(dirname(file), target)).startsWith("..");
      if (target.startsWith("node:")) return false;
      const [scope = "", rest = ""] = target.split("/");
      return !declared.has(target.startsWith("@") ? `${scope}/${rest}` : scope);
    });
    expect(outside).toEqual([]);
  });

  test("leaves what lies outside to the package that is made for it", () => {
    const strangers = imports.filter(({ target }) =>
      Object.entries(OUTSIDE).some(
        ([library, users]) => (target === library || target.startsWith(`${library}/`)) && !users.includes(name),
      ),
    );
    expect(strangers).toEqual([]);
  });

  test("reads the environment in its configuration only", () => {
    const readers = files.filter(
      (file) =>
        /process\.env/.test(readFileSync(file, "utf8")) &&
        !/\/(?:config|main|[a-z]+-config|[a-z]+-main)\.ts$/.test(file),
    );
    expect(readers).toEqual([]);
  });
});

test("nothing in the tree names a registry's host, a path of a machine, or a secret", () => {
  const files = execFileSync("git", ["ls-files"], { encoding: "utf8" }).trim().split("\n");
  expect(files.length).toBeGreaterThan(50);
  const words = new RegExp(
    [
      "registry\\.np" + "mjs",
      "/wo" + "rk/",
      "/ro" + "ot/",
      "flp_" + "[A-Za-z0-9]{10}",
      "maru_[0-9A-Za-z]{12}_" + "[0-9A-Za-z]{43}",
    ].join("|"),
  );
  const naming = files.filter((file) => {
    const text = readFileSync(file, "utf8");
    return words.test(text);
  });
  expect(naming).toEqual([]);
});
