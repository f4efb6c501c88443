import type { Command } from "commander";
import { type Cli, type ListOptions, pageSize, showList, withList } from "../cli.ts";
import { instant } from "../format.ts";

export function releases(program: Command, cli: Cli): void {
  withList(program.command("releases"))
    .summary("what became of a deployment: who, when, why")
    .argument("<deployment>")
    .action(async (name: string, options: ListOptions) => {
      await showList(cli, "releases", cli.client().deployments.releases(name, pageSize(options)), options, {
        RELEASE: ({ number }) => ({ text: String(number), right: true }),
        WHAT: ({ kind }) => kind,
        TRAFFIC: ({ traffic }) => traffic.map(({ revision, percent }) => `${revision} ${percent} %`).join(", "),
        BY: ({ by }) => by,
        AT: ({ at }) => instant(at),
        WHY: ({ note, reason }) => note ?? reason ?? "",
      });
    });
}
