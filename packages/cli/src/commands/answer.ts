import type { Client, RequiredAction } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, jsonArgument } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { inputOf } from "./run.ts";

export function answer(program: Command, cli: Cli): void {
  program
    .command("answer")
    .summary("give a run the result of a client-side tool")
    .argument("<run>")
    .argument("<call>", "which, as maru inspect shows it")
    .argument("[output...]", "the result; - or nothing reads standard input")
    .option("--error", "the tool failed; the output says how")
    .action(async (run: string, call: string, words: string[], { error }: { error?: true }) => {
      const output = await inputOf(words, cli);
      const result = { call_id: call, output, ...(error ? { is_error: true } : {}) };
      const { status } = await cli.client().runs.submitToolResults(run, { tool_results: [result] });
      cli.output.line(status);
    });
}

export function approve(program: Command, cli: Cli): void {
  program
    .command("approve")
    .summary("let a run make a call that needs approval")
    .argument("<run>")
    .argument("[call]", "which, where more than one is asked")
    .option("--arguments <json>", "with these arguments instead", jsonArgument)
    .action(async (run: string, call: string | undefined, options: { arguments?: Record<string, unknown> }) => {
      const client = cli.client();
      const call_id = call ?? (await onlyApproval(client, run)).call_id;
      const { status } = await client.runs.decideApprovals(run, {
        approvals: [{ call_id, decision: "approve", ...options }],
      });
      cli.output.line(status);
    });
}

export function reject(program: Command, cli: Cli): void {
  program
    .command("reject")
    .summary("do not let it")
    .argument("<run>")
    .argument("[call]", "which, where more than one is asked")
    .argument("[reason...]", "what the model is told")
    .action(async (run: string, call: string | undefined, words: string[]) => {
      const client = cli.client();
      const call_id = call ?? (await onlyApproval(client, run)).call_id;
      const reason = words.length === 0 ? {} : { reason: words.join(" ") };
      const { status } = await client.runs.decideApprovals(run, {
        approvals: [{ call_id, decision: "reject", ...reason }],
      });
      cli.output.line(status);
    });
}

/** The one call that waits for a decision. @throws UsageError when there is none, or more */
async function onlyApproval(client: Client, run: string): Promise<RequiredAction["approvals"][number]> {
  const { status, required_action: action } = await client.runs.get(run);
  const [only, ...others] = action?.approvals ?? [];
  if (only === undefined) throw new UsageError(`${run} waits for no approval; it is ${status}.`);
  if (others.length > 0)
    throw new UsageError(
      `${run} waits for several: say which. ${[only, ...others].map(({ call_id, name }) => `${call_id} (${name})`).join(", ")}`,
    );
  return only;
}
