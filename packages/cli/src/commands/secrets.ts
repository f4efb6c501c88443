import type { Command } from "commander";
import {
  type Cli,
  givenOf,
  guardOf,
  type ListOptions,
  pageSize,
  showList,
  withGuard,
  withJson,
  withList,
} from "../cli.ts";
import { UsageError } from "../exit.ts";
import { instant } from "../format.ts";

export function secrets(program: Command, cli: Cli): void {
  const group = program.command("secrets").summary("values that tools need and nobody can read again");

  withList(group.command("list", { isDefault: true }))
    .summary("their names")
    .action(async (options: ListOptions) => {
      await showList(cli, "secrets", cli.client().secrets.list(pageSize(options)), options, {
        SECRET: ({ name }) => name,
        AGENT: ({ agent }) => agent ?? "every agent",
        VERSION: ({ version }) => ({ text: String(version), right: true }),
        CHANGED: ({ updated_at: at }) => instant(at),
        USED: ({ last_used_at: at }) => (at === null ? "never" : instant(at)),
      });
    });

  withJson(withGuard(group.command("set")))
    .summary("set one; its value is read from a prompt or from standard input")
    .argument("<name>", "capital letters, digits and _")
    .argument("[value]", "better not: other processes and the shell's history can read it")
    .option("--agent <name>", "only for this agent")
    .action(
      async (name: string, value: string | undefined, options: { agent?: string; ifMatch?: string; json?: true }) => {
        const { output, prompt } = cli;
        if (value !== undefined)
          output.note(
            `${output.err.style("yellow", "warning:")} a value on the command line can be read by other processes and stays in the shell's history; pipe it in instead.`,
          );
        const typed = value ?? (await prompt.secret(`Value of ${name}: `));
        if (typed === "") throw new UsageError("There is no value.");
        const body = { value: typed, ...givenOf({ agent: options.agent }) };
        const secret = await cli.client().secrets.put(name, body, guardOf(options));
        if (options.json) output.json(secret);
        else output.line(`${name}: version ${secret.version}${secret.agent === null ? "" : `, for ${secret.agent}`}`);
      },
    );

  withGuard(group.command("delete"))
    .summary("delete one; calls that need it fail from then on")
    .argument("<name>")
    .option("--agent <name>", "that agent's own")
    .action(async (name: string, { agent, ...options }: { agent?: string; ifMatch?: string }) => {
      await cli.client().secrets.delete(name, givenOf({ agent }), guardOf(options));
      cli.output.line(`Deleted secret ${name}.`);
    });
}
