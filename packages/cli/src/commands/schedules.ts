import type { CreateScheduleBody, UpdateScheduleBody } from "@maru/sdk";
import type { Command } from "commander";
import {
  type Cli,
  changeOf,
  givenOf,
  guardOf,
  idOf,
  type ListOptions,
  pageSize,
  pair,
  showList,
  withGuard,
  withJson,
  withList,
} from "../cli.ts";
import { UsageError } from "../exit.ts";
import { instant } from "../format.ts";

interface Fields {
  readonly deployment?: string;
  readonly cron?: string;
  readonly input?: string;
  readonly timeZone?: string;
  readonly overlap?: NonNullable<CreateScheduleBody["overlap"]>;
  readonly catchUp?: NonNullable<NonNullable<CreateScheduleBody["missed"]>["catch_up"]>;
  readonly within?: string;
  readonly jitter?: string;
  readonly thread?: string;
  readonly metadata?: Record<string, string>;
}

const withFields = (command: Command): Command =>
  command
    .option("--deployment <name>", "what is run")
    .option("--cron <expression>", "when: '0 9 * * 1-5', or @hourly, @daily, @weekly, @monthly, @yearly")
    .option("--input <text>", "what is said; {{date}}, {{scheduled_at}} and {{name}} stand for their values")
    .option("--tz, --time-zone <zone>", "of the times (default: Asia/Seoul)")
    .option("--overlap <rule>", "while the last run goes on: skip, queue or cancel_previous")
    .option("--catch-up <rule>", "times that were missed: none, last or all")
    .option("--within <span>", "how late those may still run: 1h")
    .option("--jitter <span>", "put every time off by a part of this")
    .option("--thread <id>", "the conversation its runs belong to")
    .option("-m, --metadata <name=value>", "of its runs; may be given often", pair);

/** What of the options was given, as the API names it. */
function bodyOf({ timeZone, catchUp, within, thread, ...same }: Fields) {
  const { deployment, cron, input, overlap, jitter, metadata } = same;
  const missed = givenOf({ catch_up: catchUp, within });
  return givenOf({
    ...{ deployment, cron, input, overlap, jitter, metadata, time_zone: timeZone, thread_id: thread },
    missed: Object.keys(missed).length === 0 ? undefined : missed,
  });
}

export function schedules(program: Command, cli: Cli): void {
  const group = program.command("schedules").summary("runs at times: list, create, pause, run now");
  const find = (given: string) => idOf("sch_", "schedule", given, cli.client().schedules.list({ limit: 100 }));

  const show = async (given: string, { json }: { json?: true }) => {
    const schedule = await cli.client().schedules.get(await find(given));
    if (json) return cli.output.json(schedule);
    cli.output.facts({
      schedule: `${schedule.name}, ${schedule.id}`,
      deployment: schedule.deployment,
      cron: `${schedule.cron} ${schedule.time_zone}`,
      input: schedule.input,
      overlap: schedule.overlap,
      missed: `${schedule.missed.catch_up}, within ${schedule.missed.within}`,
      jitter: schedule.jitter,
      thread: schedule.thread_id,
      next: schedule.paused ? "paused" : schedule.next_runs.map(instant).join("\n"),
    });
  };

  withList(group.command("list", { isDefault: true }))
    .summary("all of them, the newest first")
    .argument("[schedule]", "only this one, as show does")
    .action(async (given: string | undefined, options: ListOptions) => {
      if (given !== undefined) return show(given, options);
      await showList(cli, "schedules", cli.client().schedules.list(pageSize(options)), options, {
        SCHEDULE: ({ id }) => id,
        NAME: ({ name }) => name,
        DEPLOYMENT: ({ deployment }) => deployment,
        CRON: ({ cron, time_zone: zone }) => `${cron} ${zone}`,
        NEXT: ({ paused, next_runs: [next] }) =>
          paused || next === undefined ? { text: "paused", style: "dim" } : instant(next),
      });
    });

  withJson(group.command("show"))
    .summary("one, with its next times")
    .argument("<schedule>", "its id or name")
    .action(show);

  withJson(withFields(group.command("create")))
    .summary("make one: --deployment, --cron and --input say what")
    .argument("<name>")
    .option("--paused", "make it, and let it wait")
    .action(async (name: string, options: Fields & { paused?: true; json?: true }) => {
      const { deployment, cron, input, ...rest } = bodyOf(options);
      if (deployment === undefined || cron === undefined || input === undefined)
        throw new UsageError("A schedule needs --deployment, --cron and --input.");
      const paused = options.paused ? { paused: true } : {};
      const made = await cli.client().schedules.create({ ...rest, name, deployment, cron, input, ...paused });
      if (options.json) return cli.output.json(made);
      const [next] = made.next_runs;
      cli.output.line(`${made.id}: ${next === undefined ? "paused" : `next at ${instant(next)}`}`);
    });

  withJson(withGuard(withFields(group.command("update"))))
    .summary("change one")
    .argument("<schedule>", "its id or name")
    .option("--name <name>", "another name")
    .action(async (given: string, options: Fields & { name?: string; ifMatch?: string; json?: true }) => {
      await changeOne(cli, await find(given), changeOf({ ...bodyOf(options), name: options.name }), options);
    });

  for (const [name, paused, what] of [
    ["pause", true, "let one wait; nothing is caught up on"],
    ["resume", false, "let one run again"],
  ] as const)
    withJson(withGuard(group.command(name)))
      .summary(what)
      .argument("<schedule>", "its id or name")
      .action(async (given: string, options: { ifMatch?: string; json?: true }) => {
        await changeOne(cli, await find(given), { paused }, options);
      });

  withJson(group.command("run"))
    .summary("start its run now")
    .argument("<schedule>", "its id or name")
    .action(async (given: string, { json }: { json?: true }) => {
      const run = await cli.client().schedules.run(await find(given));
      if (json) cli.output.json(run);
      else cli.output.line(run.id);
    });

  withList(group.command("fires"))
    .summary("what became of its times")
    .argument("<schedule>", "its id or name")
    .action(async (given: string, options: ListOptions) => {
      await showList(cli, "times yet", cli.client().schedules.fires(await find(given), pageSize(options)), options, {
        AT: ({ scheduled_at: at }) => instant(at),
        OUTCOME: ({ outcome, count }) => `${outcome}${count > 1 ? ` (${count})` : ""}`,
        BY: ({ manual }) => (manual ? "hand" : "clock"),
        RUN: ({ run_id: id }) => id ?? "",
        WHY: ({ code, detail }) => detail ?? code ?? "",
      });
    });

  withGuard(group.command("delete"))
    .summary("delete one; runs it started go on")
    .argument("<schedule>", "its id or name")
    .action(async (given: string, options: { ifMatch?: string }) => {
      await cli.client().schedules.delete(await find(given), guardOf(options));
      cli.output.line(`Deleted schedule ${given}.`);
    });
}

async function changeOne(
  cli: Cli,
  id: string,
  change: UpdateScheduleBody,
  options: { ifMatch?: string; json?: true },
): Promise<void> {
  const schedule = await cli.client().schedules.update(id, change, guardOf(options));
  if (options.json) return cli.output.json(schedule);
  const [next] = schedule.next_runs;
  cli.output.line(`${schedule.name}: ${schedule.paused || next === undefined ? "paused" : `next at ${instant(next)}`}`);
}
