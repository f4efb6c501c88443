-- The hot path of a run: create, claim, write, read. Each is one round trip and one transaction, so each also enters
-- the workspace itself: row security then holds inside it.
--
-- SQLSTATEs of Maru's own: MR001 no such deployment, MR002 no such thread, MR003 thread busy, MR004 idempotency mismatch

-- The run as the API shows it, but for id prefixes and instants, which the store renders.
CREATE FUNCTION run_object(p_workspace uuid, p_run uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', r.id, 'status', r.status, 'deployment', d.name, 'agent', a.name, 'revision', r.revision, 'model', r.model,
    'simulated', r.simulated, 'thread_id', r.thread_id, 'input', r.input, 'output', r.output,
    'incomplete_reason', r.incomplete_reason, 'error', r.error, 'metadata', r.metadata,
    'input_tokens', r.input_tokens, 'cached_input_tokens', r.cached_input_tokens, 'output_tokens', r.output_tokens,
    'model_calls', r.model_calls, 'tool_calls', r.tool_calls, 'cost_micros', r.cost_micros,
    'usage_estimated', r.usage_estimated, 'created_at', r.created_at, 'started_at', r.started_at,
    'finished_at', r.finished_at)
    FROM runs r
    JOIN deployments d ON d.workspace_id = r.workspace_id AND d.id = r.deployment_id
    JOIN agents a ON a.workspace_id = r.workspace_id AND a.id = r.agent_id
   WHERE r.workspace_id = p_workspace AND r.id = p_run
$$;

CREATE FUNCTION get_run(p_workspace uuid, p_run uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN run_object(p_workspace, p_run);
END $$;

-- Resolves the deployment to its revision, inserts the run with its first event and reserves quota: all or nothing.
-- The idempotency key and the one-run-a-thread rule are unique indexes, so a race has exactly one winner; the loser
-- reads what the winner wrote. `input_tokens` is the caller's estimate of the input alone.
CREATE FUNCTION create_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_run uuid := (p->>'run_id')::uuid;
  v_thread uuid := (p->>'thread_id')::uuid;
  v_key text := p->>'idempotency_key';
  v_hash bytea := decode(p->>'request_hash', 'hex');
  v_now timestamptz := maru_now();
  v_old runs;
  v_dep record;
  v_thread_tokens int := 0;
BEGIN
  PERFORM enter_workspace(v_ws);
  IF v_key IS NOT NULL THEN
    SELECT * INTO v_old FROM runs WHERE workspace_id = v_ws AND idempotency_key = v_key;
    IF FOUND THEN
      IF v_old.request_hash <> v_hash THEN RAISE EXCEPTION 'mismatch' USING ERRCODE = 'MR004'; END IF;
      RETURN jsonb_build_object('replayed', true, 'run', run_object(v_ws, v_old.id));
    END IF;
  END IF;
  SELECT d.id, d.agent_id, d.revision, r.reserve_tokens, r.spec #>> '{model,name}' AS model INTO v_dep
    FROM deployments d
    JOIN revisions r ON r.workspace_id = d.workspace_id AND r.agent_id = d.agent_id AND r.number = d.revision
   WHERE d.workspace_id = v_ws AND d.name = p->>'deployment';
  IF NOT FOUND THEN RAISE EXCEPTION 'no deployment' USING ERRCODE = 'MR001'; END IF;
  IF v_thread IS NOT NULL THEN
    SELECT tokens INTO v_thread_tokens FROM threads WHERE workspace_id = v_ws AND id = v_thread FOR KEY SHARE;
    IF NOT FOUND THEN RAISE EXCEPTION 'no thread' USING ERRCODE = 'MR002'; END IF;
  END IF;
  INSERT INTO runs (workspace_id, id, deployment_id, agent_id, revision, thread_id, api_key_id, status, next_event, input,
                    metadata, model, simulated, idempotency_key, request_hash, dispatched_at, created_at, deadline_at)
  VALUES (v_ws, v_run, v_dep.id, v_dep.agent_id, v_dep.revision, v_thread, (p->>'api_key_id')::uuid, 'queued', 2, p->>'input',
          COALESCE(p->'metadata', '{}'), v_dep.model, (p->>'simulated')::boolean, v_key, v_hash, v_now, v_now, v_now + interval '24 hours')
  ON CONFLICT DO NOTHING;
  IF NOT FOUND THEN
    SELECT * INTO v_old FROM runs WHERE workspace_id = v_ws AND idempotency_key = v_key;
    IF FOUND THEN
      IF v_old.request_hash <> v_hash THEN RAISE EXCEPTION 'mismatch' USING ERRCODE = 'MR004'; END IF;
      RETURN jsonb_build_object('replayed', true, 'run', run_object(v_ws, v_old.id));
    END IF;
    RAISE EXCEPTION 'thread busy' USING ERRCODE = 'MR003';
  END IF;
  INSERT INTO run_events (workspace_id, run_id, seq, type, data, at) VALUES (v_ws, v_run, 1, 'run.queued', '{}', v_now);
  PERFORM quota_reserve(v_ws, v_run, 'tokens', v_dep.reserve_tokens + v_thread_tokens + (p->>'input_tokens')::int, v_now);
  PERFORM quota_reserve(v_ws, v_run, 'runs', 1, v_now);
  RETURN jsonb_build_object('replayed', false, 'run', run_object(v_ws, v_run));
END $$;

-- Makes a run terminal outside the worker's own write (cancelled while queued, expired, worker lost).
-- The caller holds the run's row lock and has entered the workspace.
CREATE FUNCTION end_run(p_workspace uuid, p_run uuid, p_status text, p_error jsonb, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_seq int;
  v_calls int;
BEGIN
  UPDATE runs SET status = p_status, error = p_error, finished_at = p_now, lease_until = NULL, next_event = next_event + 1
   WHERE workspace_id = p_workspace AND id = p_run
  RETURNING next_event - 1, model_calls INTO v_seq, v_calls;
  INSERT INTO run_events (workspace_id, run_id, seq, type, data, at)
  VALUES (p_workspace, p_run, v_seq, 'run.' || p_status, '{}', p_now);
  PERFORM quota_close(p_workspace, p_run, v_calls > 0, 2147483647, p_now);
END $$;

-- Takes a run for one worker. Bumps the epoch, the fencing token every later write must show. Refuses a run that is
-- held by a live lease or has ended; ends one that was cancelled, outlived its deadline or lost too many workers.
-- Answers all the engine needs: run, spec, journal and, for a thread, the conversation so far.
CREATE FUNCTION claim_run(p_workspace uuid, p_run uuid, p_lease_ms int, p_max_lost int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v runs;
  v_lost boolean;
  v_first boolean;
  v_seq int;
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
          FROM thread_messages m WHERE m.workspace_id = p_workspace AND m.thread_id = v.thread_id), '[]') END);
END $$;

-- Writes what workers learned, for many runs at once: the group commit of the journal. `p_ops` is an array in which
-- each operation names its run and epoch; one whose claim is lost changes nothing and answers {"ok": false}, the others
-- are unaffected. The caller orders operations by workspace and run, so two batches lock rows in the same order.
-- An operation: {w, r, e, done: [{seq, state, output}], start: [{seq, kind, name, effect, input}], events: [{type, data}],
--   usage: {id, step, model, input, cached, output, cost, estimated}?, reserve: tokens for the next model step,
--   tools: tool calls finished, end: {status, output, reason, error, messages: [...], tokens}?}
CREATE FUNCTION write_journal(p_ops jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
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

-- Cancels: a queued run ends here and now, a running one is marked for its worker. Null when there is no such run;
-- {"finished": true} when it had already ended otherwise.
CREATE FUNCTION cancel_run(p_workspace uuid, p_run uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v runs;
BEGIN
  PERFORM enter_workspace(p_workspace);
  SELECT * INTO v FROM runs WHERE workspace_id = p_workspace AND id = p_run FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF v.finished_at IS NOT NULL THEN
    RETURN jsonb_build_object('finished', v.status <> 'cancelled', 'run', run_object(p_workspace, p_run));
  END IF;
  UPDATE runs SET cancel_requested_at = COALESCE(cancel_requested_at, v_now) WHERE workspace_id = p_workspace AND id = p_run;
  IF v.status = 'queued' OR v.lease_until < v_now THEN
    PERFORM end_run(p_workspace, p_run, 'cancelled', NULL, v_now);
  END IF;
  RETURN jsonb_build_object('finished', false, 'run', run_object(p_workspace, p_run));
END $$;

-- Hands a run back at shutdown: it waits in the queue again, its journal stays, no lost worker is counted.
CREATE FUNCTION release_run(p_workspace uuid, p_run uuid, p_epoch int) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  UPDATE runs SET status = 'queued', lease_until = NULL, dispatched_at = NULL
   WHERE workspace_id = p_workspace AND id = p_run AND epoch = p_epoch AND status = 'running';
  RETURN FOUND;
END $$;

-- Durable events after a sequence number, in order.
CREATE FUNCTION run_events_after(p_workspace uuid, p_run uuid, p_after int, p_limit int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object('status', r.status, 'last_seq', r.next_event - 1, 'events', COALESCE((
      SELECT jsonb_agg(jsonb_build_object('seq', ev.seq, 'type', ev.type, 'data', ev.data, 'at', ev.at) ORDER BY ev.seq)
        FROM (SELECT * FROM run_events WHERE workspace_id = p_workspace AND run_id = p_run AND seq > p_after ORDER BY seq LIMIT p_limit) ev), '[]'))
      FROM runs r WHERE r.workspace_id = p_workspace AND r.id = p_run);
END $$;

-- Wake-ups to (re-)send: runs nobody was told of, and runs whose worker stopped renewing its lease. Marks them, so that
-- several sweepers share the work. Sees ids and leases only.
CREATE FUNCTION due_runs(p_limit int, p_resend_ms int) RETURNS TABLE (workspace_id uuid, run_id uuid, epoch int, recovered boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE runs r SET dispatched_at = maru_now()
    FROM (
      SELECT d.workspace_id, d.id FROM runs d
       WHERE (d.status = 'queued' AND (d.dispatched_at IS NULL OR d.dispatched_at < maru_now() - p_resend_ms * interval '1 millisecond'))
          OR (d.status = 'running' AND d.lease_until < maru_now() AND d.dispatched_at < d.lease_until)
          OR (d.status = 'running' AND d.lease_until < maru_now() AND d.dispatched_at < maru_now() - p_resend_ms * interval '1 millisecond')
       ORDER BY d.created_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    ) due
   WHERE r.workspace_id = due.workspace_id AND r.id = due.id
  RETURNING r.workspace_id, r.id, r.epoch, r.status = 'running'
$$;

-- Renews the leases of the runs a worker holds; answers those still held, and whether a cancel was asked for. A run that
-- is missing from the answer is lost to that worker. A row that is being written right now is skipped until the next
-- beat: waiting for it while holding others would deadlock with the writer of a batch.
CREATE FUNCTION renew_leases(p_runs jsonb, p_lease_ms int) RETURNS TABLE (run_id uuid, cancel boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH mine AS (
    SELECT r.workspace_id, r.id, r.cancel_requested_at
      FROM runs r JOIN jsonb_to_recordset(p_runs) AS h(w uuid, r uuid, e int) ON r.workspace_id = h.w AND r.id = h.r AND r.epoch = h.e
     WHERE r.status = 'running'
  ), free AS (
    SELECT r.workspace_id, r.id FROM runs r JOIN mine m ON m.workspace_id = r.workspace_id AND m.id = r.id FOR NO KEY UPDATE OF r SKIP LOCKED
  ), renewed AS (
    UPDATE runs r SET lease_until = maru_now() + p_lease_ms * interval '1 millisecond'
      FROM free f WHERE r.workspace_id = f.workspace_id AND r.id = f.id AND r.status = 'running'
  )
  SELECT m.id, m.cancel_requested_at IS NOT NULL FROM mine m
$$;

-- Replies kept for Idempotency-Key are forgotten after a day.
CREATE FUNCTION forget_idempotency_records() RETURNS bigint
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  WITH gone AS (DELETE FROM idempotency_records WHERE created_at < maru_now() - interval '24 hours' RETURNING 1)
  SELECT count(*) FROM gone
$$;

GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION due_runs(int, int) OWNER TO maru_definer;
ALTER FUNCTION renew_leases(jsonb, int) OWNER TO maru_definer;
ALTER FUNCTION forget_idempotency_records() OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;
