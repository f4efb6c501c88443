import type { Client, Deployment } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, guardOf, wholeNumber, withJson, withNote } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { summary } from "./deployments.ts";

interface Options {
  readonly note?: string;
  readonly ifMatch?: string;
  readonly json?: true;
}

/** A command that changes where a deployment's runs go, and shows it then. */
function changing<T extends Options>(
  command: Command,
  cli: Cli,
  change: (client: Client, name: string, body: { note?: string }, options: T) => Promise<Deployment>,
): void {
  withJson(withNote(command)).action(async (name: string, options: T) => {
    const note = options.note === undefined ? {} : { note: options.note };
    const deployment = await change(cli.client(), name, note, options);
    if (options.json) cli.output.json(deployment);
    else cli.output.facts(summary(deployment));
  });
}

export function promote(program: Command, cli: Cli): void {
  const command = program
    .command("promote")
    .summary("send all new runs to the canary, or to a revision")
    .argument("<deployment>")
    .option("--revision <number>", "to this one", wholeNumber(1, 2_147_483_647));
  changing<Options & { revision?: number }>(command, cli, (client, name, body, { revision, ...options }) =>
    client.deployments.promote(name, revision === undefined ? body : { ...body, revision }, guardOf(options)),
  );
}

export function rollback(program: Command, cli: Cli): void {
  const command = program
    .command("rollback")
    .summary("send all new runs back: off the canary, else to the revision before")
    .argument("<deployment>")
    .option("--release <number>", "to where this release sent them", wholeNumber(1, 2_147_483_647));
  changing<Options & { release?: number }>(command, cli, (client, name, body, { release, ...options }) =>
    client.deployments.rollback(name, release === undefined ? body : { ...body, release }, guardOf(options)),
  );
}

export function pause(program: Command, cli: Cli): void {
  const command = program.command("pause").summary("take no new runs; those there are go on").argument("<deployment>");
  changing(command, cli, (client, name, body, options) => client.deployments.pause(name, body, guardOf(options)));
}

export function resume(program: Command, cli: Cli): void {
  const command = program.command("resume").summary("take new runs again").argument("<deployment>");
  changing(command, cli, (client, name, body, options) => client.deployments.resume(name, body, guardOf(options)));
}

export function traffic(program: Command, cli: Cli): void {
  withJson(withNote(program.command("traffic")))
    .summary("split new runs between revisions")
    .argument("<deployment>")
    .argument("<split...>", "REVISION=PERCENT, together 100: 7=90 8=10")
    .action(async (name: string, parts: string[], options: Options) => {
      const split = parts.map((part) => {
        const [, revision, percent] = /^(\d+)=(\d+)%?$/.exec(part) ?? [];
        if (revision === undefined || percent === undefined) throw new UsageError(`“${part}” is not REVISION=PERCENT.`);
        return { revision: Number(revision), percent: Number(percent) };
      });
      const note = options.note === undefined ? {} : { note: options.note };
      const deployment = await cli.client().deployments.setTraffic(name, { split, ...note }, guardOf(options));
      if (options.json) cli.output.json(deployment);
      else cli.output.facts(summary(deployment));
    });
}
