-- A new run that goes by another's journal up to a step: the steps before `from_step` are copied, marked as reused, and cost
-- nothing; everything from there on is done anew. `p`: {workspace_id, run_id, from, from_step, api_key_id, tokens, overrides,
-- outputs: {"seq": output of a reused tool step, changed}, metadata, simulated, model}
-- SQLSTATEs: MF001 no such run, MF002 no such step, MF003 a step before it is not finished, MF004 its payload has expired,
-- MF005 its thread is gone, MF006 an output for a step that is not a reused tool result; quota's own. DETAIL is JSON.
CREATE FUNCTION fork_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_run uuid := (p->>'run_id')::uuid;
  v_from uuid := (p->>'from')::uuid;
  v_step int := (p->>'from_step')::int;
  v_now timestamptz := maru_now();
  v runs;
  v_last int;
  v_wrong text;
BEGIN
  PERFORM enter_workspace(v_ws);
  SELECT * INTO v FROM runs WHERE workspace_id = v_ws AND id = v_from FOR KEY SHARE;
  IF NOT FOUND THEN RAISE EXCEPTION 'no run' USING ERRCODE = 'MF001'; END IF;
  IF v.payload_expired_at IS NOT NULL THEN RAISE EXCEPTION 'expired' USING ERRCODE = 'MF004'; END IF;
  SELECT max(seq) INTO v_last FROM run_steps WHERE workspace_id = v_ws AND run_id = v_from AND kind <> 'approval';
  IF NOT EXISTS (SELECT 1 FROM run_steps WHERE workspace_id = v_ws AND run_id = v_from AND seq = v_step AND kind <> 'approval') THEN
    RAISE EXCEPTION 'no step' USING ERRCODE = 'MF002', DETAIL = jsonb_build_object('last', COALESCE(v_last, 0))::text;
  END IF;
  IF EXISTS (SELECT 1 FROM run_steps WHERE workspace_id = v_ws AND run_id = v_from AND seq < v_step AND state IN ('started', 'waiting')) THEN
    RAISE EXCEPTION 'not finished' USING ERRCODE = 'MF003';
  END IF;
  -- A run of a thread goes by what was said before it; so does its fork, whatever was said since.
  IF v.history_thread IS NOT NULL AND NOT EXISTS (SELECT 1 FROM threads WHERE workspace_id = v_ws AND id = v.history_thread) THEN
    RAISE EXCEPTION 'thread gone' USING ERRCODE = 'MF005';
  END IF;
  SELECT o.key INTO v_wrong FROM jsonb_object_keys(COALESCE(p->'outputs', '{}')) AS o(key)
   WHERE NOT EXISTS (SELECT 1 FROM run_steps s WHERE s.workspace_id = v_ws AND s.run_id = v_from AND s.seq = o.key::int AND s.seq < v_step AND s.kind IN ('tool', 'input'))
   LIMIT 1;
  IF FOUND THEN RAISE EXCEPTION 'no result' USING ERRCODE = 'MF006', DETAIL = jsonb_build_object('step', v_wrong)::text; END IF;
  INSERT INTO runs (workspace_id, id, deployment_id, agent_id, revision, api_key_id, status, next_event, input, metadata, end_user, model, simulated,
                    history_thread, history_upto, forked_from, fork_step, overrides, dispatched_at, created_at, deadline_at)
  VALUES (v_ws, v_run, v.deployment_id, v.agent_id, v.revision, (p->>'api_key_id')::uuid, 'queued', 2, v.input, p->'metadata', p->'metadata'->>'user',
          COALESCE(p->>'model', v.model), (p->>'simulated')::boolean AND EXISTS (SELECT 1 FROM models WHERE id = COALESCE(p->>'model', v.model)),
          v.history_thread, v.history_upto, v_from, v_step, NULLIF(COALESCE(v.overrides, '{}') || COALESCE(p->'overrides', '{}'), '{}'), v_now, v_now, v_now + interval '24 hours');
  INSERT INTO run_steps (workspace_id, run_id, seq, kind, state, name, effect, epoch, attempt, input, output, input_digest, reused, started_at, finished_at)
  SELECT v_ws, v_run, s.seq, s.kind, CASE WHEN p->'outputs' ? s.seq::text THEN 'done' ELSE s.state END, s.name, s.effect, 0, s.attempt, s.input,
         CASE WHEN p->'outputs' ? s.seq::text THEN jsonb_build_object('output', p->'outputs'->>s.seq::text, 'isError', false, 'code', NULL) ELSE s.output END,
         s.input_digest, true, s.started_at, s.finished_at
    FROM run_steps s WHERE s.workspace_id = v_ws AND s.run_id = v_from AND s.seq < v_step;
  INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
  VALUES (v_ws, v_run, 1, 'run.queued', '{}', v_now);
  PERFORM quota_reserve(v_ws, v_run, 'tokens', (p->>'tokens')::bigint, v_now);
  PERFORM quota_reserve(v_ws, v_run, 'runs', 1, v_now);
  RETURN run_object(v_ws, v_run);
END $$;

-- Durable events after a sequence number, in order, and whether more can come. At most `p_limit`, and no more once there is a
-- MiB of them: a page is held in memory for each reader.
CREATE OR REPLACE FUNCTION run_events_after(p_workspace uuid, p_run uuid, p_after int, p_limit int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object('ended', r.finished_at IS NOT NULL, 'payload_expired', r.payload_expired_at IS NOT NULL,
      'last_seq', r.next_event - 1, 'events', COALESCE((
      SELECT jsonb_agg(jsonb_build_object('seq', ev.seq, 'type', ev.type, 'data', ev.data, 'at', ev.at) ORDER BY ev.seq)
        FROM (SELECT s.*, sum(s.bytes) OVER (ORDER BY s.seq) - s.bytes AS bytes_before
                FROM (SELECT *, CASE WHEN pg_column_compression(data) IS NULL THEN pg_column_size(data) ELSE octet_length(data::text) END AS bytes
                        FROM run_events WHERE workspace_id = p_workspace AND run_id = p_run AND seq > p_after ORDER BY seq LIMIT p_limit) s) ev
       WHERE ev.bytes_before < 1048576), '[]'))
      FROM runs r WHERE r.workspace_id = p_workspace AND r.id = p_run);
END $$;

-- Where a run's events stand, for many watched runs at once, of any workspace: numbers only.
CREATE FUNCTION run_heads(p_runs uuid[]) RETURNS TABLE (run_id uuid, last_seq int)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT r.id, r.next_event - 1 FROM runs r WHERE r.id = ANY (p_runs)
$$;

-- The payload of runs that ended before an instant: input, output, metadata, steps, events. What stays is that they ran, how
-- they ended and what they used. A batch at a time, of rows nobody writes to any more, skipping those another batch has: no
-- one waits for it.
CREATE FUNCTION expire_payloads(p_before timestamptz, p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_ids uuid[];
BEGIN
  SELECT array_agg(d.id) INTO v_ids FROM (
    SELECT r.id FROM runs r WHERE r.finished_at < p_before AND r.payload_expired_at IS NULL
     ORDER BY r.finished_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED) d;
  IF v_ids IS NULL THEN RETURN 0; END IF;
  DELETE FROM run_events e USING runs r WHERE r.id = ANY (v_ids) AND e.workspace_id = r.workspace_id AND e.run_id = r.id;
  DELETE FROM run_steps s USING runs r WHERE r.id = ANY (v_ids) AND s.workspace_id = r.workspace_id AND s.run_id = r.id;
  UPDATE runs SET input = '', output = NULL, metadata = '{}', overrides = NULL, payload_expired_at = maru_now(),
         error = CASE WHEN error IS NOT NULL THEN jsonb_build_object('code', error->>'code', 'message', '') END
   WHERE id = ANY (v_ids);
  RETURN cardinality(v_ids);
END $$;

CREATE INDEX runs_id ON runs (id);
CREATE INDEX runs_payload ON runs (finished_at) WHERE finished_at IS NOT NULL AND payload_expired_at IS NULL;
GRANT SELECT (next_event, finished_at, payload_expired_at, error) ON runs TO maru_definer;
GRANT UPDATE (input, output, metadata, overrides, payload_expired_at, error) ON runs TO maru_definer;
CREATE POLICY definer_reads ON run_events FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_deletes ON run_events FOR DELETE TO maru_definer USING (true);
GRANT SELECT (workspace_id, run_id, seq), DELETE ON run_events TO maru_definer;
CREATE POLICY definer_reads ON run_steps FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_deletes ON run_steps FOR DELETE TO maru_definer USING (true);
GRANT SELECT (workspace_id, run_id, seq), DELETE ON run_steps TO maru_definer;

GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION run_heads(uuid[]) OWNER TO maru_definer;
ALTER FUNCTION expire_payloads(timestamptz, int) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;

-- Functions may be called by the service only, these new ones too.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO maru_runtime;
GRANT EXECUTE ON FUNCTION lost_backoff(int) TO maru_definer;
