import { Problem, type UsageGroup, type UsageRecord } from "@maru/contract";
import { limitProblem, spanSeconds } from "@maru/domain";
import type { Store, UsageDimension } from "@maru/store";
import type { Handlers } from "../http/bind.ts";
import { sendCsv, sendWholeCsv, wantsCsv } from "../http/csv.ts";
import type { Pages } from "../http/pages.ts";
import { ifMatch } from "./deployments.ts";
import { uuidPosition } from "./positions.ts";
import { newRunOf } from "./runs.ts";

/** The limit that `deploy.concurrency` of a manifest sets. */
const DEPLOY_CONCURRENCY = "deploy.concurrency";
const DAY_MS = 86_400_000;
const MAX_REPORT_DAYS = 400;
const CSV_PAGE = 500;
/** What is an answer to “would it be accepted”; anything else is a mistake in the question. */
const REFUSALS: ReadonlySet<string> = new Set([
  "quota_exhausted",
  "concurrency_exceeded",
  "rate_limited",
  "queue_full",
  "run_too_large",
  "free_tier_ended",
  "free_tier_not_begun",
  "thread_busy",
  "thread_full",
]);
const SUMS = [
  "runs",
  "model_calls",
  "input_tokens",
  "cached_input_tokens",
  "output_tokens",
  "total_tokens",
  "cost_micros",
] as const satisfies readonly (keyof UsageGroup)[];
const RECORD = [
  "id",
  "at",
  "run_id",
  "step",
  "agent",
  "deployment",
  "model",
  "user",
  "input_tokens",
  "cached_input_tokens",
  "output_tokens",
  "cost_micros",
  "estimated",
] as const satisfies readonly (keyof UsageRecord)[];
type RecordFilter = Parameters<Store["usage"]["records"]>[1];

export function quotaRoutes(deps: { store: Store; pages: Pages; simulated: boolean; now: () => number }) {
  const { store, pages, simulated, now } = deps;

  /** All records of a filter, a page at a time. */
  async function* everyRecord(workspaceId: string, filter: RecordFilter): AsyncGenerator<UsageRecord> {
    for (let before: string | null = null; ; ) {
      const page: UsageRecord[] = await store.usage.records(workspaceId, filter, CSV_PAGE, before);
      yield* page;
      const last = page.at(-1);
      if (page.length < CSV_PAGE || last === undefined) return;
      before = uuidPosition("usageRecord")(last);
    }
  }

  return {
    getQuota: async ({ caller }) => ({ status: 200, body: await store.quotas.get(caller.workspaceId) }),

    auditQuota: async ({ caller }) => {
      const findings = await store.quotas.findings(caller.workspaceId);
      return { status: 200, body: { exact: findings.length === 0, findings } };
    },

    checkQuota: async ({ caller, body }) => {
      try {
        const { behind, parked, holds } = await store.runs.check(caller.workspaceId, newRunOf(body, caller, simulated));
        return { status: 200, body: { admitted: true, enqueued: behind || parked, holds: [...holds], refusal: null } };
      } catch (error) {
        if (!(error instanceof Problem) || !REFUSALS.has(error.code)) throw error;
        const { limit, resetsAt, endsAt } = error.extras;
        const refusal = {
          code: error.code,
          status: error.status,
          detail: error.message,
          limit: limit ?? null,
          frees_at: resetsAt?.toISOString() ?? null,
          ended_at: endsAt?.toISOString() ?? null,
        };
        return { status: 200, body: { admitted: false, enqueued: false, holds: [], refusal } };
      }
    },

    listLimits: async ({ caller }) => ({ status: 200, body: { data: await store.limits.list(caller.workspaceId) } }),

    setLimit: async ({ caller, params, body, request }) => {
      const { unit, amount, subject = "workspace", subject_id: subjectId = null, per } = body;
      if (params.name === DEPLOY_CONCURRENCY)
        throw wrong("path:name", `${DEPLOY_CONCURRENCY} is the name of a deployment's own limit: choose another`);
      const mistake = limitProblem(unit, per);
      if (mistake !== null) throw wrong("/per", mistake);
      if (subject === "workspace" && subjectId !== null)
        throw wrong("/subject_id", "the workspace is the only one of its kind: leave it out, or name another subject");
      const spanS = per === undefined ? null : spanSeconds(per);
      const fields = { unit, amount, subject, subjectId, spanS };
      const match = ifMatch(request.headers["if-match"]);
      const { limit, created, generation } = await store.limits.set(
        caller.workspaceId,
        params.name,
        fields,
        match === null ? null : generationOf(match),
      );
      return { status: created ? 201 : 200, headers: { etag: `"${generation}"` }, body: limit };
    },

    deleteLimit: async ({ caller, params, request }) => {
      const match = ifMatch(request.headers["if-match"]);
      await store.limits.remove(caller.workspaceId, params.name, match === null ? null : generationOf(match));
      return { status: 204 };
    },

    getUsage: async ({ caller, query, request, reply }) => {
      const to = query.to === undefined ? new Date(now() + 1_000) : new Date(query.to);
      const from = query.from === undefined ? new Date(to.getTime() - 30 * DAY_MS) : new Date(query.from);
      const timeZone = query.time_zone ?? "UTC";
      if (!(from < to)) throw wrong("?from", "must be before `to`");
      if (to.getTime() - from.getTime() > MAX_REPORT_DAYS * DAY_MS)
        throw wrong("?from", `a report covers at most ${MAX_REPORT_DAYS} days`);
      if (!isTimeZone(timeZone)) throw wrong("?time_zone", `there is no time zone ${timeZone}`);
      const groupBy = query.group_by === undefined ? [] : ([...new Set(query.group_by.split(","))] as UsageDimension[]);
      const report = await store.usage.report(caller.workspaceId, { from, to, timeZone, groupBy });
      if (!wantsCsv(request)) return { status: 200, body: report };
      const rows = report.data.map(({ key, ...sums }) => ({ ...key, ...sums }));
      return sendWholeCsv(reply, "usage", [...groupBy, ...SUMS], rows);
    },

    listUsageRecords: async ({ caller, query, request, reply }) => {
      const filter: RecordFilter = {
        ...(query.run_id === undefined ? {} : { runId: query.run_id }),
        ...(query.from === undefined ? {} : { from: new Date(query.from) }),
        ...(query.to === undefined ? {} : { to: new Date(query.to) }),
      };
      if (filter.from !== undefined && filter.to !== undefined && !(filter.from < filter.to))
        throw wrong("?from", "must be before `to`");
      if (wantsCsv(request)) return sendCsv(reply, "usage-records", RECORD, everyRecord(caller.workspaceId, filter));
      return {
        status: 200,
        body: await pages.read(
          `usage ${query.run_id ?? ""} ${query.from ?? ""} ${query.to ?? ""}`,
          caller.workspaceId,
          query,
          (limit, before) => store.usage.records(caller.workspaceId, filter, limit, before),
          uuidPosition("usageRecord"),
        ),
      };
    },
  } satisfies Partial<Handlers>;
}

/** A tag this resource never had fits no generation. */
const generationOf = (tag: string): number => (/^[1-9][0-9]{0,8}$/.test(tag) ? Number(tag) : 0);

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
