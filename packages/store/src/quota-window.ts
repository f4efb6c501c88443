import type { Problem } from "@maru/contract";
import { asProblem, sqlDetail, sqlState } from "./database.ts";
import type { Quotas } from "./quota.ts";

/** Repeats once after opening the quota window the first run of a period does not find; errors become problems. */
export const windowOpener =
  (quotas: Quotas) =>
  async <T>(
    workspaceId: string,
    attempt: () => Promise<T>,
    problems: (error: unknown) => Record<string, () => Problem>,
  ): Promise<T> => {
    for (let tries = 1; ; tries++) {
      try {
        return await attempt();
      } catch (error) {
        if (sqlState(error) === "MQ001" && tries === 1) {
          await quotas.openWindow(workspaceId, new Date(String(sqlDetail(error).now)));
          continue;
        }
        return asProblem(error, { MQ002: () => quotas.exhausted(sqlDetail(error)), ...problems(error) });
      }
    }
  };
