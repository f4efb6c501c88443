import type { ApiKey, CreateApiKeyBody } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, type ListOptions, pageSize, several, showList, wholeNumber, withJson, withList } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { instant } from "../format.ts";

export function keys(program: Command, cli: Cli): void {
  const group = program.command("keys").summary("API keys: list, create, revoke");

  withList(group.command("list", { isDefault: true }))
    .summary("all of them, the newest first")
    .action(async (options: ListOptions) => {
      await showList(cli, "keys", cli.client().keys.list(pageSize(options)), options, {
        KEY: ({ id }) => id,
        NAME: ({ name }) => name,
        BEGINS: ({ prefix }) => prefix,
        STATE: state,
        USED: ({ last_used_at: at }) => (at === null ? "never" : instant(at)),
        SCOPES: ({ scopes }) => scopes.join(","),
      });
    });

  withJson(group.command("create"))
    .summary("make one and print it, this once")
    .argument("<name>")
    .requiredOption("--scopes <scopes>", "what it may do, several by commas; all for all that this key may", several)
    .option("--expires <instant>", "when it ends: 2027-01-01T00:00:00Z")
    .option("--per-minute <count>", "calls a minute it may make", wholeNumber(1, 1_000_000_000))
    .option("--burst <count>", "calls that may come at once", wholeNumber(1, 1_000_000_000))
    .action(
      async (
        name: string,
        options: { scopes: string[]; expires?: string; perMinute?: number; burst?: number; json?: true },
      ) => {
        const { perMinute, burst, expires } = options;
        if ((perMinute === undefined) !== (burst === undefined))
          throw new UsageError("--per-minute goes with --burst.");
        const client = cli.client();
        const scopes = options.scopes.includes("all") ? (await client.auth.whoami()).scopes : options.scopes;
        const made = await client.keys.create({
          name,
          scopes: scopes as CreateApiKeyBody["scopes"],
          ...(expires === undefined ? {} : { expires_at: expires }),
          ...(perMinute === undefined || burst === undefined ? {} : { rate_limit: { per_minute: perMinute, burst } }),
        });
        if (options.json) return cli.output.json(made);
        cli.output.line(made.key);
        cli.output.progress(`Key ${made.api_key.id}; it is shown this once.`);
      },
    );

  group
    .command("revoke")
    .summary("end one; every gateway refuses it within five seconds")
    .argument("<key>", "its id")
    .action(async (id: string) => {
      await cli.client().keys.revoke(id);
      cli.output.line(`Revoked key ${id}.`);
    });
}

function state({ revoked_at: revoked, expires_at: expires }: ApiKey) {
  if (revoked !== null) return { text: "revoked", style: "dim" } as const;
  if (expires !== null && Date.parse(expires) <= Date.now()) return { text: "expired", style: "dim" } as const;
  return { text: expires === null ? "valid" : `until ${instant(expires)}`, style: "green" } as const;
}
