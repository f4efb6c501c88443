import { readFileSync } from "node:fs";
import { createCli } from "./cli.ts";
import { openConfig } from "./config.ts";
import { exitCodeOf, explain } from "./failure.ts";
import { createProgram } from "./program.ts";
import { createPrompter } from "./prompt.ts";

/** Does what the command line says, and sets the process's exit code. */
export async function start(env: NodeJS.ProcessEnv, args: readonly string[]): Promise<void> {
  const { version } = JSON.parse(readFileSync(new URL("../package.json", import.meta.url), "utf8")) as {
    version: string;
  };
  const cli = createCli(openConfig(env), createPrompter(process.stdin, process.stderr), version);
  try {
    await createProgram(cli).parseAsync(args);
    process.exitCode = cli.exitCode;
  } catch (error) {
    explain(error, cli.output);
    process.exitCode = exitCodeOf(error);
  }
}
