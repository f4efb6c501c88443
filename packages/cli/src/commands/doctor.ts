import { type ApiKey, ConnectionError, MaruError } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, withJson } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { exitCodeOf, inWords } from "../failure.ts";
import { duration, harmless } from "../format.ts";

interface Check {
  readonly check: string;
  readonly ok: boolean;
  readonly detail: string;
}

/** What a key may be allowed; the compiler knows when one is missing. */
const SCOPES: Readonly<Record<ApiKey["scopes"][number], true>> = {
  "agents:read": true,
  "agents:write": true,
  "runs:read": true,
  "runs:write": true,
  "runs:approve": true,
  "usage:read": true,
  "quota:manage": true,
  "keys:manage": true,
  "webhooks:manage": true,
  "secrets:manage": true,
  "schedules:read": true,
  "schedules:write": true,
  "triggers:read": true,
  "triggers:write": true,
  "policy:manage": true,
  "memory:read": true,
  "memory:write": true,
};
/** Clocks that are further apart spoil signatures of webhooks, and times that are read side by side. */
const SKEW_MS = 30_000;

export function doctor(program: Command, cli: Cli): void {
  withJson(program.command("doctor"))
    .summary("look for what is wrong: connection, key, clock, versions, balances")
    .argument("[part]", "quota: only recompute every balance from the ledger")
    .action(async (part: string | undefined, { json }: { json?: true }) => {
      const { output } = cli;
      const checks: Check[] = [];
      const look = async (check: string, find: () => Promise<string | { readonly bad: string }>) => {
        let found: Check;
        try {
          const said = await find();
          found = { check, ok: typeof said === "string", detail: typeof said === "string" ? said : said.bad };
          if (!found.ok && cli.exitCode === EXIT.ok) cli.exitCode = EXIT.failed;
        } catch (error) {
          if (!(error instanceof MaruError || error instanceof ConnectionError)) throw error;
          found = { check, ok: false, detail: inWords(error) };
          if (cli.exitCode === EXIT.ok) cli.exitCode = exitCodeOf(error);
        }
        checks.push(found);
        const { out } = output;
        if (!json)
          output.line(
            `${found.ok ? out.style("green", "✓") : out.style("red", "✗")} ${check}: ${harmless(found.detail)}`,
          );
        return found.ok;
      };

      const place = cli.place();
      const client = cli.client();
      const audit = () =>
        look("balances", async () => {
          const { exact, findings } = await client.quota.audit();
          if (exact) return "every balance is the sum of its entries, and every charge is in the usage records";
          return {
            bad: findings
              .map(({ subject, finding, found, expected }) => `${subject}: ${finding}: ${found} instead of ${expected}`)
              .join("; "),
          };
        });
      if (part === "quota") await audit();
      else {
        let date: string | null = null;
        const reached = await look("connection", async () => {
          const began = performance.now();
          const reply = await client.request("health", { retries: 0, timeoutMs: 5_000 });
          await reply.text();
          date = reply.headers.get("date");
          return `${place.url} answers in ${duration(performance.now() - began)}`;
        });
        if (reached) {
          await look("service", async () => {
            const { status, checks: parts } = await client.operations.ready();
            const down = Object.entries(parts).filter(([, { ok }]) => !ok);
            if (status === "ready") return Object.keys(parts).join(", ");
            return { bad: down.map(([name, { detail }]) => `${name} ${detail ?? "is down"}`).join("; ") };
          });
          await look(
            "version",
            async () => `${(await client.operations.health()).version}, this is maru ${cli.version}`,
          );
          await look("clock", async () => {
            if (date === null) return "the reply has no date";
            const apart = Math.abs(Date.now() - Date.parse(date));
            // A date is of whole seconds.
            if (apart <= SKEW_MS) return `${apart < 2_000 ? "less than 2 s" : duration(apart)} apart`;
            return { bad: `yours and the service's are ${duration(apart)} apart: set yours by NTP` };
          });
          const known = await look("key", async () => {
            const { workspace, user } = await client.auth.whoami();
            return `${place.keyFrom}, workspace ${workspace.name} (${workspace.plan})${user === null ? "" : `, ${user.email}`}`;
          });
          if (known) {
            await look("scopes", async () => {
              const { scopes } = await client.auth.whoami();
              const missing = Object.keys(SCOPES).filter((scope) => !(scopes as readonly string[]).includes(scope));
              return missing.length === 0 ? "all" : `${scopes.join(", ")}; not ${missing.join(", ")}`;
            });
            await audit();
          }
        }
        if (cli.config.exposed())
          await look("config file", async () => ({
            bad: `others can read ${cli.config.file}: chmod 600 ${cli.config.file}`,
          }));
      }
      if (json) output.json(checks);
    });
}
