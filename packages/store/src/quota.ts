import { Problem, QUOTA_UNITS, type Quota, type QuotaUnit, uuidOf } from "@maru/contract";
import { daysLeft, type QuotaPolicy, windowAt } from "@maru/domain";
import { type Database, instant, only } from "./database.ts";

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

  return {
    openWindow,

    /** The problem for a window without room, from what `quota_reserve` reported. */
    exhausted(detail: Record<string, unknown>): Problem {
      const resetsAt = new Date(String(detail.ends_at));
      const { unit, limit, used, reserved, asked } = detail;
      return new Problem(
        "quota_exhausted",
        `This run would hold ${asked} ${unit}; of ${limit} in this window ${used} are used and ${reserved} held by runs in flight.`,
        { limit: String(unit), resetsAt },
      );
    },

    /** Every balance recomputed from what it is made of; empty when all is exact. */
    async findings(workspaceId: string): Promise<QuotaFinding[]> {
      const rows = await db.call<{ finding: string; subject: string; expected: string; found: string }>(
        "SELECT * FROM quota_findings($1) UNION ALL SELECT * FROM grant_findings($1)",
        [uuidOf("workspace", workspaceId)],
      );
      return rows.map((row) => ({ ...row, expected: Number(row.expected), found: Number(row.found) }));
    },

    /** Every window in force now. A workspace that never ran anything sees the window its first run would open. */
    async get(workspaceId: string): Promise<Quota> {
      let found = await state(workspaceId);
      const policy = policyOf(found);
      const now = new Date(found.now);
      const window = windowAt(policy, now);
      if (found.windows.length === 0 && "startsAt" in window) {
        await openWindow(workspaceId, now);
        found = await state(workspaceId);
      }
      return {
        plan: found.plan,
        renew: found.renew,
        as_of: instant(found.now),
        windows: found.windows
          .filter((row) => (QUOTA_UNITS as readonly string[]).includes(row.unit))
          .map((row) => {
            const endsAt = new Date(row.ends_at);
            return {
              unit: row.unit,
              limit: row.amount,
              used: row.used,
              reserved: row.reserved,
              remaining: Math.max(0, row.amount - row.used - row.reserved),
              overdraft: row.overdraft,
              started_at: instant(row.starts_at),
              ends_at: instant(row.ends_at),
              last_day: "lastDay" in window ? window.lastDay : instant(new Date(endsAt.getTime() - 1)).slice(0, 10),
              time_zone: found.time_zone,
              resets_at: found.renew === "monthly" ? instant(row.ends_at) : null,
              days_left: daysLeft({ startsAt: new Date(row.starts_at), endsAt }, now),
            };
          }),
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
  readonly windows: readonly {
    readonly unit: QuotaUnit;
    readonly amount: number;
    readonly used: number;
    readonly reserved: number;
    readonly overdraft: number;
    readonly starts_at: string;
    readonly ends_at: string;
  }[];
}

const policyOf = (state: State): QuotaPolicy => ({
  throughDay: state.through_day,
  timeZone: state.time_zone,
  renew: state.renew,
  startsAt: new Date(state.workspace_created_at),
  ...(state.term === null
    ? {}
    : { term: { startsAt: new Date(state.term.starts_at), endsAt: new Date(state.term.ends_at) } }),
});
