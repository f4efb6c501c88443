import { Problem } from "@maru/contract";
import type { Store, UsageDimension } from "@maru/store";
import type { Handlers } from "../http/bind.ts";
import type { Pages } from "../http/pages.ts";
import { uuidPosition } from "./positions.ts";

const DAY_MS = 86_400_000;
const MAX_REPORT_DAYS = 400;

export function quotaRoutes({ store, pages, now }: { store: Store; pages: Pages; now: () => number }) {
  return {
    getQuota: async ({ caller }) => ({ status: 200, body: await store.quotas.get(caller.workspaceId) }),

    getUsage: async ({ caller, query }) => {
      const to = query.to === undefined ? new Date(now() + 1_000) : new Date(query.to);
      const from = query.from === undefined ? new Date(to.getTime() - 30 * DAY_MS) : new Date(query.from);
      const timeZone = query.time_zone ?? "UTC";
      if (!(from < to)) throw wrong("?from", "must be before `to`");
      if (to.getTime() - from.getTime() > MAX_REPORT_DAYS * DAY_MS)
        throw wrong("?from", `a report covers at most ${MAX_REPORT_DAYS} days`);
      if (!isTimeZone(timeZone)) throw wrong("?time_zone", `there is no time zone ${timeZone}`);
      const groupBy = query.group_by === undefined ? [] : ([...new Set(query.group_by.split(","))] as UsageDimension[]);
      return { status: 200, body: await store.usage.report(caller.workspaceId, { from, to, timeZone, groupBy }) };
    },

    listUsageRecords: async ({ caller, query }) => ({
      status: 200,
      body: await pages.read(
        `usage ${query.run_id ?? ""}`,
        caller.workspaceId,
        query,
        (limit, before) =>
          store.usage.records(
            caller.workspaceId,
            query.run_id === undefined ? {} : { runId: query.run_id },
            limit,
            before,
          ),
        uuidPosition("usageRecord"),
      ),
    }),
  } satisfies Partial<Handlers>;
}

const wrong = (pointer: string, detail: string) =>
  new Problem("validation_failed", detail, { errors: [{ pointer, code: "validation_failed", detail }] });

/** IANA names only: an offset like +09:00 is none, and Postgres reads its sign the other way round. */
function isTimeZone(name: string): boolean {
  if (!/^[A-Za-z][A-Za-z0-9_+-]*(?:\/[A-Za-z0-9_+-]+)*$/.test(name)) return false;
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch {
    return false;
  }
}
