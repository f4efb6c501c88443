import type { NewWebhook, WebhookDelivery, WebhookWithSecret } from "@maru/sdk";
import type { Command } from "commander";
import {
  type Cli,
  changeOf,
  givenOf,
  guardOf,
  type ListOptions,
  pageSize,
  several,
  showList,
  showOnce,
  switched,
  withGuard,
  withJson,
  withList,
  withSwitch,
} from "../cli.ts";
import { instant } from "../format.ts";

type Events = NewWebhook["events"];

export function webhooks(program: Command, cli: Cli): void {
  const group = program.command("webhooks").summary("have events sent to a URL");
  const show = ({ webhook, secret }: WebhookWithSecret) =>
    showOnce(cli, { webhook: webhook.id, url: webhook.url, secret }, "The secret is what deliveries are signed with");

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
      const body = { url, events: options.events as Events, ...givenOf({ description }) };
      const made = await cli.client().webhooks.create(body);
      if (json) cli.output.json(made);
      else show(made);
    });

  withJson(withGuard(withSwitch(group.command("update"))))
    .summary("change one: where events go, which, and whether")
    .argument("<webhook>", "its id")
    .option("--url <url>")
    .option("--events <patterns>", "instead of those it has", several)
    .option("--description <text>")
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
        const { url, events, description } = options;
        const change = changeOf({ url, events: events as Events | undefined, description, ...switched(options) });
        const webhook = await cli.client().webhooks.update(id, change, guardOf(options));
        if (options.json) cli.output.json(webhook);
        else cli.output.line(`${webhook.id}: ${webhook.enabled ? "enabled" : "disabled"}, ${webhook.events.join(",")}`);
      },
    );

  withGuard(group.command("delete"))
    .summary("delete one and its log")
    .argument("<webhook>", "its id")
    .action(async (id: string, options: { ifMatch?: string }) => {
      await cli.client().webhooks.delete(id, guardOf(options));
      cli.output.line(`Deleted webhook ${id}.`);
    });

  withJson(group.command("rotate-secret"))
    .summary("give one a new secret; the one before it signs too for a day")
    .argument("<webhook>", "its id")
    .action(async (id: string, { json }: { json?: true }) => {
      const rotated = await cli.client().webhooks.rotateSecret(id);
      if (json) cli.output.json(rotated);
      else show(rotated);
    });

  withJson(group.command("test"))
    .summary("send one a webhook.test event")
    .argument("<webhook>", "its id")
    .action(async (id: string, { json }: { json?: true }) => {
      showDelivery(cli, await cli.client().webhooks.test(id), json);
    });

  withList(group.command("deliveries"))
    .summary("what was sent, or will be")
    .argument("<webhook>", "its id")
    .option("--state <state>", "pending, delivered or dead")
    .action(async (id: string, { state, ...options }: ListOptions & { state?: WebhookDelivery["state"] }) => {
      const query = { ...pageSize(options), ...givenOf({ state }) };
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
    .argument("<webhook>", "its id")
    .argument("<delivery>", "its id")
    .action(async (id: string, delivery: string, { json }: { json?: true }) => {
      showDelivery(cli, await cli.client().webhooks.redeliver(id, delivery), json);
    });
}

function showDelivery({ output }: Cli, delivery: WebhookDelivery, json: true | undefined): void {
  if (json) output.json(delivery);
  else output.line(`${delivery.id}: ${delivery.event.type} ${delivery.state}`);
}
