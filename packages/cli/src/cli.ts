import { type Client, createClient, type Pages } from "@maru/sdk";
import { type Command, InvalidArgumentError, Option } from "commander";
import type { Config, Place } from "./config.ts";
import { UnknownName, UsageError } from "./exit.ts";
import { type Columns, createOutput, type Output } from "./output.ts";
import type { Prompter } from "./prompt.ts";

/** What every command works with. */
export interface Cli {
  readonly config: Config;
  readonly output: Output;
  readonly prompt: Prompter;
  /** The command line as a whole, for help and completion. */
  readonly version: string;
  /** The profile that was named with --profile. */
  profile: string | undefined;
  /** Where the commands call and as whom. @throws NotSignedIn */
  place(): Place;
  client(): Client;
  /** What the process ends with, where nothing was thrown. */
  exitCode: number;
}

export function createCli(config: Config, prompt: Prompter, version: string): Cli {
  const cli: Cli = {
    config,
    prompt,
    version,
    output: createOutput(process.stdout, process.stderr, config.colour),
    profile: undefined,
    place: () => config.place(cli.profile),
    client: () => clientOf(cli, cli.place()),
    exitCode: 0,
  };
  return cli;
}

export const clientOf = ({ version }: Pick<Cli, "version">, { url, key }: Pick<Place, "url" | "key">): Client =>
  createClient({ baseUrl: url, apiKey: key, headers: { "user-agent": `maru-cli/${version}` } });

/** What every command that shows something can do. */
export const withJson = (command: Command): Command =>
  command.option("--json", "print the API's own objects as JSON; their shape is stable");

export interface ListOptions {
  readonly limit: number;
  readonly all?: true;
  readonly json?: true;
}
export const withList = (command: Command): Command =>
  withJson(
    command
      .option("-n, --limit <count>", "at most so many", wholeNumber(1, 1_000_000), 20)
      .option("--all", "all there are"),
  );

/** What a list's own page is asked for: no more than is shown. */
export const pageSize = ({ limit, all }: ListOptions): { limit: number } => ({
  limit: all ? 100 : Math.min(100, limit),
});

/** Shows a list, as a table or as JSON; says so when there is more, or nothing. */
export async function showList<T>(
  { output }: Cli,
  what: string,
  pages: Pages<T, unknown> | readonly T[],
  options: ListOptions,
  columns: Columns<T>,
): Promise<void> {
  const items: T[] = [];
  let more = false;
  for await (const item of pages) {
    more = items.length === options.limit && options.all !== true;
    if (more) break;
    items.push(item);
  }
  if (options.json) output.json(items);
  else if (items.length === 0) output.progress(`There are no ${what}.`);
  else output.table(items, columns);
  if (more && !options.json) output.progress(output.err.style("dim", `The first ${items.length}; --all shows all.`));
}

/** Of commands that change what others may change too. */
export const withGuard = (command: Command): Command =>
  command.option("--if-match <etag>", "only if nobody has changed it since it had this ETag");
export const guardOf = ({ ifMatch }: { ifMatch?: string }): { ifMatch?: string } =>
  ifMatch === undefined ? {} : { ifMatch: /^(\*|(W\/)?".*")$/.test(ifMatch) ? ifMatch : `"${ifMatch}"` };

/** Of what takes nothing for a while, and then does again. */
export const withSwitch = (command: Command): Command =>
  command.option("--enable").addOption(new Option("--disable").conflicts("enable"));
export const switched = ({ enable, disable }: { enable?: true; disable?: true }): { enabled?: boolean } =>
  enable || disable ? { enabled: enable === true } : {};

type Given<T> = { [K in keyof T]?: Exclude<T[K], undefined> };
/** What of the options was given. */
export const givenOf = <T extends object>(fields: T): Given<T> =>
  Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Given<T>;
/** The same for a change. @throws UsageError where nothing was given */
export function changeOf<T extends object>(fields: T): Given<T> {
  const change = givenOf(fields);
  if (Object.keys(change).length === 0) throw new UsageError("There is nothing to change.");
  return change;
}

/** Shows what nobody can read again. */
export function showOnce({ output }: Cli, facts: Readonly<Record<string, string>>, what: string): void {
  output.facts(facts);
  output.progress(`${what}; it is shown this once.`);
}

export const withNote = (command: Command): Command =>
  withGuard(command.option("--note <text>", "why, for the history"));

export function wholeNumber(minimum: number, maximum: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (!/^\d+$/.test(text) || value < minimum || value > maximum)
      throw new InvalidArgumentError(`It is a whole number from ${minimum} to ${maximum}.`);
    return value;
  };
}

/** `k=v`, as often as the option is given. */
export function pair(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError("It is NAME=VALUE.");
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Several, separated by commas or by giving the option again. */
export const several = (text: string, before: readonly string[] = []): string[] => [
  ...before,
  ...text.split(",").filter((part) => part !== ""),
];

export function jsonArgument(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError("It is not JSON.");
  }
}

/** The id of what was named by its id or by its name; what is not found is left to the API to say so. */
export async function idOf(
  prefix: string,
  what: string,
  given: string,
  pages: Pages<{ readonly id: string; readonly name: string }, unknown>,
): Promise<string> {
  if (given.startsWith(prefix)) return given;
  for await (const { id, name } of pages) if (name === given) return id;
  throw new UnknownName(`There is no ${what} named ${given}: maru ${what}s lists what there is.`);
}
