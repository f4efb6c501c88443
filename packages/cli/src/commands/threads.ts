import type { Command } from "commander";
import { type Cli, type ListOptions, pageSize, showList, withList } from "../cli.ts";
import { instant } from "../format.ts";

export function threads(program: Command, cli: Cli): void {
  const group = program.command("threads").summary("conversations: list, read, delete");

  withList(group.command("list", { isDefault: true }))
    .summary("all of them, the newest first")
    .action(async (options: ListOptions) => {
      await showList(cli, "threads", cli.client().threads.list(pageSize(options)), options, {
        THREAD: ({ id }) => id,
        CREATED: ({ created_at: at }) => instant(at),
        CHANGED: ({ updated_at: at }) => instant(at),
        METADATA: ({ metadata }) => (Object.keys(metadata).length === 0 ? "" : JSON.stringify(metadata)),
      });
    });

  withList(group.command("messages"))
    .summary("what was said in one, the oldest first")
    .argument("<thread>")
    .action(async (thread: string, options: ListOptions) => {
      await showList(cli, "messages", cli.client().threads.messages(thread, pageSize(options)), options, {
        AT: ({ created_at: at }) => instant(at),
        WHO: ({ role, name }) => name ?? role,
        SAID: ({ content, tool_calls: calls }) =>
          content === "" ? (calls ?? []).map((call) => `${call.name} ${call.arguments}`).join(", ") : content,
      });
    });

  group
    .command("delete")
    .summary("delete one and its messages; its runs stay")
    .argument("<thread>")
    .action(async (thread: string) => {
      await cli.client().threads.delete(thread);
      cli.output.line(`Deleted thread ${thread}.`);
    });
}
