import type { CrashablePostgres } from "./postgres.ts";

/** What is wrong with the quota ledger and the usage once nothing runs any more; empty when all sums agree exactly. */
export async function checkLedger(postgres: CrashablePostgres): Promise<string[]> {
  const wrong: string[] = [];
  const none = async (what: string, sql: string) => {
    const rows = await postgres.query(sql);
    if (rows.length > 0) wrong.push(`${what}: ${rows.length}, such as ${JSON.stringify(rows[0])}`);
  };
  await none(
    "windows that are not the sum of their entries, or still hold something",
    `SELECT w.unit, w.used, w.reserved, sum(e.used_delta) AS used_sum, sum(e.reserved_delta) AS reserved_sum
       FROM quota_windows w
       LEFT JOIN quota_entries e ON e.workspace_id = w.workspace_id AND e.window_id = w.id
      GROUP BY w.workspace_id, w.id
     HAVING w.used <> COALESCE(sum(e.used_delta), 0) OR w.reserved <> COALESCE(sum(e.reserved_delta), 0)
         OR w.reserved <> 0 OR w.overdraft <> 0`,
  );
  await none(
    "workspaces whose used tokens, usage records and runs do not agree",
    `SELECT * FROM (
       SELECT w.id,
              (SELECT COALESCE(sum(used), 0) FROM quota_windows q WHERE q.workspace_id = w.id AND unit = 'tokens') AS windows,
              (SELECT COALESCE(sum(input_tokens + output_tokens), 0) FROM usage_records u WHERE u.workspace_id = w.id) AS records,
              (SELECT COALESCE(sum(input_tokens + output_tokens), 0) FROM runs r WHERE r.workspace_id = w.id) AS runs
         FROM workspaces w) sums
      WHERE windows <> records OR records <> runs`,
  );
  await none(
    "workspaces whose used runs are not the runs that asked a model",
    `SELECT * FROM (
       SELECT w.id,
              (SELECT COALESCE(sum(used), 0) FROM quota_windows q WHERE q.workspace_id = w.id AND unit = 'runs') AS used,
              (SELECT count(*) FROM runs r WHERE r.workspace_id = w.id AND r.model_calls > 0) AS runs
         FROM workspaces w) sums
      WHERE used <> runs`,
  );
  await none("reservations that were not closed", "SELECT run_id, unit, amount FROM quota_reservations");
  await none(
    "model steps that are done and not charged once",
    `SELECT s.run_id, s.seq, count(u.id) FROM run_steps s
       LEFT JOIN usage_records u ON u.workspace_id = s.workspace_id AND u.run_id = s.run_id AND u.step = s.seq
      WHERE s.kind = 'model' AND s.state = 'done'
      GROUP BY s.workspace_id, s.run_id, s.seq HAVING count(u.id) <> 1`,
  );
  await none(
    "runs that count other calls than they made",
    `SELECT r.id, r.model_calls, r.tool_calls FROM runs r
      WHERE r.model_calls <> (SELECT count(*) FROM usage_records u WHERE u.workspace_id = r.workspace_id AND u.run_id = r.id)
         OR r.tool_calls <> (SELECT count(*) FROM run_steps s WHERE s.workspace_id = r.workspace_id AND s.run_id = r.id
                                AND s.kind = 'tool' AND s.finished_at IS NOT NULL)`,
  );
  return wrong;
}
