import type { ProblemDetail } from "@maru/contract";
import { closest } from "fastest-levenshtein";

/** A version of the manifest's format. Versions stand oldest first; the last is the one the normaliser reads. */
export interface ManifestVersion {
  /** As `apiVersion` names it. */
  readonly name: string;
  /** Makes of a manifest of this version one of the next. Not there for the last. */
  readonly upgrade?: (manifest: Record<string, unknown>) => Upgraded;
}

export interface Upgraded {
  /** Its `apiVersion` is set by the caller. */
  readonly manifest: Record<string, unknown>;
  /** Pointers that stand elsewhere now: by the new one, the old one. What is below them moved along. */
  readonly moved: Readonly<Record<string, string>>;
}

export const MANIFEST_VERSIONS: readonly ManifestVersion[] = [{ name: "maru/v1" }];

export interface CurrentManifest {
  readonly manifest: unknown;
  /** That the version is an old one. */
  readonly warnings: readonly ProblemDetail[];
  /** Where what a pointer of the current version leads to stood in what was written. */
  written(pointer: string): string;
}

/**
 * A manifest as the current version would have it. One without an `apiVersion`, or that is no map, is left as it is.
 * @returns what is wrong, when the version is not known
 */
export function toCurrentVersion(
  manifest: unknown,
  versions: readonly ManifestVersion[] = MANIFEST_VERSIONS,
): CurrentManifest | ProblemDetail {
  const names = versions.map(({ name }) => name);
  const current = names.at(-1) as string;
  const version = versionOf(manifest);
  if (version === undefined) return { manifest, warnings: [], written: asItIs };
  const index = names.indexOf(String(version));
  if (index < 0)
    return {
      pointer: "/apiVersion",
      code: "unsupported_version",
      detail: `There is no apiVersion ${JSON.stringify(version)}: known ${names.length === 1 ? "is" : "are"} ${names.join(", ")}.`,
      suggestion: closest(String(version), names),
    };
  let value = manifest as Record<string, unknown>;
  const steps: Upgraded[] = [];
  for (const { upgrade } of versions.slice(index, -1)) {
    if (upgrade === undefined) throw new Error(`${version} can't be upgraded`);
    const step = upgrade(value);
    steps.push(step);
    value = step.manifest;
  }
  if (steps.length === 0) return { manifest, warnings: [], written: asItIs };
  return {
    manifest: { ...value, apiVersion: current },
    warnings: [
      {
        pointer: "/apiVersion",
        code: "deprecated_version",
        detail: `${version} is an old version: it was read as ${current}. What it is in that version, GET …/manifest shows.`,
        suggestion: current,
      },
    ],
    written: (pointer) => steps.reduceRight((place, { moved }) => before(place, moved), pointer),
  };
}

const asItIs = (pointer: string): string => pointer;

const versionOf = (manifest: unknown): unknown =>
  typeof manifest === "object" && manifest !== null && !Array.isArray(manifest)
    ? (manifest as { apiVersion?: unknown }).apiVersion
    : undefined;

function before(pointer: string, moved: Readonly<Record<string, string>>): string {
  const to = Object.keys(moved)
    .filter((place) => pointer === place || pointer.startsWith(`${place}/`))
    .sort((a, b) => b.length - a.length)[0];
  return to === undefined ? pointer : `${moved[to]}${pointer.slice(to.length)}`;
}
