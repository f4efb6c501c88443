import type { DeployResult, PlanChange } from "@maru/sdk";
import { harmless } from "./format.ts";
import type { Output } from "./output.ts";

const SIGNS = { add: ["+", "green"], remove: ["-", "red"], change: ["~", "yellow"] } as const;

/** What a deployment changes, or would. */
export function showPlan(result: DeployResult, file: string, output: Output): void {
  const { out } = output;
  const { action, deployment, revision, changes, warnings, dry_run: planned } = result;
  const name = deployment?.name ?? (file === "-" ? "standard input" : file);
  const which = revision === null || revision === undefined ? "" : `, revision ${revision}`;
  const style = { create: "green", update: "yellow", unchanged: "dim" } as const;
  const said = planned ? { create: "would create", update: "would update", unchanged: "unchanged" }[action] : action;
  output.line(
    `${out.style("bold", name)}: ${out.style(style[action], said)}${planned && action !== "unchanged" ? "" : which}`,
  );
  // All of a new one is new.
  if (action !== "create") showChanges(changes, output);
  for (const { pointer, detail } of warnings)
    output.note(`${output.err.style("yellow", "warning:")} ${harmless(`${pointer} ${detail}`)}`);
}

export function showChanges(changes: readonly PlanChange[], { out, line }: Output): void {
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
