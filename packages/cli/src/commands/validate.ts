import { InvalidRequest } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, withJson } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { readSources } from "../manifests.ts";
import { showMistakes } from "../mistakes.ts";

export function validate(program: Command, cli: Cli): void {
  withJson(program.command("validate"))
    .summary("check manifests and show each mistake at its place")
    .argument("<files...>", "manifests; - reads standard input")
    .action(async (files: string[], { json }: { json?: true }) => {
      const client = cli.client();
      const found: object[] = [];
      for (const source of await readSources(files, cli)) {
        try {
          const { warnings } = await client.deployments.deploy(source.text, { dryRun: true });
          found.push({ file: source.name, valid: true, errors: [], warnings });
          if (!json) cli.output.line(`${source.name}: ${cli.output.out.style("green", "valid")}`);
          for (const { pointer, detail } of json ? [] : warnings)
            cli.output.note(`${cli.output.err.style("yellow", "warning:")} ${pointer} ${detail}`);
        } catch (error) {
          if (!(error instanceof InvalidRequest)) throw error;
          found.push({ file: source.name, valid: false, errors: error.problem.errors ?? [], warnings: [] });
          if (!json) showMistakes(error, source, cli.output);
          cli.exitCode = EXIT.failed;
        }
      }
      if (json) cli.output.json(found);
    });
}
