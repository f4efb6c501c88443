import { type Client, MaruError } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, pair } from "../cli.ts";
import { EXIT, Interrupted } from "../exit.ts";
import { explain } from "../failure.ts";
import { follow } from "../follow.ts";
import { harmless } from "../format.ts";
import { runBody } from "./run.ts";

interface Options {
  readonly thread?: string;
  readonly metadata?: Record<string, string>;
  readonly user?: string;
  readonly thinking?: true;
  readonly wait?: true;
}

const HELP = `/history  what was said so far      /thread  this conversation's id
/new      another conversation      /exit    or Ctrl-D: leaves
A line that ends with \\ goes on with the next one.`;

export function chat(program: Command, cli: Cli): void {
  program
    .command("chat")
    .summary("a conversation in the terminal")
    .description(
      "Talks with a deployment in a thread. What its runs ask, approvals and results of client-side tools, you are asked. In a pipe every " +
        "line is a message, and nobody is asked: a run that asks is left as it waits, which ends the conversation with exit code 8.",
    )
    .argument("<deployment>")
    .option("--thread <id>", "go on with this conversation")
    .option("-m, --metadata <name=value>", "kept with its runs; may be given often", pair)
    .option("--user <name>", "the end user it is for")
    .option("--thinking", "show what the model thinks, too")
    .option("--wait", "in a pipe: wait until somebody else answers what a run asks")
    .action(async (deployment: string, options: Options) => {
      const { output, prompt } = cli;
      const client = cli.client();
      // Whether it is there shows now, and not after the first message is written.
      await client.deployments.get(deployment);
      let thread = options.thread ?? (await client.threads.create()).id;
      if (options.thread !== undefined && prompt.interactive) await showHistory(cli, client, thread);
      output.progress(output.err.style("dim", `${deployment}, ${thread}. /help says what you can do.`));

      for await (const message of messages(cli)) {
        const command = /^\/([a-z]+)$/.exec(message.trim())?.[1];
        if (command === "exit" || command === "quit") break;
        if (command === "new") {
          thread = (await client.threads.create()).id;
          output.progress(output.err.style("dim", thread));
        } else if (command === "thread") output.line(thread);
        else if (command === "history") await showHistory(cli, client, thread);
        else if (command !== undefined) output.note(command === "help" ? HELP : `There is no /${command}.\n${HELP}`);
        else if (message.trim() !== "") {
          const body = runBody(deployment, message, { ...options, thread });
          try {
            const asks = prompt.interactive;
            cli.exitCode = await follow(cli, client, body, { ...options, asks });
            // The conversation is busy until somebody answers.
            if (cli.exitCode === EXIT.waiting) break;
          } catch (error) {
            // A conversation outlives a message that went wrong, and one that was taken back.
            if (!prompt.interactive || !(error instanceof MaruError || error instanceof Interrupted)) throw error;
            explain(error, output);
          }
        }
      }
      if (prompt.interactive) cli.exitCode = EXIT.ok;
      output.progress(output.err.style("dim", `maru chat ${deployment} --thread ${thread} goes on with it.`));
    });
}

/** What is said, message by message, until somebody leaves. */
async function* messages({ prompt }: Cli): AsyncGenerator<string> {
  if (!prompt.interactive) return yield* prompt.lines();
  const history: string[] = [];
  for (;;) {
    let message = "";
    try {
      do {
        const line = await prompt.line(message === "" ? "> " : "… ", { history });
        message = message === "" ? line : `${message.slice(0, -1)}\n${line}`;
      } while (message.endsWith("\\"));
    } catch (error) {
      if (error instanceof Interrupted) return;
      throw error;
    }
    yield message;
  }
}

async function showHistory({ output }: Cli, client: Client, thread: string): Promise<void> {
  const { out } = output;
  for await (const { role, content, name } of client.threads.messages(thread)) {
    if (content === "") continue;
    if (role === "user") output.line(`${out.style("cyan", ">")} ${harmless(content)}`);
    else if (role === "tool") output.line(out.style("dim", `${name ?? "tool"}: ${harmless(content)}`));
    else output.line(harmless(content));
  }
}
