import type { QuotaLimitFields, QuotaWindow } from "@maru/sdk";
import type { Command } from "commander";
import { type Cli, guardOf, type ListOptions, showList, wholeNumber, withGuard, withJson, withList } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { count, instant } from "../format.ts";
import type { Style } from "../output.ts";
import { inputOf, runBody } from "./run.ts";

const UNITS =
  "tokens, input_tokens, cached_input_tokens, output_tokens, cost_micros, runs, requests, concurrent_runs or run_tokens";

export function quota(program: Command, cli: Cli): void {
  const group = program.command("quota").summary("what is used, what is left, until when; and limits of your own");

  withJson(group.command("show", { isDefault: true }))
    .summary("every limit with what is used and left")
    .option("--user <name>", "only what holds for this end user")
    .action(async ({ user, json }: { user?: string; json?: true }) => {
      const found = await cli.client().quota.get();
      const windows = found.windows.filter(
        ({ subject, subject_id: id }) =>
          user === undefined || subject === "workspace" || (subject === "end_user" && id === user),
      );
      if (json) return cli.output.json({ ...found, windows });
      cli.output.line(
        `Plan ${found.plan}${found.next_plan === null ? "" : `, from ${instant(found.next_plan.from)} ${found.next_plan.plan}`}`,
      );
      cli.output.table(windows, {
        LIMIT: ({ name }) => name,
        FOR: ({ subject, subject_id: id }) => (id === null ? subject : `${subject} ${id}`),
        USED: ({ used }) => ({ text: count(used), right: true }),
        HELD: ({ reserved }) => ({ text: count(reserved), right: true }),
        LEFT: (window) => ({ text: count(window.remaining), right: true, style: leftStyle(window) }),
        OF: ({ limit }) => ({ text: count(limit), right: true }),
        UNTIL: until,
      });
    });

  withJson(group.command("check"))
    .summary("whether a run would be accepted now, and what it would hold; exits with 6 when not")
    .argument("<deployment>")
    .argument("[input...]", "what would be said; - or nothing reads standard input")
    .option("--user <name>", "the end user it would be for")
    .option("--thread <id>")
    .action(async (deployment: string, words: string[], options: { user?: string; thread?: string; json?: true }) => {
      const check = await cli.client().quota.check(runBody(deployment, await inputOf(words, cli), options));
      if (!check.admitted) cli.exitCode = EXIT.quota;
      if (options.json) return cli.output.json(check);
      if (check.admitted)
        cli.output.line(`It would be accepted, and ${check.enqueued ? "wait its turn" : "begin at once"}.`);
      for (const { limit, amount, remaining } of check.holds)
        cli.output.line(`${limit}: ${count(amount)} would be held, ${count(remaining)} would be left`);
      if (check.refusal !== null) {
        const { code, detail, frees_at: frees } = check.refusal;
        cli.output.line(`${code}: ${detail}${frees === null ? "" : ` It frees at ${instant(frees)}.`}`);
      }
    });

  withList(group.command("limits"))
    .summary("the limits the workspace set itself")
    .action(async (options: ListOptions) => {
      await showList(cli, "limits of your own", cli.client().quota.limits(), options, {
        LIMIT: ({ name }) => name,
        UNIT: ({ unit }) => unit,
        AMOUNT: ({ amount }) => ({ text: count(amount), right: true }),
        FOR: ({ subject, subject_id: id }) => (id === null ? subject : `${subject} ${id}`),
        PER: ({ per }) => per ?? "",
        CHANGED: ({ updated_at: at }) => instant(at),
      });
    });

  withJson(withGuard(group.command("set")))
    .summary("set a limit of your own")
    .argument("<name>")
    .requiredOption("--unit <unit>", UNITS)
    .requiredOption("--amount <count>", "how much", wholeNumber(0, 1_000_000_000_000_000))
    .option("--for <subject>", "workspace, api_key, deployment or end_user: each has the amount for itself")
    .option("--id <id>", "only this key, deployment or end user")
    .option("--per <span>", "period (the plan's), or a span such as 1h or 30d")
    .action(
      async (
        name: string,
        options: {
          unit: QuotaLimitFields["unit"];
          amount: number;
          for?: NonNullable<QuotaLimitFields["subject"]>;
          id?: string;
          per?: string;
          ifMatch?: string;
          json?: true;
        },
      ) => {
        const { unit, amount, for: subject, id, per } = options;
        const fields = {
          unit,
          amount,
          ...(subject === undefined ? {} : { subject }),
          ...(id === undefined ? {} : { subject_id: id }),
          ...(per === undefined ? {} : { per }),
        };
        const limit = await cli.client().quota.setLimit(name, fields, guardOf(options));
        if (options.json) cli.output.json(limit);
        else cli.output.line(`${name}: ${count(limit.amount)} ${limit.unit}`);
      },
    );

  withGuard(group.command("delete"))
    .summary("remove a limit of your own")
    .argument("<name>")
    .action(async (name: string, options: { ifMatch?: string }) => {
      await cli.client().quota.deleteLimit(name, guardOf(options));
      cli.output.line(`Deleted limit ${name}.`);
    });
}

function leftStyle({ limit, remaining }: QuotaWindow): Style {
  if (remaining === 0) return "red";
  return remaining < limit / 5 ? "yellow" : "green";
}

function until({ last_day: day, days_left: left, per, after, time_zone: zone }: QuotaWindow): string {
  if (day !== null) return `through ${day} ${zone} (${left} days left), then it ${after}`;
  return per === null ? "at a time" : `in any ${per}`;
}
