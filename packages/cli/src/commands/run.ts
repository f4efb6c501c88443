import type { CreateRunBody, Run } from "@maru/sdk";
import { type Command, Option } from "commander";
import { type Cli, givenOf, pair, wholeNumber, withJson } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { follow } from "../follow.ts";
import type { Output } from "../output.ts";

export interface FollowingOptions {
  readonly thinking?: true;
  readonly wait?: true;
  readonly detach?: true;
  readonly input: boolean;
  readonly json?: true;
}
interface Options extends FollowingOptions {
  readonly thread?: string;
  readonly metadata?: Record<string, string>;
  readonly user?: string;
  readonly revision?: number;
}

/** Of what starts a run and shows it. */
export const withFollowing = (command: Command): Command =>
  withJson(
    command
      .option("--thinking", "show what the model thinks, too")
      .option("--no-input", "ask nobody, also on a terminal")
      .option("--wait", "where nobody is asked: wait until somebody else answers")
      .addOption(new Option("--detach", "only start it, and print its id").conflicts("wait")),
  );

export function run(program: Command, cli: Cli): void {
  const command = program
    .command("run")
    .summary("run a deployment and show the answer as it comes")
    .description(
      "Runs a deployment. On a terminal text, calls and results are shown as they come, and you are asked what the run asks; in a pipe " +
        "the answer alone is printed. A run that asks what nobody here answers is left as it waits, with the commands that answer it on " +
        "standard error and exit code 8. Ctrl-C cancels the run, twice leaves it. With --json every event is a line, and nobody is asked.",
    )
    .argument("<deployment>")
    .argument("[input...]", "what to say; - or nothing reads standard input")
    .option("--thread <id>", "the conversation it belongs to")
    .option("-m, --metadata <name=value>", "kept with the run; may be given often", pair)
    .option("--user <name>", "the end user it is for: limits and memory of end users go by it")
    .option("--revision <number>", "this revision, whatever the traffic", wholeNumber(1, 2_147_483_647));
  withFollowing(command).action(async (deployment: string, words: string[], options: Options) => {
    const { output } = cli;
    const client = cli.client();
    const body = runBody(deployment, await inputOf(words, cli), options);
    if (options.detach) showStarted(output, await client.runs.create(body), options);
    else cli.exitCode = await follow(cli, client, body, { ...options, asks: asks(cli, options) });
  });
}

/** A run that others watch. */
export function showStarted(output: Output, started: Run, { json }: { json?: true }): void {
  if (json) output.json(started);
  else output.line(started.id);
}

/** Whether somebody at the terminal answers what a run asks. */
export const asks = ({ prompt }: Cli, { input, json }: FollowingOptions): boolean =>
  input && prompt.interactive && !json;

/** What is said: words of the command line, or all of standard input. */
export async function inputOf(words: readonly string[], { prompt }: Cli): Promise<string> {
  if (words.length > 0 && !(words.length === 1 && words[0] === "-")) return words.join(" ");
  if (words.length === 0 && prompt.interactive)
    throw new UsageError("There is no input: give it after the deployment, or pipe it in with -.");
  const text = (await prompt.readAll()).replace(/\r?\n$/, "");
  if (text === "") throw new UsageError("There is nothing on standard input.");
  return text;
}

export function runBody(
  deployment: string,
  input: string,
  { thread, metadata, user, revision }: Pick<Options, "thread" | "metadata" | "user" | "revision">,
): CreateRunBody {
  const said = { ...metadata, ...givenOf({ user }) };
  return {
    deployment,
    input,
    ...givenOf({ thread_id: thread, revision, metadata: Object.keys(said).length === 0 ? undefined : said }),
  };
}
