-- Runs that other runs start: an agent as the tool of another. The call is a step of kind `run`, which waits as a question to a person
-- does; the child's end answers it.
ALTER TABLE runs
  -- Not a foreign key: as with forks, a run stands for itself.
  ADD COLUMN parent_run UUID,
  ADD COLUMN parent_step INTEGER,
  ADD COLUMN depth INTEGER NOT NULL DEFAULT 0,
  -- The parent's step has the child's result.
  ADD COLUMN parent_told BOOLEAN NOT NULL DEFAULT false,
  -- Of all runs below this one that have ended.
  ADD COLUMN below_runs INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN below_tokens BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN below_cost_micros BIGINT NOT NULL DEFAULT 0,
  ADD CONSTRAINT runs_parent CHECK ((parent_run IS NULL) = (parent_step IS NULL) AND (parent_run IS NULL) = (depth = 0));
ALTER TABLE run_steps DROP CONSTRAINT run_steps_kind,
  ADD CONSTRAINT run_steps_kind CHECK (kind IN ('model', 'tool', 'approval', 'input', 'run'));
CREATE UNIQUE INDEX runs_of_parent ON runs (workspace_id, parent_run, parent_step);
-- What the sweep looks for: children whose parent does not know of their end, and those whose parent has ended.
CREATE INDEX runs_untold ON runs (finished_at) WHERE parent_run IS NOT NULL AND NOT parent_told;
GRANT SELECT (parent_run, parent_step, parent_told, cancel_requested_at) ON runs TO maru_definer;

-- Whether a step of a run waits for somebody: a person, the caller, or the end of a child. A call that waits for its approval does not:
-- the approval is a step of its own.
CREATE FUNCTION waits_for_somebody(s run_steps) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT s.state = 'waiting' AND (s.kind IN ('approval', 'input') OR s.kind = 'run' AND EXISTS (
    SELECT 1 FROM runs c WHERE c.workspace_id = s.workspace_id AND c.parent_run = s.run_id AND c.parent_step = s.seq))
$$;

-- As before, and the runs it started.
CREATE OR REPLACE FUNCTION required_action(p_workspace uuid, p_run uuid, p_until timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'expires_at', p_until,
    'tool_results', COALESCE(jsonb_agg(jsonb_build_object('call_id', 'call_' || s.seq, 'step', s.seq, 'name', s.name,
        'arguments', s.input->>'arguments') ORDER BY s.seq) FILTER (WHERE s.kind = 'input'), '[]'),
    'runs', COALESCE(jsonb_agg(jsonb_build_object('run_id', s.input->>'run', 'step', s.seq, 'name', s.name) ORDER BY s.seq) FILTER (WHERE s.kind = 'run'), '[]'),
    'approvals', COALESCE(jsonb_agg(jsonb_build_object('call_id', 'call_' || s.seq, 'step', (s.input->>'step')::int, 'name', s.name,
        'arguments', s.input->>'arguments', 'question', s.input->>'question') ORDER BY s.seq) FILTER (WHERE s.kind = 'approval'), '[]'))
    FROM run_steps s
   WHERE s.workspace_id = p_workspace AND s.run_id = p_run AND s.state = 'waiting' AND waits_for_somebody(s)
$$;

-- As before, with its parent and what its children used.
CREATE OR REPLACE FUNCTION run_object(p_workspace uuid, p_run uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', r.id, 'status', r.status, 'deployment', d.name, 'agent', a.name, 'revision', r.revision, 'model', r.model,
    'simulated', r.simulated, 'thread_id', r.thread_id, 'input', r.input, 'output', r.output,
    'incomplete_reason', r.incomplete_reason, 'error', r.error, 'metadata', r.metadata,
    'input_tokens', r.input_tokens, 'cached_input_tokens', r.cached_input_tokens, 'output_tokens', r.output_tokens,
    'model_calls', r.model_calls, 'tool_calls', r.tool_calls, 'cost_micros', r.cost_micros,
    'usage_estimated', r.usage_estimated, 'created_at', r.created_at, 'started_at', r.started_at,
    'finished_at', r.finished_at,
    'required_action', CASE WHEN r.status = 'waiting' THEN required_action(p_workspace, p_run, r.wait_until) END,
    'forked_from', r.forked_from, 'fork_step', r.fork_step, 'parent_run', r.parent_run, 'parent_step', r.parent_step,
    'below_runs', r.below_runs, 'below_tokens', r.below_tokens, 'below_cost_micros', r.below_cost_micros, 'payload_expired_at', r.payload_expired_at)
    FROM runs r
    JOIN deployments d ON d.workspace_id = r.workspace_id AND d.id = r.deployment_id
    JOIN agents a ON a.workspace_id = r.workspace_id AND a.id = r.agent_id
   WHERE r.workspace_id = p_workspace AND r.id = p_run
$$;

-- As before, or those a run started.
DROP FUNCTION list_runs(uuid, text, text, uuid, uuid, int);
CREATE FUNCTION list_runs(p_workspace uuid, p_status text, p_deployment text, p_thread uuid, p_parent uuid, p_before uuid, p_limit int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT COALESCE(jsonb_agg(run_object(p_workspace, r.id) ORDER BY r.id DESC), '[]')
      FROM (SELECT x.id FROM runs x
             WHERE x.workspace_id = p_workspace AND (p_status IS NULL OR x.status = p_status)
               AND (p_deployment IS NULL OR x.deployment_id = (SELECT id FROM deployments WHERE workspace_id = p_workspace AND name = p_deployment))
               AND (p_thread IS NULL OR x.thread_id = p_thread) AND (p_parent IS NULL OR x.parent_run = p_parent) AND (p_before IS NULL OR x.id < p_before)
             ORDER BY x.id DESC LIMIT p_limit) r);
END $$;
REVOKE EXECUTE ON FUNCTION list_runs(uuid, text, text, uuid, uuid, uuid, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_runs(uuid, text, text, uuid, uuid, uuid, int) TO maru_runtime;

-- As before; a call of an agent whose run was started was not left unsent.
CREATE OR REPLACE FUNCTION close_open_steps(p_workspace uuid, p_run uuid, p_status text, p_states text[], p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  s run_steps;
  v_why text := CASE p_status WHEN 'cancelled' THEN 'The run was cancelled.' WHEN 'expired' THEN 'The run expired.' ELSE 'The run ended before this step.' END;
BEGIN
  FOR s IN SELECT * FROM run_steps WHERE workspace_id = p_workspace AND run_id = p_run AND state = ANY (p_states) ORDER BY seq LOOP
    UPDATE run_steps SET finished_at = p_now,
           -- What was sent and is not safe to repeat may have taken effect.
           state = CASE WHEN s.kind = 'tool' AND s.state = 'started' AND s.effect <> 'safe' THEN 'unknown' ELSE 'error' END,
           output = CASE s.kind
             WHEN 'model' THEN jsonb_build_object('reasoning', '', 'text', '', 'toolCalls', '[]'::jsonb, 'finishReason', 'error', 'model', s.name,
               'usage', '{"inputTokens": 0, "cachedInputTokens": 0, "outputTokens": 0, "estimated": true}'::jsonb,
               'error', jsonb_build_object('code', 'aborted', 'message', v_why))
             WHEN 'approval' THEN jsonb_build_object('decision', 'none', 'reason', v_why)
             ELSE jsonb_build_object('output', v_why, 'isError', true, 'code', CASE WHEN s.state = 'waiting' AND s.kind <> 'run' THEN 'not_sent' ELSE 'aborted' END) END
     WHERE workspace_id = p_workspace AND run_id = p_run AND seq = s.seq
    RETURNING * INTO s;
    PERFORM add_event(p_workspace, p_run, 'step.finished', jsonb_build_object('step', step_row(s)), p_now);
  END LOOP;
END $$;

-- As before; a run waits for those it started, too.
CREATE OR REPLACE FUNCTION write_journal(p_ops jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  op jsonb;
  v_now timestamptz := maru_now();
  v_ws uuid;
  v_run uuid;
  v_entered uuid;
  v_events int;
  v_waits boolean;
  v runs;
  u jsonb;
  e jsonb;
  v_room boolean;
  v_seq int;
  v_next jsonb;
  v_threads boolean := p_ops @? '$[*].t';
  v_results jsonb[] := '{}';
BEGIN
  FOR op IN SELECT value FROM jsonb_array_elements(p_ops) LOOP
    v_ws := (op->>'w')::uuid;
    v_run := (op->>'r')::uuid;
    IF v_entered IS DISTINCT FROM v_ws THEN
      PERFORM enter_workspace(v_ws);
      v_entered := v_ws;
      IF v_threads THEN
        PERFORM 1 FROM threads t
          WHERE t.workspace_id = v_ws AND t.id IN (SELECT (o.value->>'t')::uuid FROM jsonb_array_elements(p_ops) o WHERE o.value->>'w' = op->>'w')
          ORDER BY t.id FOR NO KEY UPDATE;
      END IF;
    END IF;
    u := op->'usage';
    e := op->'end';
    v_events := jsonb_array_length(op->'events');
    v_waits := false;
    IF op ? 'close' THEN
      PERFORM 1 FROM runs WHERE workspace_id = v_ws AND id = v_run AND epoch = (op->>'e')::int AND status = 'running' FOR NO KEY UPDATE;
      IF FOUND THEN PERFORM close_open_steps(v_ws, v_run, op->'end'->>'status', '{waiting}', v_now); END IF;
    END IF;
    IF op ? 'wait' THEN
      -- Locked before it is looked at: an answer that comes now is seen here, or sees that the run waits.
      PERFORM 1 FROM runs WHERE workspace_id = v_ws AND id = v_run FOR NO KEY UPDATE;
      -- One that was cancelled meanwhile does not wait: queued again, it is ended by the next claim.
      v_waits := NOT EXISTS (SELECT 1 FROM runs WHERE workspace_id = v_ws AND id = v_run AND cancel_requested_at IS NOT NULL) AND EXISTS (
        SELECT 1 FROM run_steps s WHERE s.workspace_id = v_ws AND s.run_id = v_run AND s.state = 'waiting' AND waits_for_somebody(s)
        UNION ALL SELECT 1 FROM jsonb_array_elements(op->'start') n WHERE n.value->>'kind' IN ('approval', 'input') AND n.value->>'state' = 'waiting');
    END IF;
    UPDATE runs
       SET next_event = next_event + v_events,
           attempts = CASE WHEN jsonb_array_length(op->'done') > 0 THEN 0 ELSE attempts END,
           input_tokens = input_tokens + COALESCE((u->>'input')::int, 0),
           cached_input_tokens = cached_input_tokens + COALESCE((u->>'cached')::int, 0),
           output_tokens = output_tokens + COALESCE((u->>'output')::int, 0),
           model_calls = model_calls + (u IS NOT NULL)::int,
           cost_micros = cost_micros + COALESCE((u->>'cost')::bigint, 0),
           usage_estimated = usage_estimated OR COALESCE((u->>'estimated')::boolean, false),
           tool_calls = tool_calls + COALESCE((op->>'tools')::int, 0),
           simulated = simulated OR COALESCE((u->>'simulated')::boolean, false),
           status = CASE WHEN v_waits THEN 'waiting' WHEN op ? 'wait' THEN 'queued' ELSE COALESCE(e->>'status', status) END,
           wait_until = CASE WHEN v_waits THEN v_now + (op->'wait'->>'ms')::bigint * interval '1 millisecond' END,
           waiting_since = CASE WHEN v_waits THEN v_now END,
           dispatched_at = CASE WHEN op ? 'wait' THEN NULL ELSE dispatched_at END,
           output = COALESCE(e->>'output', output),
           incomplete_reason = e->>'reason',
           error = NULLIF(e->'error', 'null'),
           finished_at = CASE WHEN e IS NULL THEN NULL ELSE v_now END,
           lease_until = CASE WHEN e IS NULL AND NOT op ? 'wait' THEN lease_until END
     WHERE workspace_id = v_ws AND id = v_run AND epoch = (op->>'e')::int AND status = 'running'
    RETURNING * INTO v;
    IF NOT FOUND THEN
      v_results := v_results || jsonb_build_object('ok', false);
      CONTINUE;
    END IF;
    IF jsonb_array_length(op->'done') > 0 THEN
      UPDATE run_steps s SET state = d.state, output = d.output, epoch = v.epoch, finished_at = v_now,
             input_digest = COALESCE(decode(d.digest, 'hex'), s.input_digest)
        FROM jsonb_to_recordset(op->'done') AS d(seq int, state text, output jsonb, digest text)
       WHERE s.workspace_id = v_ws AND s.run_id = v_run AND s.seq = d.seq AND s.state IN ('started', 'waiting');
    END IF;
    IF op ? 'begin' THEN
      UPDATE run_steps s SET state = 'started', epoch = v.epoch, attempt = b.attempt
        FROM jsonb_to_recordset(op->'begin') AS b(seq int, attempt int)
       WHERE s.workspace_id = v_ws AND s.run_id = v_run AND s.seq = b.seq AND s.state = 'waiting';
    END IF;
    IF op ? 'halt' THEN
      UPDATE run_steps s SET state = 'waiting'
       WHERE s.workspace_id = v_ws AND s.run_id = v_run AND s.state = 'started'
         AND s.seq IN (SELECT h.value::int FROM jsonb_array_elements_text(op->'halt') h);
    END IF;
    IF jsonb_array_length(op->'start') > 0 THEN
      INSERT INTO run_steps (workspace_id, run_id, seq, kind, state, name, effect, epoch, input, input_digest, started_at)
      SELECT v_ws, v_run, n.seq, n.kind, COALESCE(n.state, 'started'), n.name, n.effect, v.epoch, n.input, decode(n.digest, 'hex'), v_now
        FROM jsonb_to_recordset(op->'start') AS n(seq int, kind text, state text, name text, effect text, input jsonb, digest text);
    END IF;
    INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
    SELECT v_ws, v_run, v.next_event - v_events - 1 + ev.n::int, ev.value->>'type', ev.value->'data', v_now
      FROM jsonb_array_elements(op->'events') WITH ORDINALITY AS ev(value, n);
    v_room := true;
    v_next := NULL;
    IF u IS NOT NULL THEN
      INSERT INTO usage_records (workspace_id, id, run_id, step, model, input_tokens, cached_input_tokens, output_tokens, cost_micros, estimated, at)
      VALUES (v_ws, (u->>'id')::uuid, v_run, (u->>'step')::int, u->>'model', (u->>'input')::int, (u->>'cached')::int,
              (u->>'output')::int, (u->>'cost')::bigint, (u->>'estimated')::boolean, v_now);
      v_room := quota_settle_step(v_ws, v_run, (u->>'step')::int, (u->>'input')::bigint + (u->>'output')::bigint,
                                  COALESCE((op->>'reserve')::bigint, 0), v_now);
    END IF;
    IF op ? 'hold' THEN
      v_room := quota_hold(v_ws, v_run, (op->'hold'->>'step')::int, (op->'hold'->>'tokens')::bigint, v_now);
    END IF;
    IF v_waits THEN
      PERFORM quota_hold(v_ws, v_run, (op->'wait'->>'step')::int, 0, v_now);
      PERFORM add_event(v_ws, v_run, 'run.waiting', required_action(v_ws, v_run, v.wait_until), v_now);
    END IF;
    IF e IS NOT NULL THEN
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
      PERFORM quota_close(v_ws, v_run, v.model_calls > 0, 2147483647, v_now);
      IF v.thread_id IS NOT NULL THEN v_next := next_in_thread(v_ws, v.thread_id); END IF;
    END IF;
    v_results := v_results || (jsonb_build_object('ok', true, 'first_event', v.next_event - v_events, 'room', v_room,
                                                  'cancel', v.cancel_requested_at IS NOT NULL)
      || CASE WHEN op ? 'wait' THEN jsonb_build_object('waiting', v_waits) ELSE '{}' END
      || CASE WHEN v_waits THEN jsonb_build_object('action', required_action(v_ws, v_run, v.wait_until)) ELSE '{}' END
      || CASE WHEN v_next IS NULL THEN '{}' ELSE jsonb_build_object('next', v_next) END);
  END LOOP;
  RETURN jsonb_build_object('at', v_now, 'results', to_jsonb(v_results));
END $$;

-- Queues a waiting run again when nothing is left to wait for. The caller holds the run's lock.
CREATE FUNCTION go_on(v runs, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  IF v.status <> 'waiting' OR EXISTS (SELECT 1 FROM run_steps s WHERE s.workspace_id = v.workspace_id AND s.run_id = v.id AND waits_for_somebody(s)) THEN
    RETURN false;
  END IF;
  UPDATE runs SET status = 'queued', wait_until = NULL, waiting_since = NULL, dispatched_at = p_now,
         waited_ms = waited_ms + (extract(epoch FROM p_now - waiting_since) * 1000)::bigint
   WHERE workspace_id = v.workspace_id AND id = v.id;
  PERFORM add_event(v.workspace_id, v.id, 'run.queued', '{}', p_now);
  RETURN true;
END $$;

-- As before; what the run may wait for besides is in go_on.
CREATE OR REPLACE FUNCTION answer_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_run uuid := (p->>'run_id')::uuid;
  v_now timestamptz := maru_now();
  v runs;
  a jsonb;
  s run_steps;
  t run_steps;
  v_kind text;
  v_seq int;
  v_output jsonb;
  v_new int := 0;
  v_results int := 0;
BEGIN
  PERFORM enter_workspace(v_ws);
  PERFORM lock_thread_of(v_ws, v_run);
  SELECT * INTO v FROM runs WHERE workspace_id = v_ws AND id = v_run FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF v.status = 'waiting' AND v.wait_until <= v_now THEN
    RETURN jsonb_build_object('expired', true, 'next', end_run(v_ws, v_run, 'expired', NULL, v_now));
  END IF;
  FOR v_kind, a IN
    SELECT 'input', value FROM jsonb_array_elements(COALESCE(p->'results', '[]'))
    UNION ALL SELECT 'approval', value FROM jsonb_array_elements(COALESCE(p->'approvals', '[]'))
  LOOP
    -- A question's id is its step's number: see required_action.
    v_seq := substring(a->>'call_id' FROM '^call_([1-9][0-9]{0,5})$')::int;
    SELECT * INTO s FROM run_steps WHERE workspace_id = v_ws AND run_id = v_run AND seq = v_seq AND kind = v_kind;
    IF NOT FOUND THEN
      IF EXISTS (SELECT 1 FROM run_steps WHERE workspace_id = v_ws AND run_id = v_run AND (seq = v_seq OR input->>'id' = a->>'call_id')) THEN
        RAISE EXCEPTION 'not answered this way' USING ERRCODE = 'MA002', DETAIL = jsonb_build_object('call_id', a->>'call_id')::text;
      END IF;
      RAISE EXCEPTION 'no such call' USING ERRCODE = 'MA001', DETAIL = jsonb_build_object('call_id', a->>'call_id')::text;
    END IF;
    v_output := CASE v_kind
      WHEN 'input' THEN jsonb_build_object('output', a->>'output', 'isError', (a->>'is_error')::boolean, 'code', CASE WHEN (a->>'is_error')::boolean THEN 'client_error' END)
      ELSE jsonb_build_object('decision', a->>'decision', 'reason', a->>'reason', 'arguments', a->>'arguments') END;
    IF s.state <> 'waiting' THEN
      -- Said before: by whom and when stays as it was.
      IF s.output - 'by' - 'at' = v_output AND s.output ? 'by' THEN CONTINUE; END IF;
      IF NOT s.output ? 'by' THEN
        RAISE EXCEPTION 'ended' USING ERRCODE = 'MA004', DETAIL = jsonb_build_object('status', v.status)::text;
      END IF;
      RAISE EXCEPTION 'answered already' USING ERRCODE = 'MA003', DETAIL = jsonb_build_object('call_id', a->>'call_id')::text;
    END IF;
    v_new := v_new + 1;
    v_results := v_results + (v_kind = 'input')::int;
    UPDATE run_steps SET state = CASE WHEN v_kind = 'input' AND (a->>'is_error')::boolean THEN 'error' ELSE 'done' END,
           output = v_output || jsonb_build_object('by', p->>'by', 'at', v_now), finished_at = v_now
     WHERE workspace_id = v_ws AND run_id = v_run AND seq = s.seq
    RETURNING * INTO s;
    PERFORM add_event(v_ws, v_run, 'step.finished', jsonb_build_object('step', step_row(s)), v_now);
    IF v_kind = 'approval' AND a->>'decision' = 'reject' THEN
      UPDATE run_steps SET finished_at = v_now, state = CASE WHEN s.input->>'question' = 'outcome' THEN 'unknown' ELSE 'error' END,
             output = jsonb_build_object('isError', true,
               'code', CASE WHEN s.input->>'question' = 'outcome' THEN 'outcome_unknown' ELSE 'rejected' END,
               'output', CASE WHEN s.input->>'question' = 'outcome'
                 THEN 'The outcome of this call is unknown: it may have taken effect. It was decided not to send it again.'
                 ELSE 'The call was rejected and did not run.' END || COALESCE(' Reason given: ' || (a->>'reason'), ''))
       WHERE workspace_id = v_ws AND run_id = v_run AND seq = (s.input->>'step')::int AND state = 'waiting'
      RETURNING * INTO t;
      PERFORM add_event(v_ws, v_run, 'step.finished', jsonb_build_object('step', step_row(t)), v_now);
    END IF;
  END LOOP;
  IF v_new > 0 AND v.finished_at IS NOT NULL THEN
    RAISE EXCEPTION 'ended' USING ERRCODE = 'MA004', DETAIL = jsonb_build_object('status', v.status)::text;
  END IF;
  UPDATE runs SET tool_calls = tool_calls + v_results
   WHERE workspace_id = v_ws AND id = v_run;
  IF go_on(v, v_now) THEN
    RETURN jsonb_build_object('resumed', true, 'epoch', v.epoch, 'run', run_object(v_ws, v_run));
  END IF;
  RETURN jsonb_build_object('resumed', false, 'run', run_object(v_ws, v_run));
END $$;

-- As before; a child's result can be put in another's place.
CREATE OR REPLACE FUNCTION fork_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_run uuid := (p->>'run_id')::uuid;
  v_from uuid := (p->>'from')::uuid;
  v_step int := (p->>'from_step')::int;
  v_now timestamptz := maru_now();
  v runs;
  v_last int;
  v_wrong text;
  v_new runs;
  v_held record;
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
   WHERE NOT EXISTS (SELECT 1 FROM run_steps s WHERE s.workspace_id = v_ws AND s.run_id = v_from AND s.seq = o.key::int AND s.seq < v_step AND s.kind IN ('tool', 'input', 'run'))
   LIMIT 1;
  IF FOUND THEN RAISE EXCEPTION 'no result' USING ERRCODE = 'MF006', DETAIL = jsonb_build_object('step', v_wrong)::text; END IF;
  INSERT INTO runs (workspace_id, id, deployment_id, agent_id, revision, api_key_id, status, next_event, input, metadata, end_user, model, simulated,
                    history_thread, history_upto, forked_from, fork_step, overrides, dispatched_at, created_at, deadline_at)
  VALUES (v_ws, v_run, v.deployment_id, v.agent_id, v.revision, (p->>'api_key_id')::uuid, 'queued', 2, v.input, p->'metadata', p->'metadata'->>'user',
          COALESCE(p->>'model', v.model), (p->>'simulated')::boolean AND EXISTS (SELECT 1 FROM models WHERE id = COALESCE(p->>'model', v.model)),
          v.history_thread, v.history_upto, v_from, v_step, NULLIF(COALESCE(v.overrides, '{}') || COALESCE(p->'overrides', '{}'), '{}'), v_now, v_now, v_now + interval '24 hours')
  RETURNING * INTO v_new;
  INSERT INTO run_steps (workspace_id, run_id, seq, kind, state, name, effect, epoch, attempt, input, output, input_digest, reused, started_at, finished_at)
  SELECT v_ws, v_run, s.seq, s.kind, CASE WHEN p->'outputs' ? s.seq::text THEN 'done' ELSE s.state END, s.name, s.effect, 0, s.attempt, s.input,
         CASE WHEN p->'outputs' ? s.seq::text THEN jsonb_build_object('output', p->'outputs'->>s.seq::text, 'isError', false, 'code', NULL) ELSE s.output END,
         s.input_digest, true, s.started_at, s.finished_at
    FROM run_steps s WHERE s.workspace_id = v_ws AND s.run_id = v_from AND s.seq < v_step;
  INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
  VALUES (v_ws, v_run, 1, 'run.queued', '{}', v_now);
  v_held := quota_reserve(v_new, (p->>'tokens')::bigint, NULL, v_now);
  IF v_held.cap IS NOT NULL THEN
    UPDATE runs SET token_cap = v_held.cap WHERE workspace_id = v_ws AND id = v_run;
  END IF;
  RETURN run_object(v_ws, v_run);
END $$;

-- As before, with whom the run is for, and whether another run waits for it.
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
    'revision', v.agent_id || '/' || v.revision, 'end_user', v.end_user, 'child', v.parent_run IS NOT NULL,
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

-- Starts the child run a step stands for, under the id that its intent named: however often it is called there is one. It is for the
-- same user and counts against the same API key as its parent. `token_cap` is its share of the parent's budget.
-- `p`: as create_run reads it, with {parent, epoch, step, token_cap, max_depth}. Answers {"started", "parked"}; or {"refused"}:
-- lost (the parent is another worker's, or has ended), cancelled, agent_depth, agent_cycle; and raises what create_run raises.
CREATE FUNCTION start_child(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_child uuid := (p->>'run_id')::uuid;
  v runs;
  c runs;
  v_made jsonb;
BEGIN
  PERFORM enter_workspace(v_ws);
  SELECT * INTO c FROM runs WHERE workspace_id = v_ws AND id = v_child;
  IF FOUND THEN RETURN jsonb_build_object('started', true, 'parked', c.parked); END IF;
  -- Not locked: the step's id makes a second child impossible, and one whose parent ends this instant is found by the sweep. A lock
  -- would be held while windows are waited for, which whoever writes the parent's journal may hold.
  SELECT * INTO v FROM runs WHERE workspace_id = v_ws AND id = (p->>'parent')::uuid;
  IF NOT FOUND OR v.epoch <> (p->>'epoch')::int OR v.status <> 'running' THEN RETURN jsonb_build_object('refused', 'lost'); END IF;
  IF v.cancel_requested_at IS NOT NULL THEN RETURN jsonb_build_object('refused', 'cancelled'); END IF;
  IF v.depth >= (p->>'max_depth')::int THEN RETURN jsonb_build_object('refused', 'agent_depth'); END IF;
  IF EXISTS (
    WITH RECURSIVE line AS (
      SELECT v.parent_run AS parent, v.deployment_id AS deployment
      UNION ALL SELECT r.parent_run, r.deployment_id FROM line JOIN runs r ON r.workspace_id = v_ws AND r.id = line.parent)
    SELECT 1 FROM line JOIN deployments d ON d.workspace_id = v_ws AND d.id = line.deployment WHERE d.name = p->>'deployment') THEN
    RETURN jsonb_build_object('refused', 'agent_cycle');
  END IF;
  v_made := create_run(p || jsonb_build_object('thread_id', NULL, 'api_key_id', v.api_key_id, 'simulated', v.simulated, 'idempotency_key', NULL,
                                               'metadata', CASE WHEN v.end_user IS NULL THEN '{}' ELSE jsonb_build_object('user', v.end_user) END));
  UPDATE runs SET parent_run = v.id, parent_step = (p->>'step')::int, depth = v.depth + 1, token_cap = LEAST(token_cap, (p->>'token_cap')::bigint)
   WHERE workspace_id = v_ws AND id = v_child;
  RETURN jsonb_build_object('started', true, 'parked', v_made->'parked');
END $$;

-- A child that ended and whose parent was not told yet, with how many bytes its parent's agent reads of a result.
CREATE FUNCTION ended_child(p_workspace uuid, p_child uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object('status', c.status, 'output', c.output, 'reason', c.incomplete_reason, 'error', c.error, 'parent', c.parent_run,
                              'max_bytes', (r.spec #>> '{limits,toolOutputBytes}')::int)
      FROM runs c
      JOIN runs v ON v.workspace_id = c.workspace_id AND v.id = c.parent_run
      JOIN revisions r ON r.workspace_id = v.workspace_id AND r.agent_id = v.agent_id AND r.number = v.revision
     WHERE c.workspace_id = p_workspace AND c.id = p_child AND c.finished_at IS NOT NULL AND NOT c.parent_told);
END $$;

-- Gives the parent its child's result, once, and what the child and all below it used. `p`: {workspace_id, child, output: {output,
-- isError, code}}. Answers {"resumed", "parent", "epoch"}; null when there was nothing to tell: it was told, or its step does not
-- wait yet and its parent's worker looks for it when it does.
CREATE FUNCTION tell_parent(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
  c runs;
  v runs;
  s run_steps;
  v_tokens bigint;
BEGIN
  PERFORM enter_workspace(v_ws);
  SELECT * INTO c FROM runs WHERE workspace_id = v_ws AND id = (p->>'child')::uuid AND finished_at IS NOT NULL AND parent_run IS NOT NULL AND NOT parent_told;
  IF NOT FOUND THEN RETURN NULL; END IF;
  PERFORM lock_thread_of(v_ws, c.parent_run);
  SELECT * INTO v FROM runs WHERE workspace_id = v_ws AND id = c.parent_run FOR NO KEY UPDATE;
  SELECT * INTO s FROM run_steps WHERE workspace_id = v_ws AND run_id = v.id AND seq = c.parent_step FOR NO KEY UPDATE;
  IF s.state = 'started' THEN RETURN NULL; END IF;
  UPDATE runs SET parent_told = true WHERE workspace_id = v_ws AND id = c.id AND NOT parent_told;
  IF NOT FOUND THEN RETURN NULL; END IF;
  v_tokens := c.input_tokens + c.output_tokens + c.below_tokens;
  UPDATE runs SET below_runs = below_runs + 1 + c.below_runs, below_tokens = below_tokens + v_tokens,
         below_cost_micros = below_cost_micros + c.cost_micros + c.below_cost_micros,
         tool_calls = tool_calls + COALESCE(s.state = 'waiting', false)::int
   WHERE workspace_id = v_ws AND id = v.id;
  IF s.state = 'waiting' THEN
    UPDATE run_steps SET state = CASE WHEN (p->'output'->>'isError')::boolean THEN 'error' ELSE 'done' END,
           output = p->'output' || jsonb_build_object('tokens', v_tokens), finished_at = v_now
     WHERE workspace_id = v_ws AND run_id = v.id AND seq = s.seq
    RETURNING * INTO s;
    PERFORM add_event(v_ws, v.id, 'step.finished', jsonb_build_object('step', step_row(s)), v_now);
  END IF;
  RETURN jsonb_build_object('resumed', go_on(v, v_now), 'parent', v.id, 'epoch', v.epoch);
END $$;

-- Children of a run: those that have ended and were not told of, and those that go on.
CREATE FUNCTION children_of(p_workspace uuid, p_run uuid) RETURNS TABLE (run_id uuid, ended boolean) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN QUERY SELECT r.id, r.finished_at IS NOT NULL FROM runs r
    WHERE r.workspace_id = p_workspace AND r.parent_run = p_run AND (r.finished_at IS NULL OR NOT r.parent_told);
END $$;

-- For the sweep: children that ended without their parent being told, and children whose parent has ended or was asked to stop.
CREATE FUNCTION stray_children(p_limit int) RETURNS TABLE (workspace_id uuid, run_id uuid, parent_id uuid, ended boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT c.workspace_id, c.id, c.parent_run, c.finished_at IS NOT NULL
    FROM runs c JOIN runs v ON v.workspace_id = c.workspace_id AND v.id = c.parent_run
   WHERE c.parent_run IS NOT NULL AND NOT c.parent_told
     AND CASE WHEN c.finished_at IS NULL THEN c.cancel_requested_at IS NULL AND (v.finished_at IS NOT NULL OR v.cancel_requested_at IS NOT NULL)
              ELSE c.finished_at < maru_now() - interval '1 second' AND NOT EXISTS (
                SELECT 1 FROM run_steps s WHERE s.workspace_id = c.workspace_id AND s.run_id = c.parent_run AND s.seq = c.parent_step AND s.state = 'started') END
   LIMIT p_limit
$$;

-- Which agents the deployments of some names call, as they are now.
CREATE FUNCTION agents_called(p_workspace uuid, p_names text[]) RETURNS TABLE (name text, calls text) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN QUERY SELECT d.name, t.value->>'deployment'
    FROM deployments d
    JOIN revisions r ON r.workspace_id = d.workspace_id AND r.agent_id = d.agent_id AND r.number = d.revision
    LEFT JOIN LATERAL jsonb_array_elements(r.spec->'tools') t(value) ON t.value->>'type' = 'agent'
   WHERE d.workspace_id = p_workspace AND d.name = ANY (p_names);
END $$;

REVOKE EXECUTE ON FUNCTION waits_for_somebody(run_steps), go_on(runs, timestamptz), start_child(jsonb), ended_child(uuid, uuid), tell_parent(jsonb), children_of(uuid, uuid), stray_children(int),
  agents_called(uuid, text[]) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION waits_for_somebody(run_steps), go_on(runs, timestamptz), start_child(jsonb), ended_child(uuid, uuid), tell_parent(jsonb), children_of(uuid, uuid), stray_children(int),
  agents_called(uuid, text[]) TO maru_runtime;
GRANT SELECT (workspace_id, run_id, seq, state) ON run_steps TO maru_definer;
GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION stray_children(int) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;
