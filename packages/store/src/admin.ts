import { idOf, uuidOf } from "@maru/contract";
import pg from "pg";
import { sqlState } from "./database.ts";

/** What an operator did not mean: said in words for a person. */
export class AdminError extends Error {}

/**
 * What operators do to quotas, as the owner of the tables: services may not. Each is one transaction, and leaves a row that says
 * what was done.
 */
export function openAdmin(ownerUrl: string) {
  // One connection: an operator does one thing after another.
  const pool = new pg.Pool({ connectionString: ownerUrl, max: 1 });
  pool.on("error", () => {});

  const call = async <Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(sql, [...values])).rows;
    } catch (error) {
      const detail = detailOf(error);
      switch (sqlState(error)) {
        case "MP001":
          throw new AdminError(`There is no such plan or campaign: ${detail}.`);
        case "MP002":
          throw new AdminError("There is no such workspace.");
        case "MP003":
          throw new AdminError(detail);
        case "MP004":
          throw new AdminError("That key was used for another grant: choose a new one.");
        case "23505":
          throw new AdminError("That was done already.");
        default:
          throw error;
      }
    }
  };
  const workspaceOf = (id: string): string => {
    const uuid = uuidOf("workspace", id);
    if (uuid === null) throw new AdminError(`${id} is no workspace id: they look like ${idOf("workspace", EXAMPLE)}.`);
    return uuid;
  };

  return {
    /** Every plan with its limits and, of a campaign, its terms. */
    plans: () =>
      call<{ id: string; renew: string; time_zone: string; through_day: number; limits: string; terms: string | null }>(
        `SELECT p.id, p.renew, p.time_zone, p.through_day,
                (SELECT string_agg(l.amount || ' ' || l.unit, ', ' ORDER BY l.unit DESC) FROM plan_limits l WHERE l.plan_id = p.id) AS limits,
                (SELECT string_agg(to_char(t.starts_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') || ' to ' ||
                        to_char(t.ends_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI"Z"') || ': ' || t.note, E'\\n' ORDER BY t.seq)
                   FROM plan_terms t WHERE t.plan_id = p.id) AS terms
           FROM plans p ORDER BY p.id`,
        [],
      ),
    /** @throws AdminError when there is a plan of the id, or it ends before it starts */
    async makeCampaign(campaign: {
      id: string;
      timeZone: string;
      startsAt: Date;
      endsAt: Date;
      limits: Readonly<Record<string, number>>;
      note: string;
    }): Promise<void> {
      const { id, timeZone, startsAt, endsAt, limits, note } = campaign;
      await call("SELECT make_campaign($1, $2, $3, $4, $5, $6)", [id, timeZone, startsAt, endsAt, limits, note]);
    },
    /** Moves a campaign's end; answers how many open windows moved with it. @throws AdminError when it has ended */
    async extendCampaign(id: string, endsAt: Date, effectiveAt: Date | null, note: string): Promise<number> {
      const rows = await call<{ n: number }>("SELECT extend_campaign($1, $2, $3, $4) AS n", [
        id,
        endsAt,
        effectiveAt,
        note,
      ]);
      return rows[0]?.n ?? 0;
    },
    /** Puts a workspace on a plan, now or from an instant ahead. @throws AdminError */
    async changePlan(workspaceId: string, plan: string, from: Date | null, note: string): Promise<void> {
      await call("SELECT change_plan($1, $2, $3, $4)", [workspaceOf(workspaceId), plan, from, note]);
    },
    /** Adds to the open window of a unit; the same key again changes nothing. @throws AdminError */
    async grant(grant: { workspaceId: string; key: string; unit: string; amount: number; note: string }) {
      const { workspaceId, key, unit, amount, note } = grant;
      const rows = await call<{ r: { granted: boolean; amount: number } }>(
        "SELECT grant_quota($1, $2, $3, $4, $5) AS r",
        [workspaceOf(workspaceId), key, unit, amount, note],
      );
      return rows[0]?.r as { granted: boolean; amount: number };
    },
    close: () => pool.end(),
  };
}
export type Admin = ReturnType<typeof openAdmin>;

const EXAMPLE = "01890a5d-ac96-774b-bcce-b302099a8057";

/** The DETAIL of an error: the functions of operators write words there, not JSON. */
const detailOf = (error: unknown): string =>
  error instanceof Error && "detail" in error && typeof error.detail === "string" ? error.detail : "";
