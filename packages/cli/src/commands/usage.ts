import type { UsageGroup } from "@maru/sdk";
import { type Command, InvalidArgumentError } from "commander";
import { type Cli, several, withJson } from "../cli.ts";
import { instantIn, startOfDay } from "../dates.ts";
import { UsageError } from "../exit.ts";
import { count, dollars } from "../format.ts";

interface Options {
  readonly group?: string[];
  readonly from?: string;
  readonly to?: string;
  readonly timeZone?: string;
  readonly records?: true;
  readonly run?: string;
  readonly csv?: true;
  readonly json?: true;
}

const zoneHere = (): string => Intl.DateTimeFormat().resolvedOptions().timeZone;

export function usage(program: Command, cli: Cli): void {
  withJson(program.command("usage"))
    .summary("what was used in a period, in groups")
    .option("-g, --group <names>", "day, hour, agent, deployment, model, key, user; several by commas", several)
    .option("--from <when>", "a date, an instant, or 7d ago (default: the API's)")
    .option("--to <when>", "a date, which is in it, or an instant")
    .option("--tz, --time-zone <zone>", "days begin and times are shown in it (default: this machine's)", knownZone)
    .option("--records", "one line a model step instead")
    .option("--run <id>", "of --records: only this run's")
    .option("--csv", "as a table for spreadsheets: all rows")
    .action(async (options: Options) => {
      const { group, timeZone = zoneHere(), records, run, csv, json } = options;
      if (csv && json) throw new UsageError("It is --csv or --json.");
      if (run !== undefined && !records) throw new UsageError("--run goes with --records.");
      const client = cli.client();
      const span = {
        ...(options.from === undefined ? {} : { from: instantOf(options.from, timeZone, false) }),
        ...(options.to === undefined ? {} : { to: instantOf(options.to, timeZone, true) }),
      };
      const recordsQuery = { ...span, ...(run === undefined ? {} : { run_id: run }) };
      const query = { ...span, time_zone: timeZone, ...(group === undefined ? {} : { group_by: group.join(",") }) };
      if (csv) {
        const headers = { accept: "text/csv" };
        const reply = records
          ? await client.request("listUsageRecords", { query: recordsQuery, headers })
          : await client.request("getUsage", { query, headers });
        return cli.output.out.write(await reply.text());
      }
      if (records) {
        const all = [];
        for await (const record of client.usage.records({ ...recordsQuery, limit: 100 })) all.push(record);
        if (json) return cli.output.json(all);
        return cli.output.table(all, {
          AT: ({ at }) => instantIn(at, timeZone),
          RUN: ({ run_id: id, step }) => `${id} ${step}`,
          DEPLOYMENT: ({ deployment }) => deployment,
          MODEL: ({ model }) => model,
          USER: ({ user }) => user ?? "",
          INPUT: ({ input_tokens: tokens }) => ({ text: count(tokens), right: true }),
          OUTPUT: ({ output_tokens: tokens }) => ({ text: count(tokens), right: true }),
          COST: ({ cost_micros: micros }) => ({ text: dollars(micros), right: true }),
        });
      }
      const report = await client.usage.get(query);
      if (json) return cli.output.json(report);
      const [from, to] = [report.from, report.to].map((at) => instantIn(at, report.time_zone));
      cli.output.line(`${from} to ${to}, time zone ${report.time_zone}`);
      const keys = report.group_by.map(
        (name) => [name.toUpperCase(), ({ key }: UsageGroup) => key[name] ?? ""] as const,
      );
      const rows = report.group_by.length === 0 ? [] : report.data;
      const [first] = report.group_by;
      const total = { ...report.total, key: first === undefined ? {} : { [first]: "total" } };
      cli.output.table([...rows, total], {
        ...Object.fromEntries(keys),
        RUNS: ({ runs }) => ({ text: count(runs), right: true }),
        CALLS: ({ model_calls: calls }) => ({ text: count(calls), right: true }),
        INPUT: ({ input_tokens: tokens }) => ({ text: count(tokens), right: true }),
        CACHED: ({ cached_input_tokens: tokens }) => ({ text: count(tokens), right: true }),
        OUTPUT: ({ output_tokens: tokens }) => ({ text: count(tokens), right: true }),
        TOKENS: ({ total_tokens: tokens }) => ({ text: count(tokens), right: true }),
        COST: ({ cost_micros: micros }) => ({ text: dollars(micros), right: true }),
      });
    });
}

function knownZone(zone: string): string {
  try {
    return new Intl.DateTimeFormat("en-US", { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    throw new InvalidArgumentError("It is an IANA name such as Asia/Seoul.");
  }
}

/** What was said as an instant. A date is its first instant, or as an end the first after it. @throws UsageError */
function instantOf(said: string, zone: string, isEnd: boolean): string {
  const ago = /^(\d{1,4})([hd])$/.exec(said);
  if (ago !== null) {
    const ms = Number(ago[1]) * (ago[2] === "h" ? 3_600_000 : 86_400_000);
    return new Date(Date.now() - ms).toISOString();
  }
  if (/^\d{4}-\d\d-\d\d$/.test(said)) {
    const day = startOfDay(said, zone, isEnd ? 1 : 0);
    if (day !== null) return day.toISOString();
  }
  const at = Date.parse(said);
  if (!/^\d{4}-\d\d-\d\dT/.test(said) || Number.isNaN(at))
    throw new UsageError(`“${said}” is no date (2026-11-01), instant (2026-11-01T09:00:00Z) or span (7d, 12h).`);
  return new Date(at).toISOString();
}
