import type { Run, RunEvent, Step } from "@maru/sdk";
import { cut, dollars, elapsed, harmless, oneLine } from "./format.ts";
import type { Output } from "./output.ts";

/** Columns of a call or a result on a progress line. */
const LINE = 160;

export interface RunView {
  hear(event: RunEvent): void;
  /** The end: what was not shown yet, and how it went. */
  end(run: Run): void;
}

/**
 * Shows a run as it goes. On a terminal its text comes as it is written, and what it does beside it; in a pipe the answer comes when
 * it is whole, since a text may have to be written anew.
 */
export function createRunView(output: Output, options: { thinking?: boolean; json?: boolean }): RunView {
  const { out, err } = output;
  /** The last character on the terminal is no line's end. */
  let open = false;
  let shown = "";
  const close = () => {
    if (open) (out.isTTY ? out : err).write("\n");
    open = false;
  };
  const progress = (text: string) => {
    if (!err.isTTY) return;
    close();
    output.note(text);
  };
  const dim = (text: string) => err.style("dim", text);
  const writeText = (text: string) => {
    if (!out.isTTY) return;
    if (shown === "") close();
    shown += text;
    out.write(harmless(text));
    open = !text.endsWith("\n");
  };

  const finished = (step: Step) => {
    if (step.kind === "model") {
      shown = "";
      close();
      for (const { model, message } of step.tried ?? []) progress(dim(`${model} gave no answer: ${oneLine(message)}`));
      return;
    }
    const took = dim(elapsed(step.started_at, step.finished_at));
    const said = cut(oneLine(step.output ?? step.error_message ?? ""), LINE);
    if (step.kind === "approval") progress(`${dim("·")} ${step.decision ?? ""} ${took}`);
    else if (step.state === "done") progress(`${err.style("green", "✓")} ${step.name} ${dim(said)} ${took}`);
    else progress(`${err.style("red", "✗")} ${step.name} ${step.error_code ?? step.state} ${dim(said)} ${took}`);
    for (const { id, name } of step.artifacts ?? []) progress(dim(`  ${oneLine(name)}: maru artifacts get ${id}`));
  };

  return {
    hear(event) {
      if (options.json) return output.ndjson(event);
      if (event.type === "delta" && event.kind === "text") writeText(event.text);
      else if (event.type === "delta" && event.kind === "reasoning" && options.thinking) {
        if (shown === "" && !open) err.write(dim("thinking "));
        err.write(dim(harmless(event.text)));
        open = !event.text.endsWith("\n");
      } else if (event.type === "snapshot") {
        progress(dim("(written anew)"));
        shown = "";
        writeText(event.text);
      } else if (event.type === "step.started" && event.call !== undefined && event.kind !== "approval") {
        const child = event.child_run_id === undefined ? "" : ` (${event.child_run_id})`;
        progress(
          `${err.style("cyan", "→")} ${event.call.name} ${dim(cut(oneLine(event.call.arguments), LINE) + child)}`,
        );
      } else if (event.type === "progress") {
        const { progress: done, total, message } = event;
        progress(
          dim(`  ${done}${total === undefined ? "" : ` of ${total}`} ${cut(oneLine(message ?? ""), LINE)}`.trimEnd()),
        );
      } else if (event.type === "step.finished") finished(event.step);
      else if (event.type === "run.waiting") {
        close();
        for (const { name, run_id: child } of event.required_action.runs) progress(dim(`waits for ${name}: ${child}`));
      }
    },
    end(run) {
      close();
      if (options.json) return;
      if (!out.isTTY && run.output !== null) output.line(run.output);
      const { usage, error, incomplete_reason: reason, status } = run;
      const simulated = run.simulated ? " (simulated answer)" : "";
      const took = run.started_at === null ? "" : `, ${elapsed(run.started_at, run.finished_at)}`;
      const summary = `${status}${simulated}: ${usage.total_tokens} tokens, ${dollars(usage.cost_micros)}${took}, ${run.id}`;
      if (status === "completed") {
        progress(dim(summary));
        // Nobody must take a simulator's answer for the model's, in a pipe neither.
        if (run.simulated && !err.isTTY) output.note("simulated answer");
        return;
      }
      output.note(`${err.style("red", summary)}`);
      if (error !== null) output.note(`${error.code}: ${harmless(error.message)}`);
      if (reason !== null) output.note(`stopped by ${reason}; maru inspect ${run.id} shows what it did`);
    },
  };
}
