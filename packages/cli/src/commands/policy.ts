import type { GetPolicyReply, PutPolicyBody } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, guardOf, withGuard, withJson } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { instant } from "../format.ts";
import { readFile } from "../manifests.ts";

export function policy(program: Command, cli: Cli): void {
  const group = program.command("policy").summary("what the workspace lets its agents reach and use");

  withJson(group.command("show", { isDefault: true }))
    .summary("the policy in force")
    .action(async ({ json }: { json?: true }) => {
      const reply = await cli.client().request("getPolicy", {});
      const found = (await reply.json()) as GetPolicyReply;
      if (json) return cli.output.json(found);
      show(cli, found, reply.headers.get("etag"));
    });

  withJson(withGuard(group.command("set")))
    .summary("replace it as a whole")
    .argument("<file>", "JSON as --json shows it; - reads standard input")
    .action(async (file: string, options: { ifMatch?: string; json?: true }) => {
      const text = file === "-" ? await cli.prompt.readAll() : readFile(file);
      let rules: PutPolicyBody;
      try {
        const { updated_at: _, ...given } = JSON.parse(text);
        rules = given;
      } catch {
        throw new UsageError(`${file} is not JSON.`);
      }
      const found = await cli.client().policy.put(rules, guardOf(options));
      if (options.json) cli.output.json(found);
      else show(cli, found, null);
    });
}

function show({ output }: Cli, { egress, tools, updated_at: at }: GetPolicyReply, etag: string | null): void {
  const list = (items: readonly string[]) => (items.length === 0 ? "none" : items.join(", "));
  output.facts({
    "hosts allowed": egress.allow === null ? "every public one" : list(egress.allow),
    "hosts denied": list(egress.deny),
    "tools denied": list(tools.deny),
    changed: at === null ? "never" : instant(at),
    etag,
  });
}
