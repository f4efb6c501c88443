-- As before, with whom the run is for.
CREATE OR REPLACE FUNCTION claim_run(p_workspace uuid, p_run uuid, p_lease_ms int, p_max_lost int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v runs;
  v_lost boolean;
  v_first boolean;
  v_seq int;
  v_summary text;
  v_upto int;
  v_end text;
  v_error jsonb;
  v_refused text;
BEGIN
  PERFORM enter_workspace(p_workspace);
  PERFORM lock_thread_of(p_workspace, p_run);
  SELECT * INTO v FROM runs WHERE workspace_id = p_workspace AND id = p_run FOR NO KEY UPDATE;
  IF NOT FOUND OR v.finished_at IS NOT NULL OR (v.status = 'running' AND v.lease_until >= v_now) THEN
    RETURN jsonb_build_object('claimed', false);
  END IF;
  v_lost := v.status = 'running';
  IF v.cancel_requested_at IS NOT NULL THEN
    v_end := 'cancelled';
  ELSIF (v.started_at IS NULL AND v.deadline_at <= v_now) OR (v.status = 'waiting' AND v.wait_until <= v_now) THEN
    v_end := 'expired';
  ELSIF v_lost AND v.attempts + 1 >= p_max_lost THEN
    v_end := 'failed';
    v_error := jsonb_build_object('code', 'worker_lost', 'message', format('The run lost its worker %s times', v.attempts + 1));
  END IF;
  IF v_end IS NOT NULL THEN
    RETURN jsonb_build_object('claimed', false, 'ended', true, 'next', end_run(p_workspace, p_run, v_end, v_error, v_now));
  END IF;
  IF v.behind OR v.status = 'waiting' OR (v_lost AND v.lease_until + lost_backoff(v.attempts) > v_now) THEN
    RETURN jsonb_build_object('claimed', false);
  END IF;
  IF v.parked THEN
    BEGIN
      PERFORM quota_reserve(v, 0, true, v_now);
    EXCEPTION WHEN SQLSTATE 'MQ002' THEN
      GET STACKED DIAGNOSTICS v_refused = PG_EXCEPTION_DETAIL;
      UPDATE runs SET not_before = LEAST((v_refused::jsonb->>'frees_at')::timestamptz, v_now + interval '30 seconds'), dispatched_at = v_now,
             parked_on = v_refused::jsonb->>'pace'
       WHERE workspace_id = p_workspace AND id = p_run;
      RETURN jsonb_build_object('claimed', false);
    END;
  END IF;
  v_first := NOT EXISTS (SELECT 1 FROM run_steps WHERE workspace_id = p_workspace AND run_id = p_run);
  UPDATE runs
     SET status = 'running', parked = false, not_before = NULL, parked_on = NULL, epoch = epoch + 1, attempts = attempts + v_lost::int, started_at = COALESCE(started_at, v_now),
         lease_until = v_now + p_lease_ms * interval '1 millisecond', next_event = next_event + 1 + v_first::int,
         -- Nothing is added to the thread before this run ends.
         history_thread = COALESCE(history_thread, v.thread_id),
         history_upto = COALESCE(history_upto, (SELECT t.next_seq FROM threads t WHERE t.workspace_id = p_workspace AND t.id = v.thread_id))
   WHERE workspace_id = p_workspace AND id = p_run
  RETURNING * INTO v;
  v_seq := v.next_event - 1 - v_first::int;
  INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
  VALUES (p_workspace, p_run, v_seq, 'run.running', jsonb_build_object('attempt', v.epoch), v_now);
  IF v_first THEN
    INSERT INTO run_steps (workspace_id, run_id, seq, kind, state, name, effect, epoch, started_at)
    VALUES (p_workspace, p_run, 1, 'model', 'started', v.model, 'model', v.epoch, v_now);
    INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
    VALUES (p_workspace, p_run, v_seq + 1, 'step.started', jsonb_build_object('step', 1, 'kind', 'model', 'name', v.model), v_now);
  ELSE
    UPDATE run_steps SET attempt = attempt + 1
     WHERE workspace_id = p_workspace AND run_id = p_run AND state = 'started' AND effect <> 'at_most_once';
  END IF;
  -- Only an agent that asked for summaries reads one: another of the same thread has all of its messages.
  IF v.history_thread IS NOT NULL AND (SELECT spec #>> '{memory,thread,strategy}' = 'summarise' FROM revisions
                                   WHERE workspace_id = p_workspace AND agent_id = v.agent_id AND number = v.revision) THEN
    SELECT summary, summary_upto INTO v_summary, v_upto FROM threads
     WHERE workspace_id = p_workspace AND id = v.history_thread AND summary_upto <= v.history_upto;
  END IF;
  RETURN jsonb_build_object(
    'claimed', true, 'epoch', v.epoch, 'now', v_now, 'first_event', v_seq, 'last_event', v.next_event - 1,
    'started_at', v.started_at, 'waited_ms', v.waited_ms, 'input', v.input, 'model', v.model, 'thread_id', v.thread_id,
    'input_tokens', v.input_tokens, 'output_tokens', v.output_tokens, 'tool_calls', v.tool_calls,
    'spec', (SELECT CASE WHEN v.token_cap < (spec #>> '{limits,tokens}')::bigint THEN jsonb_set(spec, '{limits,tokens}', to_jsonb(v.token_cap)) ELSE spec END
               FROM revisions WHERE workspace_id = p_workspace AND agent_id = v.agent_id AND number = v.revision) || COALESCE(v.overrides, '{}'),
    'revision', v.agent_id || '/' || v.revision, 'end_user', v.end_user,
    'steps', COALESCE((SELECT jsonb_agg(to_jsonb(s) - 'workspace_id' - 'run_id' - 'input_digest' ORDER BY s.seq) FROM run_steps s
               WHERE s.workspace_id = p_workspace AND s.run_id = p_run), '[]'),
    'messages', CASE WHEN v.history_thread IS NULL THEN '[]' ELSE COALESCE((
        SELECT jsonb_agg(jsonb_build_object('role', m.role, 'content', m.content, 'tool_calls', m.tool_calls,
                         'tool_call_id', m.tool_call_id, 'name', m.name) ORDER BY m.seq)
          FROM thread_messages m
         WHERE m.workspace_id = p_workspace AND m.thread_id = v.history_thread AND m.seq >= COALESCE(v_upto, 1)
           AND m.seq < COALESCE(v.history_upto, 2147483647)), '[]') END,
    'summary', v_summary, 'summary_upto', COALESCE(v_upto, 1));
END $$;
