#!/usr/bin/env node
import { readFileSync } from "node:fs";
import { createCli } from "./cli.ts";
import { openConfig } from "./config.ts";
import { exitCodeOf, explain } from "./failure.ts";
import { createProgram } from "./program.ts";
import { createPrompter } from "./prompt.ts";

// Whoever reads us (`| head`) may have read enough.
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(0);
    throw error;
  });

const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
  version: string;
};
const cli = createCli(openConfig(process.env), createPrompter(process.stdin, process.stderr), version);
try {
  await createProgram(cli).parseAsync(process.argv);
  process.exitCode = cli.exitCode;
} catch (error) {
  explain(error, cli.output);
  process.exitCode = exitCodeOf(error);
}
