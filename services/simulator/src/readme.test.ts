import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { FAULTS } from "./faults/faults.ts";

const readme = readFileSync(new URL("../README.md", import.meta.url), "utf8");

test("the README's fault table is the table of faults", () => {
  const answers = { any: "any", call: "calls", text: "final texts", think: "thinking" };
  const rows = Object.entries(FAULTS).map(
    ([name, { layer, streams, on, summary }]) =>
      `| \`${name}\` | ${layer} | ${streams} | ${answers[on]} | ${summary} |`,
  );
  const table = ["| fault | layer | calls | answers | what goes wrong |", "|---|---|---|---|---|", ...rows].join("\n");
  expect(readme).toContain(table);
});

test("the README names every environment variable of the configuration", () => {
  const config = readFileSync(new URL("config.ts", import.meta.url), "utf8");
  const names = new Set(config.match(/SIMULATOR_[A-Z_]+/g));
  expect([...names].filter((name) => !readme.includes(`\`${name}\``))).toEqual([]);
});
