-- Schedules, which start runs by the clock, and triggers, which start runs when somebody outside sends something.
--
-- SQLSTATEs of Maru's own: MT001 the workspace has as many as it may, MT002 the name is taken

-- What started a run that no call of the API, no other run and no fork did. Not a foreign key: a run stands for itself.
ALTER TABLE runs
  ADD COLUMN source_kind TEXT,
  ADD COLUMN source_id UUID,
  ADD CONSTRAINT runs_source CHECK (source_kind IN ('schedule', 'trigger') AND source_id IS NOT NULL OR source_kind IS NULL AND source_id IS NULL);
CREATE INDEX runs_of_source ON runs (workspace_id, source_id, id) WHERE source_id IS NOT NULL;
CREATE INDEX runs_of_source_open ON runs (workspace_id, source_id) WHERE source_id IS NOT NULL AND finished_at IS NULL;

-- When runs are to be made. `next_at` is the next fire time as the expression says, null when it is paused; `wake_at` is when a
-- worker has to look at it: that and its jitter, or the end of the lease of the worker that looks. `take` is the fencing token.
CREATE TABLE schedules (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  name TEXT NOT NULL,
  deployment TEXT NOT NULL,
  cron TEXT NOT NULL,
  time_zone TEXT NOT NULL,
  input TEXT NOT NULL,
  metadata JSONB NOT NULL,
  thread_id UUID,
  api_key_id UUID,
  overlap TEXT NOT NULL,
  catch_up TEXT NOT NULL,
  within_ms INTEGER NOT NULL,
  jitter_ms INTEGER NOT NULL,
  paused BOOLEAN NOT NULL,
  next_at TIMESTAMPTZ(3),
  wake_at TIMESTAMPTZ(3),
  take INTEGER NOT NULL DEFAULT 0,
  generation INTEGER NOT NULL DEFAULT 1,
  created_at TIMESTAMPTZ(3) NOT NULL,
  updated_at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT schedules_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT schedules_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT schedules_workspace_id_api_key_id_fkey FOREIGN KEY (workspace_id, api_key_id) REFERENCES api_keys (workspace_id, id) ON DELETE RESTRICT ON UPDATE NO ACTION,
  CONSTRAINT schedules_overlap CHECK (overlap IN ('skip', 'queue', 'cancel_previous')),
  CONSTRAINT schedules_catch_up CHECK (catch_up IN ('none', 'last', 'all')),
  CONSTRAINT schedules_next CHECK ((next_at IS NULL) = (wake_at IS NULL) AND NOT (paused AND next_at IS NOT NULL))
);
CREATE UNIQUE INDEX schedules_workspace_id_name_key ON schedules (workspace_id, name);
CREATE INDEX schedules_wake ON schedules (wake_at) WHERE wake_at IS NOT NULL;

-- What became of fire times. One that stands for several (`count`) begins with `scheduled_at`.
CREATE TABLE schedule_fires (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  schedule_id UUID NOT NULL,
  scheduled_at TIMESTAMPTZ(3) NOT NULL,
  manual BOOLEAN NOT NULL,
  outcome TEXT NOT NULL,
  count INTEGER NOT NULL,
  run_id UUID,
  code TEXT,
  detail TEXT,
  created_at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT schedule_fires_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT schedule_fires_workspace_id_schedule_id_fkey FOREIGN KEY (workspace_id, schedule_id) REFERENCES schedules (workspace_id, id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT schedule_fires_outcome CHECK (outcome IN ('run', 'waiting', 'skipped', 'missed') AND (outcome = 'run') = (run_id IS NOT NULL)
    AND (outcome IN ('skipped', 'missed')) = (code IS NOT NULL))
);
CREATE INDEX schedule_fires_workspace_id_schedule_id_id_idx ON schedule_fires (workspace_id, schedule_id, id);
-- However many workers there are, a fire time is one run.
CREATE UNIQUE INDEX schedule_fires_once ON schedule_fires (workspace_id, schedule_id, scheduled_at) WHERE NOT manual;
CREATE INDEX schedule_fires_waiting ON schedule_fires (workspace_id, schedule_id, scheduled_at) WHERE outcome = 'waiting';

-- Who may start runs from outside, and what of what they send goes into them.
CREATE TABLE triggers (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  name TEXT NOT NULL,
  deployment TEXT NOT NULL,
  auth TEXT NOT NULL,
  input TEXT NOT NULL,
  metadata JSONB NOT NULL,
  filter JSONB,
  thread TEXT,
  on_thread_busy TEXT,
  api_key_id UUID,
  enabled BOOLEAN NOT NULL,
  sealed_secret BYTEA NOT NULL,
  sealed_previous BYTEA,
  previous_until TIMESTAMPTZ(3),
  last_rejected_at TIMESTAMPTZ(3),
  generation INTEGER NOT NULL DEFAULT 1,
  created_at TIMESTAMPTZ(3) NOT NULL,
  updated_at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT triggers_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT triggers_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT triggers_workspace_id_api_key_id_fkey FOREIGN KEY (workspace_id, api_key_id) REFERENCES api_keys (workspace_id, id) ON DELETE RESTRICT ON UPDATE NO ACTION,
  CONSTRAINT triggers_auth CHECK (auth IN ('token', 'standard_webhooks', 'github'))
);
CREATE UNIQUE INDEX triggers_workspace_id_name_key ON triggers (workspace_id, name);
CREATE INDEX triggers_id ON triggers (id);

-- The last that came in to a trigger, without what was in it.
CREATE TABLE trigger_deliveries (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  trigger_id UUID NOT NULL,
  delivery_key TEXT,
  outcome TEXT NOT NULL,
  run_id UUID,
  code TEXT,
  detail TEXT,
  at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT trigger_deliveries_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT trigger_deliveries_workspace_id_trigger_id_fkey FOREIGN KEY (workspace_id, trigger_id) REFERENCES triggers (workspace_id, id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT trigger_deliveries_outcome CHECK (outcome IN ('run', 'repeated', 'ignored', 'refused') AND (outcome IN ('run', 'repeated')) = (run_id IS NOT NULL)
    AND (outcome = 'refused') = (code IS NOT NULL))
);
CREATE INDEX trigger_deliveries_workspace_id_trigger_id_id_idx ON trigger_deliveries (workspace_id, trigger_id, id);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['schedules', 'schedule_fires', 'triggers', 'trigger_deliveries'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO maru_runtime USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO maru_runtime', t);
  END LOOP;
END $$;

-- As before, with what started it.
CREATE OR REPLACE FUNCTION run_object(p_workspace uuid, p_run uuid) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'id', r.id, 'status', r.status, 'deployment', split_part(d.name, '.', 1), 'agent', a.name, 'revision', r.revision, 'model', r.model,
    'simulated', r.simulated, 'thread_id', r.thread_id, 'input', r.input, 'output', r.output,
    'incomplete_reason', r.incomplete_reason, 'error', r.error, 'metadata', r.metadata,
    'input_tokens', r.input_tokens, 'cached_input_tokens', r.cached_input_tokens, 'output_tokens', r.output_tokens,
    'model_calls', r.model_calls, 'tool_calls', r.tool_calls, 'cost_micros', r.cost_micros,
    'usage_estimated', r.usage_estimated, 'created_at', r.created_at, 'started_at', r.started_at,
    'finished_at', r.finished_at,
    'required_action', CASE WHEN r.status = 'waiting' THEN required_action(p_workspace, p_run, r.wait_until) END,
    'forked_from', r.forked_from, 'fork_step', r.fork_step, 'parent_run', r.parent_run, 'parent_step', r.parent_step,
    'source_kind', r.source_kind, 'source_id', r.source_id,
    'below_runs', r.below_runs, 'below_tokens', r.below_tokens, 'below_cost_micros', r.below_cost_micros, 'payload_expired_at', r.payload_expired_at)
    FROM runs r
    JOIN deployments d ON d.workspace_id = r.workspace_id AND d.id = r.deployment_id
    JOIN agents a ON a.workspace_id = r.workspace_id AND a.id = r.agent_id
   WHERE r.workspace_id = p_workspace AND r.id = p_run
$$;

-- As before, or those a schedule or trigger started.
DROP FUNCTION list_runs(uuid, text, text, uuid, uuid, uuid, int);
CREATE FUNCTION list_runs(p_workspace uuid, p_status text, p_deployment text, p_thread uuid, p_parent uuid, p_source uuid, p_before uuid, p_limit int) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT COALESCE(jsonb_agg(run_object(p_workspace, r.id) ORDER BY r.id DESC), '[]')
      FROM (SELECT x.id FROM runs x
             WHERE x.workspace_id = p_workspace AND (p_status IS NULL OR x.status = p_status)
               AND (p_deployment IS NULL OR x.deployment_id = (SELECT id FROM deployments WHERE workspace_id = p_workspace AND name = p_deployment))
               AND (p_thread IS NULL OR x.thread_id = p_thread) AND (p_parent IS NULL OR x.parent_run = p_parent)
               AND (p_source IS NULL OR x.source_id = p_source) AND (p_before IS NULL OR x.id < p_before)
             ORDER BY x.id DESC LIMIT p_limit) r);
END $$;

-- Makes a run as create_run does and says what started it, in one transaction. `p`: as create_run reads it, with {source_kind, source_id}.
CREATE FUNCTION create_sourced_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_made jsonb := create_run(p);
BEGIN
  IF NOT (v_made->>'replayed')::boolean THEN
    UPDATE runs SET source_kind = p->>'source_kind', source_id = (p->>'source_id')::uuid
     WHERE workspace_id = (p->>'workspace_id')::uuid AND id = (p->>'run_id')::uuid;
  END IF;
  RETURN v_made;
END $$;

-- Adds a schedule, of which a workspace has at most `max`: those who add at once take turns.
CREATE FUNCTION add_schedule(p jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(v_ws);
  PERFORM pg_advisory_xact_lock(hashtextextended('schedules ' || v_ws, 0));
  IF EXISTS (SELECT 1 FROM schedules WHERE workspace_id = v_ws AND name = p->>'name') THEN
    RAISE EXCEPTION 'name taken' USING ERRCODE = 'MT002';
  END IF;
  IF (SELECT count(*) FROM schedules WHERE workspace_id = v_ws) >= (p->>'max')::int THEN
    RAISE EXCEPTION 'too many schedules' USING ERRCODE = 'MT001';
  END IF;
  INSERT INTO schedules (workspace_id, id, name, deployment, cron, time_zone, input, metadata, thread_id, api_key_id, overlap, catch_up, within_ms,
                         jitter_ms, paused, next_at, wake_at, created_at, updated_at)
  SELECT v_ws, f.id, f.name, f.deployment, f.cron, f.time_zone, f.input, f.metadata, f.thread_id, f.api_key_id, f.overlap, f.catch_up, f.within_ms,
         f.jitter_ms, f.paused, f.next_at, f.wake_at, v_now, v_now
    FROM jsonb_to_record(p) AS f(id uuid, name text, deployment text, cron text, time_zone text, input text, metadata jsonb, thread_id uuid, api_key_id uuid,
                                 overlap text, catch_up text, within_ms int, jitter_ms int, paused boolean, next_at timestamptz, wake_at timestamptz);
END $$;

-- Writes down what became of a fire time, in the order of fire times, and tells of one that was missed. The log has the last 500.
CREATE FUNCTION log_fire(p_schedule schedules, p_at timestamptz, p_manual boolean, p_outcome text, p_count int, p_run uuid, p_code text, p_detail text, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO schedule_fires (workspace_id, id, schedule_id, scheduled_at, manual, outcome, count, run_id, code, detail, created_at)
  VALUES (p_schedule.workspace_id, time_ordered_id(p_at), p_schedule.id, p_at, p_manual, p_outcome, p_count, p_run, p_code, p_detail, p_now)
  ON CONFLICT (workspace_id, schedule_id, scheduled_at) WHERE NOT manual DO NOTHING;
  DELETE FROM schedule_fires WHERE workspace_id = p_schedule.workspace_id AND id IN (
    SELECT f.id FROM schedule_fires f WHERE f.workspace_id = p_schedule.workspace_id AND f.schedule_id = p_schedule.id AND f.outcome <> 'waiting'
     ORDER BY f.id DESC OFFSET 500 LIMIT 2);
  IF p_outcome = 'missed' THEN PERFORM tell_missed(p_schedule, p_at, p_count, p_code, p_now); END IF;
END $$;

CREATE FUNCTION tell_missed(p_schedule schedules, p_at timestamptz, p_count int, p_code text, p_now timestamptz) RETURNS void LANGUAGE sql AS $$
  SELECT emit_webhook(p_schedule.workspace_id, 'schedule.missed', jsonb_build_object(
    'schedule_id', public_id('sch', p_schedule.id), 'schedule', p_schedule.name, 'deployment', p_schedule.deployment,
    'scheduled_at', api_instant(p_at), 'count', p_count, 'code', p_code), p_now)
$$;

-- Whether runs a schedule or trigger started go on.
CREATE FUNCTION source_busy(p_workspace uuid, p_source uuid) RETURNS boolean LANGUAGE sql STABLE AS $$
  SELECT EXISTS (SELECT 1 FROM runs WHERE workspace_id = p_workspace AND source_id = p_source AND finished_at IS NULL)
$$;

-- One step of a schedule: writes down what was missed, makes the run of a fire time or writes down why there is none, and moves on to
-- the next, all or nothing. Nothing is done for a worker whose take is over, nor once the schedule was changed. Two workers can't both:
-- they take turns by the row's lock, and the second finds another next_at; schedule_fires_once proves it.
-- `p`: as create_run reads it, without a run_id when nothing fires, with {schedule_id, take, generation, next_at, scheduled_at, then_next, then_wake,
-- missed: {at, count} | null, refused: {code, detail} | null}. Answers null, or {"outcome", "run", "cancelled": [{"run", "ended", "next"}]}; raises what
-- create_run raises, and then nothing has changed.
CREATE FUNCTION fire_schedule(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_at timestamptz := (p->>'scheduled_at')::timestamptz;
  v_now timestamptz := maru_now();
  v schedules;
  v_busy boolean;
  v_made jsonb;
  v_run uuid;
  v_cancel jsonb;
  v_cancelled jsonb := '[]';
BEGIN
  PERFORM enter_workspace(v_ws);
  SELECT * INTO v FROM schedules WHERE workspace_id = v_ws AND id = (p->>'schedule_id')::uuid AND take = (p->>'take')::int
     AND generation = (p->>'generation')::int AND next_at = (p->>'next_at')::timestamptz FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  UPDATE schedules SET next_at = (p->>'then_next')::timestamptz, wake_at = (p->>'then_wake')::timestamptz WHERE workspace_id = v_ws AND id = v.id;
  IF p->'missed' <> 'null' THEN
    PERFORM log_fire(v, (p->'missed'->>'at')::timestamptz, false, 'missed', (p->'missed'->>'count')::int, NULL, 'late', NULL, v_now);
  END IF;
  -- A fire time that comes again, since the clock was set back, has had its run.
  IF v_at IS NULL OR EXISTS (SELECT 1 FROM schedule_fires WHERE workspace_id = v_ws AND schedule_id = v.id AND scheduled_at = v_at AND NOT manual) THEN
    RETURN jsonb_build_object('outcome', NULL);
  END IF;
  IF p->'refused' <> 'null' THEN
    PERFORM log_fire(v, v_at, false, 'missed', 1, NULL, p->'refused'->>'code', p->'refused'->>'detail', v_now);
    RETURN jsonb_build_object('outcome', 'missed');
  END IF;
  v_busy := source_busy(v_ws, v.id) OR EXISTS (SELECT 1 FROM schedule_fires WHERE workspace_id = v_ws AND schedule_id = v.id AND outcome = 'waiting');
  IF v_busy AND v.overlap = 'skip' THEN
    PERFORM log_fire(v, v_at, false, 'skipped', 1, NULL, 'overlap', NULL, v_now);
    RETURN jsonb_build_object('outcome', 'skipped');
  ELSIF v_busy AND v.overlap = 'queue' THEN
    IF (SELECT count(*) FROM schedule_fires WHERE workspace_id = v_ws AND schedule_id = v.id AND outcome = 'waiting') >= 100 THEN
      PERFORM log_fire(v, v_at, false, 'missed', 1, NULL, 'queue_full', NULL, v_now);
      RETURN jsonb_build_object('outcome', 'missed');
    END IF;
    PERFORM log_fire(v, v_at, false, 'waiting', 1, NULL, NULL, NULL, v_now);
    RETURN jsonb_build_object('outcome', 'waiting');
  ELSIF v_busy THEN
    FOR v_run IN SELECT id FROM runs WHERE workspace_id = v_ws AND source_id = v.id AND finished_at IS NULL ORDER BY id LOOP
      v_cancel := cancel_run(v_ws, v_run);
      v_cancelled := v_cancelled || jsonb_build_object('run', v_run, 'ended', v_cancel->'run'->>'finished_at' IS NOT NULL, 'next', v_cancel->'next');
    END LOOP;
  END IF;
  v_made := create_sourced_run(p);
  PERFORM log_fire(v, v_at, false, 'run', 1, (p->>'run_id')::uuid, NULL, NULL, v_now);
  RETURN (v_made - 'run') || jsonb_build_object('outcome', 'run', 'cancelled', v_cancelled);
END $$;

-- The run of a fire time that waited for the runs before it, or why there is none. Null when somebody else has made it, or the schedule
-- has a run again. `p`: as fire_schedule reads it, with {schedule_id, fire_id, refused}.
CREATE FUNCTION fire_waiting(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
  v schedules;
  f schedule_fires;
  v_made jsonb;
BEGIN
  PERFORM enter_workspace(v_ws);
  SELECT * INTO v FROM schedules WHERE workspace_id = v_ws AND id = (p->>'schedule_id')::uuid AND NOT paused FOR NO KEY UPDATE;
  IF NOT FOUND OR source_busy(v_ws, v.id) THEN RETURN NULL; END IF;
  SELECT * INTO f FROM schedule_fires WHERE workspace_id = v_ws AND id = (p->>'fire_id')::uuid AND outcome = 'waiting';
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF p->'refused' <> 'null' THEN
    UPDATE schedule_fires SET outcome = 'missed', code = p->'refused'->>'code', detail = p->'refused'->>'detail' WHERE workspace_id = v_ws AND id = f.id;
    PERFORM tell_missed(v, f.scheduled_at, 1, p->'refused'->>'code', v_now);
    RETURN jsonb_build_object('outcome', 'missed');
  END IF;
  v_made := create_sourced_run(p);
  UPDATE schedule_fires SET outcome = 'run', run_id = (p->>'run_id')::uuid WHERE workspace_id = v_ws AND id = f.id;
  RETURN (v_made - 'run') || jsonb_build_object('outcome', 'run', 'cancelled', '[]'::jsonb);
END $$;

-- A run of a schedule that somebody asked for, whatever its clock says. Null: there is no such schedule.
CREATE FUNCTION run_schedule(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
  v schedules;
  v_made jsonb;
BEGIN
  PERFORM enter_workspace(v_ws);
  SELECT * INTO v FROM schedules WHERE workspace_id = v_ws AND id = (p->>'schedule_id')::uuid FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  v_made := create_sourced_run(p);
  PERFORM log_fire(v, (p->>'scheduled_at')::timestamptz, true, 'run', 1, (p->>'run_id')::uuid, NULL, NULL, v_now);
  RETURN v_made || jsonb_build_object('run', run_object(v_ws, (p->>'run_id')::uuid));
END $$;

-- Takes schedules that are due, under a lease: a worker that dies with them loses nothing, they are due again when it ends.
CREATE FUNCTION due_schedules(p_limit int, p_lease_ms int) RETURNS TABLE (workspace_id uuid, schedule_id uuid, take int, now timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  RETURN QUERY
  WITH mine AS (
    SELECT s.workspace_id, s.id FROM schedules s WHERE s.wake_at <= v_now ORDER BY s.wake_at LIMIT p_limit FOR NO KEY UPDATE SKIP LOCKED
  )
  UPDATE schedules s SET take = s.take + 1, wake_at = v_now + p_lease_ms * interval '1 millisecond'
    FROM mine WHERE s.workspace_id = mine.workspace_id AND s.id = mine.id
  RETURNING s.workspace_id, s.id, s.take, v_now;
END $$;

-- Milliseconds until the next schedule is due; null when there is none.
CREATE FUNCTION next_schedule_in() RETURNS float8 LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT (extract(epoch FROM min(s.wake_at) - maru_now()) * 1000)::float8 FROM schedules s WHERE s.wake_at IS NOT NULL
$$;

-- The first fire time of each schedule that waits and need not any more.
CREATE FUNCTION waiting_fires(p_limit int) RETURNS TABLE (workspace_id uuid, schedule_id uuid, fire_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT DISTINCT ON (f.workspace_id, f.schedule_id) f.workspace_id, f.schedule_id, f.id
    FROM schedule_fires f JOIN schedules s ON s.workspace_id = f.workspace_id AND s.id = f.schedule_id
   WHERE f.outcome = 'waiting' AND NOT s.paused
     AND NOT EXISTS (SELECT 1 FROM runs r WHERE r.workspace_id = f.workspace_id AND r.source_id = f.schedule_id AND r.finished_at IS NULL)
   ORDER BY f.workspace_id, f.schedule_id, f.scheduled_at LIMIT p_limit
$$;

-- Adds a trigger, of which a workspace has at most `max`: those who add at once take turns.
CREATE FUNCTION add_trigger(p jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(v_ws);
  PERFORM pg_advisory_xact_lock(hashtextextended('triggers ' || v_ws, 0));
  IF EXISTS (SELECT 1 FROM triggers WHERE workspace_id = v_ws AND name = p->>'name') THEN
    RAISE EXCEPTION 'name taken' USING ERRCODE = 'MT002';
  END IF;
  IF (SELECT count(*) FROM triggers WHERE workspace_id = v_ws) >= (p->>'max')::int THEN
    RAISE EXCEPTION 'too many triggers' USING ERRCODE = 'MT001';
  END IF;
  INSERT INTO triggers (workspace_id, id, name, deployment, auth, input, metadata, filter, thread, on_thread_busy, api_key_id, enabled, sealed_secret, created_at, updated_at)
  SELECT v_ws, f.id, f.name, f.deployment, f.auth, f.input, f.metadata, NULLIF(f.filter, 'null'), f.thread, f.on_thread_busy, f.api_key_id, f.enabled, decode(f.sealed, 'hex'), v_now, v_now
    FROM jsonb_to_record(p) AS f(id uuid, name text, deployment text, auth text, input text, metadata jsonb, filter jsonb, thread text, on_thread_busy text,
                                 api_key_id uuid, enabled boolean, sealed text);
END $$;

-- Gives a trigger a new secret; the one before it is good for a day more. Two rotations within a day end the oldest at once.
CREATE FUNCTION rotate_trigger_secret(p_workspace uuid, p_id uuid, p_secret bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  UPDATE triggers SET sealed_previous = sealed_secret, previous_until = v_now + interval '24 hours', sealed_secret = p_secret,
         generation = generation + 1, updated_at = v_now
   WHERE workspace_id = p_workspace AND id = p_id;
  RETURN FOUND;
END $$;

-- Whose a trigger is and the secrets that open it, for whoever sends to it and shows no other credentials; no row when there is none.
CREATE FUNCTION find_trigger(p_id uuid) RETURNS TABLE (workspace_id uuid, auth text, sealed_secret bytea, sealed_previous bytea)
LANGUAGE sql VOLATILE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT t.workspace_id, t.auth, t.sealed_secret, CASE WHEN t.previous_until > maru_now() THEN t.sealed_previous END
    FROM triggers t WHERE t.id = p_id
$$;

-- Notes that somebody was turned away; at most once in ten seconds, since anybody may send anything.
CREATE FUNCTION reject_delivery(p_workspace uuid, p_trigger uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  UPDATE triggers SET last_rejected_at = v_now
   WHERE workspace_id = p_workspace AND id = p_trigger AND (last_rejected_at IS NULL OR last_rejected_at < v_now - interval '10 seconds');
END $$;

-- Writes down what became of a delivery, of which the log has the last 100. Nothing when the trigger was deleted meanwhile.
CREATE FUNCTION log_delivery(p_workspace uuid, p_trigger uuid, p_key text, p_outcome text, p_run uuid, p_code text, p_detail text) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  INSERT INTO trigger_deliveries (workspace_id, id, trigger_id, delivery_key, outcome, run_id, code, detail, at)
  SELECT p_workspace, time_ordered_id(v_now), t.id, p_key, p_outcome, p_run, p_code, p_detail, v_now
    FROM triggers t WHERE t.workspace_id = p_workspace AND t.id = p_trigger FOR KEY SHARE;
  DELETE FROM trigger_deliveries WHERE workspace_id = p_workspace AND id IN (
    SELECT d.id FROM trigger_deliveries d WHERE d.workspace_id = p_workspace AND d.trigger_id = p_trigger ORDER BY d.id DESC OFFSET 100 LIMIT 10);
END $$;

-- The run of a delivery, in the thread its key stands for, which is made when it is new. A delivery that came before answers its run.
-- `p`: as create_run reads it, with {source_kind, source_id, delivery_key}.
CREATE FUNCTION fire_trigger(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
  v_made jsonb;
BEGIN
  PERFORM enter_workspace(v_ws);
  IF p->>'thread_id' IS NOT NULL THEN
    INSERT INTO threads (workspace_id, id, created_at, updated_at) VALUES (v_ws, (p->>'thread_id')::uuid, v_now, v_now) ON CONFLICT DO NOTHING;
  END IF;
  v_made := create_sourced_run(p);
  PERFORM log_delivery(v_ws, (p->>'source_id')::uuid, p->>'delivery_key', CASE WHEN (v_made->>'replayed')::boolean THEN 'repeated' ELSE 'run' END,
                       (v_made->'run'->>'id')::uuid, NULL, NULL);
  RETURN v_made;
END $$;

-- What the definer may see: which schedules are due, and of triggers what opens them (sealed).
CREATE POLICY definer_reads ON schedules FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_takes ON schedules FOR UPDATE TO maru_definer USING (true) WITH CHECK (true);
CREATE POLICY definer_reads ON schedule_fires FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_reads ON triggers FOR SELECT TO maru_definer USING (true);
GRANT SELECT (workspace_id, id, paused, wake_at, take), UPDATE (take, wake_at) ON schedules TO maru_definer;
GRANT SELECT (workspace_id, id, schedule_id, scheduled_at, outcome) ON schedule_fires TO maru_definer;
GRANT SELECT (workspace_id, id, auth, sealed_secret, sealed_previous, previous_until) ON triggers TO maru_definer;
GRANT SELECT (source_id) ON runs TO maru_definer;

GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION due_schedules(int, int) OWNER TO maru_definer;
ALTER FUNCTION next_schedule_in() OWNER TO maru_definer;
ALTER FUNCTION waiting_fires(int) OWNER TO maru_definer;
ALTER FUNCTION find_trigger(uuid) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;

REVOKE EXECUTE ON FUNCTION list_runs(uuid, text, text, uuid, uuid, uuid, uuid, int), create_sourced_run(jsonb), add_schedule(jsonb),
  log_fire(schedules, timestamptz, boolean, text, int, uuid, text, text, timestamptz), tell_missed(schedules, timestamptz, int, text, timestamptz),
  source_busy(uuid, uuid), fire_schedule(jsonb), fire_waiting(jsonb), run_schedule(jsonb), due_schedules(int, int), next_schedule_in(), waiting_fires(int),
  add_trigger(jsonb), rotate_trigger_secret(uuid, uuid, bytea), find_trigger(uuid), reject_delivery(uuid, uuid),
  log_delivery(uuid, uuid, text, text, uuid, text, text), fire_trigger(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION list_runs(uuid, text, text, uuid, uuid, uuid, uuid, int), create_sourced_run(jsonb), add_schedule(jsonb),
  log_fire(schedules, timestamptz, boolean, text, int, uuid, text, text, timestamptz), tell_missed(schedules, timestamptz, int, text, timestamptz),
  source_busy(uuid, uuid), fire_schedule(jsonb), fire_waiting(jsonb), run_schedule(jsonb), due_schedules(int, int), next_schedule_in(), waiting_fires(int),
  add_trigger(jsonb), rotate_trigger_secret(uuid, uuid, bytea), find_trigger(uuid), reject_delivery(uuid, uuid),
  log_delivery(uuid, uuid, text, text, uuid, text, text), fire_trigger(jsonb) TO maru_runtime;
