import { watch } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type Client, ConnectionError, type DeployResult, MaruError } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, guardOf, withJson, withNote } from "../cli.ts";
import { EXIT, UsageError } from "../exit.ts";
import { explain } from "../failure.ts";
import { type Bundle, IncompleteManifests, readManifests } from "../manifests.ts";
import { mistakesOf, showMistakes } from "../mistakes.ts";
import { showResults } from "../plan.ts";

/** Editors write in several steps: what follows within this is the same change. */
const SETTLE_MS = 100;

interface Options {
  readonly yes?: true;
  readonly dryRun?: true;
  readonly watch?: true;
  readonly note?: string;
  readonly ifMatch?: string;
  readonly json?: true;
}

export function deploy(program: Command, cli: Cli): void {
  withJson(withNote(program.command("deploy")))
    .summary("create or roll forward deployments")
    .description(
      "Shows what manifests change, asks, and deploys them together, all or none. The same manifest again changes nothing. " +
        "${env.NAME} and { file: ./path } are put in here.",
    )
    .argument("<files...>", "manifests; - reads standard input")
    .option("-y, --yes", "do not ask; nor is anybody asked where there is no terminal")
    .option("--dry-run", "only show the plan")
    .option("--watch", "deploy again whenever a file changes, without asking")
    .action(async (files: string[], options: Options) => {
      if (options.watch && (files.includes("-") || options.ifMatch !== undefined))
        throw new UsageError("--watch takes files, and no --if-match.");
      const client = cli.client();
      if (options.watch) return keepDeploying(cli, client, files, options);
      const results = await deployOnce(cli, client, files, options, new Set());
      if (results !== null && options.json) cli.output.json(results);
    });
}

/** Null when nothing was deployed: a manifest is wrong, which was said, or somebody said no. */
async function deployOnce(
  cli: Cli,
  client: Client,
  files: readonly string[],
  options: Options,
  touched: Set<string>,
): Promise<readonly DeployResult[] | null> {
  const { output, prompt } = cli;
  const { note, json } = options;
  const asks = prompt.interactive && !options.yes && !options.watch && !json && !files.includes("-");
  const about = { note, ...guardOf(options) };
  let bundle: Bundle | null = null;
  try {
    bundle = await readManifests(files, cli, touched);
    if (options.dryRun || asks) {
      const plan = await client.deployments.deployAll(bundle.text, { ...about, dryRun: true });
      if (!json) showResults(plan, bundle, output);
      if (options.dryRun || plan.every(({ action }) => action === "unchanged")) return plan;
      if (!(await prompt.confirm("Deploy this?"))) {
        output.note("Nothing was deployed.");
        cli.exitCode = EXIT.failed;
        return null;
      }
    }
    const results = await client.deployments.deployAll(bundle.text, about);
    // What changes was shown when it was asked about.
    if (!json) showResults(results, bundle, output, !asks);
    return results;
  } catch (error) {
    const mistakes = mistakesOf(error, bundle);
    if (mistakes === null) throw error;
    const textOf = error instanceof IncompleteManifests ? error.textOf : bundle?.textOf;
    showMistakes(error, mistakes, textOf ?? (() => null), output);
    cli.exitCode = EXIT.failed;
    return null;
  }
}

/**
 * Deploys now and after every change of a file or what it refers to, until somebody presses Ctrl-C. What goes wrong is said, and
 * tried again at the next change.
 */
async function keepDeploying(cli: Cli, client: Client, files: readonly string[], options: Options): Promise<void> {
  const { output } = cli;
  const touched = new Set<string>();
  let wake = () => {};
  let changed = true;
  let stopped = false;
  const onChange = () => {
    changed = true;
    wake();
  };
  const stop = () => {
    stopped = true;
    wake();
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  // Folders are watched, since many editors replace the file.
  const watched = new Map<string, { close(): void }>();
  const watchAll = () => {
    for (const folder of new Set([...touched].map((file) => dirname(file))))
      if (!watched.has(folder))
        watched.set(
          folder,
          watch(folder, (_event, name) => {
            if (name === null || touched.has(resolve(folder, basename(name)))) onChange();
          }),
        );
  };
  for (const file of files) touched.add(resolve(file));
  watchAll();
  try {
    while (!stopped) {
      changed = false;
      try {
        const results = await deployOnce(cli, client, files, options, touched);
        if (results !== null && options.json) for (const result of results) output.ndjson(result);
      } catch (error) {
        if (!(error instanceof MaruError || error instanceof ConnectionError || error instanceof UsageError))
          throw error;
        explain(error, output);
      }
      watchAll();
      output.progress(output.err.style("dim", "Watching; Ctrl-C ends it."));
      if (!changed && !stopped)
        await new Promise<void>((done) => {
          wake = done;
        });
      await new Promise((done) => setTimeout(done, SETTLE_MS));
    }
  } finally {
    for (const watcher of watched.values()) watcher.close();
  }
  cli.exitCode = EXIT.ok;
}
