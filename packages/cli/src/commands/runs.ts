import type { Run } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, type ListOptions, pageSize, showList, withList } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { count, dollars, elapsed, instant } from "../format.ts";
import type { Columns, Style } from "../output.ts";

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
  withList(program.command("runs"))
    .summary("list runs, the newest first")
    .option("--status <status>", `one of ${Object.keys(STATUS_STYLE).join(", ")}`)
    .option("--deployment <name>")
    .option("--thread <id>")
    .option("--parent <run>", "those a run of another agent started")
    .option("--watch", "show the list anew every two seconds")
    .action(async (options: Options) => {
      const client = cli.client();
      const { status, deployment, thread: thread_id, parent: parent_run_id } = options;
      const query = { ...pageSize(options), status, deployment, thread_id, parent_run_id };
      const given = Object.fromEntries(Object.entries(query).filter(([, value]) => value !== undefined));
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
}
