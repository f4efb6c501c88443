-- Runs that wait for somebody (status `waiting`), steps of approval and of input, threads with a queue, lost workers with a
-- backoff.
ALTER TABLE runs
  ADD COLUMN waiting_since TIMESTAMPTZ(3),
  ADD COLUMN wait_until TIMESTAMPTZ(3),
  ADD COLUMN waited_ms BIGINT NOT NULL DEFAULT 0,
  ADD COLUMN behind BOOLEAN NOT NULL DEFAULT false,
  -- What of a thread's messages the run goes by: those of `history_thread` before number `history_upto`.
  ADD COLUMN history_thread UUID,
  ADD COLUMN history_upto INTEGER,
  ADD COLUMN forked_from UUID,
  ADD COLUMN fork_step INTEGER,
  ADD COLUMN overrides JSONB,
  ADD COLUMN payload_expired_at TIMESTAMPTZ(3),
  -- `metadata.user`: kept for usage when the payload expires.
  ADD COLUMN end_user TEXT;
ALTER TABLE runs
  DROP CONSTRAINT runs_status, DROP CONSTRAINT runs_finished,
  ADD CONSTRAINT runs_status CHECK (status IN ('queued', 'running', 'waiting', 'completed', 'incomplete', 'failed', 'cancelled', 'expired')),
  ADD CONSTRAINT runs_finished CHECK ((status IN ('queued', 'running', 'waiting')) = (finished_at IS NULL)),
  ADD CONSTRAINT runs_waiting CHECK ((status = 'waiting') = (wait_until IS NOT NULL) AND (wait_until IS NULL) = (waiting_since IS NULL)),
  ADD CONSTRAINT runs_behind CHECK (NOT behind OR (status = 'queued' AND thread_id IS NOT NULL));

-- `waiting`: open, and not begun: nothing was sent yet, or for an approval or an input nobody has answered.
ALTER TABLE run_steps ADD COLUMN input_digest BYTEA, ADD COLUMN reused BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE run_steps
  DROP CONSTRAINT run_steps_kind, DROP CONSTRAINT run_steps_effect, DROP CONSTRAINT run_steps_state, DROP CONSTRAINT run_steps_finished,
  ADD CONSTRAINT run_steps_kind CHECK (kind IN ('model', 'tool', 'approval', 'input')),
  ADD CONSTRAINT run_steps_effect CHECK (effect IN ('model', 'safe', 'idempotent', 'at_most_once', 'none')),
  ADD CONSTRAINT run_steps_state CHECK (state IN ('waiting', 'started', 'done', 'error', 'unknown')),
  ADD CONSTRAINT run_steps_finished CHECK ((state IN ('waiting', 'started')) = (finished_at IS NULL));

ALTER TABLE deployments ADD COLUMN on_thread_busy TEXT NOT NULL DEFAULT 'reject';
ALTER TABLE deployments ADD CONSTRAINT deployments_on_thread_busy CHECK (on_thread_busy IN ('reject', 'enqueue', 'interrupt'));

-- A run behind another of its thread is not active yet. Whoever makes a run active or ends one holds the thread's row lock,
-- taken before any run's; this index holds what that promises.
DROP INDEX runs_one_active_in_thread;
CREATE UNIQUE INDEX runs_one_active_in_thread ON runs (workspace_id, thread_id)
  WHERE thread_id IS NOT NULL AND status IN ('queued', 'running', 'waiting') AND NOT behind;
CREATE INDEX runs_behind ON runs (workspace_id, thread_id, id) WHERE behind;
CREATE INDEX runs_behind_deadline ON runs (deadline_at) WHERE behind;
DROP INDEX runs_due;
CREATE INDEX runs_due ON runs (dispatched_at NULLS FIRST) WHERE status = 'queued' AND NOT behind;
CREATE INDEX runs_wait ON runs (wait_until) WHERE status = 'waiting';

GRANT SELECT (attempts, wait_until, behind) ON runs TO maru_definer;

-- What a waiting run waits for: results of client-side tools, and decisions of people.
CREATE FUNCTION required_action(p_workspace uuid, p_run uuid, p_until timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'expires_at', p_until,
    'tool_results', COALESCE(jsonb_agg(jsonb_build_object('call_id', 'call_' || s.seq, 'step', s.seq, 'name', s.name,
        'arguments', s.input->>'arguments') ORDER BY s.seq) FILTER (WHERE s.kind = 'input'), '[]'),
    'approvals', COALESCE(jsonb_agg(jsonb_build_object('call_id', 'call_' || s.seq, 'step', (s.input->>'step')::int, 'name', s.name,
        'arguments', s.input->>'arguments', 'question', s.input->>'question') ORDER BY s.seq) FILTER (WHERE s.kind = 'approval'), '[]'))
    FROM run_steps s
   WHERE s.workspace_id = p_workspace AND s.run_id = p_run AND s.state = 'waiting' AND s.kind IN ('input', 'approval')
$$;

-- A journal row as the engine writes it into `step.finished`.
CREATE FUNCTION step_row(s run_steps) RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
  SELECT jsonb_build_object('seq', s.seq, 'kind', s.kind, 'state', s.state, 'name', s.name, 'effect', s.effect, 'epoch', s.epoch,
    'attempt', s.attempt, 'input', s.input, 'output', s.output, 'startedAt', s.started_at, 'finishedAt', s.finished_at)
$$;

-- Appends one event. The caller holds the run's row lock.
CREATE FUNCTION add_event(p_workspace uuid, p_run uuid, p_type text, p_data jsonb, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_seq int;
BEGIN
  UPDATE runs SET next_event = next_event + 1 WHERE workspace_id = p_workspace AND id = p_run RETURNING next_event - 1 INTO v_seq;
  INSERT INTO run_events (workspace_id, run_id, seq, type, data, at) VALUES (p_workspace, p_run, v_seq, p_type, p_data, p_now);
END $$;

-- The lock under which a thread's runs take turns. First of all locks: before any run's row and before quota windows.
CREATE FUNCTION lock_thread_of(p_workspace uuid, p_run uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_thread uuid;
BEGIN
  SELECT thread_id INTO v_thread FROM runs WHERE workspace_id = p_workspace AND id = p_run;
  IF v_thread IS NOT NULL THEN
    PERFORM 1 FROM threads WHERE workspace_id = p_workspace AND id = v_thread FOR NO KEY UPDATE;
  END IF;
END $$;

-- A run of the thread has ended: the next in line is let go, and named. Called under the thread's lock.
CREATE FUNCTION next_in_thread(p_workspace uuid, p_thread uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_next jsonb;
BEGIN
  UPDATE runs SET behind = false, dispatched_at = NULL
   WHERE workspace_id = p_workspace AND id = (
     SELECT id FROM runs WHERE workspace_id = p_workspace AND thread_id = p_thread AND behind ORDER BY id LIMIT 1)
  RETURNING jsonb_build_object('run', id, 'epoch', epoch) INTO v_next;
  RETURN v_next;
END $$;

-- Sets what a run holds of its tokens, without settling anything: nothing while it waits for somebody. False when there is no
-- room; then what was held stays. Called under the run's row lock.
CREATE FUNCTION quota_hold(p_workspace uuid, p_run uuid, p_step int, p_amount bigint, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v quota_reservations;
BEGIN
  SELECT * INTO STRICT v FROM quota_reservations WHERE workspace_id = p_workspace AND run_id = p_run AND unit = 'tokens';
  IF v.amount = p_amount THEN RETURN true; END IF;
  UPDATE quota_windows SET reserved = reserved - v.amount + p_amount
   WHERE workspace_id = p_workspace AND id = v.window_id AND (p_amount < v.amount OR used + reserved - v.amount + p_amount <= amount);
  IF NOT FOUND THEN RETURN false; END IF;
  UPDATE quota_reservations SET amount = p_amount WHERE workspace_id = p_workspace AND run_id = p_run AND unit = 'tokens';
  INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
  VALUES (p_workspace, p_run, 'tokens', p_step, CASE WHEN p_amount > v.amount THEN 'reserve' ELSE 'release' END, v.window_id,
          p_amount - v.amount, 0, p_now);
  RETURN true;
END $$;

-- Closes the steps a run leaves open in some states. The caller holds the run's row lock.
CREATE FUNCTION close_open_steps(p_workspace uuid, p_run uuid, p_status text, p_states text[], p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
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
             ELSE jsonb_build_object('output', v_why, 'isError', true, 'code', CASE WHEN s.state = 'waiting' THEN 'not_sent' ELSE 'aborted' END) END
     WHERE workspace_id = p_workspace AND run_id = p_run AND seq = s.seq
    RETURNING * INTO s;
    PERFORM add_event(p_workspace, p_run, 'step.finished', jsonb_build_object('step', step_row(s)), p_now);
  END LOOP;
END $$;

-- Makes a run terminal outside its worker's own write, and lets the next run of its thread go; answers that one. The caller
-- holds the thread's lock (lock_thread_of) and then the run's, and has entered the workspace.
DROP FUNCTION end_run(uuid, uuid, text, jsonb, timestamptz);
CREATE FUNCTION end_run(p_workspace uuid, p_run uuid, p_status text, p_error jsonb, p_now timestamptz) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v runs;
BEGIN
  PERFORM close_open_steps(p_workspace, p_run, p_status, '{started,waiting}', p_now);
  UPDATE runs SET status = p_status, error = p_error, finished_at = p_now, lease_until = NULL, wait_until = NULL, behind = false,
         waited_ms = waited_ms + COALESCE(extract(epoch FROM p_now - waiting_since) * 1000, 0)::bigint, waiting_since = NULL
   WHERE workspace_id = p_workspace AND id = p_run
  RETURNING * INTO v;
  PERFORM add_event(p_workspace, p_run, 'run.' || p_status, '{}', p_now);
  PERFORM quota_close(p_workspace, p_run, v.model_calls > 0, 2147483647, p_now);
  IF v.thread_id IS NULL THEN RETURN NULL; END IF;
  -- One that was still behind another ends without having had the turn.
  IF EXISTS (SELECT 1 FROM runs WHERE workspace_id = p_workspace AND thread_id = v.thread_id
                AND status IN ('queued', 'running', 'waiting') AND NOT behind) THEN RETURN NULL; END IF;
  RETURN next_in_thread(p_workspace, v.thread_id);
END $$;

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
    'forked_from', r.forked_from, 'fork_step', r.fork_step, 'payload_expired_at', r.payload_expired_at)
    FROM runs r
    JOIN deployments d ON d.workspace_id = r.workspace_id AND d.id = r.deployment_id
    JOIN agents a ON a.workspace_id = r.workspace_id AND a.id = r.agent_id
   WHERE r.workspace_id = p_workspace AND r.id = p_run
$$;

-- A page of runs, newest first, before an id.
CREATE FUNCTION list_runs(p_workspace uuid, p_status text, p_deployment text, p_thread uuid, p_before uuid, p_limit int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT COALESCE(jsonb_agg(run_object(p_workspace, r.id) ORDER BY r.id DESC), '[]')
      FROM (SELECT x.id FROM runs x
             WHERE x.workspace_id = p_workspace AND (p_status IS NULL OR x.status = p_status)
               AND (p_deployment IS NULL OR x.deployment_id = (SELECT id FROM deployments WHERE workspace_id = p_workspace AND name = p_deployment))
               AND (p_thread IS NULL OR x.thread_id = p_thread) AND (p_before IS NULL OR x.id < p_before)
             ORDER BY x.id DESC LIMIT p_limit) r);
END $$;

-- As before; and with a busy thread the run is refused, waits behind the others, or takes their place. Under the thread's lock,
-- so that what is decided holds whoever else creates or ends runs of it. Answers the runs it interrupted that are still with a
-- worker, which hears of it.
-- SQLSTATE MR005: as many runs wait in the thread as may.
CREATE OR REPLACE FUNCTION create_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
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
  v_busy boolean := false;
  v_interrupted jsonb := '[]';
BEGIN
  PERFORM enter_workspace(v_ws);
  IF v_key IS NOT NULL THEN
    SELECT * INTO v_old FROM runs WHERE workspace_id = v_ws AND idempotency_key = v_key;
    IF FOUND THEN
      IF v_old.request_hash <> v_hash THEN RAISE EXCEPTION 'mismatch' USING ERRCODE = 'MR004'; END IF;
      RETURN jsonb_build_object('replayed', true, 'run', run_object(v_ws, v_old.id));
    END IF;
  END IF;
  SELECT d.id, d.agent_id, d.revision, r.reserve_tokens, r.spec #>> '{model,name}' AS model,
         (r.spec #>> '{memory,thread,maxTokens}')::int AS thread_max,
         COALESCE(p->>'on_thread_busy', d.on_thread_busy) AS on_thread_busy INTO v_dep
    FROM deployments d
    JOIN revisions r ON r.workspace_id = d.workspace_id AND r.agent_id = d.agent_id AND r.number = d.revision
   WHERE d.workspace_id = v_ws AND d.name = p->>'deployment';
  IF NOT FOUND THEN RAISE EXCEPTION 'no deployment' USING ERRCODE = 'MR001'; END IF;
  IF v_thread IS NOT NULL THEN
    SELECT tokens INTO v_thread_tokens FROM threads WHERE workspace_id = v_ws AND id = v_thread FOR NO KEY UPDATE;
    IF NOT FOUND THEN RAISE EXCEPTION 'no thread' USING ERRCODE = 'MR002'; END IF;
    -- The same request may have come in while this one waited for the lock.
    SELECT * INTO v_old FROM runs WHERE workspace_id = v_ws AND idempotency_key = v_key;
    IF v_key IS NOT NULL AND FOUND THEN
      IF v_old.request_hash <> v_hash THEN RAISE EXCEPTION 'mismatch' USING ERRCODE = 'MR004'; END IF;
      RETURN jsonb_build_object('replayed', true, 'run', run_object(v_ws, v_old.id));
    END IF;
    IF v_dep.on_thread_busy = 'interrupt' THEN
      -- Those that wait their turn first, so that none of them gets it.
      FOR v_old IN SELECT * FROM runs WHERE workspace_id = v_ws AND thread_id = v_thread AND status IN ('queued', 'running', 'waiting')
                    ORDER BY behind DESC, id FOR NO KEY UPDATE LOOP
        IF v_old.status = 'running' AND v_old.lease_until >= v_now THEN
          UPDATE runs SET cancel_requested_at = COALESCE(cancel_requested_at, v_now) WHERE workspace_id = v_ws AND id = v_old.id;
          v_interrupted := v_interrupted || to_jsonb(v_old.id);
        ELSE
          PERFORM end_run(v_ws, v_old.id, 'cancelled', NULL, v_now);
        END IF;
      END LOOP;
    END IF;
    v_busy := EXISTS (SELECT 1 FROM runs WHERE workspace_id = v_ws AND thread_id = v_thread AND status IN ('queued', 'running', 'waiting'));
    IF v_busy AND v_dep.on_thread_busy = 'reject' THEN RAISE EXCEPTION 'thread busy' USING ERRCODE = 'MR003'; END IF;
    IF v_busy AND (SELECT count(*) FROM runs WHERE workspace_id = v_ws AND thread_id = v_thread AND behind) >= 100 THEN
      RAISE EXCEPTION 'thread full' USING ERRCODE = 'MR005';
    END IF;
  END IF;
  INSERT INTO runs (workspace_id, id, deployment_id, agent_id, revision, thread_id, behind, api_key_id, status, next_event, input,
                    metadata, end_user, model, simulated, idempotency_key, request_hash, dispatched_at, created_at, deadline_at)
  VALUES (v_ws, v_run, v_dep.id, v_dep.agent_id, v_dep.revision, v_thread, v_busy, (p->>'api_key_id')::uuid, 'queued', 2, p->>'input',
          COALESCE(p->'metadata', '{}'), p->'metadata'->>'user', v_dep.model, (p->>'simulated')::boolean AND EXISTS (SELECT 1 FROM models WHERE id = v_dep.model), v_key, v_hash, v_now, v_now, v_now + interval '24 hours')
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
  PERFORM quota_reserve(v_ws, v_run, 'tokens', v_dep.reserve_tokens + LEAST(v_thread_tokens, v_dep.thread_max) + (p->>'input_tokens')::int, v_now);
  PERFORM quota_reserve(v_ws, v_run, 'runs', 1, v_now);
  RETURN jsonb_build_object('replayed', false, 'behind', v_busy, 'interrupted', v_interrupted, 'run', run_object(v_ws, v_run));
END $$;

-- How long after its lease ran out a run is left alone: nothing after the first loss, then ever longer. A run that takes its
-- workers down with it must not take one a second.
CREATE FUNCTION lost_backoff(p_attempts int) RETURNS interval LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_attempts <= 0 THEN interval '0' ELSE LEAST(power(2, LEAST(p_attempts, 10) - 1), 30) * interval '1 second' END
$$;

-- As before; a run that waited too long ends here, one behind another of its thread is not taken, and one that lost workers
-- without finishing a step in between is left alone for a while.
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
  v_first := NOT EXISTS (SELECT 1 FROM run_steps WHERE workspace_id = p_workspace AND run_id = p_run);
  UPDATE runs
     SET status = 'running', epoch = epoch + 1, attempts = attempts + v_lost::int, started_at = COALESCE(started_at, v_now),
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
    'spec', (SELECT spec FROM revisions WHERE workspace_id = p_workspace AND agent_id = v.agent_id AND number = v.revision) || COALESCE(v.overrides, '{}'),
    'revision', v.agent_id || '/' || v.revision,
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

-- As before, and an operation may also hold:
--   t: the thread of a run that ends; begin: [{seq, attempt}] of waiting steps that begin now; halt: [seq] of begun ones that
--   have to wait; hold: {step, tokens} to hold without settling; wait: {ms}, the run gives its worker back until somebody
--   answers; close: steps that wait are closed with the run. Did they all answer meanwhile, it is queued again at once, and the result says so: {"waiting": false}.
-- A finished step ends the count of lost workers.
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
        SELECT 1 FROM run_steps s WHERE s.workspace_id = v_ws AND s.run_id = v_run AND s.state = 'waiting' AND s.kind IN ('approval', 'input')
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

-- Cancels: a run that is with no worker ends here and now, a running one is marked for its worker, one that has ended stays as
-- it is. Null when there is no such run. `next`: the run of the thread that may go now.
CREATE OR REPLACE FUNCTION cancel_run(p_workspace uuid, p_run uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v runs;
  v_next jsonb;
BEGIN
  PERFORM enter_workspace(p_workspace);
  PERFORM lock_thread_of(p_workspace, p_run);
  SELECT * INTO v FROM runs WHERE workspace_id = p_workspace AND id = p_run FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF v.finished_at IS NULL THEN
    UPDATE runs SET cancel_requested_at = COALESCE(cancel_requested_at, v_now) WHERE workspace_id = p_workspace AND id = p_run;
    IF v.status <> 'running' OR v.lease_until < v_now THEN
      v_next := end_run(p_workspace, p_run, 'cancelled', NULL, v_now);
    END IF;
  END IF;
  RETURN jsonb_build_object('run', run_object(p_workspace, p_run), 'next', v_next);
END $$;

-- Answers what a run waits for: all of the request or nothing of it. An answer that was given before is taken again when it is
-- the same. When nothing is left to wait for, the run is queued again: {"resumed": true, "epoch"}.
-- `p`: {workspace_id, run_id, by, results: [{call_id, output, is_error}], approvals: [{call_id, decision, reason, arguments}]}
-- SQLSTATEs: MA001 no such call, MA002 it is not one to be answered this way, MA003 it has another answer already, MA004 the
-- run has ended; DETAIL is JSON.
CREATE FUNCTION answer_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
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
  IF v.status = 'waiting' AND NOT EXISTS (SELECT 1 FROM run_steps WHERE workspace_id = v_ws AND run_id = v_run AND state = 'waiting' AND kind IN ('input', 'approval')) THEN
    UPDATE runs SET status = 'queued', wait_until = NULL, waiting_since = NULL, dispatched_at = v_now,
           waited_ms = waited_ms + (extract(epoch FROM v_now - waiting_since) * 1000)::bigint
     WHERE workspace_id = v_ws AND id = v_run;
    PERFORM add_event(v_ws, v_run, 'run.queued', '{}', v_now);
    RETURN jsonb_build_object('resumed', true, 'epoch', v.epoch, 'run', run_object(v_ws, v_run));
  END IF;
  RETURN jsonb_build_object('resumed', false, 'run', run_object(v_ws, v_run));
END $$;

-- What answers to a run are judged by: its spec, and the calls that are waited for.
CREATE FUNCTION asked_of_run(p_workspace uuid, p_run uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object('spec', v.spec || COALESCE(r.overrides, '{}'), 'waiting', COALESCE((
        SELECT jsonb_agg(jsonb_build_object('id', 'call_' || s.seq, 'name', s.name, 'arguments', s.input->>'arguments'))
          FROM run_steps s WHERE s.workspace_id = p_workspace AND s.run_id = p_run AND s.kind IN ('input', 'approval')), '[]'))
      FROM runs r JOIN revisions v ON v.workspace_id = r.workspace_id AND v.agent_id = r.agent_id AND v.number = r.revision
     WHERE r.workspace_id = p_workspace AND r.id = p_run);
END $$;

-- As before; and runs that waited too long or never had their turn in their thread, for the claim to end them. A lost run is
-- due after its backoff.
CREATE OR REPLACE FUNCTION due_runs(p_limit int, p_resend_ms int) RETURNS TABLE (workspace_id uuid, run_id uuid, epoch int, recovered boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE runs r SET dispatched_at = maru_now()
    FROM (
      SELECT d.workspace_id, d.id FROM runs d
       WHERE (d.status = 'queued' AND NOT d.behind AND (d.dispatched_at IS NULL OR d.dispatched_at < maru_now() - p_resend_ms * interval '1 millisecond'))
          OR (d.status = 'running' AND d.lease_until < maru_now() AND d.lease_until + lost_backoff(d.attempts) < maru_now()
              AND (d.dispatched_at IS NULL OR d.dispatched_at < d.lease_until + lost_backoff(d.attempts)
                   OR d.dispatched_at < maru_now() - p_resend_ms * interval '1 millisecond'))
          OR (d.status = 'waiting' AND d.wait_until < maru_now()
              AND (d.dispatched_at IS NULL OR d.dispatched_at < d.wait_until OR d.dispatched_at < maru_now() - p_resend_ms * interval '1 millisecond'))
          OR (d.behind AND d.deadline_at < maru_now()
              AND (d.dispatched_at IS NULL OR d.dispatched_at < d.deadline_at OR d.dispatched_at < maru_now() - p_resend_ms * interval '1 millisecond'))
       ORDER BY d.created_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
    ) due
   WHERE r.workspace_id = due.workspace_id AND r.id = due.id
  RETURNING r.workspace_id, r.id, r.epoch, r.status = 'running'
$$;

-- As before, with what the deployment does when a thread is busy: a change of that alone makes no revision.
CREATE OR REPLACE FUNCTION deploy_manifest(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_dry boolean := (p->>'dry_run')::boolean;
  v_busy text := p->>'on_thread_busy';
  v_now timestamptz := maru_now();
  v_agent agents;
  v_dep deployments;
  v_before deployments;
  v_rev revisions;
  v_latest revisions;
  v_action text;
BEGIN
  PERFORM enter_workspace(v_ws);
  IF NOT v_dry THEN
    INSERT INTO agents (workspace_id, id, name, latest_revision) VALUES (v_ws, (p->>'agent_id')::uuid, p->>'agent', 0)
    ON CONFLICT (workspace_id, name) DO NOTHING;
  END IF;
  SELECT * INTO v_agent FROM agents WHERE workspace_id = v_ws AND name = p->>'agent' FOR UPDATE;
  SELECT * INTO v_dep FROM deployments WHERE workspace_id = v_ws AND name = p->>'deployment' FOR UPDATE;
  IF v_dep.id IS NOT NULL AND v_dep.agent_id IS DISTINCT FROM v_agent.id THEN
    RAISE EXCEPTION 'deployment name taken' USING ERRCODE = 'MD001';
  END IF;
  IF p->>'if_match' IS NOT NULL AND (p->>'if_match') IS DISTINCT FROM (v_dep.id::text || ':' || v_dep.generation) THEN
    RAISE EXCEPTION 'precondition failed' USING ERRCODE = 'MD002';
  END IF;
  v_before := v_dep;
  SELECT * INTO v_rev FROM revisions WHERE workspace_id = v_ws AND agent_id = v_dep.agent_id AND number = v_dep.revision;
  SELECT * INTO v_latest FROM revisions WHERE workspace_id = v_ws AND agent_id = v_agent.id AND number = v_agent.latest_revision;
  v_action := CASE WHEN v_dep.id IS NULL THEN 'create'
                   WHEN v_rev.digest = p->>'digest' AND v_dep.on_thread_busy = v_busy THEN 'unchanged' ELSE 'update' END;
  IF NOT v_dry AND v_action <> 'unchanged' THEN
    IF v_latest.digest IS DISTINCT FROM p->>'digest' THEN
      UPDATE agents SET latest_revision = latest_revision + 1, updated_at = v_now WHERE workspace_id = v_ws AND id = v_agent.id
      RETURNING * INTO v_agent;
      INSERT INTO revisions (workspace_id, agent_id, number, digest, spec, reserve_tokens, created_at)
      VALUES (v_ws, v_agent.id, v_agent.latest_revision, p->>'digest', p->'spec', (p->>'reserve_tokens')::int, v_now);
    END IF;
    INSERT INTO deployments (workspace_id, id, name, agent_id, revision, on_thread_busy, created_at, updated_at)
    VALUES (v_ws, (p->>'deployment_id')::uuid, p->>'deployment', v_agent.id, v_agent.latest_revision, v_busy, v_now, v_now)
    ON CONFLICT (workspace_id, name) DO UPDATE
      SET revision = excluded.revision, on_thread_busy = excluded.on_thread_busy, generation = deployments.generation + 1, updated_at = v_now;
    SELECT * INTO v_dep FROM deployments WHERE workspace_id = v_ws AND name = p->>'deployment';
  END IF;
  RETURN jsonb_build_object('action', v_action, 'before', v_rev.spec, 'busy_before', v_before.on_thread_busy, 'deployment', to_jsonb(v_dep), 'revision', v_dep.revision);
END $$;
