import { createHash } from "node:crypto";
import type { AgentSpec, PlanChange } from "@maru/contract";
import { createTwoFilesPatch } from "diff";

/** JSON with sorted keys (RFC 8785 for the values a manifest can hold): equal meaning gives equal bytes. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value) ?? "null";
  const entries = Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(",")}}`;
}

/** SHA-256 of the normalised manifest, hex: two manifests with one digest are the same revision. */
export function manifestDigest(spec: AgentSpec): string {
  return createHash("sha256").update(canonicalJson(spec)).digest("hex");
}

/** What a deploy would change, leaf by leaf; tools are matched by name, so moving one in the list is no change to it. */
export function diffSpecs(before: AgentSpec | null, after: AgentSpec): PlanChange[] {
  const old = before === null ? new Map<string, unknown>() : leaves(before);
  const now = leaves(after);
  const changes: PlanChange[] = [];
  const textDiff = textDiffs();
  for (const [path, value] of now) {
    if (!old.has(path)) changes.push({ path, op: "add", after: value });
    else if (canonicalJson(old.get(path)) !== canonicalJson(value))
      changes.push({ path, op: "change", before: old.get(path), after: value, ...textDiff(old.get(path), value) });
  }
  for (const [path, value] of old) if (!now.has(path)) changes.push({ path, op: "remove", before: value });
  return changes.sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0));
}

/** A longer text takes too long to compare. */
const LONG_TEXT = 131_072;
/** Lines that may differ in one text: comparing takes as long as their number's square, and all texts of a manifest share one such. */
const MAX_EDITS = 2_000;

/** Of texts of several lines: what changed in each, as long as there is work left for it. */
function textDiffs(): (before: unknown, after: unknown) => { diff?: string } {
  let workLeft = MAX_EDITS ** 2;
  return (before, after) => {
    if (typeof before !== "string" || typeof after !== "string") return {};
    if (before.length > LONG_TEXT || after.length > LONG_TEXT || !`${before}${after}`.trimEnd().includes("\n"))
      return {};
    const maxEditLength = Math.floor(Math.sqrt(workLeft));
    const patch = createTwoFilesPatch("before", "after", before, after, "", "", { context: 3, maxEditLength });
    if (patch === undefined) {
      workLeft -= maxEditLength ** 2;
      return {};
    }
    const diff = patch.slice(patch.indexOf("--- before"));
    workLeft = Math.max(0, workLeft - (diff.match(/^[+-]/gm)?.length ?? 0) ** 2);
    return { diff };
  };
}

function leaves(spec: AgentSpec): Map<string, unknown> {
  const found = new Map<string, unknown>();
  const walk = (value: unknown, path: string) => {
    if (Array.isArray(value) && path === "/tools") {
      for (const tool of value as { name: string }[]) walk(tool, `${path}/${escapePointer(tool.name)}`);
    } else if (typeof value === "object" && value !== null && !Array.isArray(value) && Object.keys(value).length > 0) {
      for (const [key, item] of Object.entries(value)) walk(item, `${path}/${escapePointer(key)}`);
    } else if (!(typeof value === "object" && value !== null && Object.keys(value).length === 0))
      found.set(path, value);
  };
  walk(spec, "");
  return found;
}

/** One reference token of a JSON pointer (RFC 6901 §3). */
export const escapePointer = (token: string | number): string =>
  String(token).replaceAll("~", "~0").replaceAll("/", "~1");
