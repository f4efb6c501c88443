import type { Client, Run, Step } from "@maru/sdk";
import type { Command } from "commander";
import { askedLines } from "../asked.ts";
import { type Cli, withJson } from "../cli.ts";
import { bytes, count, counted, cut, dollars, elapsed, harmless, instant, oneLine } from "../format.ts";
import type { Output } from "../output.ts";
import { STATUS_STYLE } from "./runs.ts";

/** A run with its journal, and the runs its calls of other agents started. */
interface Tree {
  readonly run: Run;
  readonly steps: readonly Step[];
  readonly children: Readonly<Record<string, Tree>>;
}

export function inspect(program: Command, cli: Cli): void {
  withJson(program.command("inspect"))
    .summary("what a run did: its steps, times, tokens, cost, child runs, artifacts")
    .argument("<run>")
    .option("--full", "arguments, results and texts whole")
    .action(async (id: string, { full, json }: { full?: true; json?: true }) => {
      const tree = await read(cli.client(), id);
      if (json) return cli.output.json(tree);
      showHead(tree.run, cli.output);
      showSteps(tree, "", full ? Number.POSITIVE_INFINITY : 100, cli.output);
      showAsked(tree.run, cli.output);
    });
}

async function read(client: Client, id: string): Promise<Tree> {
  const run = await client.runs.get(id);
  const steps: Step[] = [];
  if (run.payload_expired_at === null) for await (const step of client.runs.steps(id)) steps.push(step);
  const children: Record<string, Tree> = {};
  for (const { child_run_id: child } of steps) if (child !== undefined) children[child] = await read(client, child);
  return { run, steps, children };
}

function showHead(run: Run, output: Output): void {
  const { usage, descendants: below } = run;
  output.facts({
    run: run.id,
    status: {
      text: `${run.status}${run.simulated ? " (simulated)" : ""}${run.incomplete_reason === null ? "" : `: ${run.incomplete_reason}`}`,
      style: STATUS_STYLE[run.status],
    },
    deployment: `${run.deployment}, revision ${run.revision} of ${run.agent}, ${run.model}`,
    thread: run.thread_id,
    parent: run.parent === null ? null : `${run.parent.run_id}, step ${run.parent.step}`,
    "forked from":
      run.forked_from === null ? null : `${run.forked_from.run_id}, anew from step ${run.forked_from.step}`,
    metadata: Object.keys(run.metadata).length === 0 ? null : JSON.stringify(run.metadata),
    created: instant(run.created_at),
    took: run.started_at === null ? null : elapsed(run.started_at, run.finished_at),
    usage: `${count(usage.input_tokens)} + ${count(usage.output_tokens)} tokens, ${counted(usage.model_calls, "model call")}, ${counted(usage.tool_calls, "tool call")}, ${dollars(usage.cost_micros)}${usage.estimated ? " (estimated)" : ""}`,
    below:
      below.runs === 0
        ? null
        : `${counted(below.runs, "run")}, ${count(below.total_tokens)} tokens, ${dollars(below.cost_micros)}`,
    input: run.input,
    output: run.output,
    error: run.error === null ? null : { text: `${run.error.code}: ${run.error.message}`, style: "red" },
    payload: run.payload_expired_at === null ? null : `removed at ${instant(run.payload_expired_at)}`,
  });
}

function showSteps({ steps, children }: Tree, indent: string, width: number, output: Output): void {
  const { out } = output;
  if (indent === "" && steps.length > 0) output.line();
  steps.forEach((step, index) => {
    const last = index === steps.length - 1;
    const below = `${indent}${last ? "   " : "│  "}`;
    const mark = {
      done: ["✓", "green"],
      error: ["✗", "red"],
      unknown: ["?", "red"],
      started: ["…", "cyan"],
      waiting: ["…", "yellow"],
    } as const;
    const [sign, style] = mark[step.state];
    const figures = [
      elapsed(step.started_at, step.finished_at),
      step.input_tokens === undefined ? null : `${count(step.input_tokens)} + ${count(step.output_tokens ?? 0)} tokens`,
      step.cost_micros === undefined ? null : dollars(step.cost_micros),
      step.attempt > 1 ? `attempt ${step.attempt}` : null,
      step.reused ? "reused" : null,
      step.answered_by === undefined ? null : `by ${step.answered_by}`,
    ].filter((figure) => figure !== null);
    output.line(
      `${out.style("dim", `${indent}${last ? "└─ " : "├─ "}`)}${out.style(style, sign)} ${step.seq} ${step.kind} ${out.style("bold", harmless(step.name))}  ${out.style("dim", figures.join(", "))}`,
    );
    const tell = (what: string, text: string | undefined) => {
      if (text !== undefined && text !== "")
        output.line(`${out.style("dim", `${below}  ${what} `)}${cut(oneLine(text), width)}`);
    };
    for (const { model, message } of step.tried ?? []) tell(`tried ${model}:`, message);
    tell("thought", step.reasoning);
    tell("said", step.text);
    for (const { name, arguments: args } of step.tool_calls ?? []) tell("calls", `${name} ${args}`);
    tell("given", step.arguments);
    tell("edited", step.edited_arguments);
    tell("decision", step.decision === undefined ? undefined : `${step.decision} ${step.reason ?? ""}`);
    tell("result", step.output);
    tell(step.error_code ?? "error", step.error_message);
    for (const { id, name, media_type: type, size } of step.artifacts ?? [])
      tell("artifact", `${id} ${name} (${type}, ${bytes(size)})`);
    const child = step.child_run_id === undefined ? undefined : children[step.child_run_id];
    if (child !== undefined) {
      tell("run", `${child.run.id} ${child.run.status}, ${count(child.run.usage.total_tokens)} tokens`);
      showSteps(child, below, width, output);
    }
  });
}

function showAsked({ id, required_action: action }: Run, output: Output): void {
  if (action === null) return;
  output.line();
  const asked = [...action.tool_results.map((call) => ({ ...call, question: "result" as const })), ...action.approvals];
  for (const { call_id: callId, name, arguments: args, question } of asked)
    for (const line of askedLines({ runId: id, callId, name, args, question })) output.line(line);
  for (const { run_id: run, name } of action.runs) output.line(`waits for ${name}: ${run}`);
}
