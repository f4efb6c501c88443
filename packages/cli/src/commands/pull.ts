import { existsSync, writeFileSync } from "node:fs";
import type { Command } from "commander";
import { type Cli, wholeNumber } from "../cli.ts";
import { UsageError } from "../exit.ts";

export function pull(program: Command, cli: Cli): void {
  program
    .command("pull")
    .summary("the manifest of a deployment, as one would write it")
    .description("Prints the manifest of a deployment: deployed again it changes nothing. Comments are not kept.")
    .argument("<deployment>")
    .option(
      "--revision <number>",
      "that of this revision instead, without what it says of a deployment",
      wholeNumber(1, 2_147_483_647),
    )
    .option("-o, --output <file>", "write it there")
    .option("--force", "write over a file that is there")
    .option("--json", "as JSON instead of YAML")
    .action(async (name: string, options: { revision?: number; output?: string; force?: true; json?: true }) => {
      const { revision, output: file, force, json } = options;
      const client = cli.client();
      const headers = { accept: json ? "application/json" : "application/yaml" };
      const reply =
        revision === undefined
          ? await client.request("getDeploymentManifest", { params: { deployment: name }, headers })
          : await client.request("getRevisionManifest", {
              params: { agent: (await client.deployments.get(name)).agent, number: revision },
              headers,
            });
      const text = json ? `${JSON.stringify(await reply.json(), null, 2)}\n` : await reply.text();
      if (file === undefined || file === "-") return cli.output.out.write(text);
      if (existsSync(file) && !force) throw new UsageError(`${file} is there already; --force writes over it.`);
      writeFileSync(file, text);
      cli.output.line(file);
    });
}
