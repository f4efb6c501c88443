import { readdirSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { expect, test } from "vitest";

const root = resolve(import.meta.dirname, "../..");

function testFiles(folder: string): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.name === "node_modules" || entry.name.startsWith(".")) return [];
    const path = join(folder, entry.name);
    return entry.isDirectory() ? testFiles(path) : entry.name.endsWith(".test.ts") ? [path] : [];
  });
}

test("every item of the wire checklist has a test that begins with its name", () => {
  const items = [
    ...readFileSync(join(root, "docs/wire-checklist.md"), "utf8").matchAll(/^- \*\*([RASE]\d+)\*\*/gm),
  ].map(([, name]) => name as string);
  expect(items).toHaveLength(31);
  const titles = ["packages", "tests"]
    .flatMap((folder) => testFiles(join(root, folder)))
    .flatMap((file) => [
      ...readFileSync(file, "utf8").matchAll(
        /(?:test|describe)(?:\.each\([\s\S]*?\))?\(\s*["'`]((?:[RASE]\d+(?:, )?)+): /g,
      ),
    ])
    .flatMap(([, names]) => (names as string).split(", "));
  expect(items.filter((item) => !titles.includes(item))).toEqual([]);
});
