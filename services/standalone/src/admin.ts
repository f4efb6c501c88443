import { parseArgs } from "node:util";
import { type Plan, QUOTA_SUBJECTS, QUOTA_UNITS, type QuotaSubject, type QuotaUnit } from "@maru/contract";
import { aboutSecret, dayEnd, type EnvelopeSealer, spanSeconds } from "@maru/domain";
import { type Admin, AdminError, type NewPlanFields } from "@maru/store/admin";

export const ADMIN_USAGE = `npm run admin -- <command>

plans                                           every plan, its limits, a campaign's terms
campaign make <id> --from <day> --through <day> [--zone Asia/Seoul] [--tokens N] [--runs N] [--note …]
campaign extend <id> --through <day> [--effective <instant>] [--zone Asia/Seoul] [--note …]
plan <workspace> <plan> [--from <instant>] [--note …]
grant <workspace> <limit> <amount> --key <key> [--note …]
plan make <id> --limit <unit=amount[/per][@subject]>… [--through-day 28] [--zone Asia/Seoul] [--note …]
plans <workspace>                               which plans it was, is and will be on
actions                                         what operators did, newest first
rewrap-secrets                                  after MARU_SECRET changed: secrets then no longer need MARU_SECRET_PREVIOUS

A limit is as tokens=1000000, requests=60/1m, cost_micros=5000000/1d@api_key, concurrent_runs=20, run_tokens=100000.
Days are YYYY-MM-DD, whole, in the zone: “through” a day means to its end. Instants are RFC 3339, as 2026-02-01T00:00:00Z.
DATABASE_URL says where; without it the running local Maru is meant, and its secret where MARU_SECRET is not set.
`;

/**
 * One operator's command; answers what to print. `sealer` has the installation's keys, the one now and the one before.
 * @throws AdminError in words for a person
 */
export async function runAdmin(
  args: readonly string[],
  admin: Admin,
  sealer: EnvelopeSealer | null = null,
): Promise<string> {
  const { values, positionals } = parse(args);
  const { note = "", zone = "Asia/Seoul" } = values;
  const [command, ...rest] = positionals;
  if (command === "plans" && rest.length === 0) {
    const plans = await admin.plans();
    return plans
      .map(({ id, renew, time_zone, through_day, limits, terms }) =>
        [
          `${id}: ${limits.map(inWords).join(", ")}; ${renew === "campaign" ? "campaign" : `through the ${through_day}th, ${renew}`}, ${time_zone}`,
          ...terms.map(({ starts_at, ends_at, note }) => `  ${minute(starts_at)} to ${minute(ends_at)}: ${note}`),
        ].join("\n"),
      )
      .join("\n");
  }
  if (command === "campaign" && rest[0] === "make" && rest[1] !== undefined) {
    const startsAt = dayStart(values.from, zone);
    const endsAt = day("--through", values.through, zone);
    if (values.tokens === undefined || values.runs === undefined)
      throw new AdminError("Give both --tokens and --runs.");
    const limits = [
      { unit: "tokens" as const, amount: amount("--tokens", values.tokens), spanS: null },
      { unit: "runs" as const, amount: amount("--runs", values.runs), spanS: null },
      ...limitsOf(values.limit),
    ];
    const term = { renew: "campaign" as const, startsAt, endsAt, throughDay: null, graceS: null };
    await admin.makePlan({ id: rest[1], timeZone: zone, limits, note, ...term });
    return `${rest[1]}: from ${startsAt.toISOString()} to ${endsAt.toISOString()}.`;
  }
  if (command === "plan" && rest[0] === "make" && rest[1] !== undefined) {
    const limits = limitsOf(values.limit);
    const through = Number(values["through-day"] ?? 28);
    if (!Number.isInteger(through) || through < 1 || through > 31)
      throw new AdminError("--through-day must be from 1 to 31.");
    day("--zone", "2026-01-28", zone);
    const period = { renew: "monthly" as const, throughDay: through, startsAt: null, endsAt: null, graceS: null };
    await admin.makePlan({ id: rest[1], timeZone: zone, limits, note, ...period });
    return `${rest[1]}: ${limits.length} limits, through the ${through}th of each month, ${zone}.`;
  }
  if (command === "actions" && rest.length === 0) {
    const actions = await admin.actions();
    return actions.map((item) => `${item.at}  ${item.action}  ${JSON.stringify(item.arguments)}`).join("\n");
  }
  if (command === "plans" && rest[0] !== undefined) {
    const plans = await admin.plansOf(rest[0]);
    return plans.map(({ plan, from, note: why }) => `${plan} from ${from}${why === "" ? "" : `: ${why}`}`).join("\n");
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
    if (!values.key) throw new AdminError("Give --key: a repeated grant of one key is one grant.");
    const { granted, amount: limit } = await admin.grant({
      workspaceId,
      key: values.key,
      limit: unit,
      amount: amount("the amount", text),
      note,
    });
    return `${granted ? "Granted" : "Granted before"}: the window's limit is ${limit} ${unit}.`;
  }
  if (command === "rewrap-secrets" && rest.length === 0) {
    if (sealer === null) throw new AdminError("Set MARU_SECRET, and MARU_SECRET_PREVIOUS to the one before it.");
    const { rewrapped, unopened } = await admin.rewrapSecrets(
      sealer.keyId,
      ({ workspaceId, agent, name, version, wrappedKey }) =>
        sealer.rewrap(wrappedKey, aboutSecret(workspaceId, agent, name, version)),
    );
    const done = `${rewrapped} secrets are wrapped anew by key ${sealer.keyId}.`;
    if (unopened === 0) return done;
    throw new AdminError(
      `${done} ${unopened} do not open with MARU_SECRET or MARU_SECRET_PREVIOUS: they must be set anew, or rewrapped with the secret they were set under.`,
    );
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
        "through-day": option,
        limit: { ...option, multiple: true },
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

/** Limits as `--limit` says them. */
function limitsOf(texts: readonly string[] | undefined): NewPlanFields["limits"] {
  return (texts ?? []).map((text) => {
    const match = /^([a-z_]+)=(\d+)(?:\/(\w+))?(?:@([a-z_]+))?$/.exec(text);
    const [, unit = "", count = "", per, subject] = match ?? [];
    if (match === null || !(QUOTA_UNITS as readonly string[]).includes(unit))
      throw new AdminError(
        `--limit ${text} is none: write unit=amount, unit=amount/per or …@subject. Units: ${QUOTA_UNITS.join(", ")}.`,
      );
    if (subject !== undefined && !(QUOTA_SUBJECTS as readonly string[]).includes(subject))
      throw new AdminError(`--limit ${text}: a subject is one of ${QUOTA_SUBJECTS.join(", ")}.`);
    const spanS = per === undefined ? null : spanSeconds(per);
    if (Number.isNaN(spanS)) throw new AdminError(`--limit ${text}: a span is as 60s, 1m, 1h or 1d.`);
    return {
      name: [unit, ...(per === undefined ? [] : [per]), ...(subject === undefined ? [] : [subject])].join("."),
      unit: unit as QuotaUnit,
      amount: amount("--limit", count),
      spanS,
      ...(subject === undefined ? {} : { subject: subject as QuotaSubject }),
    };
  });
}

const inWords = ({ amount: count, unit, per, subject }: Plan["limits"][number]): string =>
  `${count} ${unit}${per === null || per === "period" ? "" : ` per ${per}`}${subject === "workspace" ? "" : ` for each ${subject}`}`;

const minute = (instant: string): string => `${instant.slice(0, 16)}Z`;

function amount(name: string, text: string): number {
  const value = Number(text);
  if (!/^\d{1,15}$/.test(text) || value < 1)
    throw new AdminError(`${name} must be a whole number from 1 to 999999999999999, not ${text}.`);
  return value;
}
