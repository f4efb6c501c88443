import { parseArgs } from "node:util";
import { dayEnd } from "@maru/domain";
import { type Admin, AdminError } from "@maru/store/admin";

export const ADMIN_USAGE = `npm run admin -- <command>

plans                                           every plan, its limits, a campaign's terms
campaign make <id> --from <day> --through <day> [--zone Asia/Seoul] [--tokens N] [--runs N] [--note …]
campaign extend <id> --through <day> [--effective <instant>] [--zone Asia/Seoul] [--note …]
plan <workspace> <plan> [--from <instant>] [--note …]
grant <workspace> <tokens|runs> <amount> --key <key> [--note …]

Days are YYYY-MM-DD, whole, in the zone: “through” a day means to its end. Instants are RFC 3339, as 2026-02-01T00:00:00Z.
DATABASE_URL says where; without it the running local Maru is meant.
`;

/**
 * One operator's command; answers what to print.
 * @throws AdminError in words for a person
 */
export async function runAdmin(args: readonly string[], admin: Admin): Promise<string> {
  const { values, positionals } = parse(args);
  const { note = "", zone = "Asia/Seoul" } = values;
  const [command, ...rest] = positionals;
  if (command === "plans" && rest.length === 0) {
    const plans = await admin.plans();
    return plans
      .map(({ id, renew, time_zone, through_day, limits, terms }) =>
        [
          `${id}: ${limits ?? "no limits"}; ${renew === "campaign" ? "campaign" : `through the ${through_day}th, ${renew}`}, ${time_zone}`,
          ...(terms === null ? [] : terms.split("\n").map((term) => `  ${term}`)),
        ].join("\n"),
      )
      .join("\n");
  }
  if (command === "campaign" && rest[0] === "make" && rest[1] !== undefined) {
    const startsAt = dayStart(values.from, zone);
    const endsAt = day("--through", values.through, zone);
    const limits = {
      ...(values.tokens === undefined ? {} : { tokens: amount("--tokens", values.tokens) }),
      ...(values.runs === undefined ? {} : { runs: amount("--runs", values.runs) }),
    };
    if (Object.keys(limits).length < 2) throw new AdminError("Give both --tokens and --runs.");
    await admin.makeCampaign({ id: rest[1], timeZone: zone, startsAt, endsAt, limits, note });
    return `${rest[1]}: from ${startsAt.toISOString()} to ${endsAt.toISOString()}.`;
  }
  if (command === "campaign" && rest[0] === "extend" && rest[1] !== undefined) {
    const endsAt = day("--through", values.through, zone);
    const moved = await admin.extendCampaign(rest[1], endsAt, instantOf("--effective", values.effective), note);
    return `${rest[1]} ends at ${endsAt.toISOString()}; ${moved} open windows moved with it.`;
  }
  if (command === "plan" && rest[0] !== undefined && rest[1] !== undefined) {
    const from = instantOf("--from", values.from);
    await admin.changePlan(rest[0], rest[1], from, note);
    return `${rest[0]} is on ${rest[1]} from ${from === null ? "now" : from.toISOString()} on.`;
  }
  if (command === "grant" && rest.length === 3) {
    const [workspaceId, unit, text] = rest as [string, string, string];
    if (unit !== "tokens" && unit !== "runs") throw new AdminError(`There is no unit ${unit}: tokens or runs.`);
    if (!values.key) throw new AdminError("Give --key: a repeated grant of one key is one grant.");
    const { granted, amount: limit } = await admin.grant({
      workspaceId,
      key: values.key,
      unit,
      amount: amount("the amount", text),
      note,
    });
    return `${granted ? "Granted" : "Granted before"}: the window's limit is ${limit} ${unit}.`;
  }
  throw new AdminError(ADMIN_USAGE);
}

function parse(args: readonly string[]) {
  const option = { type: "string" } as const;
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        from: option,
        through: option,
        effective: option,
        zone: option,
        tokens: option,
        runs: option,
        key: option,
        note: option,
      },
    });
  } catch (error) {
    throw new AdminError(`${error instanceof Error ? error.message : error}\n\n${ADMIN_USAGE}`);
  }
}

/** The end of a day in a zone. */
function day(name: string, text: string | undefined, zone: string): Date {
  if (text === undefined) throw new AdminError(`Give ${name}, a day as 2026-01-28.`);
  try {
    const end = dayEnd(text, zone);
    if (!Number.isNaN(end.getTime())) return end;
  } catch {
    throw new AdminError(`There is no time zone ${zone}.`);
  }
  throw new AdminError(`${name} must be a day that there is, as 2026-01-28, not ${text}.`);
}

/** The beginning of a day is the end of the one before. */
function dayStart(text: string | undefined, zone: string): Date {
  day("--from", text, zone);
  const before = new Date(`${text}T00:00:00Z`);
  before.setUTCDate(before.getUTCDate() - 1);
  return dayEnd(before.toISOString().slice(0, 10), zone);
}

function instantOf(name: string, text: string | undefined): Date | null {
  if (text === undefined) return null;
  const instant = new Date(text);
  if (
    !/^\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d{1,3})?)?(?:Z|[+-]\d\d:\d\d)$/.test(text) ||
    Number.isNaN(instant.getTime())
  )
    throw new AdminError(`${name} must be an instant as 2026-02-01T00:00:00Z, not ${text}.`);
  return instant;
}

function amount(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < 1)
    throw new AdminError(`${name} must be a whole number from 1 to 999999999999999, not ${text}.`);
  return value;
}
