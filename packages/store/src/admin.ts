import { idOf, type Plan, type QuotaSubject, type QuotaUnit, uuidOf } from "@maru/contract";
import { perOf } from "@maru/domain";
import pg from "pg";
import { instant, sqlState } from "./database.ts";

/** What an operator did not mean: said in words for a person. */
export class AdminError extends Error {
  readonly kind: "not_found" | "conflict" | "other_grant" | "taken";

  constructor(message: string, kind: AdminError["kind"] = "conflict") {
    super(message);
    this.kind = kind;
  }
}

export interface NewPlanFields {
  readonly id: string;
  readonly renew: "monthly" | "none" | "campaign";
  readonly timeZone: string;
  /** Of a plan by the calendar; null = the month's last day. */
  readonly throughDay: number | null;
  /** Of a campaign. */
  readonly startsAt: Date | null;
  readonly endsAt: Date | null;
  /** Null = a day. */
  readonly graceS: number | null;
  readonly limits: readonly {
    readonly name?: string;
    readonly unit: QuotaUnit;
    readonly amount: number;
    readonly subject?: QuotaSubject;
    /** A rolling span in seconds; null = the plan's period. */
    readonly spanS: number | null;
  }[];
  readonly note: string;
}
interface PlanLimitRow {
  readonly name: string;
  readonly unit: QuotaUnit;
  readonly amount: number;
  readonly subject: QuotaSubject;
  readonly span_s: number | null;
}

/**
 * What operators do to quota policy and keys: the services' own role may not. Each is one transaction, and leaves a row that says what was
 * done. `url`: a login that is a member of maru_operator, as the owner of the tables is.
 */
export function openAdmin(url: string) {
  // One connection: an operator does one thing after another. As maru_operator, whoever logs in: it may do this and no more.
  const pool = new pg.Pool({ connectionString: url, max: 1, options: "-c role=maru_operator" });
  pool.on("error", () => {});

  const call = async <Row extends pg.QueryResultRow>(sql: string, values: readonly unknown[]): Promise<Row[]> => {
    try {
      return (await pool.query<Row>(sql, [...values])).rows;
    } catch (error) {
      const detail = detailOf(error);
      switch (sqlState(error)) {
        case "MP001":
          throw new AdminError(`There is no such plan or campaign: ${detail}.`, "not_found");
        case "MP002":
          throw new AdminError("There is no such workspace.", "not_found");
        case "MP003":
          throw new AdminError(detail);
        case "MP004":
          throw new AdminError("That key was used for another grant: choose a new one.", "other_grant");
        case "23505":
          throw new AdminError("That was done already.", "taken");
        case "23514":
          throw new AdminError(
            "A limit is not one: requests need a rolling span, concurrent_runs and run_tokens have none.",
          );
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
    async plans(): Promise<Plan[]> {
      const rows = await call<Omit<Plan, "limits"> & { limits: PlanLimitRow[] }>(
        `SELECT p.id, p.renew, p.time_zone, p.through_day, p.grace_s AS grace_seconds,
                COALESCE((SELECT jsonb_agg(jsonb_build_object('name', l.name, 'unit', l.unit, 'amount', l.amount, 'subject', l.subject, 'span_s', l.span_s) ORDER BY l.name DESC)
                   FROM plan_limits l WHERE l.plan_id = p.id), '[]') AS limits,
                COALESCE((SELECT jsonb_agg(jsonb_build_object('starts_at', t.starts_at, 'ends_at', t.ends_at, 'effective_at', t.effective_at, 'note', t.note) ORDER BY t.seq)
                   FROM plan_terms t WHERE t.plan_id = p.id), '[]') AS terms
           FROM plans p ORDER BY p.id`,
        [],
      );
      return rows.map((row) => ({
        ...row,
        limits: row.limits.map(({ span_s: spanS, ...limit }) => ({ ...limit, per: perOf(limit.unit, spanS) })),
        terms: row.terms.map((term) => ({
          starts_at: instant(term.starts_at),
          ends_at: instant(term.ends_at),
          effective_at: instant(term.effective_at),
          note: term.note,
        })),
      }));
    },
    /** Which plans a workspace was, is and will be on, oldest first. @throws AdminError */
    async plansOf(workspaceId: string) {
      const rows = await call<{ plan_id: string; from_at: Date; note: string }>("SELECT * FROM plans_of($1)", [
        workspaceOf(workspaceId),
      ]);
      if (rows.length === 0) throw new AdminError("There is no such workspace.", "not_found");
      return rows.map((row) => ({ plan: row.plan_id, from: instant(row.from_at), note: row.note }));
    },
    /** What operators did, newest first. */
    async actions() {
      const rows = await call<{ action: string; arguments: Record<string, unknown>; at: Date }>(
        "SELECT action, arguments, at FROM operator_actions ORDER BY at DESC, id LIMIT 200",
        [],
      );
      return rows.map((row) => ({ action: row.action, arguments: row.arguments, at: instant(row.at) }));
    },
    /** @throws AdminError when there is a plan of the id, it ends before it starts, or no limit is over its period */
    async makePlan(plan: NewPlanFields): Promise<void> {
      const limits = plan.limits.map(({ spanS, ...limit }) => ({ ...limit, span_s: spanS }));
      await call("SELECT make_plan($1, $2, $3, $4, $5, $6, $7, $8, $9)", [
        plan.id,
        plan.renew,
        plan.timeZone,
        plan.throughDay,
        plan.startsAt,
        plan.endsAt,
        plan.graceS,
        JSON.stringify(limits),
        plan.note,
      ]);
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
    async grant(grant: { workspaceId: string; key: string; limit: string; amount: number; note: string }) {
      const { workspaceId, key, limit, amount, note } = grant;
      const rows = await call<{ r: { granted: boolean; amount: number } }>(
        "SELECT grant_quota($1, $2, $3, $4, $5) AS r",
        [workspaceOf(workspaceId), key, limit, amount, note],
      );
      return rows[0]?.r as { granted: boolean; amount: number };
    },
    /**
     * Wraps the data keys of secrets anew that are under another key than the one named, one by one: what is written
     * meanwhile is not touched. `rewrap` answers null for one it cannot open.
     */
    async rewrapSecrets(
      keyId: string,
      rewrap: (secret: {
        workspaceId: string;
        agent: string | null;
        name: string;
        version: number;
        wrappedKey: Buffer;
      }) => { readonly keyId: string; readonly wrappedKey: Buffer } | null,
    ): Promise<{ rewrapped: number; unopened: number }> {
      const count = { rewrapped: 0, unopened: 0 };
      let after: object | null = null;
      for (;;) {
        const rows: RewrapRow[] = await call<RewrapRow>("SELECT * FROM secrets_to_rewrap($1, $2, $3)", [
          keyId,
          after === null ? null : JSON.stringify(after),
          REWRAP_BATCH,
        ]);
        for (const { workspace_id, agent, name, version, wrapped_key } of rows) {
          after = { workspace_id, agent, name };
          const wrapped = rewrap({
            workspaceId: idOf("workspace", workspace_id),
            agent: agent === "" ? null : agent,
            name,
            version,
            wrappedKey: wrapped_key,
          });
          if (wrapped === null) {
            count.unopened++;
            continue;
          }
          const [done] = await call<{ done: boolean }>("SELECT rewrap_secret($1, $2, $3, $4, $5, $6, $7) AS done", [
            workspace_id,
            agent,
            name,
            version,
            wrapped_key,
            wrapped.keyId,
            wrapped.wrappedKey,
          ]);
          if (done?.done) count.rewrapped++;
        }
        if (rows.length < REWRAP_BATCH) break;
      }
      await call("SELECT secrets_rewrapped($1, $2, $3)", [keyId, count.rewrapped, count.unopened]);
      return count;
    },
    close: () => pool.end(),
  };
}
export type Admin = ReturnType<typeof openAdmin>;

const REWRAP_BATCH = 200;
interface RewrapRow {
  readonly workspace_id: string;
  readonly agent: string;
  readonly name: string;
  readonly version: number;
  readonly wrapped_key: Buffer;
}

const EXAMPLE = "01890a5d-ac96-774b-bcce-b302099a8057";

/** The DETAIL of an error: the functions of operators write words there, not JSON. */
const detailOf = (error: unknown): string =>
  error instanceof Error && "detail" in error && typeof error.detail === "string" ? error.detail : "";
