import type { Command } from "commander";
import { type Cli, guardOf, withGuard, withJson } from "../cli.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit.ts";
import { counted } from "../format.ts";

export function deleteDeployment(program: Command, cli: Cli): void {
  withJson(withGuard(program.command("delete")))
    .summary("delete a deployment; its runs come to their end")
    .argument("<deployment>")
    .option("--cancel-runs", "cancel the runs it has instead")
    .option("-y, --yes", "do not ask")
    .action(async (name: string, options: { cancelRuns?: true; yes?: true; ifMatch?: string; json?: true }) => {
      if (!(await confirmed(cli, `Delete deployment ${name}?`, options))) {
        cli.exitCode = EXIT.failed;
        return;
      }
      const query = options.cancelRuns ? { cancel_runs: true } : {};
      const result = await cli.client().deployments.delete(name, query, guardOf(options));
      if (options.json) return cli.output.json(result);
      const left = result.runs === 0 ? "" : ` ${counted(result.runs, "run")} had not ended.`;
      cli.output.line(`Deleted deployment ${result.name}.${left}`);
    });
}
