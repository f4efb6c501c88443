import type { CreateTriggerBody, RotateTriggerSecretReply } from "@maru/sdk";
import type { Command } from "commander";
import {
  type Cli,
  changeOf,
  givenOf,
  guardOf,
  idOf,
  jsonArgument,
  type ListOptions,
  pageSize,
  pair,
  showList,
  showOnce,
  switched,
  withGuard,
  withJson,
  withList,
  withSwitch,
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

const bodyOf = ({ deployment, input, thread, filter, onThreadBusy, metadata }: Fields) =>
  givenOf({ deployment, input, thread, filter, on_thread_busy: onThreadBusy, metadata });

export function triggers(program: Command, cli: Cli): void {
  const group = program.command("triggers").summary("runs when something is POSTed: list, create, watch");
  const find = (given: string) => idOf("trg_", "trigger", given, cli.client().triggers.list({ limit: 100 }));
  const show = ({ trigger, secret }: RotateTriggerSecretReply) =>
    showOnce(
      cli,
      { trigger: `${trigger.name}, ${trigger.id}`, url: `${cli.place().url}${trigger.path}`, secret },
      "The secret is what a sender shows or signs with",
    );

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
      const auth = givenOf({ auth: options.auth });
      const made = await cli.client().triggers.create({ ...rest, name, deployment, input, ...auth });
      if (options.json) cli.output.json(made);
      else show(made);
    });

  withJson(withGuard(withSwitch(withFields(group.command("update")))))
    .summary("change one, or have it take nothing for a while")
    .argument("<trigger>", "its id or name")
    .option("--name <name>", "another name")
    .action(
      async (
        given: string,
        options: Fields & { name?: string; enable?: true; disable?: true; ifMatch?: string; json?: true },
      ) => {
        const change = changeOf({ ...bodyOf(options), name: options.name, ...switched(options) });
        const trigger = await cli.client().triggers.update(await find(given), change, guardOf(options));
        if (options.json) cli.output.json(trigger);
        else cli.output.line(`${trigger.name}: ${trigger.enabled ? "enabled" : "disabled"}`);
      },
    );

  withJson(group.command("rotate-secret"))
    .summary("give one a new secret; the one before it is good too for a while")
    .argument("<trigger>", "its id or name")
    .action(async (given: string, { json }: { json?: true }) => {
      const rotated = await cli.client().triggers.rotateSecret(await find(given));
      if (json) cli.output.json(rotated);
      else show(rotated);
    });

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
