import type { Cli } from "./cli.ts";
import { UsageError } from "./exit.ts";

/** Whether somebody wants what can't be undone. @throws UsageError where nobody can be asked and --yes was not given */
export async function confirmed({ prompt, output }: Cli, question: string, { yes }: { yes?: true }): Promise<boolean> {
  if (yes) return true;
  if (!prompt.interactive) throw new UsageError("This can't be undone, and there is nobody to ask: --yes does it.");
  if (await prompt.confirm(question)) return true;
  output.note("Nothing was done.");
  return false;
}
