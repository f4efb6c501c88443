/** When a quota can be used: through a day of the month, in a time zone. */
export interface QuotaPolicy {
  /** 1 to 31: the last day; in a shorter month, that month's last day. */
  readonly throughDay: number;
  /** IANA name. */
  readonly timeZone: string;
  readonly renew: "monthly" | "none" | "campaign";
  /** When the first window began. */
  readonly startsAt: Date;
  /** Of a campaign: its span as it is in force. */
  readonly term?: { readonly startsAt: Date; readonly endsAt: Date };
}
export interface QuotaSpan {
  readonly startsAt: Date;
  /** Exclusive. */
  readonly endsAt: Date;
  /** YYYY-MM-DD in the policy's zone. */
  readonly lastDay: string;
}

const DAY_MS = 86_400_000;

/**
 * The window of an instant. “Through the 28th” ends when the 29th begins in the zone: the half-open [start, end), so for
 * January 2026 in Seoul the end is 2026-01-28T15:00:00Z. A monthly window begins where the one before ended, so windows
 * tile time. Without renewal there is one, and after it `ended`. A campaign's is its span, whatever the calendar says.
 */
export function windowAt(
  policy: QuotaPolicy,
  at: Date,
): QuotaSpan | { readonly ended: Date } | { readonly begins: Date } {
  if (policy.renew === "campaign") {
    const { term } = policy;
    if (term === undefined) throw new Error("a campaign has no term in force");
    if (at < term.startsAt) return { begins: term.startsAt };
    if (at >= term.endsAt) return { ended: term.endsAt };
    return { ...term, lastDay: localDay(new Date(term.endsAt.getTime() - 1), policy.timeZone) };
  }
  if (policy.renew === "none") {
    const only = endAfter(policy, policy.startsAt);
    return at < only.endsAt ? { startsAt: policy.startsAt, ...only } : { ended: only.endsAt };
  }
  const end = endAfter(policy, at);
  const previous = monthBefore(end.lastDay);
  return { startsAt: monthEnd(policy, previous.year, previous.month).endsAt, ...end };
}

/** The instant at which a day is over in a zone: what “through” that day means. NaN when there is no such day. */
export function dayEnd(day: string, timeZone: string): Date {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(day);
  const [year, month, date] = (match ?? []).slice(1).map(Number) as [number?, number?, number?];
  if (year === undefined || month === undefined || date === undefined) return new Date(Number.NaN);
  if (new Date(Date.UTC(year, month - 1, date)).toISOString().slice(0, 10) !== day) return new Date(Number.NaN);
  return startOfDay(year, month, date + 1, timeZone);
}

/** Whole days until the window ends, begun ones counted: 1 on the last day. */
export function daysLeft({ endsAt }: { readonly startsAt: Date; readonly endsAt: Date }, at: Date): number {
  return Math.max(0, Math.ceil((endsAt.getTime() - at.getTime()) / DAY_MS));
}

/** The first window end after the instant. */
function endAfter(policy: QuotaPolicy, at: Date): { endsAt: Date; lastDay: string } {
  const { year, month } = localDate(at, policy.timeZone);
  for (let ahead = 0; ; ahead++) {
    const end = monthEnd(policy, year + Math.floor((month - 1 + ahead) / 12), ((month - 1 + ahead) % 12) + 1);
    if (at < end.endsAt) return end;
  }
}

function monthEnd(policy: QuotaPolicy, year: number, month: number): { endsAt: Date; lastDay: string } {
  const days = new Date(Date.UTC(year, month, 0)).getUTCDate();
  const day = Math.min(policy.throughDay, days);
  const lastDay = `${String(year).padStart(4, "0")}-${String(month).padStart(2, "0")}-${String(day).padStart(2, "0")}`;
  return { endsAt: startOfDay(year, month, day + 1, policy.timeZone), lastDay };
}

function monthBefore(day: string): { year: number; month: number } {
  const [year = 0, month = 1] = day.split("-").map(Number);
  return month === 1 ? { year: year - 1, month: 12 } : { year, month: month - 1 };
}

/**
 * The first instant of a local day. The offset is looked up at a guess and again at the corrected guess; where midnight
 * does not exist (a zone whose clocks spring forward at 00:00) that lands on the first instant that does.
 */
function startOfDay(year: number, month: number, day: number, timeZone: string): Date {
  const wall = Date.UTC(year, month - 1, day);
  const first = wall - offsetAt(wall, timeZone);
  const candidates = [first, wall - offsetAt(first, timeZone)].sort((a, b) => a - b);
  const isNewDay = (instant: number) => localWall(instant, timeZone) >= wall;
  for (const candidate of candidates) {
    if (isNewDay(candidate) && !isNewDay(candidate - 1)) return new Date(candidate);
  }
  // Inside a gap: the day begins where the clocks jump, found between two instants that straddle it.
  let [before, after] = [wall - 36 * 3_600_000, wall + 36 * 3_600_000];
  while (after - before > 1) {
    const middle = Math.floor((before + after) / 2);
    if (isNewDay(middle)) after = middle;
    else before = middle;
  }
  return new Date(after);
}

const offsetAt = (instant: number, timeZone: string): number =>
  localWall(instant, timeZone) - Math.floor(instant / 1_000) * 1_000;

const formats = new Map<string, Intl.DateTimeFormat>();

/** The zone's wall clock at an instant, as if it were UTC, in whole seconds (fractions kept from the instant). */
function localWall(instant: number, timeZone: string): number {
  let format = formats.get(timeZone);
  if (format === undefined) {
    format = new Intl.DateTimeFormat("en-US", {
      timeZone,
      hourCycle: "h23",
      year: "numeric",
      month: "numeric",
      day: "numeric",
      hour: "numeric",
      minute: "numeric",
      second: "numeric",
    });
    formats.set(timeZone, format);
  }
  const part = Object.fromEntries(format.formatToParts(instant).map(({ type, value }) => [type, Number(value)]));
  return Date.UTC(
    part.year ?? 0,
    (part.month ?? 1) - 1,
    part.day ?? 1,
    part.hour ?? 0,
    part.minute ?? 0,
    part.second ?? 0,
  );
}

function localDay(at: Date, timeZone: string): string {
  return new Date(localWall(at.getTime(), timeZone)).toISOString().slice(0, 10);
}

function localDate(at: Date, timeZone: string): { year: number; month: number } {
  const wall = new Date(localWall(at.getTime(), timeZone));
  return { year: wall.getUTCFullYear(), month: wall.getUTCMonth() + 1 };
}
