import type { Command } from "commander";
import { type Cli, withJson } from "../cli.ts";

export function cancel(program: Command, cli: Cli): void {
  withJson(program.command("cancel"))
    .summary("cancel a run")
    .argument("<runs...>")
    .action(async (ids: string[], { json }: { json?: true }) => {
      const client = cli.client();
      const runs = [];
      for (const id of ids) {
        const run = await client.runs.cancel(id);
        runs.push(run);
        const said = run.finished_at === null ? "its worker is told" : run.status;
        if (!json) cli.output.line(`${id}: ${said}`);
      }
      if (json) cli.output.json(runs);
    });
}
