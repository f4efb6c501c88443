import type { Command } from "commander";
import {
  type Cli,
  guardOf,
  type ListOptions,
  pageSize,
  showList,
  wholeNumber,
  withGuard,
  withJson,
  withList,
} from "../cli.ts";
import { confirmed } from "../confirm.ts";
import { EXIT } from "../exit.ts";
import { bytes, count, counted, instant } from "../format.ts";
import { inputOf } from "./run.ts";

type Scope = "agent" | "user" | "thread" | "workspace";
interface PlaceOptions {
  readonly scope: Scope;
  readonly agent?: string;
  readonly subject?: string;
}

const withPlace = (command: Command): Command =>
  command
    .requiredOption("--scope <scope>", "agent, user, thread or workspace")
    .option("--agent <name>", "whose memory; for every scope but workspace")
    .option("--subject <id>", "the thread's id, or the end user");
const placeOf = ({ scope, agent, subject }: PlaceOptions) => ({
  scope,
  ...(agent === undefined ? {} : { agent }),
  ...(subject === undefined ? {} : { subject }),
});

export function memory(program: Command, cli: Cli): void {
  const group = program.command("memory").summary("what agents remember: read, write, search, erase");

  withList(group.command("list", { isDefault: true }))
    .summary("the namespaces that have items")
    .action(async (options: ListOptions) => {
      await showList(cli, "memories", cli.client().memory.list(pageSize(options)), options, {
        SCOPE: ({ scope }) => scope,
        AGENT: ({ agent }) => agent ?? "",
        SUBJECT: ({ subject }) => subject ?? "",
        ITEMS: ({ items }) => ({ text: count(items), right: true }),
        SIZE: ({ bytes: size }) => ({ text: bytes(size), right: true }),
        CHANGED: ({ updated_at: at }) => instant(at),
      });
    });

  withList(withPlace(group.command("items")))
    .summary("a namespace's items")
    .option("--prefix <text>", "those whose key begins so")
    .action(async ({ prefix, ...options }: ListOptions & PlaceOptions & { prefix?: string }) => {
      const query = { ...placeOf(options), ...pageSize(options), ...(prefix === undefined ? {} : { prefix }) };
      await showList(cli, "items", cli.client().memory.items(query), options, {
        KEY: ({ key }) => key,
        VERSION: ({ version }) => ({ text: String(version), right: true }),
        CHANGED: ({ updated_at: at }) => instant(at),
        EXPIRES: ({ expires_at: at }) => (at === null ? "" : instant(at)),
        VALUE: ({ value }) => JSON.stringify(value),
      });
    });

  withPlace(group.command("get"))
    .summary("one item's value, as JSON")
    .argument("<key>")
    .action(async (key: string, options: PlaceOptions) => {
      cli.output.json((await cli.client().memory.getItem(key, placeOf(options))).value);
    });

  withJson(withGuard(withPlace(group.command("set"))))
    .summary("set an item: JSON, and what is no JSON as text")
    .argument("<key>")
    .argument("[value...]", "- or nothing reads standard input")
    .option("--ttl <seconds>", "until it is gone", wholeNumber(1, 315_360_000))
    .action(
      async (key: string, words: string[], options: PlaceOptions & { ttl?: number; ifMatch?: string; json?: true }) => {
        const said = await inputOf(words, cli);
        const body = { value: parsed(said), ...(options.ttl === undefined ? {} : { ttl: options.ttl }) };
        const item = await cli.client().memory.putItem(key, body, placeOf(options), guardOf(options));
        if (options.json) cli.output.json(item);
        else cli.output.line(`${item.key}: version ${item.version}, ${bytes(item.bytes)}`);
      },
    );

  withGuard(withPlace(group.command("delete")))
    .summary("remove an item")
    .argument("<key>")
    .action(async (key: string, options: PlaceOptions & { ifMatch?: string }) => {
      await cli.client().memory.deleteItem(key, placeOf(options), guardOf(options));
      cli.output.line(`Deleted ${key}.`);
    });

  withList(withPlace(group.command("search")))
    .summary("the items that fit a text, the best first")
    .argument("<query...>")
    .action(async (words: string[], options: ListOptions & PlaceOptions) => {
      const limit = Math.min(50, options.all ? 50 : options.limit);
      const { data } = await cli.client().memory.search({ query: words.join(" "), limit }, placeOf(options));
      await showList(
        cli,
        "items that fit",
        data,
        { ...options, limit: 50 },
        {
          SCORE: ({ score }) => ({ text: score.toFixed(3), right: true }),
          KEY: ({ key }) => key,
          VALUE: ({ value }) => JSON.stringify(value),
        },
      );
    });

  withJson(withPlace(group.command("usage")))
    .summary("how much a namespace and the workspace keep, and how much they may")
    .action(async ({ json, ...options }: PlaceOptions & { json?: true }) => {
      const usage = await cli.client().memory.getUsage(placeOf(options));
      if (json) return cli.output.json(usage);
      cli.output.facts({
        items: `${count(usage.items)} of ${count(usage.limits.items)}`,
        size: `${bytes(usage.bytes)} of ${bytes(usage.limits.bytes)}`,
        workspace: `${bytes(usage.workspace_bytes)} of ${bytes(usage.limits.workspace_bytes)}`,
      });
    });

  withJson(withPlace(group.command("erase")))
    .summary("remove a namespace; without --agent all that agents keep of a thread or an end user")
    .option("-y, --yes", "do not ask")
    .action(async ({ yes, json, ...options }: PlaceOptions & { yes?: true; json?: true }) => {
      const whose = [options.scope, options.agent, options.subject].filter((part) => part !== undefined).join(" ");
      if (!(await confirmed(cli, `Erase the memory of ${whose}?`, yes ? { yes } : {}))) {
        cli.exitCode = EXIT.failed;
        return;
      }
      const erased = await cli.client().memory.erase(placeOf(options));
      if (json) return cli.output.json(erased);
      cli.output.line(`Erased ${counted(erased.items, "item")} of ${counted(erased.namespaces, "namespace")}.`);
    });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}
