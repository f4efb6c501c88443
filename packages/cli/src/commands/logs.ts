import type { DurableEvent } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, wholeNumber, withJson } from "../cli.ts";
import { cut, harmless, oneLine } from "../format.ts";
import type { Output } from "../output.ts";

const LINE = 200;

export function logs(program: Command, cli: Cli): void {
  withJson(program.command("logs"))
    .summary("a run's events")
    .description("A run's durable events, one a line; with --json each as the API gives it.")
    .argument("<run>")
    .option("-f, --follow", "go on until the run ends")
    .option("--after <seq>", "only those after this one", wholeNumber(0, 2_147_483_647), 0)
    .action(async (run: string, { follow, after, json }: { follow?: true; after: number; json?: true }) => {
      const client = cli.client();
      const events = follow
        ? client.runs.stream(run, { afterSeq: after })
        : client.runs.events(run, { after_seq: after, limit: 1_000 });
      for await (const event of events) {
        if (!("seq" in event)) continue;
        if (json) cli.output.ndjson(event);
        else show(event, cli.output);
      }
    });
}

function show(event: DurableEvent, output: Output): void {
  const { out } = output;
  const head = `${out.style("dim", `${String(event.seq).padStart(3)}  ${event.at}`)}  ${event.type.padEnd(14)}`;
  output.line(`${head}  ${cut(oneLine(detail(event)), LINE)}`.trimEnd());
}

function detail(event: DurableEvent): string {
  if (event.type === "run.running") return `attempt ${event.attempt}`;
  if (event.type === "step.started")
    return `${event.step} ${event.kind} ${event.name}${event.call === undefined ? "" : ` ${event.call.arguments}`}`;
  if (event.type === "step.finished") {
    const { seq, kind, name, state, output, text, error_message: error } = event.step;
    return `${seq} ${kind} ${name} ${state} ${output ?? text ?? error ?? ""}`;
  }
  if (event.type === "run.waiting") {
    const { tool_results: results, approvals, runs } = event.required_action;
    return harmless([...results, ...approvals, ...runs].map(({ name }) => name).join(", "));
  }
  if ("run" in event) return event.run.error?.message ?? event.run.incomplete_reason ?? event.run.output ?? "";
  return "";
}
