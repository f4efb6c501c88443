import type { Command } from "commander";
import { type Cli, withJson } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { type Bundle, IncompleteManifests, readManifests } from "../manifests.ts";
import { mistakesOf, showMistakes } from "../mistakes.ts";

export function validate(program: Command, cli: Cli): void {
  withJson(program.command("validate"))
    .summary("check manifests and show each mistake at its place")
    .argument("<files...>", "manifests, checked together; - reads standard input")
    .action(async (files: string[], { json }: { json?: true }) => {
      let bundle: Bundle | null = null;
      try {
        bundle = await readManifests(files, cli);
        const results = await cli.client().deployments.deployAll(bundle.text, { dryRun: true });
        const warnings = results.flatMap((result, index) =>
          result.warnings.map((warning) => ({
            ...warning,
            ...(bundle?.place({ ...warning, document: index + 1 }) ?? {}),
          })),
        );
        if (json) return cli.output.json({ valid: true, errors: [], warnings });
        for (const file of files) cli.output.line(`${file}: ${cli.output.out.style("green", "valid")}`);
        for (const { file, line, pointer, detail } of warnings)
          cli.output.note(
            `${cli.output.err.style("yellow", "warning:")} ${file}${line === undefined ? ` ${pointer}` : `:${line}`} ${detail}`,
          );
      } catch (error) {
        const mistakes = mistakesOf(error, bundle);
        if (mistakes === null) throw error;
        cli.exitCode = EXIT.failed;
        if (json) return cli.output.json({ valid: false, errors: mistakes, warnings: [] });
        const textOf = error instanceof IncompleteManifests ? error.textOf : bundle?.textOf;
        showMistakes(error, mistakes, textOf ?? (() => null), cli.output);
      }
    });
}
