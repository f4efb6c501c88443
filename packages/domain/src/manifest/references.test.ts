import { expect, test } from "vitest";
import { readLiterals, unresolved, writeLiterals } from "./references.ts";

const at = (description: string) => ({ spec: { description } });

test.each([
  ["$${env.X}", "${env.X}"],
  ["$$${env.X}", "$${env.X}"],
  ["a $${env.X} b $$${env.Y}", "a ${env.X} b $${env.Y}"],
  ["$$ {env.X} $env.X ${environment}", "$$ {env.X} $env.X ${environment}"],
])("%s is the text %s, and is written so", (written, meaning) => {
  expect(unresolved(at(written))).toEqual([]);
  expect(readLiterals(at(written))).toEqual(at(meaning));
  expect(writeLiterals(at(meaning))).toEqual(at(written));
});

test("a reference that was left is found in values, not in code", () => {
  const manifest = {
    spec: {
      description: "${env.A}",
      instructions: { file: "./a.md" },
      tools: [
        { source: "`${env.B}`", parameters: { enum: ["${env.C}"] }, request: { body: { file: "d" } } },
        { document: { inline: { a: "${env.E}" } } },
        { document: { file: "f" } },
      ],
    },
  };
  expect(unresolved(manifest).map(({ pointer }) => pointer)).toEqual([
    "/spec/description",
    "/spec/instructions",
    "/spec/tools/0/parameters/enum/0",
    "/spec/tools/2/document",
  ]);
});
