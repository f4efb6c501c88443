import { idOf, Problem, type Quota, type QuotaSubject, type QuotaUnit, type QuotaWindow, uuidOf } from "@maru/contract";
import { daysLeft, perOf, type QuotaPolicy, type QuotaSpan, windowAt } from "@maru/domain";
import { type Database, instant, instantOrNull, only } from "./database.ts";

/** The quota of a workspace: its plan, its windows, and why a run was refused. The ledger itself is SQL. */
export function createQuotas(db: Database) {
  const state = async (workspaceId: string): Promise<State> => {
    const rows = await db.call<{ r: State }>("SELECT quota_state($1) AS r", [uuidOf("workspace", workspaceId)]);
    return only(rows).r;
  };

  /**
   * Opens the plan's window at an instant of the database's clock. Windows are rows: a new one is opened, none is ever
   * reset, so nothing of the last period is lost.
   * @throws Problem free_tier_ended when the plan has no window at that instant
   */
  const openWindow = async (workspaceId: string, at: Date): Promise<void> => {
    const window = windowAt(policyOf(await state(workspaceId)), at);
    if ("begins" in window) {
      throw new Problem("free_tier_not_begun", `The free tier begins at ${window.begins.toISOString()}.`, {
        resetsAt: window.begins,
      });
    }
    if ("ended" in window) {
      throw new Problem("free_tier_ended", `The free tier ended at ${window.ended.toISOString()}.`, {
        endsAt: window.ended,
      });
    }
    await db.call("SELECT quota_open_windows($1, $2, $3)", [
      uuidOf("workspace", workspaceId),
      window.startsAt,
      window.endsAt,
    ]);
  };

  /** Names of deployments that have windows of their own. */
  const deploymentNames = async (workspaceId: string, windows: State["windows"]): Promise<Map<string, string>> => {
    const ids = windows.filter(({ subject }) => subject === "deployment").map(({ key }) => key);
    if (ids.length === 0) return new Map();
    const workspace = uuidOf("workspace", workspaceId) as string;
    const rows = await db.forWorkspace(workspace).deployment.findMany({
      where: { workspaceId: workspace, id: { in: ids } },
      select: { id: true, name: true },
    });
    return new Map(rows.map(({ id, name }) => [id, name]));
  };

  return {
    openWindow,

    /** The problem for a limit without room, from what `quota_reserve` reported. */
    exhausted: (detail: Record<string, unknown>): Problem => refusal(detail as unknown as Refusal),

    /** Gives back what runs that have ended still hold: none do, and should one it comes back by itself. Answers how many. */
    async expireLeaked(limit: number): Promise<number> {
      const rows = await db.call<{ workspace_id: string; run_id: string }>("SELECT * FROM leaked_reservations($1)", [
        limit,
      ]);
      for (const row of rows) await db.call("SELECT quota_expire($1, $2)", [row.workspace_id, row.run_id]);
      return rows.length;
    },

    /** Notes of windows that end within three days, once each, that they do. Answers how many were new. */
    async noticeEnding(): Promise<number> {
      return only(await db.call<{ n: number }>("SELECT notice_ending_windows() AS n", [])).n;
    },

    /** Every balance recomputed from what it is made of; empty when all is exact. */
    async findings(workspaceId: string): Promise<QuotaFinding[]> {
      const rows = await db.call<{ finding: string; subject: string; expected: string; found: string }>(
        "SELECT * FROM quota_findings($1) UNION ALL SELECT * FROM grant_findings($1)",
        [uuidOf("workspace", workspaceId)],
      );
      return rows.map((row) => ({ ...row, expected: Number(row.expected), found: Number(row.found) }));
    },

    /**
     * Every window in force now. A workspace that never ran anything sees the window its first run would open, unless told only to
     * look.
     */
    async get(workspaceId: string, { look = false } = {}): Promise<Quota> {
      let found = await state(workspaceId);
      const policy = policyOf(found);
      const now = new Date(found.now);
      const window = windowAt(policy, now);
      // A period's windows are opened together.
      const opened = found.windows.some(
        ({ own, subject, ends_at }) => !own && subject === "workspace" && ends_at !== null,
      );
      if (!look && !opened && "startsAt" in window) {
        await openWindow(workspaceId, now);
        found = await state(workspaceId);
      }
      const span = "startsAt" in window ? window : null;
      const names = await deploymentNames(workspaceId, found.windows);
      return {
        plan: found.plan,
        renew: found.renew,
        next_plan: found.next_plan && { plan: found.next_plan.plan, from: instant(found.next_plan.from) },
        grace_seconds: found.grace_s,
        as_of: instant(found.now),
        windows: found.windows
          .filter(({ unit, span_s, ends_at }) => isOpen(unit, span_s) || ends_at !== null || span !== null)
          .map((row) => windowObject(row, found, span, now, names)),
      };
    },
  };
}
export type Quotas = ReturnType<typeof createQuotas>;

export interface QuotaFinding {
  readonly finding: string;
  readonly subject: string;
  readonly expected: number;
  readonly found: number;
}

interface State {
  readonly now: string;
  readonly plan: string;
  readonly renew: "monthly" | "none" | "campaign";
  readonly term: { readonly starts_at: string; readonly ends_at: string } | null;
  readonly time_zone: string;
  readonly through_day: number;
  readonly workspace_created_at: string;
  readonly grace_s: number;
  readonly next_plan: { readonly plan: string; readonly from: string } | null;
  readonly windows: readonly WindowRow[];
}
interface WindowRow {
  readonly own: boolean;
  readonly name: string;
  readonly subject: QuotaSubject;
  readonly key: string;
  readonly unit: QuotaUnit;
  readonly span_s: number | null;
  readonly amount: number;
  readonly used: number;
  readonly reserved: number;
  readonly overdraft: number;
  readonly granted: number;
  readonly starts_at: string | null;
  /** Null: it has no end, or there is no window yet. */
  readonly ends_at: string | null;
  /** Of a rolling one: when something leaves its span next. */
  readonly frees_at: string | null;
  readonly notices: readonly { readonly kind: "used_80" | "used_100" | "ending"; readonly at: string }[];
}
/** What `quota_reserve` says of a limit without room. */
interface Refusal {
  readonly name: string;
  readonly subject: QuotaSubject;
  readonly unit: QuotaUnit;
  readonly span_s?: number | null;
  readonly limit: number;
  readonly used: number;
  readonly reserved: number;
  readonly asked: number;
  readonly now: string;
  readonly frees_at: string | null;
}

/** Runs in flight end within minutes: asked for again after this, a limit of them may have room. */
const FREES_SOON_MS = 1_000;

function refusal({ name, subject, unit, span_s, limit, used, reserved, asked, now, frees_at }: Refusal): Problem {
  const whose = subject === "workspace" ? "" : ` for each ${subject.replace("_", " ")}`;
  const freesAt = frees_at === null || frees_at === undefined ? null : new Date(frees_at);
  // It never has: no time to wait for could be named.
  if (unit !== "run_tokens" && asked > limit && freesAt === null)
    return new Problem(
      "run_too_large",
      `This run would hold ${asked} ${unit}, and the limit ${name}${whose} is ${limit}: it never has room. Raise the limit, or let runs hold less: a shorter input, a lower maxOutputTokens.`,
      { limit: name },
    );
  switch (unit) {
    case "run_tokens":
      return new Problem(
        "run_too_large",
        `Its first model call alone may take ${asked} tokens; the limit ${name} lets a run take ${limit}. Send a shorter input, or deploy with a lower maxOutputTokens.`,
        { limit: name },
      );
    case "concurrent_runs":
      return new Problem(
        "concurrency_exceeded",
        `The limit ${name} lets ${limit} runs be in flight at a time${whose}: it frees when one of them ends. A deployment with onLimit: queue lets runs wait instead.`,
        { limit: name, retryAfterMs: FREES_SOON_MS },
      );
    case "requests":
      return new Problem(
        "rate_limited",
        `The limit ${name} lets ${limit} runs begin in ${perOf(unit, span_s ?? null)}${whose}. A deployment with onLimit: queue lets runs wait instead.`,
        {
          limit: name,
          ...(freesAt === null
            ? {}
            : { resetsAt: freesAt, retryAfterMs: Math.max(1, freesAt.getTime() - Date.parse(now)) }),
        },
      );
    default: {
      const held = `This run would hold ${asked} ${unit}; of the ${limit} of limit ${name}${whose} ${used} are used and ${reserved} held by runs in flight.`;
      return new Problem("quota_exhausted", held, {
        limit: name,
        ...(freesAt === null ? { retryAfterMs: FREES_SOON_MS } : { resetsAt: freesAt }),
      });
    }
  }
}

/** Windows that begin and end with nothing: what counts at a time, and what rolls. */
const isOpen = (unit: QuotaUnit, spanS: number | null): boolean =>
  spanS !== null || unit === "concurrent_runs" || unit === "run_tokens";

function windowObject(
  row: WindowRow,
  state: State,
  span: QuotaSpan | null,
  now: Date,
  names: ReadonlyMap<string, string>,
): QuotaWindow {
  const open = isOpen(row.unit, row.span_s);
  // One that no run has asked for yet is as the next run would open it.
  const startsAt = open ? null : new Date(row.starts_at ?? (span?.startsAt as Date));
  const endsAt = open ? null : new Date(row.ends_at ?? (span?.endsAt as Date));
  const after = row.span_s !== null ? "rolls" : open ? "frees" : state.renew === "monthly" ? "renews" : "ends";
  return {
    name: row.name,
    unit: row.unit,
    subject: row.subject,
    subject_id:
      row.subject === "workspace"
        ? null
        : row.subject === "api_key" && row.key !== ""
          ? idOf("apiKey", row.key)
          : (names.get(row.key) ?? row.key),
    own: row.own,
    limit: row.amount,
    used: row.used,
    reserved: row.reserved,
    remaining: Math.max(0, row.amount - row.used - row.reserved),
    overdraft: row.overdraft,
    granted: row.granted,
    per: perOf(row.unit, row.span_s),
    after,
    started_at:
      row.span_s !== null ? instant(new Date(now.getTime() - row.span_s * 1_000)) : startsAt && instant(startsAt),
    ends_at: endsAt && instant(endsAt),
    last_day: endsAt && localDayBefore(endsAt, state.time_zone),
    time_zone: state.time_zone,
    resets_at: after === "renews" ? instantOrNull(endsAt) : after === "rolls" ? instantOrNull(row.frees_at) : null,
    days_left: startsAt && endsAt && daysLeft({ startsAt, endsAt }, now),
    notices: row.notices.map(({ kind, at }) => ({ kind, at: instant(at) })),
  };
}

/** The local day an exclusive end closes. */
const localDayBefore = (endsAt: Date, timeZone: string): string =>
  new Intl.DateTimeFormat("en-CA", { timeZone, dateStyle: "short" }).format(endsAt.getTime() - 1);

const policyOf = (state: State): QuotaPolicy => ({
  throughDay: state.through_day,
  timeZone: state.time_zone,
  renew: state.renew,
  startsAt: new Date(state.workspace_created_at),
  ...(state.term === null
    ? {}
    : { term: { startsAt: new Date(state.term.starts_at), endsAt: new Date(state.term.ends_at) } }),
});
