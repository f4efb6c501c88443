-- Models as data. `seed` is what this version of Maru knows, rewritten by every migration run; `override` is the
-- operator's and lies over it, field by field, so a price or a window can be changed without a deploy and is kept.
CREATE TABLE models (
  id TEXT NOT NULL,
  position INTEGER NOT NULL,
  seed JSONB NOT NULL,
  override JSONB NOT NULL DEFAULT '{}',
  withdrawn_at TIMESTAMPTZ(3),
  withdrawn_reason TEXT,
  CONSTRAINT models_pkey PRIMARY KEY (id),
  CONSTRAINT models_override_object CHECK (jsonb_typeof(override) = 'object')
);

-- A workspace's own OpenAI-compatible endpoints. The key is sealed (AES-256-GCM) before it gets here.
CREATE TABLE model_endpoints (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  name TEXT NOT NULL,
  settings JSONB NOT NULL,
  base_url TEXT NOT NULL,
  dialect TEXT NOT NULL,
  stream BOOLEAN NOT NULL,
  calls_per_minute INTEGER,
  in_flight INTEGER,
  sealed_key BYTEA,
  key_hint TEXT,
  withdrawn_at TIMESTAMPTZ(3),
  withdrawn_reason TEXT,
  generation INTEGER NOT NULL DEFAULT 1,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT model_endpoints_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT model_endpoints_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION
);
CREATE UNIQUE INDEX model_endpoints_workspace_id_name_key ON model_endpoints (workspace_id, name);

-- What an upstream key has been used for, over all processes. Named by a hash of the key: it can't be turned back.
CREATE TABLE upstream_keys (
  key TEXT NOT NULL,
  due TIMESTAMPTZ(6),
  paused_until TIMESTAMPTZ(6),
  CONSTRAINT upstream_keys_pkey PRIMARY KEY (key)
);
CREATE TABLE upstream_leases (
  key TEXT NOT NULL,
  id UUID NOT NULL,
  until TIMESTAMPTZ(6) NOT NULL,
  CONSTRAINT upstream_leases_pkey PRIMARY KEY (key, id),
  CONSTRAINT upstream_leases_key_fkey FOREIGN KEY (key) REFERENCES upstream_keys (key) ON DELETE CASCADE ON UPDATE NO ACTION
);

ALTER TABLE model_endpoints ENABLE ROW LEVEL SECURITY;
ALTER TABLE model_endpoints FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON model_endpoints TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
GRANT SELECT, INSERT, UPDATE, DELETE ON model_endpoints TO maru_runtime;
GRANT SELECT, UPDATE (withdrawn_at, withdrawn_reason) ON models TO maru_runtime;
GRANT SELECT, INSERT, UPDATE ON upstream_keys TO maru_runtime;
GRANT SELECT, INSERT, DELETE ON upstream_leases TO maru_runtime;

-- Takes a slot of an upstream key, or answers after how many milliseconds to ask again (0 = taken).
-- The row lock of the key makes takers queue up here, so two never see the same room. Calls are spread by the generic cell
-- rate algorithm (ITU-T I.371): they may run ahead of the even pace by p_tolerance_ms.
CREATE FUNCTION take_upstream_slot(
  p_key text, p_every_ms double precision, p_tolerance_ms double precision, p_in_flight int, p_lease uuid, p_lease_ms int
) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz;
  v upstream_keys;
  v_due timestamptz;
  v_ahead double precision;
BEGIN
  SELECT * INTO v FROM upstream_keys WHERE key = p_key FOR UPDATE;
  IF NOT FOUND THEN
    INSERT INTO upstream_keys (key) VALUES (p_key) ON CONFLICT DO NOTHING;
    SELECT * INTO v FROM upstream_keys WHERE key = p_key FOR UPDATE;
  END IF;
  -- After the lock: who waited for it must not judge by the time at which it began to wait.
  v_now := clock_timestamp();
  IF v.paused_until > v_now THEN
    RETURN ceil(extract(epoch FROM v.paused_until - v_now) * 1000);
  END IF;
  IF p_in_flight IS NOT NULL THEN
    DELETE FROM upstream_leases WHERE key = p_key AND until <= v_now;
    IF (SELECT count(*) FROM upstream_leases WHERE key = p_key) >= p_in_flight THEN RETURN 250; END IF;
  END IF;
  IF p_every_ms IS NOT NULL THEN
    v_due := GREATEST(COALESCE(v.due, v_now), v_now);
    v_ahead := extract(epoch FROM v_due - v_now) * 1000;
    IF v_ahead > p_tolerance_ms THEN RETURN GREATEST(1, ceil(v_ahead - p_tolerance_ms)); END IF;
    UPDATE upstream_keys SET due = v_due + make_interval(secs => p_every_ms / 1000) WHERE key = p_key;
  END IF;
  IF p_in_flight IS NOT NULL THEN
    INSERT INTO upstream_leases (key, id, until) VALUES (p_key, p_lease, v_now + make_interval(secs => p_lease_ms / 1000.0));
  END IF;
  RETURN 0;
END $$;

CREATE FUNCTION give_upstream_slot(p_key text, p_lease uuid) RETURNS void LANGUAGE sql AS $$
  DELETE FROM upstream_leases WHERE key = p_key AND id = p_lease
$$;

-- The host asked for a pause: a longer one that is already known stays.
CREATE FUNCTION pause_upstream(p_key text, p_ms int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO upstream_keys AS k (key, paused_until) VALUES (p_key, clock_timestamp() + make_interval(secs => p_ms / 1000.0))
  ON CONFLICT (key) DO UPDATE SET paused_until = GREATEST(k.paused_until, EXCLUDED.paused_until)
$$;

REVOKE EXECUTE ON FUNCTION take_upstream_slot(text, double precision, double precision, int, uuid, int),
  give_upstream_slot(text, uuid), pause_upstream(text, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_upstream_slot(text, double precision, double precision, int, uuid, int),
  give_upstream_slot(text, uuid), pause_upstream(text, int) TO maru_runtime;

-- As before, but an agent on an endpoint of the workspace's own is not simulated, whatever stands in for the catalogue; and
-- of a long thread only as much is reserved as the agent will send.
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
         (r.spec #>> '{memory,thread,maxTokens}')::int AS thread_max INTO v_dep
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
          COALESCE(p->'metadata', '{}'), v_dep.model, (p->>'simulated')::boolean AND EXISTS (SELECT 1 FROM models WHERE id = v_dep.model), v_key, v_hash, v_now, v_now, v_now + interval '24 hours')
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
  RETURN jsonb_build_object('replayed', false, 'run', run_object(v_ws, v_run));
END $$;
