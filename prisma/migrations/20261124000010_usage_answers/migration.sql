-- What was used, grouped also by hour and by the run's end user.
CREATE OR REPLACE FUNCTION usage_report(p_workspace uuid, p_from timestamptz, p_to timestamptz, p_zone text, p_by text[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT COALESCE(jsonb_agg(jsonb_build_object(
        'key', jsonb_strip_nulls(jsonb_build_object('day', g.day, 'hour', g.hour, 'agent', g.agent, 'deployment', g.deployment,
                                                    'model', g.model, 'key', g.key, 'user', g.end_user)),
        'runs', g.runs, 'model_calls', g.calls, 'input_tokens', g.input, 'cached_input_tokens', g.cached,
        'output_tokens', g.output, 'total_tokens', g.input + g.output, 'cost_micros', g.cost)
        ORDER BY g.day, g.hour, g.agent, g.deployment, g.model, g.key, g.end_user), '[]')
      FROM (
        SELECT u.day, u.hour, u.agent, u.deployment, u.model, u.key, u.end_user, count(DISTINCT u.run_id) AS runs, count(*) AS calls,
               sum(u.input_tokens) AS input, sum(u.cached_input_tokens) AS cached, sum(u.output_tokens) AS output, sum(u.cost_micros) AS cost
          FROM (
            SELECT r.run_id, r.model, r.input_tokens, r.cached_input_tokens, r.output_tokens, r.cost_micros,
                   CASE WHEN 'day' = ANY (p_by) THEN to_char(r.at AT TIME ZONE p_zone, 'YYYY-MM-DD') END AS day,
                   CASE WHEN 'hour' = ANY (p_by) THEN to_char(r.at AT TIME ZONE p_zone, 'YYYY-MM-DD"T"HH24:00') END AS hour,
                   CASE WHEN 'agent' = ANY (p_by) THEN a.name END AS agent,
                   CASE WHEN 'deployment' = ANY (p_by) THEN d.name END AS deployment,
                   CASE WHEN 'key' = ANY (p_by) THEN COALESCE(n.api_key_id::text, '') END AS key,
                   CASE WHEN 'user' = ANY (p_by) THEN COALESCE(n.end_user, '') END AS end_user
              FROM (SELECT workspace_id, run_id, at, input_tokens, cached_input_tokens, output_tokens, cost_micros,
                           CASE WHEN 'model' = ANY (p_by) THEN model END AS model
                      FROM usage_records WHERE workspace_id = p_workspace AND at >= p_from AND at < p_to) r
              JOIN runs n ON n.workspace_id = r.workspace_id AND n.id = r.run_id
              JOIN deployments d ON d.workspace_id = n.workspace_id AND d.id = n.deployment_id
              JOIN agents a ON a.workspace_id = n.workspace_id AND a.id = n.agent_id) u
         GROUP BY u.day, u.hour, u.agent, u.deployment, u.model, u.key, u.end_user) g);
END $$;

-- Whether a run would be accepted now, by accepting it and taking it back: what is answered can't differ from what creating it
-- would do. Refusals come as the errors of create_run. `holds`: what it would hold, and what would then be left.
CREATE FUNCTION check_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_made jsonb;
  v_detail text;
BEGIN
  BEGIN
    v_made := create_run(p);
    RAISE EXCEPTION 'checked' USING ERRCODE = 'MC000', DETAIL = (
      SELECT jsonb_build_object('behind', COALESCE(v_made->'behind', 'false'), 'holds', jsonb_agg(jsonb_build_object(
               'unit', r.unit, 'amount', r.amount, 'remaining', w.amount - w.used - w.reserved) ORDER BY r.unit DESC))::text
        FROM quota_reservations r JOIN quota_windows w ON w.workspace_id = r.workspace_id AND w.id = r.window_id
       WHERE r.workspace_id = v_ws AND r.run_id = (p->>'run_id')::uuid);
  EXCEPTION WHEN SQLSTATE 'MC000' THEN
    GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  END;
  RETURN v_detail::jsonb;
END $$;
REVOKE EXECUTE ON FUNCTION check_run(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION check_run(jsonb) TO maru_runtime;

-- What is off in a workspace's ledger: every balance recomputed from what it is made of. Empty when all is exact.
CREATE FUNCTION quota_findings(p_workspace uuid) RETURNS TABLE (finding text, subject text, expected bigint, found bigint) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN QUERY
    SELECT 'used is not the sum of the entries'::text, w.unit || ' window ' || w.id, COALESCE(s.used, 0)::bigint, w.used
      FROM quota_windows w LEFT JOIN LATERAL (SELECT sum(used_delta) AS used FROM quota_entries e WHERE e.workspace_id = w.workspace_id AND e.window_id = w.id) s ON true
     WHERE w.workspace_id = p_workspace AND w.used <> COALESCE(s.used, 0)
    UNION ALL
    SELECT 'reserved is not the sum of the entries', w.unit || ' window ' || w.id, COALESCE(s.reserved, 0)::bigint, w.reserved
      FROM quota_windows w LEFT JOIN LATERAL (SELECT sum(reserved_delta) AS reserved FROM quota_entries e WHERE e.workspace_id = w.workspace_id AND e.window_id = w.id) s ON true
     WHERE w.workspace_id = p_workspace AND w.reserved <> COALESCE(s.reserved, 0)
    UNION ALL
    SELECT 'reserved is not what open runs hold', w.unit || ' window ' || w.id, COALESCE(s.held, 0)::bigint, w.reserved
      FROM quota_windows w LEFT JOIN LATERAL (SELECT sum(q.amount) AS held FROM quota_reservations q WHERE q.workspace_id = w.workspace_id AND q.window_id = w.id) s ON true
     WHERE w.workspace_id = p_workspace AND w.reserved <> COALESCE(s.held, 0)
    UNION ALL
    SELECT 'a run that has ended holds ' || q.unit, 'run ' || q.run_id, 0::bigint, q.amount
      FROM quota_reservations q JOIN runs r ON r.workspace_id = q.workspace_id AND r.id = q.run_id
     WHERE q.workspace_id = p_workspace AND r.finished_at IS NOT NULL
    UNION ALL
    SELECT 'tokens charged are not those of the usage records', 'run ' || e.run_id, COALESCE(u.tokens, 0)::bigint, e.used
      FROM (SELECT run_id, sum(used_delta)::bigint AS used FROM quota_entries WHERE workspace_id = p_workspace AND unit = 'tokens' GROUP BY run_id) e
      LEFT JOIN (SELECT run_id, sum(input_tokens::bigint + output_tokens)::bigint AS tokens FROM usage_records WHERE workspace_id = p_workspace GROUP BY run_id) u
        ON u.run_id = e.run_id
     WHERE e.used <> COALESCE(u.tokens, 0)
    UNION ALL
    SELECT 'the run''s own count is not that of its usage records', 'run ' || r.id, COALESCE(u.tokens, 0)::bigint, (r.input_tokens::bigint + r.output_tokens)
      FROM runs r
      LEFT JOIN (SELECT run_id, sum(input_tokens::bigint + output_tokens)::bigint AS tokens FROM usage_records WHERE workspace_id = p_workspace GROUP BY run_id) u
        ON u.run_id = r.id
     WHERE r.workspace_id = p_workspace AND r.input_tokens::bigint + r.output_tokens <> COALESCE(u.tokens, 0);
END $$;
REVOKE EXECUTE ON FUNCTION quota_findings(uuid) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION quota_findings(uuid) TO maru_runtime;
