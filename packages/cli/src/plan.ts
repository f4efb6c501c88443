import type { DeployResult } from "@maru/sdk";
import { harmless } from "./format.ts";
import type { Bundle } from "./manifests.ts";
import type { Output } from "./output.ts";

type Change = DeployResult["changes"][number];

const SIGNS = { add: ["+", "green"], remove: ["-", "red"], change: ["~", "yellow"] } as const;
const ACTIONS = { create: "green", update: "yellow", unchanged: "dim" } as const;
const PLANNED = { create: "would create", update: "would update", unchanged: "unchanged" } as const;

/** What deploying manifests changes, or would; `all` shows the changes of each. */
export function showResults(results: readonly DeployResult[], bundle: Bundle, output: Output, all = true): void {
  const { out, err } = output;
  results.forEach(({ action, deployment, revision, changes, warnings, dry_run: planned }, index) => {
    const document = index + 1;
    const name = deployment?.name ?? bundle.place({ pointer: "", document }).file;
    const which = revision === null || (planned && action !== "unchanged") ? "" : `, revision ${revision}`;
    output.line(
      `${out.style("bold", name)}: ${out.style(ACTIONS[action], planned ? PLANNED[action] : action)}${which}`,
    );
    // All of a new one is new.
    if (all && action !== "create") showChanges(changes, output);
    for (const { pointer, detail, suggestion, ...place } of all ? warnings : []) {
      const { file, line, column } = bundle.place({ pointer, document, ...place });
      const at = line === undefined ? `${file} ${pointer}` : `${file}:${line}:${column}`;
      const said = `${at} ${detail}${suggestion === undefined ? "" : ` ${suggestion}`}`;
      output.note(`${err.style("yellow", "warning:")} ${harmless(said)}`);
    }
  });
}

export function showChanges(changes: readonly Change[], { out, line }: Output): void {
  for (const { op, path, before, after, diff } of changes) {
    const [sign, style] = SIGNS[op];
    if (diff !== undefined) {
      line(`  ${out.style(style, `${sign} ${harmless(path)}`)}`);
      showDiff(diff, { out, line });
      continue;
    }
    const values =
      op === "change" ? `${written(before)} → ${written(after)}` : written(op === "remove" ? before : after);
    line(`  ${out.style(style, `${sign} ${harmless(path)}`)} ${harmless(values)}`);
  }
}

const written = (value: unknown): string => JSON.stringify(value) ?? "";

/** A unified diff, in colour. */
function showDiff(diff: string, { out, line }: Pick<Output, "out" | "line">): void {
  for (const text of harmless(diff).trimEnd().split("\n")) {
    if (/^(---|\+\+\+) /.test(text)) continue;
    const style = text.startsWith("+") ? "green" : text.startsWith("-") ? "red" : text.startsWith("@@") ? "cyan" : null;
    line(`      ${style === null ? text : out.style(style, text)}`);
  }
}
