import { createWriteStream } from "node:fs";
import { basename } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { type Cli, type ListOptions, showList, withList } from "../cli.ts";
import { UsageError } from "../exit.ts";
import { bytes } from "../format.ts";

export function artifacts(program: Command, cli: Cli): void {
  const group = program.command("artifacts").summary("what tools gave beside text: list a run's, get one");

  withList(group.command("list"))
    .summary("a run's")
    .argument("<run>")
    .action(async (run: string, options: ListOptions) => {
      await showList(cli, "artifacts", cli.client().runs.artifacts(run), options, {
        ARTIFACT: ({ id }) => id,
        STEP: ({ step }) => ({ text: String(step), right: true }),
        TYPE: ({ media_type: type }) => type,
        SIZE: ({ size }) => ({ text: bytes(size), right: true }),
        NAME: ({ name }) => name,
      });
    });

  group
    .command("get")
    .summary("save one's bytes")
    .argument("<artifact>")
    .option("-o, --output <file>", "where; - is standard output (default: its own name)")
    .option("--force", "write over a file that is there")
    .action(async (id: string, options: { output?: string; force?: true }) => {
      const { output } = cli;
      if (options.output === "-" && output.out.isTTY)
        throw new UsageError("Bytes of tools are not for a terminal: -o FILE saves them.");
      const reply = await cli.client().artifacts.get(id);
      const body = Readable.fromWeb(reply.body as Parameters<typeof Readable.fromWeb>[0]);
      if (options.output === "-") return pipeline(body, process.stdout, { end: false });
      const file = options.output ?? nameOf(reply.headers.get("content-disposition"), id);
      try {
        await pipeline(body, createWriteStream(file, { flags: options.force ? "w" : "wx" }));
      } catch (error) {
        if (!(error instanceof Error) || !("code" in error) || error.code !== "EEXIST") throw error;
        throw new UsageError(`${file} is there already: --force writes over it, -o names another.`);
      }
      output.line(file);
    });
}

/** The name the reply gives, in this folder whatever it says: a tool made it up. */
function nameOf(disposition: string | null, id: string): string {
  const encoded = /filename\*=UTF-8''([^;]+)/i.exec(disposition ?? "")?.[1];
  const plain = /filename="((?:[^"\\]|\\.)*)"/i.exec(disposition ?? "")?.[1];
  let name = plain ?? "";
  try {
    if (encoded !== undefined) name = decodeURIComponent(encoded);
  } catch {
    // A name that can't be read is none.
  }
  const safe = basename(name.replaceAll("\\", "/"))
    .replace(/[^\p{L}\p{N}._ -]/gu, "_")
    .replace(/^\.+/, "");
  return safe === "" ? id : safe;
}
