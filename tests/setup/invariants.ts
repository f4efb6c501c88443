import type { TestDatabase } from "./database.ts";

/** What must hold of the tables at any moment at which nobody writes; answers what does not. */
export async function brokenInvariants(database: TestDatabase): Promise<string[]> {
  const rows = await database.query<{ what: string }>(`
    SELECT 'events of ' || r.id || ' have gaps' AS what FROM runs r
     WHERE (SELECT count(*) FROM run_events e WHERE e.run_id = r.id) <> r.next_event - 1
        OR (SELECT max(seq) FROM run_events e WHERE e.run_id = r.id) <> r.next_event - 1
    UNION ALL
    SELECT 'end of ' || r.id || ' is not its last event, once' FROM runs r
     WHERE (SELECT array_agg(seq) FROM run_events e WHERE e.run_id = r.id AND e.type IN ('run.completed', 'run.incomplete', 'run.cancelled', 'run.expired', 'run.failed'))
           IS DISTINCT FROM (CASE WHEN r.finished_at IS NOT NULL THEN ARRAY[r.next_event - 1] END)
    UNION ALL
    SELECT 'open steps in ' || r.id FROM runs r
     WHERE r.finished_at IS NOT NULL AND EXISTS (SELECT 1 FROM run_steps s WHERE s.run_id = r.id AND s.finished_at IS NULL)
    UNION ALL
    SELECT 'nothing is asked in ' || r.id FROM runs r
     WHERE r.status = 'waiting' AND NOT EXISTS (SELECT 1 FROM run_steps s WHERE s.run_id = r.id AND s.state = 'waiting' AND s.kind IN ('input', 'approval'))
    UNION ALL
    SELECT 'two are active in a thread' FROM runs r WHERE r.thread_id IS NOT NULL AND r.finished_at IS NULL AND NOT r.behind
     GROUP BY r.thread_id HAVING count(*) > 1
    UNION ALL
    SELECT 'nobody has the turn in a thread' FROM runs r WHERE r.thread_id IS NOT NULL AND r.finished_at IS NULL
     GROUP BY r.thread_id HAVING bool_and(r.behind)
    UNION ALL
    SELECT 'the ledger is off' FROM quota_windows w
     WHERE w.used <> COALESCE((SELECT sum(used_delta) FROM quota_entries e WHERE e.window_id = w.id), 0)
        OR w.reserved <> COALESCE((SELECT sum(reserved_delta) FROM quota_entries e WHERE e.window_id = w.id), 0)
        OR w.reserved <> COALESCE((SELECT sum(amount) FROM quota_reservations q WHERE q.window_id = w.id), 0)
    UNION ALL
    SELECT 'a run that ended holds quota' FROM quota_reservations q JOIN runs r ON r.id = q.run_id WHERE r.finished_at IS NOT NULL
    UNION ALL
    SELECT 'a run that waits holds tokens' FROM quota_reservations q JOIN runs r ON r.id = q.run_id WHERE r.status = 'waiting' AND q.unit = 'tokens' AND q.amount > 0
    UNION ALL
    SELECT 'usage of ' || r.id FROM runs r
     WHERE r.input_tokens + r.output_tokens <> COALESCE((SELECT sum(input_tokens + output_tokens) FROM usage_records u WHERE u.run_id = r.id), 0)
    UNION ALL
    SELECT 'memory of ' || n.scope || ' ' || n.subject || ' is counted wrong' FROM memory_namespaces n
     WHERE n.items = 0 OR (n.items, n.bytes) IS DISTINCT FROM (SELECT (count(*)::int, COALESCE(sum(bytes), 0)::int) FROM memory_items i WHERE i.namespace_id = n.id)
    UNION ALL
    SELECT 'memory of ' || w.id || ' is counted wrong' FROM workspaces w
     WHERE COALESCE((SELECT bytes FROM memory_usage u WHERE u.workspace_id = w.id), 0) <> COALESCE((SELECT sum(bytes) FROM memory_namespaces n WHERE n.workspace_id = w.id), 0)`);
  return rows.map(({ what }) => what);
}
