import { idOf, Problem, type QuotaLimit, type QuotaSubject, type QuotaUnit, uuidOf } from "@maru/contract";
import { perOf } from "@maru/domain";
import { asProblem, type Database, instant, only } from "./database.ts";

export interface LimitFields {
  readonly unit: QuotaUnit;
  readonly amount: number;
  readonly subject: QuotaSubject;
  /** An API key's id, a deployment's name or an end user; null = each for itself. */
  readonly subjectId: string | null;
  /** A rolling span in seconds; null = the plan's period. */
  readonly spanS: number | null;
}

/** Limits that workspaces set themselves, within those of their plan. */
export function createLimits(db: Database) {
  const scope = (workspaceId: string) => {
    const workspace = uuidOf("workspace", workspaceId) as string;
    return { workspace, client: db.forWorkspace(workspace) };
  };

  /** What runs are told by. @throws Problem validation_failed when the workspace has no such key or deployment */
  const subjectKey = async (workspaceId: string, { subject, subjectId }: LimitFields): Promise<string | null> => {
    if (subjectId === null) return null;
    const { workspace, client } = scope(workspaceId);
    const missing = (detail: string) =>
      new Problem("validation_failed", detail, {
        errors: [{ pointer: "/subject_id", code: "validation_failed", detail }],
      });
    if (subject === "api_key") {
      const id = uuidOf("apiKey", subjectId);
      const found = id !== null && (await client.apiKey.count({ where: { workspaceId: workspace, id } })) > 0;
      if (!found) throw missing(`there is no API key ${subjectId}`);
      return id;
    }
    if (subject !== "deployment") return subjectId;
    const found = await client.deployment.findFirst({ where: { workspaceId: workspace, name: subjectId } });
    if (found === null) throw missing(`there is no deployment ${subjectId}`);
    return found.id;
  };

  const shown = async (workspaceId: string, rows: readonly LimitRow[]): Promise<QuotaLimit[]> => {
    const { workspace, client } = scope(workspaceId);
    const ids = rows.flatMap((row) =>
      row.subject === "deployment" && row.subject_id !== null ? [row.subject_id] : [],
    );
    const names =
      ids.length === 0
        ? []
        : await client.deployment.findMany({
            where: { workspaceId: workspace, id: { in: ids } },
            select: { id: true, name: true },
          });
    return rows.map((row) => ({
      name: row.name,
      unit: row.unit,
      subject: row.subject,
      subject_id:
        row.subject_id === null
          ? null
          : row.subject === "api_key"
            ? idOf("apiKey", row.subject_id)
            : row.subject === "deployment"
              ? (names.find(({ id }) => id === row.subject_id)?.name ?? row.subject_id)
              : row.subject_id,
      per: perOf(row.unit, row.span_s),
      amount: Number(row.amount),
      created_at: instant(row.created_at),
      updated_at: instant(row.updated_at),
    }));
  };
  const problems = {
    ML001: () => new Problem("too_many_limits", "Fifty are the most: remove one first."),
    ML003: () => {
      const detail = "the plan has a limit of that name: choose another";
      return new Problem("validation_failed", `The name can't be used: ${detail}.`, {
        errors: [{ pointer: "path:name", code: "validation_failed", detail }],
      });
    },
    ML002: () => new Problem("precondition_failed", "Read the limits again and repeat with the new ETag."),
  };

  return {
    async list(workspaceId: string): Promise<QuotaLimit[]> {
      const { workspace, client } = scope(workspaceId);
      const rows = await client.workspaceLimit.findMany({
        where: { workspaceId: workspace },
        orderBy: { name: "asc" },
      });
      return shown(
        workspaceId,
        rows.map((row) => ({
          ...row,
          subject: row.subject as QuotaSubject,
          unit: row.unit as QuotaUnit,
          subject_id: row.subjectId,
          span_s: row.spanS,
          created_at: row.createdAt,
          updated_at: row.updatedAt,
        })),
      );
    },

    /**
     * Makes or changes a limit; in force with the next run. `ifMatch`: the generation the caller last saw, or null.
     * @throws Problem validation_failed, too_many_limits, precondition_failed
     */
    async set(workspaceId: string, name: string, fields: LimitFields, ifMatch: number | null) {
      const key = await subjectKey(workspaceId, fields);
      try {
        const rows = await db.call<{ r: LimitRow & { created: boolean; generation: number } }>(
          "SELECT set_limit($1, $2, $3, $4, $5, $6, $7, $8) AS r",
          [
            uuidOf("workspace", workspaceId),
            name,
            fields.subject,
            key,
            fields.unit,
            fields.spanS,
            fields.amount,
            ifMatch,
          ],
        );
        const { r } = only(rows);
        const [limit] = await shown(workspaceId, [r]);
        return { limit: limit as QuotaLimit, created: r.created, generation: r.generation };
      } catch (error) {
        return asProblem(error, problems);
      }
    },

    /** @throws Problem not_found, precondition_failed */
    async remove(workspaceId: string, name: string, ifMatch: number | null): Promise<void> {
      try {
        const rows = await db.call<{ r: boolean }>("SELECT drop_limit($1, $2, $3) AS r", [
          uuidOf("workspace", workspaceId),
          name,
          ifMatch,
        ]);
        if (!only(rows).r) throw new Problem("not_found", `The workspace has no limit of its own named ${name}.`);
      } catch (error) {
        asProblem(error, problems);
      }
    },
  };
}
export type Limits = ReturnType<typeof createLimits>;

interface LimitRow {
  readonly name: string;
  readonly subject: QuotaSubject;
  readonly subject_id: string | null;
  readonly unit: QuotaUnit;
  readonly span_s: number | null;
  readonly amount: number | bigint;
  readonly created_at: string | Date;
  readonly updated_at: string | Date;
}
