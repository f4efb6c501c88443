import { idOf, type UsageGroup, type UsageRecord, type UsageReport, uuidOf } from "@maru/contract";
import { type Database, instant, only } from "./database.ts";

export type UsageDimension = "day" | "hour" | "agent" | "deployment" | "model" | "key" | "user";

/** What was used, from the same records the ledger was settled with. */
export function createUsage(db: Database) {
  return {
    /** Sums of [from, to), grouped; days are cut in `timeZone`, which must be a name Postgres knows. */
    async report(
      workspaceId: string,
      query: { from: Date; to: Date; timeZone: string; groupBy: readonly UsageDimension[] },
    ): Promise<UsageReport> {
      const rows = await db.call<{ r: UsageGroup[] }>("SELECT usage_report($1, $2, $3, $4, $5) AS r", [
        uuidOf("workspace", workspaceId),
        query.from,
        query.to,
        query.timeZone,
        query.groupBy,
      ]);
      const data = only(rows).r.map((group) =>
        group.key.key === undefined || group.key.key === ""
          ? group
          : { ...group, key: { ...group.key, key: idOf("apiKey", group.key.key) } },
      );
      const sum = (field: Exclude<keyof UsageGroup, "key" | "runs">) =>
        data.reduce((total, group) => total + group[field], 0);
      const total = {
        key: {},
        runs: data.reduce((count, group) => count + group.runs, 0),
        model_calls: sum("model_calls"),
        input_tokens: sum("input_tokens"),
        cached_input_tokens: sum("cached_input_tokens"),
        output_tokens: sum("output_tokens"),
        total_tokens: sum("total_tokens"),
        cost_micros: sum("cost_micros"),
      };
      return {
        from: instant(query.from),
        to: instant(query.to),
        time_zone: query.timeZone,
        group_by: [...query.groupBy],
        data,
        total,
      };
    },

    /** One record a model step, newest first. */
    async records(
      workspaceId: string,
      filter: { runId?: string; from?: Date; to?: Date },
      limit: number,
      before: string | null,
    ): Promise<UsageRecord[]> {
      const workspace = uuidOf("workspace", workspaceId) as string;
      const rows = await db.forWorkspace(workspace).usageRecord.findMany({
        where: {
          workspaceId: workspace,
          ...(filter.runId === undefined ? {} : { runId: uuidOf("run", filter.runId) as string }),
          ...(filter.from === undefined && filter.to === undefined
            ? {}
            : {
                at: {
                  ...(filter.from === undefined ? {} : { gte: filter.from }),
                  ...(filter.to === undefined ? {} : { lt: filter.to }),
                },
              }),
          ...(before === null ? {} : { id: { lt: before } }),
        },
        orderBy: { id: "desc" },
        take: limit,
        include: {
          run: { select: { endUser: true, deployment: { select: { name: true, agent: { select: { name: true } } } } } },
        },
      });
      return rows.map((row) => ({
        id: idOf("usageRecord", row.id),
        run_id: idOf("run", row.runId),
        step: row.step,
        agent: row.run.deployment.agent.name,
        // Of a deleted one, the name it had.
        deployment: row.run.deployment.name.split(".", 1)[0] as string,
        model: row.model,
        user: row.run.endUser,
        input_tokens: row.inputTokens,
        cached_input_tokens: row.cachedInputTokens,
        output_tokens: row.outputTokens,
        cost_micros: Number(row.costMicros),
        estimated: row.estimated,
        at: instant(row.at),
      }));
    },
  };
}
export type UsageReports = ReturnType<typeof createUsage>;
