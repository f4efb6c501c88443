-- Releases: which revisions a deployment's runs go by, and how that came about. A deployment is split between revisions by percent;
-- a canary is a part of the split that a rule judges.
ALTER TABLE deployments
  -- [{"revision", "percent"}] of at least two, `revision` among them; NULL = all runs go by `revision`.
  ADD COLUMN traffic JSONB,
  -- {"revision", "since", "promote": {"runs", "after_ms"}, "rollback": {"error_rate", "latency_ms", "cost_micros", "min_runs"}}
  ADD COLUMN canary JSONB,
  -- Number of the newest release.
  ADD COLUMN release INTEGER NOT NULL DEFAULT 1,
  ADD COLUMN paused_at TIMESTAMPTZ(3),
  ADD COLUMN pause_reason TEXT,
  -- Takes no more runs and has no name any more; those it has come to their end.
  ADD COLUMN deleted_at TIMESTAMPTZ(3),
  ADD CONSTRAINT deployments_canary CHECK (canary IS NULL OR traffic IS NOT NULL);
CREATE INDEX deployments_canaries ON deployments (workspace_id, id) WHERE canary IS NOT NULL;
ALTER TABLE revisions ADD COLUMN labels JSONB NOT NULL DEFAULT '{}', ADD COLUMN first_run_at TIMESTAMPTZ(3);
CREATE INDEX revisions_workspace_id_agent_id_digest_idx ON revisions (workspace_id, agent_id, digest);
UPDATE revisions v SET first_run_at = v.created_at
 WHERE EXISTS (SELECT 1 FROM runs r WHERE r.workspace_id = v.workspace_id AND r.agent_id = v.agent_id AND r.revision = v.number);
-- Went by the canary because of the split, so the rule judges by it.
ALTER TABLE runs ADD COLUMN canary BOOLEAN NOT NULL DEFAULT false;
CREATE INDEX runs_of_canary ON runs (workspace_id, deployment_id, revision, created_at) WHERE canary;

CREATE TABLE releases (
  workspace_id UUID NOT NULL,
  deployment_id UUID NOT NULL,
  number INTEGER NOT NULL,
  kind TEXT NOT NULL,
  revision INTEGER NOT NULL,
  traffic JSONB,
  -- Why, where a rule decided.
  reason TEXT,
  -- Why, in the words of whoever did it.
  note TEXT,
  -- An API key, a user, or `rule`.
  by TEXT NOT NULL,
  at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT releases_pkey PRIMARY KEY (workspace_id, deployment_id, number),
  CONSTRAINT releases_kind CHECK (kind IN ('deploy', 'canary', 'traffic', 'promote', 'rollback', 'pause', 'resume', 'delete')),
  CONSTRAINT releases_workspace_id_deployment_id_fkey FOREIGN KEY (workspace_id, deployment_id)
    REFERENCES deployments (workspace_id, id) ON DELETE CASCADE ON UPDATE NO ACTION
);
ALTER TABLE releases ENABLE ROW LEVEL SECURITY;
ALTER TABLE releases FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON releases TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
GRANT SELECT, INSERT ON releases TO maru_runtime;
INSERT INTO releases (workspace_id, deployment_id, number, kind, revision, by, at)
SELECT workspace_id, id, 1, 'deploy', revision, 'unknown', updated_at FROM deployments;

-- The revision a run goes by. A thread stays with the one its runs went by, as long as that has a part of the traffic.
CREATE FUNCTION choose_revision(d deployments, p_thread uuid, p_run uuid) RETURNS int LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_last int;
  v_part int;
  v_point int;
BEGIN
  IF d.traffic IS NULL THEN RETURN d.revision; END IF;
  IF p_thread IS NOT NULL THEN
    SELECT r.revision INTO v_last FROM thread_messages m
      JOIN runs r ON r.workspace_id = m.workspace_id AND r.id = m.run_id AND r.deployment_id = d.id
     WHERE m.workspace_id = d.workspace_id AND m.thread_id = p_thread ORDER BY m.seq DESC LIMIT 1;
    IF d.traffic @> jsonb_build_array(jsonb_build_object('revision', v_last)) THEN RETURN v_last; END IF;
  END IF;
  -- By the thread where there is one, so that runs begun before the first has ended go the same way.
  v_point := abs(hashtextextended(d.id::text || COALESCE(p_thread, p_run)::text, 0) % 100);
  FOR v_last, v_part IN SELECT (e->>'revision')::int, (e->>'percent')::int FROM jsonb_array_elements(d.traffic) e LOOP
    v_point := v_point - v_part;
    IF v_point < 0 THEN RETURN v_last; END IF;
  END LOOP;
  RETURN d.revision;
END $$;

-- Writes the release a deployment has just come to.
CREATE FUNCTION add_release(d deployments, p_kind text, p_reason text, p_note text, p_by text, p_now timestamptz) RETURNS void LANGUAGE sql AS $$
  INSERT INTO releases (workspace_id, deployment_id, number, kind, revision, traffic, reason, note, by, at)
  VALUES (d.workspace_id, d.id, d.release, p_kind, d.revision, d.traffic, p_reason, p_note, p_by, p_now)
$$;

-- As before; a manifest that was deployed before is the revision it was then; and a part of the traffic may go to the new one first.
-- `p`: + {canary: {percent, promote, rollback} or null, note, by}.
CREATE OR REPLACE FUNCTION deploy_manifest(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_dry boolean := (p->>'dry_run')::boolean;
  v_busy text := p->>'on_thread_busy';
  v_limit text := COALESCE(p->>'on_limit', 'reject');
  v_concurrency int := (p->>'concurrency')::int;
  v_rule jsonb := NULLIF(p->'canary', 'null');
  v_now timestamptz := maru_now();
  v_agent agents;
  v_dep deployments;
  v_before deployments;
  v_rev revisions;
  v_number int;
  v_primary int;
  v_traffic jsonb;
  v_canary jsonb;
  v_moved boolean;
  v_settings boolean;
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
  SELECT max(number) INTO v_number FROM revisions WHERE workspace_id = v_ws AND agent_id = v_agent.id AND digest = p->>'digest';
  v_number := COALESCE(v_number, v_agent.latest_revision + 1, 1);
  v_primary := v_number;
  IF v_rule IS NOT NULL AND v_dep.id IS NOT NULL AND v_number <> v_dep.revision THEN
    v_primary := v_dep.revision;
    v_traffic := jsonb_build_array(jsonb_build_object('revision', v_primary, 'percent', 100 - (v_rule->>'percent')::int),
                                   jsonb_build_object('revision', v_number, 'percent', (v_rule->>'percent')::int));
    v_canary := (v_rule - 'percent') || jsonb_build_object('revision', v_number);
    -- The same one is judged on from when it began.
    v_canary := v_canary || jsonb_build_object('since', CASE WHEN (v_dep.canary->>'revision')::int = v_number THEN v_dep.canary->>'since' ELSE v_now::text END);
  END IF;
  v_moved := v_dep.id IS NULL OR v_dep.revision <> v_primary OR v_dep.traffic IS DISTINCT FROM v_traffic OR (v_dep.canary - 'since') IS DISTINCT FROM (v_canary - 'since');
  v_settings := v_dep.on_thread_busy IS DISTINCT FROM v_busy OR v_dep.on_limit IS DISTINCT FROM v_limit OR v_dep.concurrency IS DISTINCT FROM v_concurrency;
  v_action := CASE WHEN v_dep.id IS NULL THEN 'create' WHEN v_moved OR v_settings THEN 'update' ELSE 'unchanged' END;
  IF NOT v_dry AND v_action <> 'unchanged' THEN
    IF v_number > v_agent.latest_revision THEN
      UPDATE agents SET latest_revision = v_number, updated_at = v_now WHERE workspace_id = v_ws AND id = v_agent.id;
      INSERT INTO revisions (workspace_id, agent_id, number, digest, spec, reserve_tokens, created_at)
      VALUES (v_ws, v_agent.id, v_number, p->>'digest', p->'spec', (p->>'reserve_tokens')::int, v_now);
    END IF;
    INSERT INTO deployments (workspace_id, id, name, agent_id, revision, on_thread_busy, on_limit, concurrency, created_at, updated_at)
    VALUES (v_ws, (p->>'deployment_id')::uuid, p->>'deployment', v_agent.id, v_primary, v_busy, v_limit, v_concurrency, v_now, v_now)
    ON CONFLICT (workspace_id, name) DO UPDATE
      SET revision = v_primary, traffic = v_traffic, canary = v_canary, on_thread_busy = v_busy, on_limit = v_limit, concurrency = v_concurrency,
          release = deployments.release + v_moved::int, generation = deployments.generation + 1, updated_at = v_now
    RETURNING * INTO v_dep;
    IF v_moved THEN
      PERFORM add_release(v_dep, CASE WHEN v_traffic IS NULL THEN 'deploy' ELSE 'canary' END, NULL, p->>'note', p->>'by', v_now);
    END IF;
  END IF;
  RETURN jsonb_build_object('action', v_action, 'before', v_rev.spec,
    'settings_before', CASE WHEN v_before.id IS NOT NULL THEN jsonb_build_object('onThreadBusy', v_before.on_thread_busy, 'onLimit', v_before.on_limit, 'concurrency', v_before.concurrency) END,
    'traffic_before', v_before.traffic, 'traffic', v_traffic, 'moved', v_moved,
    'revision', CASE WHEN v_dry AND v_action <> 'unchanged' THEN v_dep.revision ELSE v_number END);
END $$;

-- Changes what a deployment's runs go by, without a manifest. `p`: {workspace_id, deployment, if_match, kind, note, by, reason} and of
-- `traffic` {split: [{revision, percent}]}, of `promote` {revision or null = the part that is not the main one}, of `rollback`
-- {release or null = the main part alone, or where all goes there the revision before it}, of `pause` {reason}, and of `resume` and
-- `delete` nothing. Answers the deployment's id.
-- SQLSTATEs: MD002 another version, MD003 no such deployment, MD004 no such revision, MD005 nothing to promote, MD006 no such release,
-- or nothing to roll back to.
CREATE FUNCTION release_deployment(p jsonb) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_kind text := p->>'kind';
  v_now timestamptz := maru_now();
  d deployments;
  v_revision int;
  v_traffic jsonb;
BEGIN
  PERFORM enter_workspace(v_ws);
  SELECT * INTO d FROM deployments WHERE workspace_id = v_ws AND name = p->>'deployment' FOR UPDATE;
  IF NOT FOUND THEN RAISE EXCEPTION 'no deployment' USING ERRCODE = 'MD003'; END IF;
  IF p->>'if_match' IS NOT NULL AND (p->>'if_match') <> (d.id::text || ':' || d.generation) THEN
    RAISE EXCEPTION 'precondition failed' USING ERRCODE = 'MD002';
  END IF;
  v_revision := d.revision;
  v_traffic := d.traffic;
  IF v_kind = 'traffic' THEN
    v_traffic := p->'split';
    IF NOT v_traffic @> jsonb_build_array(jsonb_build_object('revision', d.revision)) THEN
      SELECT (e.value->>'revision')::int INTO v_revision FROM jsonb_array_elements(v_traffic) e ORDER BY (e.value->>'percent')::int DESC, 1 LIMIT 1;
    END IF;
    IF jsonb_array_length(v_traffic) = 1 THEN v_traffic := NULL; END IF;
    IF v_revision = d.revision AND v_traffic IS NOT DISTINCT FROM d.traffic THEN RETURN d.id; END IF;
  ELSIF v_kind = 'promote' THEN
    v_revision := COALESCE((p->>'revision')::int, (d.canary->>'revision')::int, (
      SELECT max((e.value->>'revision')::int) FROM jsonb_array_elements(d.traffic) e WHERE (e.value->>'revision')::int <> d.revision));
    IF v_revision IS NULL THEN RAISE EXCEPTION 'nothing to promote' USING ERRCODE = 'MD005'; END IF;
    v_traffic := NULL;
  ELSIF v_kind = 'rollback' THEN
    v_traffic := NULL;
    IF p->>'release' IS NOT NULL THEN
      SELECT revision INTO v_revision FROM releases WHERE workspace_id = v_ws AND deployment_id = d.id AND number = (p->>'release')::int;
      IF NOT FOUND THEN RAISE EXCEPTION 'no release' USING ERRCODE = 'MD006'; END IF;
    ELSIF d.traffic IS NULL THEN
      SELECT revision INTO v_revision FROM releases WHERE workspace_id = v_ws AND deployment_id = d.id AND revision <> d.revision ORDER BY number DESC LIMIT 1;
      IF NOT FOUND THEN RAISE EXCEPTION 'nothing before' USING ERRCODE = 'MD006'; END IF;
    END IF;
  END IF;
  IF EXISTS (
    SELECT 1 FROM (SELECT v_revision AS n UNION SELECT (e.value->>'revision')::int FROM jsonb_array_elements(COALESCE(v_traffic, '[]')) e) x
     WHERE NOT EXISTS (SELECT 1 FROM revisions r WHERE r.workspace_id = v_ws AND r.agent_id = d.agent_id AND r.number = x.n)) THEN
    RAISE EXCEPTION 'no revision' USING ERRCODE = 'MD004';
  END IF;
  IF (v_kind = 'pause' AND d.paused_at IS NOT NULL) OR (v_kind = 'resume' AND d.paused_at IS NULL) THEN RETURN d.id; END IF;
  UPDATE deployments
     SET revision = v_revision, traffic = v_traffic,
         canary = CASE WHEN v_traffic @> jsonb_build_array(jsonb_build_object('revision', (canary->>'revision')::int)) THEN canary END,
         paused_at = CASE v_kind WHEN 'pause' THEN v_now WHEN 'resume' THEN NULL ELSE paused_at END,
         pause_reason = CASE v_kind WHEN 'pause' THEN p->>'note' WHEN 'resume' THEN NULL ELSE pause_reason END,
         deleted_at = CASE WHEN v_kind = 'delete' THEN v_now END,
         concurrency = CASE WHEN v_kind <> 'delete' THEN concurrency END,
         -- Its name is free again; no name anybody can ask for has a dot.
         name = CASE WHEN v_kind = 'delete' THEN name || '.deleted.' || id ELSE name END,
         release = release + 1, generation = generation + 1, updated_at = v_now
   WHERE workspace_id = v_ws AND id = d.id
  RETURNING * INTO d;
  PERFORM add_release(d, v_kind, p->>'reason', p->>'note', p->>'by', v_now);
  RETURN d.id;
END $$;

-- Canaries of all workspaces that a rule has to judge.
CREATE FUNCTION canaries(p_limit int) RETURNS TABLE (workspace_id uuid, deployment_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT d.workspace_id, d.id FROM deployments d
   WHERE d.canary IS NOT NULL AND d.deleted_at IS NULL AND (d.canary ? 'promote' OR d.canary ? 'rollback') LIMIT p_limit
$$;

-- What a canary is judged by: its rule, the deployment's version, and how its runs that the split sent there have ended. Latency is
-- without the time a run waited for somebody.
CREATE FUNCTION canary_state(p_workspace uuid, p_deployment uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object('deployment', d.name, 'version', d.id::text || ':' || d.generation, 'rule', d.canary,
             'since_ms', (extract(epoch FROM maru_now() - (d.canary->>'since')::timestamptz) * 1000)::bigint,
             'runs', s.runs, 'failed', s.failed, 'latency_ms', s.latency, 'cost_micros', s.cost)
      FROM deployments d
      CROSS JOIN LATERAL (
        SELECT count(*)::int AS runs, (count(*) FILTER (WHERE r.status IN ('failed', 'expired')))::int AS failed,
               COALESCE(percentile_disc(0.95) WITHIN GROUP (ORDER BY extract(epoch FROM r.finished_at - r.started_at) * 1000 - r.waited_ms), 0)::bigint AS latency,
               COALESCE(avg(r.cost_micros), 0)::bigint AS cost
          FROM runs r
         WHERE r.workspace_id = d.workspace_id AND r.deployment_id = d.id AND r.revision = (d.canary->>'revision')::int AND r.canary
           AND r.created_at >= (d.canary->>'since')::timestamptz AND r.finished_at IS NOT NULL AND r.status <> 'cancelled') s
     WHERE d.workspace_id = p_workspace AND d.id = p_deployment AND d.canary IS NOT NULL);
END $$;

-- Removes revisions that nothing refers to and nobody labelled, beyond the newest `p_keep` of each agent; answers how many.
CREATE FUNCTION forget_revisions(p_keep int, p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_n int;
BEGIN
  DELETE FROM revisions r USING (
    SELECT v.workspace_id, v.agent_id, v.number FROM revisions v JOIN agents a ON a.workspace_id = v.workspace_id AND a.id = v.agent_id
     WHERE v.number <= a.latest_revision - p_keep AND v.first_run_at IS NULL AND v.labels = '{}'
       AND NOT EXISTS (SELECT 1 FROM releases l JOIN deployments d ON d.workspace_id = l.workspace_id AND d.id = l.deployment_id
                        WHERE d.workspace_id = v.workspace_id AND d.agent_id = v.agent_id
                          AND (l.revision = v.number OR l.traffic @> jsonb_build_array(jsonb_build_object('revision', v.number))))
     LIMIT p_limit) gone
   WHERE r.workspace_id = gone.workspace_id AND r.agent_id = gone.agent_id AND r.number = gone.number;
  GET DIAGNOSTICS v_n = ROW_COUNT;
  RETURN v_n;
END $$;

-- As before, with the name a deployment had when it was deleted.
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
    'below_runs', r.below_runs, 'below_tokens', r.below_tokens, 'below_cost_micros', r.below_cost_micros, 'payload_expired_at', r.payload_expired_at)
    FROM runs r
    JOIN deployments d ON d.workspace_id = r.workspace_id AND d.id = r.deployment_id
    JOIN agents a ON a.workspace_id = r.workspace_id AND a.id = r.agent_id
   WHERE r.workspace_id = p_workspace AND r.id = p_run
$$;

-- The same.
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
                   CASE WHEN 'deployment' = ANY (p_by) THEN split_part(d.name, '.', 1) END AS deployment,
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

-- As before; by the revision the deployment's traffic or the caller chooses, and not at all while the deployment is paused.
-- SQLSTATEs: MR006 paused, MR007 no such revision.
CREATE OR REPLACE FUNCTION create_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_run uuid := (p->>'run_id')::uuid;
  v_thread uuid := (p->>'thread_id')::uuid;
  v_key text := p->>'idempotency_key';
  v_hash bytea := decode(p->>'request_hash', 'hex');
  v_now timestamptz := maru_now();
  v_old runs;
  d deployments;
  v_dep record;
  v_revision int;
  v_thread_tokens int := 0;
  v_busy boolean := false;
  v_interrupted jsonb := '[]';
  v_run_row runs;
  v_held record;
  v_object jsonb;
  v_refused text;
  v_pace text;
BEGIN
  PERFORM enter_workspace(v_ws);
  IF v_key IS NOT NULL THEN
    SELECT * INTO v_old FROM runs WHERE workspace_id = v_ws AND idempotency_key = v_key;
    IF FOUND THEN
      IF v_old.request_hash <> v_hash THEN RAISE EXCEPTION 'mismatch' USING ERRCODE = 'MR004'; END IF;
      RETURN jsonb_build_object('replayed', true, 'run', run_object(v_ws, v_old.id));
    END IF;
  END IF;
  SELECT * INTO d FROM deployments WHERE workspace_id = v_ws AND name = p->>'deployment';
  IF NOT FOUND THEN RAISE EXCEPTION 'no deployment' USING ERRCODE = 'MR001'; END IF;
  IF d.paused_at IS NOT NULL THEN
    RAISE EXCEPTION 'paused' USING ERRCODE = 'MR006', DETAIL = jsonb_build_object('reason', d.pause_reason)::text;
  END IF;
  v_revision := COALESCE((p->>'revision')::int, choose_revision(d, v_thread, v_run));
  SELECT d.id, d.agent_id, r.number AS revision, r.first_run_at, r.reserve_tokens, r.spec #>> '{model,name}' AS model,
         (r.spec #>> '{memory,thread,maxTokens}')::int AS thread_max,
         COALESCE(p->>'on_thread_busy', d.on_thread_busy) AS on_thread_busy, d.on_limit INTO v_dep
    FROM revisions r WHERE r.workspace_id = v_ws AND r.agent_id = d.agent_id AND r.number = v_revision;
  IF NOT FOUND THEN RAISE EXCEPTION 'no revision' USING ERRCODE = 'MR007'; END IF;
  -- What runs go by is never removed.
  IF v_dep.first_run_at IS NULL THEN
    UPDATE revisions SET first_run_at = v_now WHERE workspace_id = v_ws AND agent_id = d.agent_id AND number = v_revision AND first_run_at IS NULL;
  END IF;
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
  INSERT INTO runs (workspace_id, id, deployment_id, agent_id, revision, thread_id, behind, parked, canary, api_key_id, status, next_event, input,
                    metadata, end_user, model, simulated, idempotency_key, request_hash, dispatched_at, created_at, deadline_at)
  VALUES (v_ws, v_run, v_dep.id, v_dep.agent_id, v_dep.revision, v_thread, v_busy, v_busy, COALESCE(v_revision = (d.canary->>'revision')::int AND p->>'revision' IS NULL, false), (p->>'api_key_id')::uuid, 'queued', 2, p->>'input',
          COALESCE(p->'metadata', '{}'), p->'metadata'->>'user', v_dep.model, (p->>'simulated')::boolean AND EXISTS (SELECT 1 FROM models WHERE id = v_dep.model), v_key, v_hash, v_now, v_now, v_now + interval '24 hours')
  ON CONFLICT DO NOTHING
  RETURNING * INTO v_run_row;
  IF NOT FOUND THEN
    SELECT * INTO v_old FROM runs WHERE workspace_id = v_ws AND idempotency_key = v_key;
    IF FOUND THEN
      IF v_old.request_hash <> v_hash THEN RAISE EXCEPTION 'mismatch' USING ERRCODE = 'MR004'; END IF;
      RETURN jsonb_build_object('replayed', true, 'run', run_object(v_ws, v_old.id));
    END IF;
    RAISE EXCEPTION 'thread busy' USING ERRCODE = 'MR003';
  END IF;
  INSERT INTO run_events (workspace_id, run_id, seq, type, data, at) VALUES (v_ws, v_run, 1, 'run.queued', '{}', v_now);
  -- Read before windows are locked: whoever waits for them waits no longer than need be.
  v_object := run_object(v_ws, v_run);
  -- One behind others of its thread takes its turn among the workspace's runs when it has the thread's; one that may wait for its
  -- turn is refused by other limits only.
  v_held := quota_reserve(v_run_row, v_dep.reserve_tokens + LEAST(v_thread_tokens, v_dep.thread_max) + (p->>'input_tokens')::int,
                          CASE WHEN v_busy OR v_dep.on_limit = 'queue' THEN false END, v_now);
  IF v_held.cap IS NOT NULL THEN
    UPDATE runs SET token_cap = v_held.cap WHERE workspace_id = v_ws AND id = v_run;
  END IF;
  IF NOT v_busy AND v_dep.on_limit = 'queue' THEN
    -- Nobody overtakes those who wait for the same.
    SELECT r.parked_on INTO v_pace FROM runs r
     WHERE r.workspace_id = v_ws AND r.deployment_id = v_dep.id AND r.parked AND r.status = 'queued' AND NOT r.behind
       AND r.parked_on IN (SELECT pace_key(l.own, l.name, l.key) FROM limits_on(v_run_row, v_now) l WHERE l.unit IN ('requests', 'concurrent_runs'))
     ORDER BY r.id LIMIT 1;
    IF v_pace IS NULL THEN
      BEGIN
        PERFORM quota_reserve(v_run_row, 0, true, v_now);
      EXCEPTION WHEN SQLSTATE 'MQ002' THEN
        GET STACKED DIAGNOSTICS v_refused = PG_EXCEPTION_DETAIL;
        v_pace := v_refused::jsonb->>'pace';
      END;
    END IF;
    IF v_pace IS NOT NULL THEN
      IF (SELECT count(*) FROM runs r WHERE r.workspace_id = v_ws AND r.deployment_id = v_dep.id AND r.parked AND r.status = 'queued' AND NOT r.behind AND r.parked_on = v_pace) >= 1000 THEN
        RAISE EXCEPTION 'too many wait' USING ERRCODE = 'MQ003';
      END IF;
      UPDATE runs SET parked = true, parked_on = v_pace, dispatched_at = v_now,
             not_before = LEAST((v_refused::jsonb->>'frees_at')::timestamptz, v_now + interval '30 seconds')
       WHERE workspace_id = v_ws AND id = v_run;
    END IF;
  END IF;
  RETURN jsonb_build_object('replayed', false, 'behind', v_busy, 'parked', v_pace IS NOT NULL, 'interrupted', v_interrupted,
                            'notices', v_held.notices, 'run', v_object);
END $$;

REVOKE EXECUTE ON FUNCTION choose_revision(deployments, uuid, uuid), add_release(deployments, text, text, text, text, timestamptz), release_deployment(jsonb),
  canaries(int), canary_state(uuid, uuid), forget_revisions(int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION choose_revision(deployments, uuid, uuid), add_release(deployments, text, text, text, text, timestamptz), release_deployment(jsonb),
  canaries(int), canary_state(uuid, uuid), forget_revisions(int, int) TO maru_runtime;
CREATE POLICY definer_reads ON deployments FOR SELECT TO maru_definer USING (true);
GRANT SELECT (workspace_id, id, agent_id, canary, deleted_at) ON deployments TO maru_definer;
CREATE POLICY definer_reads ON releases FOR SELECT TO maru_definer USING (true);
GRANT SELECT (workspace_id, deployment_id, revision, traffic) ON releases TO maru_definer;
CREATE POLICY definer_reads ON agents FOR SELECT TO maru_definer USING (true);
GRANT SELECT (workspace_id, id, latest_revision) ON agents TO maru_definer;
CREATE POLICY definer_reads ON revisions FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_deletes ON revisions FOR DELETE TO maru_definer USING (true);
GRANT SELECT (workspace_id, agent_id, number, first_run_at, labels), DELETE ON revisions TO maru_definer;
GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION canaries(int) OWNER TO maru_definer;
ALTER FUNCTION forget_revisions(int, int) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;
