import { type CatalogueModel, Problem } from "@maru/contract";
import { expect, test } from "vitest";
import { normaliseManifest } from "./normalise.ts";
import { type ParsedManifest, parseManifests } from "./parse.ts";
import { type ManifestVersion, toCurrentVersion } from "./versions.ts";

/** Two versions that never were: the first had the prompt elsewhere, the second counted a run's steps elsewhere. */
const VERSIONS: readonly ManifestVersion[] = [
  {
    name: "maru/v0alpha",
    upgrade: ({ prompt, ...rest }) => ({
      manifest: { ...rest, spec: { ...(rest.spec as object), instructions: prompt } },
      moved: { "/spec/instructions": "/prompt" },
    }),
  },
  {
    name: "maru/v0beta",
    upgrade: ({ spec, ...rest }) => {
      const { maxSteps, ...others } = spec as { maxSteps?: number };
      return {
        manifest: { ...rest, spec: { ...others, limits: { steps: maxSteps } } },
        moved: { "/spec/limits/steps": "/spec/maxSteps" },
      };
    },
  },
  { name: "maru/v1" },
];
const deps = {
  findModel: () => ({ id: "k-exaone", thinking: {}, sampling: {}, maxOutputTokens: {} }) as unknown as CatalogueModel,
  modelIds: ["k-exaone"],
  isServed: () => true,
  checkSchema: () => [],
  defaultModelId: "k-exaone",
  checkTool: () => [],
  versions: VERSIONS,
};
const old = (maxSteps: unknown) => `apiVersion: maru/v0alpha
kind: Agent
metadata: { name: old }
prompt: Hello.
spec:
  maxSteps: ${maxSteps}
`;

test("a manifest of an older version is read as the current one, step by step, with a warning", () => {
  const [manifest] = parseManifests(old(7), "yaml");
  const { spec, warnings } = normaliseManifest(manifest?.value, deps);
  expect([spec.instructions, spec.limits.steps]).toEqual(["Hello.", 7]);
  expect(warnings).toEqual([
    {
      pointer: "/apiVersion",
      code: "deprecated_version",
      detail: expect.stringContaining("maru/v0alpha is an old version: it was read as maru/v1."),
      suggestion: "maru/v1",
    },
  ]);
});

test("what is wrong with it is found where it was written", () => {
  const [manifest] = parseManifests(old(0), "yaml") as [ParsedManifest];
  let problem: unknown;
  try {
    normaliseManifest(manifest.value, { ...deps, locate: manifest.locate });
  } catch (error) {
    problem = error;
  }
  expect(problem).toBeInstanceOf(Problem);
  expect((problem as Problem).extras.errors).toEqual([
    {
      pointer: "/spec/maxSteps",
      code: "limit_out_of_range",
      detail: "Must be a whole number from 1 to 200.",
      line: 6,
      column: 3,
    },
  ]);
});

test("the current version is left as it is", () => {
  const manifest = { apiVersion: "maru/v1", metadata: { name: "a" } };
  expect(toCurrentVersion(manifest, VERSIONS)).toMatchObject({ manifest, warnings: [] });
});

test("an unknown version names the known ones and the nearest", () => {
  expect(toCurrentVersion({ apiVersion: "maru/v0bet" }, VERSIONS)).toEqual({
    pointer: "/apiVersion",
    code: "unsupported_version",
    detail: 'There is no apiVersion "maru/v0bet": known are maru/v0alpha, maru/v0beta, maru/v1.',
    suggestion: "maru/v0beta",
  });
});
