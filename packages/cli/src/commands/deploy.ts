import { watch } from "node:fs";
import { basename, dirname, resolve } from "node:path";
import { type Client, ConnectionError, type DeployResult, InvalidRequest, MaruError } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, guardOf, withJson, withNote } from "../cli.ts";
import { EXIT, UsageError } from "../exit.ts";
import { explain } from "../failure.ts";
import { readSources } from "../manifests.ts";
import { type Source, showMistakes } from "../mistakes.ts";
import { showPlan } from "../plan.ts";

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
    .description("Shows what a manifest changes, asks, and deploys it. The same manifest again changes nothing.")
    .argument("<files...>", "manifests, deployed in this order; - reads standard input")
    .option("-y, --yes", "do not ask; nor is anybody asked where there is no terminal")
    .option("--dry-run", "only show the plan")
    .option("--watch", "deploy again whenever a file changes, without asking")
    .action(async (files: string[], options: Options) => {
      if (options.watch && (files.includes("-") || options.ifMatch !== undefined))
        throw new UsageError("--watch takes files, and no --if-match.");
      const client = cli.client();
      if (!options.watch) {
        const results = [];
        for (const source of await readSources(files, cli)) {
          const result = await deployOne(cli, client, source, options);
          if (result === null) return;
          results.push(result);
        }
        if (options.json) cli.output.json(results);
        return;
      }
      await keepDeploying(cli, client, files, options);
    });
}

/** Null when it was not deployed: the manifest is wrong, which was said, or somebody said no. */
async function deployOne(cli: Cli, client: Client, source: Source, options: Options): Promise<DeployResult | null> {
  const { output, prompt } = cli;
  const send = (dryRun: boolean) =>
    client.call("deploy", {
      body: source.text,
      query: { dry_run: dryRun, ...(options.note === undefined ? {} : { note: options.note }) },
      ...guardOf(options),
    });
  const asks = prompt.interactive && !options.yes && !options.watch && !options.json && source.name !== "-";
  try {
    if (options.dryRun || asks) {
      const plan = await send(true);
      if (!options.json) showPlan(plan, source.name, output);
      if (options.dryRun || plan.action === "unchanged") return plan;
      if (!(await prompt.confirm("Deploy this?"))) {
        output.note("Nothing was deployed.");
        cli.exitCode = EXIT.failed;
        return null;
      }
    }
    const result = await send(false);
    // What it changes was shown when it was asked about.
    if (!options.json) showPlan(asks ? { ...result, changes: [] } : result, source.name, output);
    return result;
  } catch (error) {
    if (!(error instanceof InvalidRequest) || error.problem.errors === undefined) throw error;
    showMistakes(error, source, output);
    cli.exitCode = EXIT.failed;
    return null;
  }
}

/** Deploys now and after every change, until somebody presses Ctrl-C. What goes wrong is said, and tried again at the next change. */
async function keepDeploying(cli: Cli, client: Client, files: readonly string[], options: Options): Promise<void> {
  const { output } = cli;
  const changed = new Set(files);
  let wake = () => {};
  // Folders are watched, since many editors replace the file.
  const watchers = [...new Set(files.map((file) => dirname(resolve(file))))].map((folder) =>
    watch(folder, (_event, name) => {
      for (const file of files)
        if (dirname(resolve(file)) === folder && (name === null || name === basename(file))) changed.add(file);
      wake();
    }),
  );
  let stopped = false;
  const stop = () => {
    stopped = true;
    wake();
  };
  process.once("SIGINT", stop).once("SIGTERM", stop);
  try {
    while (!stopped) {
      for (const file of files.filter((name) => changed.delete(name))) {
        try {
          const [source] = await readSources([file], cli);
          const result = source === undefined ? null : await deployOne(cli, client, source, options);
          if (result !== null && options.json) output.ndjson(result);
        } catch (error) {
          if (!(error instanceof MaruError || error instanceof ConnectionError || error instanceof UsageError))
            throw error;
          explain(error, output);
        }
      }
      if (changed.size > 0 || stopped) continue;
      output.progress(output.err.style("dim", "Watching; Ctrl-C ends it."));
      await new Promise<void>((done) => {
        wake = done;
      });
      // Editors write in several steps: what follows at once is the same change.
      await new Promise((done) => setTimeout(done, 100));
    }
  } finally {
    for (const watcher of watchers) watcher.close();
  }
  cli.exitCode = EXIT.ok;
}
