-- A thread's summary: what stands for its messages before `summary_upto`, for agents that ask for one. The messages stay.
ALTER TABLE threads ADD COLUMN summary TEXT, ADD COLUMN summary_upto INTEGER NOT NULL DEFAULT 1;

CREATE OR REPLACE FUNCTION claim_run(p_workspace uuid, p_run uuid, p_lease_ms int, p_max_lost int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v runs;
  v_lost boolean;
  v_first boolean;
  v_seq int;
  v_summary text;
  v_upto int;
BEGIN
  PERFORM enter_workspace(p_workspace);
  SELECT * INTO v FROM runs WHERE workspace_id = p_workspace AND id = p_run FOR NO KEY UPDATE;
  IF NOT FOUND OR v.finished_at IS NOT NULL OR (v.status = 'running' AND v.lease_until >= v_now) THEN
    RETURN jsonb_build_object('claimed', false);
  END IF;
  v_lost := v.status = 'running';
  IF v.cancel_requested_at IS NOT NULL THEN
    PERFORM end_run(p_workspace, p_run, 'cancelled', NULL, v_now);
    RETURN jsonb_build_object('claimed', false, 'ended', true);
  ELSIF v.started_at IS NULL AND v.deadline_at <= v_now THEN
    PERFORM end_run(p_workspace, p_run, 'expired', NULL, v_now);
    RETURN jsonb_build_object('claimed', false, 'ended', true);
  ELSIF v_lost AND v.attempts + 1 >= p_max_lost THEN
    PERFORM end_run(p_workspace, p_run, 'failed', jsonb_build_object('code', 'worker_lost', 'message',
      format('The run lost its worker %s times', v.attempts + 1)), v_now);
    RETURN jsonb_build_object('claimed', false, 'ended', true);
  END IF;
  v_first := NOT EXISTS (SELECT 1 FROM run_steps WHERE workspace_id = p_workspace AND run_id = p_run);
  UPDATE runs
     SET status = 'running', epoch = epoch + 1, attempts = attempts + v_lost::int, started_at = COALESCE(started_at, v_now),
         lease_until = v_now + p_lease_ms * interval '1 millisecond', next_event = next_event + 1 + v_first::int
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
  IF v.thread_id IS NOT NULL AND (SELECT spec #>> '{memory,thread,strategy}' = 'summarise' FROM revisions
                                   WHERE workspace_id = p_workspace AND agent_id = v.agent_id AND number = v.revision) THEN
    SELECT summary, summary_upto INTO v_summary, v_upto FROM threads WHERE workspace_id = p_workspace AND id = v.thread_id;
  END IF;
  RETURN jsonb_build_object(
    'claimed', true, 'epoch', v.epoch, 'now', v_now, 'first_event', v_seq, 'last_event', v.next_event - 1,
    'started_at', v.started_at, 'input', v.input, 'model', v.model, 'thread_id', v.thread_id,
    'input_tokens', v.input_tokens, 'output_tokens', v.output_tokens, 'tool_calls', v.tool_calls,
    'spec', (SELECT spec FROM revisions WHERE workspace_id = p_workspace AND agent_id = v.agent_id AND number = v.revision),
    'revision', v.agent_id || '/' || v.revision,
    'steps', COALESCE((SELECT jsonb_agg(to_jsonb(s) - 'workspace_id' - 'run_id' ORDER BY s.seq) FROM run_steps s
               WHERE s.workspace_id = p_workspace AND s.run_id = p_run), '[]'),
    'messages', CASE WHEN v.thread_id IS NULL THEN '[]' ELSE COALESCE((
        SELECT jsonb_agg(jsonb_build_object('role', m.role, 'content', m.content, 'tool_calls', m.tool_calls,
                         'tool_call_id', m.tool_call_id, 'name', m.name) ORDER BY m.seq)
          FROM thread_messages m
         WHERE m.workspace_id = p_workspace AND m.thread_id = v.thread_id AND m.seq >= COALESCE(v_upto, 1)), '[]') END,
    'summary', v_summary, 'summary_upto', COALESCE(v_upto, 1));
END $$;

-- The operation's `end` may hold `summary`: {text, upto}; `usage` says whether it is a simulator's.
CREATE OR REPLACE FUNCTION write_journal(p_ops jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  op jsonb;
  v_now timestamptz := maru_now();
  v_ws uuid;
  v_run uuid;
  v_entered uuid;
  v_events int;
  v runs;
  u jsonb;
  e jsonb;
  v_room boolean;
  v_seq int;
  v_results jsonb[] := '{}';
BEGIN
  FOR op IN SELECT value FROM jsonb_array_elements(p_ops) LOOP
    v_ws := (op->>'w')::uuid;
    v_run := (op->>'r')::uuid;
    IF v_entered IS DISTINCT FROM v_ws THEN
      PERFORM enter_workspace(v_ws);
      v_entered := v_ws;
    END IF;
    u := op->'usage';
    e := op->'end';
    v_events := jsonb_array_length(op->'events');
    UPDATE runs
       SET next_event = next_event + v_events,
           input_tokens = input_tokens + COALESCE((u->>'input')::int, 0),
           cached_input_tokens = cached_input_tokens + COALESCE((u->>'cached')::int, 0),
           output_tokens = output_tokens + COALESCE((u->>'output')::int, 0),
           model_calls = model_calls + (u IS NOT NULL)::int,
           cost_micros = cost_micros + COALESCE((u->>'cost')::bigint, 0),
           usage_estimated = usage_estimated OR COALESCE((u->>'estimated')::boolean, false),
           tool_calls = tool_calls + COALESCE((op->>'tools')::int, 0),
           simulated = simulated OR COALESCE((u->>'simulated')::boolean, false),
           status = COALESCE(e->>'status', status),
           output = COALESCE(e->>'output', output),
           incomplete_reason = e->>'reason',
           error = NULLIF(e->'error', 'null'),
           finished_at = CASE WHEN e IS NULL THEN NULL ELSE v_now END,
           lease_until = CASE WHEN e IS NULL THEN lease_until END
     WHERE workspace_id = v_ws AND id = v_run AND epoch = (op->>'e')::int AND status = 'running'
    RETURNING * INTO v;
    IF NOT FOUND THEN
      v_results := v_results || jsonb_build_object('ok', false);
      CONTINUE;
    END IF;
    IF jsonb_array_length(op->'done') > 0 THEN
      UPDATE run_steps s SET state = d.state, output = d.output, epoch = v.epoch, finished_at = v_now
        FROM jsonb_to_recordset(op->'done') AS d(seq int, state text, output jsonb)
       WHERE s.workspace_id = v_ws AND s.run_id = v_run AND s.seq = d.seq AND s.state = 'started';
    END IF;
    IF jsonb_array_length(op->'start') > 0 THEN
      INSERT INTO run_steps (workspace_id, run_id, seq, kind, state, name, effect, epoch, input, started_at)
      SELECT v_ws, v_run, n.seq, n.kind, 'started', n.name, n.effect, v.epoch, n.input, v_now
        FROM jsonb_to_recordset(op->'start') AS n(seq int, kind text, name text, effect text, input jsonb);
    END IF;
    INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
    SELECT v_ws, v_run, v.next_event - v_events - 1 + ev.n::int, ev.value->>'type', ev.value->'data', v_now
      FROM jsonb_array_elements(op->'events') WITH ORDINALITY AS ev(value, n);
    v_room := true;
    IF u IS NOT NULL THEN
      INSERT INTO usage_records (workspace_id, id, run_id, step, model, input_tokens, cached_input_tokens, output_tokens, cost_micros, estimated, at)
      VALUES (v_ws, (u->>'id')::uuid, v_run, (u->>'step')::int, u->>'model', (u->>'input')::int, (u->>'cached')::int,
              (u->>'output')::int, (u->>'cost')::bigint, (u->>'estimated')::boolean, v_now);
      v_room := quota_settle_step(v_ws, v_run, (u->>'step')::int, (u->>'input')::bigint + (u->>'output')::bigint,
                                  COALESCE((op->>'reserve')::bigint, 0), v_now);
    END IF;
    IF e IS NOT NULL THEN
      PERFORM quota_close(v_ws, v_run, v.model_calls > 0, 2147483647, v_now);
      IF v.thread_id IS NOT NULL AND e->'summary' <> 'null' THEN
        UPDATE threads SET summary = e->'summary'->>'text', summary_upto = (e->'summary'->>'upto')::int
         WHERE workspace_id = v_ws AND id = v.thread_id AND summary_upto < (e->'summary'->>'upto')::int;
      END IF;
      IF v.thread_id IS NOT NULL AND jsonb_array_length(e->'messages') > 0 THEN
        UPDATE threads SET next_seq = next_seq + jsonb_array_length(e->'messages'), tokens = tokens + (e->>'tokens')::int, updated_at = v_now
         WHERE workspace_id = v_ws AND id = v.thread_id
        RETURNING next_seq - jsonb_array_length(e->'messages') INTO v_seq;
        -- A thread deleted meanwhile takes no messages; the run itself keeps its output.
        IF FOUND THEN
          INSERT INTO thread_messages (workspace_id, thread_id, seq, run_id, role, content, tool_calls, tool_call_id, name, created_at)
          SELECT v_ws, v.thread_id, v_seq + m.n::int - 1, v_run, m.value->>'role', m.value->>'content',
                 NULLIF(m.value->'tool_calls', 'null'), m.value->>'tool_call_id', m.value->>'name', v_now
            FROM jsonb_array_elements(e->'messages') WITH ORDINALITY AS m(value, n);
        END IF;
      END IF;
    END IF;
    v_results := v_results || jsonb_build_object('ok', true, 'first_event', v.next_event - v_events, 'room', v_room,
                                                 'cancel', v.cancel_requested_at IS NOT NULL);
  END LOOP;
  RETURN jsonb_build_object('at', v_now, 'results', to_jsonb(v_results));
END $$;
