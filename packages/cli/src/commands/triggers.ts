import type { CreateTriggerBody } from "@maru/sdk";
import type { Command } from "commander";
import {
  type Cli,
  guardOf,
  idOf,
  jsonArgument,
  type ListOptions,
  pageSize,
  pair,
  showList,
  withGuard,
  withJson,
  withList,
} from "../cli.ts";
import { UsageError } from "../exit.ts";
import { instant } from "../format.ts";

interface Fields {
  readonly deployment?: string;
  readonly input?: string;
  readonly thread?: string;
  readonly filter?: NonNullable<CreateTriggerBody["filter"]>;
  readonly onThreadBusy?: NonNullable<CreateTriggerBody["on_thread_busy"]>;
  readonly metadata?: Record<string, string>;
}

const withFields = (command: Command): Command =>
  command
    .option("--deployment <name>", "what is run")
    .option("--input <template>", "what is said; {{/issue/title}} stands for that of the body, {{body}} for all of it")
    .option("--thread <pointer>", "where in the body the key of a conversation is")
    .option("--filter <json>", "JSON Schema: a body that does not fit starts no run", jsonArgument)
    .option("--on-thread-busy <rule>", "reject, enqueue or interrupt")
    .option("-m, --metadata <name=template>", "of its runs; may be given often", pair);

const bodyOf = ({ deployment, input, thread, filter, onThreadBusy, metadata }: Fields) => ({
  ...(deployment === undefined ? {} : { deployment }),
  ...(input === undefined ? {} : { input }),
  ...(thread === undefined ? {} : { thread }),
  ...(filter === undefined ? {} : { filter }),
  ...(onThreadBusy === undefined ? {} : { on_thread_busy: onThreadBusy }),
  ...(metadata === undefined ? {} : { metadata }),
});

export function triggers(program: Command, cli: Cli): void {
  const group = program.command("triggers").summary("runs when something is POSTed: list, create, watch");
  const find = (given: string) => idOf("trg_", given, cli.client().triggers.list({ limit: 100 }));
  const showSecret = (secret: string) => {
    cli.output.line(secret);
    cli.output.progress("What a sender shows or signs with; it is shown this once.");
  };

  withList(group.command("list", { isDefault: true }))
    .summary("all of them, the newest first")
    .action(async (options: ListOptions) => {
      await showList(cli, "triggers", cli.client().triggers.list(pageSize(options)), options, {
        TRIGGER: ({ id }) => id,
        NAME: ({ name }) => name,
        DEPLOYMENT: ({ deployment }) => deployment,
        AUTH: ({ auth }) => auth,
        STATE: ({ enabled }) => (enabled ? { text: "enabled", style: "green" } : { text: "disabled", style: "dim" }),
        PATH: ({ path }) => path,
      });
    });

  withJson(withFields(group.command("create")))
    .summary("make one, and print its URL and its secret")
    .argument("<name>")
    .option("--auth <kind>", "token (default), standard_webhooks or github")
    .action(async (name: string, options: Fields & { auth?: NonNullable<CreateTriggerBody["auth"]>; json?: true }) => {
      const { deployment, input, ...rest } = bodyOf(options);
      if (deployment === undefined || input === undefined)
        throw new UsageError("A trigger needs --deployment and --input.");
      const auth = options.auth === undefined ? {} : { auth: options.auth };
      const made = await cli.client().triggers.create({ ...rest, name, deployment, input, ...auth });
      if (options.json) return cli.output.json(made);
      cli.output.line(`${cli.place().url}${made.trigger.path}`);
      showSecret(made.secret);
    });

  withJson(withGuard(withFields(group.command("update"))))
    .summary("change one, or have it take nothing for a while")
    .argument("<trigger>", "its id or name")
    .option("--name <name>", "another name")
    .option("--enable")
    .option("--disable")
    .action(
      async (
        given: string,
        options: Fields & { name?: string; enable?: true; disable?: true; ifMatch?: string; json?: true },
      ) => {
        const { name, enable, disable } = options;
        const change = {
          ...bodyOf(options),
          ...(name === undefined ? {} : { name }),
          ...(enable || disable ? { enabled: enable === true } : {}),
        };
        if (Object.keys(change).length === 0 || (enable && disable))
          throw new UsageError("There is nothing to change.");
        const trigger = await cli.client().triggers.update(await find(given), change, guardOf(options));
        if (options.json) cli.output.json(trigger);
        else cli.output.line(`${trigger.name}: ${trigger.enabled ? "enabled" : "disabled"}`);
      },
    );

  group
    .command("rotate-secret")
    .summary("give one a new secret; the one before it is good too for a while")
    .argument("<trigger>", "its id or name")
    .action(async (given: string) => showSecret((await cli.client().triggers.rotateSecret(await find(given))).secret));

  withList(group.command("deliveries"))
    .summary("what was sent to one, and what became of it")
    .argument("<trigger>", "its id or name")
    .action(async (given: string, options: ListOptions) => {
      const pages = cli.client().triggers.deliveries(await find(given), pageSize(options));
      await showList(cli, "deliveries", pages, options, {
        AT: ({ at }) => instant(at),
        OUTCOME: ({ outcome }) => outcome,
        RUN: ({ run_id: id }) => id ?? "",
        WHY: ({ code, detail }) => detail ?? code ?? "",
      });
    });

  withGuard(group.command("delete"))
    .summary("delete one; runs it started go on")
    .argument("<trigger>", "its id or name")
    .action(async (given: string, options: { ifMatch?: string }) => {
      await cli.client().triggers.delete(await find(given), guardOf(options));
      cli.output.line(`Deleted trigger ${given}.`);
    });
}
