import type { Run } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, givenOf, type ListOptions, pageSize, pair, showList, wholeNumber, withList } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { follow } from "../follow.ts";
import { count, dollars, elapsed, instant } from "../format.ts";
import type { Columns, Style } from "../output.ts";
import { asks, type FollowingOptions, showStarted, withFollowing } from "./run.ts";

export const STATUS_STYLE: Readonly<Record<Run["status"], Style>> = {
  queued: "dim",
  running: "cyan",
  waiting: "yellow",
  completed: "green",
  incomplete: "yellow",
  failed: "red",
  cancelled: "dim",
  expired: "red",
};
const WATCH_MS = 2_000;

interface Options extends ListOptions {
  readonly status?: Run["status"];
  readonly deployment?: string;
  readonly thread?: string;
  readonly parent?: string;
  readonly watch?: true;
}

interface ForkOptions extends FollowingOptions {
  readonly fromStep: number;
  readonly instructions?: string;
  readonly model?: string;
  readonly toolResult?: Record<string, string>;
  readonly metadata?: Record<string, string>;
}

const COLUMNS: Columns<Run> = {
  RUN: ({ id }) => id,
  STATUS: ({ status }) => ({ text: status, style: STATUS_STYLE[status] }),
  DEPLOYMENT: ({ deployment, revision }) => `${deployment}@${revision}`,
  CREATED: ({ created_at: at }) => instant(at),
  TOOK: ({ started_at: from, finished_at: to }) => ({ text: from === null ? "" : elapsed(from, to), right: true }),
  TOKENS: ({ usage }) => ({ text: count(usage.total_tokens), right: true }),
  COST: ({ usage }) => ({ text: dollars(usage.cost_micros), right: true }),
  INPUT: ({ input }) => ({ text: input, style: "dim" }),
};

export function runs(program: Command, cli: Cli): void {
  const group = program.command("runs").summary("list runs, or do one again from one of its steps");

  withList(group.command("list", { isDefault: true }))
    .summary("list runs, the newest first")
    .option("--status <status>", `one of ${Object.keys(STATUS_STYLE).join(", ")}`)
    .option("--deployment <name>")
    .option("--thread <id>")
    .option("--parent <run>", "those a run of another agent started")
    .option("--watch", "show the list anew every two seconds")
    .action(async (options: Options) => {
      const client = cli.client();
      const { status, deployment, thread: thread_id, parent: parent_run_id } = options;
      const given = { ...pageSize(options), ...givenOf({ status, deployment, thread_id, parent_run_id }) };
      const show = () => showList(cli, "runs", client.runs.list(given), options, COLUMNS);
      if (!options.watch) return show();
      const { out } = cli.output;
      if (!out.isTTY || options.json) throw new UsageError("--watch needs a terminal; pipes want maru webhooks.");
      let stopped = false;
      let wake = () => {};
      process.once("SIGINT", () => {
        stopped = true;
        wake();
      });
      while (!stopped) {
        out.write("\u001b[H\u001b[2J");
        await show();
        await new Promise<void>((done) => {
          const timer = setTimeout(done, WATCH_MS);
          wake = () => {
            clearTimeout(timer);
            done();
          };
        });
      }
    });

  const fork = group
    .command("fork")
    .summary("start a run that reuses another's steps up to one, with changes")
    .description(
      "Starts a run that takes over the journal of another before a step, which costs nothing, and does everything from there anew, tools " +
        "included. It is shown as maru run does. maru inspect RUN numbers the steps.",
    )
    .argument("<run>")
    .requiredOption("--from-step <number>", "the first step that is done anew", wholeNumber(1, 1_000_000))
    .option("--instructions <text>", "other instructions")
    .option("--model <name>", "another model")
    .option("--tool-result <step=text>", "another result of a step before; may be given often", pair)
    .option("-m, --metadata <name=value>", "kept with the new run; may be given often", pair);
  withFollowing(fork).action(async (id: string, options: ForkOptions) => {
    const client = cli.client();
    const { fromStep, instructions, model, toolResult = {}, metadata } = options;
    const results = Object.entries(toolResult).map(([step, output]) => {
      if (!/^[1-9]\d{0,6}$/.test(step)) throw new UsageError(`“${step}” is no number of a step: it is STEP=TEXT.`);
      return { step: Number(step), output };
    });
    const overrides = givenOf({ instructions, model, tool_results: results.length === 0 ? undefined : results });
    const started = await client.runs.fork(id, {
      from_step: fromStep,
      ...givenOf({ metadata, overrides: Object.keys(overrides).length === 0 ? undefined : overrides }),
    });
    if (options.detach) showStarted(cli.output, started, options);
    else cli.exitCode = await follow(cli, client, { run: started.id }, { ...options, asks: asks(cli, options) });
  });
}
