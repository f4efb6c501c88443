import { type CatalogueModel, Problem, type ProblemDetail } from "@maru/contract";
import { expect, test } from "vitest";
import { normaliseManifest } from "./normalise.ts";
import { parseManifests } from "./parse.ts";
import { schemaErrors } from "./validate.ts";

const HEAD = "apiVersion: maru/v1\nkind: Agent\nmetadata: { name: a }\nspec:\n  instructions: hi\n";
const deps = {
  findModel: () => ({ id: "k-exaone", thinking: {}, sampling: {}, maxOutputTokens: {} }) as unknown as CatalogueModel,
  modelIds: ["k-exaone"],
  isServed: () => true,
  checkSchema: () => [],
  defaultModelId: "k-exaone",
  checkTool: () => [],
};
const problemOf = (work: () => unknown): Problem => {
  try {
    work();
  } catch (error) {
    if (error instanceof Problem) return error;
    throw error;
  }
  throw new Error("nothing was refused");
};

test("of thousands of mistakes only those that are told are looked for in the text", () => {
  const [manifest] = parseManifests(HEAD + Array.from({ length: 5_000 }, (_, n) => `x${n}: 1`).join("\n"), "yaml");
  let looked = 0;
  const locate = (pointer: string) => {
    looked++;
    return manifest?.locate(pointer);
  };
  const problem = problemOf(() => normaliseManifest(manifest?.value, { ...deps, locate }));
  expect(problem.detail).toContain("(and 4999 more)");
  expect(problem.extras.errors).toHaveLength(50);
  expect(problem.extras.errors?.[49]).toMatchObject({ pointer: "/x49", line: 55, column: 1 });
  expect(looked).toBe(50);
});

test("what is wrong with one entry of a map says nothing of another's", () => {
  const approvals = "{ a: sometimes, b: { when: 1 }, c: 7 }";
  const [manifest] = parseManifests(
    `${HEAD}  tools: [{ name: m, type: mcp, url: "https://m.example.com", approvals: ${approvals} }]`,
    "yaml",
  );
  const found = schemaErrors(manifest?.value).filter(({ pointer }) => pointer.startsWith("/spec/tools/0/approvals"));
  expect(
    found.map(({ pointer, detail }: ProblemDetail) => [pointer.slice("/spec/tools/0/approvals".length), detail]),
  ).toEqual([
    ["/a", "Must be always, never or a map with when, not a text."],
    ["/b/when", "Must be a map, not a number."],
    ["/c", "Must be always, never or a map with when, not a number."],
  ]);
});

test.each(["- ", "? ", "-\t", "- ? ", ": - "])(
  "text that nests by %j on one line is told so before it is read",
  (sign) => {
    expect(problemOf(() => parseManifests(`a: 1\n${sign.repeat(15_000)}`, "yaml"))).toMatchObject({
      code: "manifest_too_deep",
      extras: { errors: [{ line: 2, column: 1 }] },
    });
  },
);

test("separators are counted before anything is read, and those of the content are none", () => {
  expect(problemOf(() => parseManifests("--- \n".repeat(101), "yaml"))).toMatchObject({
    code: "limit_out_of_range",
    detail: "20 manifests may be deployed together, and this has 101 separators.",
  });
  const rules = `${HEAD}  description: |\n${"    ---\n".repeat(200)}`;
  expect(parseManifests(`---\n${rules}---\n${HEAD}---\n`, "yaml")).toHaveLength(2);
});
