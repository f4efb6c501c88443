import type { Command } from "commander";
import { type Cli, type ListOptions, pageSize, pair, showList, wholeNumber, withJson, withList } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { instant } from "../format.ts";
import { showChanges } from "../plan.ts";

const number = wholeNumber(1, 2_147_483_647);

export function revisions(program: Command, cli: Cli): void {
  const group = program.command("revisions").summary("an agent's manifests: list, show, compare, label");

  withList(group.command("list", { isDefault: true }))
    .summary("all that are kept, the newest first")
    .argument("<agent>")
    .action(async (agent: string, options: ListOptions) => {
      await showList(cli, "revisions", cli.client().agents.revisions(agent, pageSize(options)), options, {
        REVISION: ({ number }) => ({ text: String(number), right: true }),
        CREATED: ({ created_at: at }) => instant(at),
        DIGEST: ({ digest }) => digest.slice(0, 12),
        LABELS: ({ labels }) =>
          Object.entries(labels)
            .map(([name, value]) => `${name}=${value}`)
            .join(" "),
      });
    });

  group
    .command("show")
    .summary("one as JSON, with every default filled in")
    .argument("<agent>")
    .argument("<revision>", "its number", number)
    .action(async (agent: string, revision: number) => {
      cli.output.json(await cli.client().agents.getRevision(agent, revision));
    });

  withJson(group.command("diff"))
    .summary("what changed from one to another")
    .argument("<agent>")
    .argument("<from>", "a revision's number", number)
    .argument("[to]", "another's; without it, what FROM changed of the one before", number)
    .action(async (agent: string, from: number, to: number | undefined, { json }: { json?: true }) => {
      const { agents } = cli.client();
      const result = await (to === undefined
        ? agents.diffRevisions(agent, from)
        : agents.diffRevisions(agent, to, { with: from }));
      if (json) return cli.output.json(result);
      cli.output.line(
        `${agent}: ${result.from === null ? "nothing" : `revision ${result.from}`} → revision ${result.to}`,
      );
      if (result.changes.length === 0) cli.output.line("  the same");
      showChanges(result.changes, cli.output);
    });

  withJson(group.command("label"))
    .summary("set a revision's labels; one that has any is kept for good")
    .argument("<agent>")
    .argument("<revision>", "its number", number)
    .argument("[labels...]", "NAME=VALUE; none removes all")
    .option("-y, --yes", "remove all without labels to set")
    .action(async (agent: string, revision: number, words: string[], { yes, json }: { yes?: true; json?: true }) => {
      if (words.length === 0 && !yes) throw new UsageError("Without labels all would be removed: --yes does it.");
      const labels = words.reduce<Record<string, string>>((all, word) => pair(word, all), {});
      const result = await cli.client().agents.labelRevision(agent, revision, { labels });
      if (json) return cli.output.json(result);
      cli.output.line(`${agent} ${revision}: ${words.join(" ") || "no labels"}`);
    });
}
