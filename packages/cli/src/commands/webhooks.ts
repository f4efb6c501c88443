import type { NewWebhook, WebhookDelivery } from "@maru/sdk";
import type { Command } from "commander";
import {
  type Cli,
  guardOf,
  type ListOptions,
  pageSize,
  several,
  showList,
  withGuard,
  withJson,
  withList,
} from "../cli.ts";
import { UsageError } from "../exit.ts";
import { instant } from "../format.ts";

type Events = NewWebhook["events"];

export function webhooks(program: Command, cli: Cli): void {
  const group = program.command("webhooks").summary("have events sent to a URL");
  const showSecret = (secret: string) => {
    cli.output.line(secret);
    cli.output.progress("The signing secret; it is shown this once.");
  };

  withList(group.command("list", { isDefault: true }))
    .summary("all of them")
    .action(async (options: ListOptions) => {
      await showList(cli, "webhooks", cli.client().webhooks.list(pageSize(options)), options, {
        WEBHOOK: ({ id }) => id,
        STATE: ({ enabled, disabled_reason: reason }) =>
          enabled
            ? { text: "enabled", style: "green" }
            : { text: `disabled${reason === null ? "" : ` (${reason})`}`, style: "dim" },
        EVENTS: ({ events }) => events.join(","),
        URL: ({ url }) => url,
      });
    });

  withJson(group.command("create"))
    .summary("make one, and print its id and its signing secret")
    .argument("<url>")
    .requiredOption("--events <patterns>", "run.*, deployment.*, quota.* or single ones; several by commas", several)
    .option("--description <text>")
    .action(async (url: string, options: { events: string[]; description?: string; json?: true }) => {
      const { json, description } = options;
      const body = { url, events: options.events as Events, ...(description === undefined ? {} : { description }) };
      const made = await cli.client().webhooks.create(body);
      if (json) return cli.output.json(made);
      cli.output.line(made.webhook.id);
      showSecret(made.secret);
    });

  withJson(withGuard(group.command("update")))
    .summary("change one: where events go, which, and whether")
    .argument("<webhook>")
    .option("--url <url>")
    .option("--events <patterns>", "instead of those it has", several)
    .option("--description <text>")
    .option("--enable")
    .option("--disable")
    .action(
      async (
        id: string,
        options: {
          url?: string;
          events?: string[];
          description?: string;
          enable?: true;
          disable?: true;
          ifMatch?: string;
          json?: true;
        },
      ) => {
        const { url, events, description, enable, disable } = options;
        const change = {
          ...(url === undefined ? {} : { url }),
          ...(events === undefined ? {} : { events: events as Events }),
          ...(description === undefined ? {} : { description }),
          ...(enable || disable ? { enabled: enable === true } : {}),
        };
        if (Object.keys(change).length === 0 || (enable && disable))
          throw new UsageError("There is nothing to change.");
        const webhook = await cli.client().webhooks.update(id, change, guardOf(options));
        if (options.json) cli.output.json(webhook);
        else cli.output.line(`${webhook.id}: ${webhook.enabled ? "enabled" : "disabled"}, ${webhook.events.join(",")}`);
      },
    );

  withGuard(group.command("delete"))
    .summary("delete one and its log")
    .argument("<webhook>")
    .action(async (id: string, options: { ifMatch?: string }) => {
      await cli.client().webhooks.delete(id, guardOf(options));
      cli.output.line(`Deleted webhook ${id}.`);
    });

  group
    .command("rotate-secret")
    .summary("give one a new secret; the one before it signs too for a day")
    .argument("<webhook>")
    .action(async (id: string) => showSecret((await cli.client().webhooks.rotateSecret(id)).secret));

  withJson(group.command("test"))
    .summary("send one a webhook.test event")
    .argument("<webhook>")
    .action(async (id: string, { json }: { json?: true }) => {
      showDelivery(cli, await cli.client().webhooks.test(id), json);
    });

  withList(group.command("deliveries"))
    .summary("what was sent, or will be")
    .argument("<webhook>")
    .option("--state <state>", "pending, delivered or dead")
    .action(async (id: string, { state, ...options }: ListOptions & { state?: WebhookDelivery["state"] }) => {
      const query = { ...pageSize(options), ...(state === undefined ? {} : { state }) };
      await showList(cli, "deliveries", cli.client().webhooks.deliveries(id, query), options, {
        DELIVERY: (delivery) => delivery.id,
        EVENT: ({ event }) => event.type,
        STATE: ({ state: is }) => ({
          text: is,
          style: { pending: "yellow", delivered: "green", dead: "red" }[is] as "red",
        }),
        TRIES: ({ attempts }) => ({ text: String(attempts), right: true }),
        LAST: ({ last_status: status, last_error: error }) => [status, error].filter((part) => part !== null).join(" "),
        CREATED: ({ created_at: at }) => instant(at),
      });
    });

  withJson(group.command("redeliver"))
    .summary("send an event again")
    .argument("<webhook>")
    .argument("<delivery>")
    .action(async (id: string, delivery: string, { json }: { json?: true }) => {
      showDelivery(cli, await cli.client().webhooks.redeliver(id, delivery), json);
    });
}

function showDelivery({ output }: Cli, delivery: WebhookDelivery, json: true | undefined): void {
  if (json) output.json(delivery);
  else output.line(`${delivery.id}: ${delivery.event.type} ${delivery.state}`);
}
