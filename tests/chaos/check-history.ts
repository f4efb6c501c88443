import { idOf } from "@maru/contract";
import type { CrashablePostgres } from "./postgres.ts";

export interface HistoryFindings {
  /** Accepted, and not in the database. */
  readonly lost: number;
  /** In the database, and nobody was told of it. */
  readonly unasked: number;
  /** Accepted, and not ended. */
  readonly stuck: number;
  /** Idempotency keys that were answered with more than one run, or made more than one. */
  readonly keysWithManyRuns: number;
  readonly statuses: Readonly<Record<string, number>>;
  /** Changes of finished steps, ended runs and events, each of which must stay as it is. */
  readonly historyChanged: number;
  /** Runs whose events are not numbered 1 to n, or whose last event, and no other, is not their end. */
  readonly brokenEvents: number;
  /** Steps that were told of as finished other than once, or are open in an ended run. */
  readonly brokenSteps: number;
  /** Threads whose messages are not numbered 1 to n, or have other than one question of each completed run. */
  readonly brokenThreads: number;
  /** Milliseconds from a run's acceptance to its first attempt, sorted. */
  readonly waitsMs: readonly number[];
  /** Milliseconds from the last thing a lost attempt recorded to its successor's start, sorted. */
  readonly recoveriesMs: readonly number[];
}

const ENDS = ["run.completed", "run.incomplete", "run.failed", "run.cancelled", "run.expired"];

/** Holds the database against what the load was told. */
export async function checkHistory(
  postgres: CrashablePostgres,
  idsByKey: ReadonlyMap<string, ReadonlySet<string>>,
): Promise<HistoryFindings> {
  const count = async (sql: string, parameters: unknown[] = []) =>
    (await postgres.query<{ count: number }>(`SELECT count(*)::int AS count FROM (${sql}) found`, parameters))[0]
      ?.count ?? 0;
  const rows = await postgres.query<{ id: string; key: string; status: string; ended: boolean }>(
    "SELECT id, idempotency_key AS key, status, finished_at IS NOT NULL AS ended FROM runs",
  );
  const stored = new Map(rows.map((row) => [idOf("run", row.id), row]));
  const accepted = [...idsByKey.values()].flatMap((ids) => [...ids]);
  const known = new Set(accepted);
  const statuses: Record<string, number> = {};
  for (const { status } of rows) statuses[status] = (statuses[status] ?? 0) + 1;

  return {
    lost: accepted.filter((id) => !stored.has(id)).length,
    unasked: [...stored.keys()].filter((id) => !known.has(id)).length,
    stuck: accepted.filter((id) => stored.get(id)?.ended === false).length,
    keysWithManyRuns:
      [...idsByKey.values()].filter((ids) => ids.size > 1).length +
      (rows.length - new Set(rows.map((r) => r.key)).size),
    statuses,
    historyChanged: await count("SELECT 1 FROM chaos_changes"),
    brokenEvents: await count(
      `SELECT 1 FROM runs r LEFT JOIN run_events e ON e.workspace_id = r.workspace_id AND e.run_id = r.id
        GROUP BY r.workspace_id, r.id
       HAVING min(e.seq) IS DISTINCT FROM 1 OR max(e.seq) <> count(*) OR max(e.seq) <> r.next_event - 1
           OR count(*) FILTER (WHERE e.type = ANY($1)) <> (r.finished_at IS NOT NULL)::int
           OR (r.finished_at IS NOT NULL
               AND max(e.seq) FILTER (WHERE e.type = 'run.' || r.status) IS DISTINCT FROM max(e.seq))`,
      [ENDS],
    ),
    brokenSteps: await count(
      `SELECT 1 FROM run_steps s JOIN runs r ON r.workspace_id = s.workspace_id AND r.id = s.run_id
         LEFT JOIN (SELECT run_id, (data #>> '{step,seq}')::int AS seq, count(*) FROM run_events
                     WHERE type = 'step.finished' GROUP BY 1, 2) e ON e.run_id = s.run_id AND e.seq = s.seq
        WHERE COALESCE(e.count, 0) <> (s.finished_at IS NOT NULL)::int
           OR (r.finished_at IS NOT NULL AND s.finished_at IS NULL AND r.status = 'completed')`,
    ),
    brokenThreads: await count(
      `SELECT 1 FROM threads t
        WHERE (SELECT count(*) FROM thread_messages m WHERE m.workspace_id = t.workspace_id AND m.thread_id = t.id
                  AND m.seq BETWEEN 1 AND t.next_seq - 1) <> t.next_seq - 1
           OR EXISTS (SELECT 1 FROM runs r WHERE r.workspace_id = t.workspace_id AND r.thread_id = t.id
                         AND r.status = 'completed' AND 1 <> (
                SELECT count(*) FROM thread_messages m WHERE m.workspace_id = r.workspace_id AND m.run_id = r.id
                   AND m.role = 'user'))`,
    ),
    waitsMs: await gapsBeforeAttempts(postgres, "attempt = 1"),
    recoveriesMs: await gapsBeforeAttempts(postgres, "attempt > 1"),
  };
}

/** From the event before each attempt's first to that one. */
async function gapsBeforeAttempts(postgres: CrashablePostgres, which: string): Promise<number[]> {
  const rows = await postgres.query<{ ms: number }>(
    `SELECT (extract(epoch FROM at - before) * 1000)::float AS ms
       FROM (SELECT type, at, lag(at) OVER (PARTITION BY run_id ORDER BY seq) AS before,
                    count(*) FILTER (WHERE type = 'run.running') OVER (PARTITION BY run_id ORDER BY seq) AS attempt
               FROM run_events) e
      WHERE type = 'run.running' AND ${which} ORDER BY ms`,
  );
  return rows.map(({ ms }) => ms);
}
