-- Quota by limit. A plan has any number of limits, and a workspace may set more of its own: of a unit, over the plan's period or a
-- rolling span, for the workspace or for each (or one) API key, deployment or end user. A run holds one reservation a window; all
-- its limits are checked and reserved in one round trip, all or nothing.
--
-- Units: runs, tokens, input_tokens, cached_input_tokens, output_tokens, cost_micros (held by an estimate, settled by what the
-- model reported); requests (runs begun: counted at admission, never given back); concurrent_runs (held while a run is with a
-- worker or queued for one, never used); run_tokens (a cap on a single run: nothing is held).
-- requests and concurrent_runs are limits of pace: a deployment may ask that runs wait for them instead of being refused.
ALTER TABLE plans ADD COLUMN grace_s INTEGER NOT NULL DEFAULT 86400;
ALTER TABLE plan_limits ADD COLUMN name TEXT, ADD COLUMN subject TEXT NOT NULL DEFAULT 'workspace', ADD COLUMN span_s INTEGER;
UPDATE plan_limits SET name = unit;
ALTER TABLE plan_limits ALTER COLUMN name SET NOT NULL,
  DROP CONSTRAINT plan_limits_pkey, ADD CONSTRAINT plan_limits_pkey PRIMARY KEY (plan_id, name),
  DROP CONSTRAINT plan_limits_unit,
  ADD CONSTRAINT plan_limits_unit CHECK (unit IN ('runs', 'tokens', 'input_tokens', 'cached_input_tokens', 'output_tokens', 'cost_micros', 'requests', 'concurrent_runs', 'run_tokens')),
  ADD CONSTRAINT plan_limits_subject CHECK (subject IN ('workspace', 'api_key', 'deployment', 'end_user')),
  ADD CONSTRAINT plan_limits_span CHECK (CASE WHEN unit IN ('concurrent_runs', 'run_tokens') THEN span_s IS NULL WHEN unit = 'requests' THEN COALESCE(span_s, 0) BETWEEN 1 AND 31622400 ELSE COALESCE(span_s, 1) BETWEEN 1 AND 31622400 END);

CREATE TABLE workspace_limits (
  workspace_id UUID NOT NULL,
  name TEXT NOT NULL,
  subject TEXT NOT NULL,
  -- One key, deployment or end user; null = each has the amount for itself.
  subject_id TEXT,
  unit TEXT NOT NULL,
  span_s INTEGER,
  amount BIGINT NOT NULL,
  generation INTEGER NOT NULL DEFAULT 1,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  updated_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT workspace_limits_pkey PRIMARY KEY (workspace_id, name),
  CONSTRAINT workspace_limits_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT workspace_limits_unit CHECK (unit IN ('runs', 'tokens', 'input_tokens', 'cached_input_tokens', 'output_tokens', 'cost_micros', 'requests', 'concurrent_runs', 'run_tokens')),
  CONSTRAINT workspace_limits_subject CHECK (subject IN ('workspace', 'api_key', 'deployment', 'end_user')),
  CONSTRAINT workspace_limits_span CHECK (CASE WHEN unit IN ('concurrent_runs', 'run_tokens') THEN span_s IS NULL WHEN unit = 'requests' THEN COALESCE(span_s, 0) BETWEEN 1 AND 31622400 ELSE COALESCE(span_s, 1) BETWEEN 1 AND 31622400 END),
  CONSTRAINT workspace_limits_amount CHECK (amount >= 0)
);

-- A window belongs to a limit, and of a limit that each subject has for itself to one subject. Rolling and pace windows have no end.
ALTER TABLE quota_windows
  ADD COLUMN own BOOLEAN NOT NULL DEFAULT false,
  ADD COLUMN limit_name TEXT,
  ADD COLUMN subject TEXT NOT NULL DEFAULT 'workspace',
  ADD COLUMN subject_key TEXT NOT NULL DEFAULT '',
  -- 0: it does not roll.
  ADD COLUMN span_s INTEGER NOT NULL DEFAULT 0,
  ADD COLUMN grace_s INTEGER NOT NULL DEFAULT 86400,
  -- Its limit is no more: runs in flight settle in it, and it judges none.
  ADD COLUMN retired BOOLEAN NOT NULL DEFAULT false;
UPDATE quota_windows SET limit_name = unit;
ALTER TABLE quota_windows ALTER COLUMN limit_name SET NOT NULL;
DROP INDEX quota_windows_workspace_id_unit_starts_at_key;
-- What a window counts is part of what it is: a limit that comes to count something else under its name begins anew.
CREATE UNIQUE INDEX quota_windows_of_limit ON quota_windows (workspace_id, limit_name, subject_key, own, unit, span_s, subject, starts_at);

ALTER TABLE quota_reservations ADD COLUMN admitted_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  DROP CONSTRAINT quota_reservations_pkey, ADD CONSTRAINT quota_reservations_pkey PRIMARY KEY (workspace_id, run_id, window_id);
-- Double entry: what an entry puts into `reserved` and `used` it takes from what is left of the limit.
ALTER TABLE quota_entries
  ADD COLUMN left_delta BIGINT GENERATED ALWAYS AS (-(reserved_delta + used_delta)) STORED,
  ADD COLUMN id BIGSERIAL,
  DROP CONSTRAINT quota_entries_pkey, ADD CONSTRAINT quota_entries_pkey PRIMARY KEY (workspace_id, id),
  DROP CONSTRAINT quota_entries_kind,
  -- age: it left a rolling span; expire: a reservation nobody held any more came back.
  ADD CONSTRAINT quota_entries_kind CHECK (kind IN ('reserve', 'settle', 'release', 'age', 'expire'));

-- What is used is charged once a step, whoever repeats what. What is held is set, not added: between two steps it may change
-- more than once.
CREATE UNIQUE INDEX quota_entries_once ON quota_entries (workspace_id, run_id, window_id, step, kind) WHERE kind IN ('settle', 'age', 'expire');
CREATE INDEX quota_entries_workspace_id_run_id_idx ON quota_entries (workspace_id, run_id);
GRANT USAGE ON SEQUENCE quota_entries_id_seq TO maru_runtime;

-- What is used in a rolling window, and since when: it ages out a span after the run was admitted.
CREATE TABLE quota_spent (
  workspace_id UUID NOT NULL,
  window_id UUID NOT NULL,
  run_id UUID NOT NULL,
  step INTEGER NOT NULL,
  at TIMESTAMPTZ(3) NOT NULL,
  amount BIGINT NOT NULL,
  CONSTRAINT quota_spent_pkey PRIMARY KEY (workspace_id, window_id, at, run_id, step),
  CONSTRAINT quota_spent_workspace_id_window_id_fkey FOREIGN KEY (workspace_id, window_id) REFERENCES quota_windows (workspace_id, id) ON DELETE CASCADE ON UPDATE NO ACTION
);
-- Once a window: that 80 % or all of it is used, that it ends in three days.
CREATE TABLE quota_notices (
  workspace_id UUID NOT NULL,
  window_id UUID NOT NULL,
  kind TEXT NOT NULL,
  at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT quota_notices_pkey PRIMARY KEY (workspace_id, window_id, kind),
  CONSTRAINT quota_notices_workspace_id_window_id_fkey FOREIGN KEY (workspace_id, window_id) REFERENCES quota_windows (workspace_id, id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT quota_notices_kind CHECK (kind IN ('used_80', 'used_100', 'ending'))
);
-- What operators did: one row an action, written in its transaction.
CREATE TABLE operator_actions (
  id UUID NOT NULL,
  action TEXT NOT NULL,
  arguments JSONB NOT NULL,
  at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT operator_actions_pkey PRIMARY KEY (id)
);

-- `parked`: its limits of pace are not reserved yet: the claim does that, not before `not_before`. `parked_on`: the limit that had no
-- room, and whose: only who waits for the same stands in its way.
ALTER TABLE runs ADD COLUMN parked BOOLEAN NOT NULL DEFAULT false, ADD COLUMN not_before TIMESTAMPTZ(3), ADD COLUMN parked_on TEXT, ADD COLUMN token_cap BIGINT;
ALTER TABLE runs ADD CONSTRAINT runs_parked CHECK (NOT parked OR status IN ('queued', 'waiting', 'cancelled', 'expired', 'failed'));
CREATE INDEX runs_parked_in_deployment ON runs (workspace_id, deployment_id, id) WHERE parked AND status = 'queued';
ALTER TABLE deployments ADD COLUMN concurrency INTEGER, ADD COLUMN on_limit TEXT NOT NULL DEFAULT 'reject';
ALTER TABLE deployments ADD CONSTRAINT deployments_on_limit CHECK (on_limit IN ('reject', 'queue')), ADD CONSTRAINT deployments_concurrency CHECK (concurrency > 0);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['workspace_limits', 'quota_spent', 'quota_notices'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO maru_runtime USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO maru_runtime', t);
  END LOOP;
END $$;
REVOKE UPDATE, DELETE ON quota_notices FROM maru_runtime;

-- Whose amount a limit is for a run: empty for the workspace's, null when the run has no such subject.
CREATE FUNCTION subject_key(v runs, p_subject text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_subject WHEN 'workspace' THEN '' WHEN 'api_key' THEN v.api_key_id::text WHEN 'deployment' THEN v.deployment_id::text ELSE v.end_user END
$$;

-- How a limit and whose it is are named where a run waits for it.
CREATE FUNCTION pace_key(p_own boolean, p_name text, p_key text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE WHEN p_own THEN 'own ' ELSE 'plan ' END || p_name || ' ' || p_key
$$;

-- The order in which windows are locked everywhere: what a step settles before what only ends settle, and that before what frees a
-- turn; so who settles a step and then ends a run asks in the order of who admits one.
CREATE FUNCTION quota_rank(p_unit text) RETURNS int LANGUAGE sql IMMUTABLE AS $$
  SELECT CASE p_unit WHEN 'runs' THEN 1 WHEN 'requests' THEN 2 WHEN 'concurrent_runs' THEN 2 ELSE 0 END
$$;

-- Every limit a run is under, in that order; among equals the workspace's before those of its parts.
CREATE FUNCTION limits_on(v runs, p_now timestamptz)
RETURNS TABLE (own boolean, name text, subject text, key text, unit text, span_s int, amount bigint) LANGUAGE sql STABLE AS $$
  SELECT l.own, l.name, l.subject, l.key, l.unit, l.span_s, l.amount FROM (
    SELECT false AS own, p.name, p.subject, subject_key(v, p.subject) AS key, p.unit, p.span_s, p.amount
      FROM plan_in_force(v.workspace_id, p_now) f JOIN plan_limits p ON p.plan_id = f.plan_id
    UNION ALL
    SELECT true, w.name, w.subject, subject_key(v, w.subject), w.unit, w.span_s, w.amount
      FROM workspace_limits w WHERE w.workspace_id = v.workspace_id AND (w.subject_id IS NULL OR w.subject_id = subject_key(v, w.subject))
    UNION ALL
    SELECT true, 'deploy.concurrency', 'deployment', v.deployment_id::text, 'concurrent_runs', NULL, d.concurrency
      FROM deployments d WHERE d.workspace_id = v.workspace_id AND d.id = v.deployment_id AND d.concurrency IS NOT NULL) l
   WHERE l.key IS NOT NULL
   ORDER BY quota_rank(l.unit), (l.subject = 'workspace') DESC, l.own, l.subject, l.name DESC
$$;

-- Micro-dollars of so many tokens at the catalogue's price of an instant; 0 where no price is known, as for own endpoints.
CREATE FUNCTION model_price(p_model text, p_input bigint, p_output bigint, p_now timestamptz) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT COALESCE((
    SELECT ceil(((x->>'inputMicrosPerMTok')::numeric * p_input + (x->>'outputMicrosPerMTok')::numeric * p_output) / 1000000)::bigint
      FROM models m, jsonb_array_elements(COALESCE(m.override->'prices', m.seed->'prices')) x
     WHERE m.id = p_model AND (x->>'from')::timestamptz <= p_now AND (x->>'to' IS NULL OR p_now < (x->>'to')::timestamptz)
     LIMIT 1), 0)
$$;

-- What to hold of a unit for a model step that may take so many tokens, its output included. Prompts are taken as not cached.
CREATE FUNCTION quota_ask(v runs, p_unit text, p_tokens bigint, p_now timestamptz) RETURNS bigint LANGUAGE plpgsql STABLE AS $$
DECLARE
  v_output bigint;
BEGIN
  IF p_unit = 'tokens' OR p_tokens = 0 THEN RETURN p_tokens; END IF;
  SELECT LEAST(p_tokens, (r.spec #>> '{model,maxOutputTokens}')::bigint) INTO v_output FROM revisions r
   WHERE r.workspace_id = v.workspace_id AND r.agent_id = v.agent_id AND r.number = v.revision;
  RETURN CASE p_unit WHEN 'output_tokens' THEN v_output
                     WHEN 'cost_micros' THEN model_price(v.model, p_tokens - v_output, v_output, p_now)
                     ELSE p_tokens - v_output END;
END $$;

-- Says once that a window's use has reached 80 % or all of it. The caller holds the window's row lock.
CREATE FUNCTION quota_crossed(w quota_windows, p_before bigint, p_now timestamptz) RETURNS void LANGUAGE sql AS $$
  INSERT INTO quota_notices (workspace_id, window_id, kind, at)
  SELECT w.workspace_id, w.id, n.kind, p_now FROM (VALUES ('used_80', w.amount * 0.8), ('used_100', w.amount::numeric)) n(kind, mark)
   WHERE w.amount > 0 AND p_before < n.mark AND w.used >= n.mark
  ON CONFLICT DO NOTHING
$$;

-- The window of a limit at an instant, locked and with what left its span taken off; opened where there is none. Windows over the
-- plan's period have the bounds of the workspace's own.
CREATE FUNCTION quota_window(v runs, p_own boolean, p_name text, p_subject text, p_key text, p_unit text, p_span_s int, p_amount bigint, p_now timestamptz)
RETURNS quota_windows LANGUAGE plpgsql AS $$
DECLARE
  w quota_windows;
  v_starts timestamptz := '1970-01-01T00:00:00Z';
  v_ends timestamptz := 'infinity';
  v_grace int := 86400;
  v_aged bigint;
BEGIN
  FOR tries IN 1..3 LOOP
    SELECT * INTO w FROM quota_windows q
     WHERE q.workspace_id = v.workspace_id AND q.limit_name = p_name AND q.own = p_own AND q.subject = p_subject AND q.subject_key = p_key AND q.unit = p_unit AND q.span_s = COALESCE(p_span_s, 0)
       AND q.starts_at <= p_now AND p_now < q.ends_at
       FOR NO KEY UPDATE;
    EXIT WHEN FOUND;
    IF p_span_s IS NULL AND p_unit <> 'concurrent_runs' THEN
      SELECT q.starts_at, q.ends_at, q.grace_s INTO v_starts, v_ends, v_grace FROM quota_windows q
       WHERE q.workspace_id = v.workspace_id AND NOT q.own AND q.subject = 'workspace' AND q.starts_at <= p_now AND p_now < q.ends_at AND q.ends_at < 'infinity'
       ORDER BY q.starts_at DESC LIMIT 1;
      IF NOT FOUND OR (NOT p_own AND p_subject = 'workspace') THEN
        RAISE EXCEPTION 'no quota window' USING ERRCODE = 'MQ001', DETAIL = jsonb_build_object('now', p_now)::text;
      END IF;
    END IF;
    INSERT INTO quota_windows (workspace_id, id, own, limit_name, subject, subject_key, unit, span_s, starts_at, ends_at, amount, base_amount, grace_s)
    VALUES (v.workspace_id, gen_random_uuid(), p_own, p_name, p_subject, p_key, p_unit, COALESCE(p_span_s, 0), v_starts, v_ends, p_amount, p_amount, v_grace)
    -- Opened before its campaign was extended, or by another caller just now.
    ON CONFLICT (workspace_id, limit_name, subject_key, own, unit, span_s, subject, starts_at) DO UPDATE SET ends_at = GREATEST(quota_windows.ends_at, excluded.ends_at);
  END LOOP;
  IF w.id IS NULL THEN RAISE EXCEPTION 'no window of limit %', p_name; END IF;
  IF w.span_s > 0 THEN
    WITH gone AS (DELETE FROM quota_spent s WHERE s.workspace_id = w.workspace_id AND s.window_id = w.id AND s.at <= p_now - w.span_s * interval '1 second' RETURNING s.amount)
    SELECT sum(g.amount) INTO v_aged FROM gone g;
    IF v_aged > 0 THEN
      UPDATE quota_windows SET used = used - v_aged WHERE workspace_id = w.workspace_id AND id = w.id RETURNING * INTO w;
      INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
      VALUES (w.workspace_id, v.id, w.unit, v.epoch, 'age', w.id, 0, -v_aged, p_now);
    END IF;
  END IF;
  RETURN w;
END $$;

-- When a window will have room again, as far as it is known: a rolling one when enough has left its span, one over a period at its
-- end. Null: when runs in flight end.
CREATE FUNCTION quota_frees_at(w quota_windows, p_ask bigint) RETURNS timestamptz LANGUAGE sql STABLE AS $$
  SELECT CASE WHEN w.span_s > 0 THEN (
           SELECT min(s.at) + w.span_s * interval '1 second'
             FROM (SELECT at, sum(amount) OVER (ORDER BY at, run_id, step) AS freed FROM quota_spent WHERE workspace_id = w.workspace_id AND window_id = w.id) s
            WHERE s.freed >= w.used + w.reserved + p_ask - w.amount)
         WHEN w.ends_at < 'infinity' THEN w.ends_at END
$$;

DROP FUNCTION quota_reserve(uuid, uuid, text, bigint, timestamptz);
-- Reserves for a run under its limits: those of pace (p_pace), all others (not p_pace), or all (null). Admission is one conditional UPDATE a window: a
-- caller that waited for the row lock re-reads the condition, so any number of concurrent callers cannot overspend. All or nothing:
-- a refusal is raised, and what was reserved before it goes with the transaction.
-- `cap`: on the run's tokens, if there is one. `notices`: windows of the workspace over a period that are used to 80 % or end within
-- three days.
CREATE FUNCTION quota_reserve(v runs, p_tokens bigint, p_pace boolean, p_now timestamptz, OUT cap bigint, OUT notices jsonb) LANGUAGE plpgsql AS $$
DECLARE
  l record;
  w quota_windows;
  v_ask bigint;
  v_current bigint;
BEGIN
  notices := '[]';
  FOR l IN SELECT * FROM limits_on(v, p_now) x WHERE p_pace IS NULL OR (x.unit IN ('requests', 'concurrent_runs')) = p_pace LOOP
    IF l.unit = 'run_tokens' THEN
      cap := LEAST(cap, l.amount);
      IF p_tokens > l.amount THEN
        RAISE EXCEPTION 'quota exhausted' USING ERRCODE = 'MQ002', DETAIL = jsonb_build_object(
          'name', l.name, 'subject', l.subject, 'unit', l.unit, 'limit', l.amount, 'used', 0, 'reserved', 0, 'asked', p_tokens)::text;
      END IF;
      CONTINUE;
    END IF;
    -- Counted before the run waited, or held already.
    CONTINUE WHEN p_pace AND EXISTS (
      SELECT 1 FROM quota_windows q WHERE q.workspace_id = v.workspace_id AND q.limit_name = l.name AND q.own = l.own AND q.subject = l.subject AND q.subject_key = l.key
         AND q.unit = l.unit AND q.span_s = COALESCE(l.span_s, 0)
         AND (EXISTS (SELECT 1 FROM quota_reservations r WHERE r.workspace_id = v.workspace_id AND r.run_id = v.id AND r.window_id = q.id)
              OR (l.unit = 'requests' AND EXISTS (SELECT 1 FROM quota_entries e WHERE e.workspace_id = v.workspace_id AND e.run_id = v.id AND e.window_id = q.id AND e.kind = 'settle'))));
    v_ask := CASE WHEN l.unit IN ('runs', 'requests', 'concurrent_runs') THEN 1 ELSE quota_ask(v, l.unit, p_tokens, p_now) END;
    -- A window over a period keeps the amount it was opened with and granted; others go by the limit as it is now.
    v_current := CASE WHEN l.span_s IS NOT NULL OR l.unit = 'concurrent_runs' THEN l.amount END;
    w := NULL;
    IF l.span_s IS NULL THEN
      WITH taken AS (
        UPDATE quota_windows q SET reserved = q.reserved + v_ask, amount = COALESCE(v_current, q.amount), base_amount = COALESCE(v_current, q.base_amount)
         WHERE q.workspace_id = v.workspace_id AND q.limit_name = l.name AND q.own = l.own AND q.subject = l.subject AND q.subject_key = l.key
           AND q.unit = l.unit AND q.span_s = 0 AND q.starts_at <= p_now AND p_now < q.ends_at
           AND q.used + q.reserved + v_ask <= COALESCE(v_current, q.amount)
        RETURNING *
      ), held AS (
        INSERT INTO quota_reservations (workspace_id, run_id, unit, window_id, amount, admitted_at)
        SELECT v.workspace_id, v.id, l.unit, t.id, v_ask, p_now FROM taken t
      ), entered AS (
        INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
        SELECT v.workspace_id, v.id, l.unit, CASE WHEN l.unit = 'concurrent_runs' THEN v.epoch ELSE 0 END, 'reserve', t.id, v_ask, 0, p_now FROM taken t
      )
      SELECT * INTO w FROM taken;
      IF w.id IS NOT NULL THEN
        IF w.subject = 'workspace' AND w.ends_at < 'infinity' AND (w.used * 5 >= w.amount * 4 OR w.ends_at <= p_now + interval '3 days') THEN
          notices := notices || jsonb_build_object('name', w.limit_name, 'used', w.used, 'limit', w.amount, 'ends_at', w.ends_at);
        END IF;
        CONTINUE;
      END IF;
    END IF;
    -- It rolls, was not open yet, or has no room: locked before it is looked at.
    w := quota_window(v, l.own, l.name, l.subject, l.key, l.unit, l.span_s, l.amount, p_now);
    w.amount := COALESCE(v_current, w.amount);
    IF w.used + w.reserved + v_ask > w.amount THEN
      RAISE EXCEPTION 'quota exhausted' USING ERRCODE = 'MQ002', DETAIL = jsonb_build_object(
        'name', l.name, 'subject', l.subject, 'unit', l.unit, 'span_s', l.span_s, 'limit', w.amount, 'used', w.used, 'reserved', w.reserved,
        'asked', v_ask, 'pace', pace_key(l.own, l.name, l.key), 'now', p_now, 'frees_at', CASE WHEN v_ask <= GREATEST(w.amount, l.amount) THEN quota_frees_at(w, v_ask) END)::text;
    END IF;
    UPDATE quota_windows q SET reserved = q.reserved + CASE WHEN l.unit = 'requests' THEN 0 ELSE v_ask END, used = q.used + CASE WHEN l.unit = 'requests' THEN 1 ELSE 0 END,
           amount = w.amount, base_amount = COALESCE(v_current, q.base_amount)
     WHERE q.workspace_id = v.workspace_id AND q.id = w.id;
    IF l.unit = 'requests' THEN
      INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
      VALUES (v.workspace_id, v.id, l.unit, 0, 'settle', w.id, 0, 1, p_now);
      INSERT INTO quota_spent (workspace_id, window_id, run_id, step, at, amount) VALUES (v.workspace_id, w.id, v.id, 0, p_now, 1);
    ELSE
      INSERT INTO quota_reservations (workspace_id, run_id, unit, window_id, amount, admitted_at) VALUES (v.workspace_id, v.id, l.unit, w.id, v_ask, p_now);
      INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
      VALUES (v.workspace_id, v.id, l.unit, CASE WHEN l.unit = 'concurrent_runs' THEN v.epoch ELSE 0 END, 'reserve', w.id, v_ask, 0, p_now);
    END IF;
  END LOOP;
END $$;

-- What a run holds, in the order in which windows are locked.
CREATE FUNCTION quota_lines(p_workspace uuid, p_run uuid) RETURNS SETOF quota_reservations LANGUAGE sql STABLE AS $$
  SELECT q.* FROM quota_reservations q JOIN quota_windows w ON w.workspace_id = q.workspace_id AND w.id = q.window_id
   WHERE q.workspace_id = p_workspace AND q.run_id = p_run
   ORDER BY quota_rank(w.unit), (w.subject = 'workspace') DESC, w.own, w.subject, w.limit_name DESC, w.starts_at
$$;

-- Moves a run's line: so much used, so much held from now on. One entry, under the window's row lock.
CREATE FUNCTION quota_move(q quota_reservations, p_used bigint, p_hold bigint, p_step int, p_kind text, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  w quota_windows;
BEGIN
  UPDATE quota_windows x
     SET used = x.used + p_used, reserved = x.reserved - q.amount + p_hold,
         overdraft = GREATEST(x.overdraft, x.used + p_used + x.reserved - q.amount + p_hold - x.amount)
   WHERE x.workspace_id = q.workspace_id AND x.id = q.window_id
  RETURNING * INTO w;
  INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
  VALUES (q.workspace_id, q.run_id, q.unit, p_step, p_kind, q.window_id, p_hold - q.amount, p_used, p_now);
  UPDATE quota_reservations SET amount = p_hold WHERE workspace_id = q.workspace_id AND run_id = q.run_id AND window_id = q.window_id AND amount <> p_hold;
  IF p_used > 0 THEN
    IF w.span_s > 0 THEN
      INSERT INTO quota_spent (workspace_id, window_id, run_id, step, at, amount) VALUES (q.workspace_id, q.window_id, q.run_id, p_step, q.admitted_at, p_used);
    END IF;
    PERFORM quota_crossed(w, w.used - p_used, p_now);
  END IF;
END $$;

-- Settles a model step in every window the run holds something of, by its usage record, and reserves for the next step in the same
-- move. What the model reported is always charged, even beyond the reservation (the excess shows as overdraft). Returns false when
-- some window has no room for the next step, or ended longer ago than its grace; then nothing is held of any. Called under the run's
-- row lock. `p_used` is what the record says, in tokens.
CREATE OR REPLACE FUNCTION quota_settle_step(p_workspace uuid, p_run uuid, p_step int, p_used bigint, p_next bigint, p_now timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v runs;
  u usage_records;
  q quota_reservations;
  w quota_windows;
  v_spent bigint;
  v_next bigint;
  v_room boolean := true;
BEGIN
  SELECT * INTO STRICT v FROM runs WHERE workspace_id = p_workspace AND id = p_run;
  SELECT * INTO STRICT u FROM usage_records WHERE workspace_id = p_workspace AND run_id = p_run AND step = p_step;
  FOR pass IN 1..2 LOOP
    -- The first pass locks and looks, where there is a next step to have room for.
    CONTINUE WHEN pass = 1 AND p_next = 0;
    FOR q IN SELECT * FROM quota_lines(p_workspace, p_run) x WHERE x.unit NOT IN ('runs', 'concurrent_runs') LOOP
      v_spent := CASE q.unit WHEN 'tokens' THEN p_used WHEN 'input_tokens' THEN u.input_tokens WHEN 'cached_input_tokens' THEN u.cached_input_tokens
                             WHEN 'output_tokens' THEN u.output_tokens ELSE u.cost_micros END;
      SELECT * INTO STRICT w FROM quota_windows x WHERE x.workspace_id = p_workspace AND x.id = q.window_id FOR NO KEY UPDATE;
      v_next := CASE WHEN v_room AND NOT w.retired THEN quota_ask(v, q.unit, p_next, p_now) ELSE 0 END;
      IF pass = 1 THEN
        CONTINUE WHEN w.retired;
        v_room := v_room AND w.used + v_spent + w.reserved - q.amount + v_next <= w.amount AND p_now < w.ends_at + w.grace_s * interval '1 second';
      ELSE
        PERFORM quota_move(q, v_spent, v_next, p_step, 'settle', p_now);
      END IF;
    END LOOP;
  END LOOP;
  RETURN v_room;
END $$;

-- Sets what a run holds for a model step, without settling anything: nothing while it waits for somebody, its turn among the
-- workspace's runs included, which it takes again when it goes on. False when there is no room; then what was held stays. Called
-- under the run's row lock.
CREATE OR REPLACE FUNCTION quota_hold(p_workspace uuid, p_run uuid, p_step int, p_amount bigint, p_now timestamptz) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v runs;
  q quota_reservations;
  w quota_windows;
  v_hold bigint;
BEGIN
  SELECT * INTO STRICT v FROM runs WHERE workspace_id = p_workspace AND id = p_run;
  FOR pass IN 1..2 LOOP
    CONTINUE WHEN pass = 1 AND p_amount = 0;
    FOR q IN SELECT * FROM quota_lines(p_workspace, p_run) x WHERE x.unit <> 'runs' LOOP
      IF q.unit = 'concurrent_runs' THEN
        CONTINUE WHEN p_amount > 0;
        PERFORM quota_give_pace(q, v.epoch, p_now);
        UPDATE runs SET parked = true WHERE workspace_id = p_workspace AND id = p_run;
        CONTINUE;
      END IF;
      SELECT * INTO STRICT w FROM quota_windows x WHERE x.workspace_id = p_workspace AND x.id = q.window_id FOR NO KEY UPDATE;
      v_hold := CASE WHEN w.retired THEN 0 ELSE quota_ask(v, q.unit, p_amount, p_now) END;
      CONTINUE WHEN v_hold = q.amount;
      IF pass = 1 THEN
        IF v_hold > q.amount AND (w.used + w.reserved - q.amount + v_hold > w.amount OR p_now >= w.ends_at + w.grace_s * interval '1 second') THEN RETURN false; END IF;
      ELSE
        PERFORM quota_move(q, 0, v_hold, p_step, CASE WHEN v_hold > q.amount THEN 'reserve' ELSE 'release' END, p_now);
      END IF;
    END LOOP;
  END LOOP;
  RETURN true;
END $$;

-- Gives a run's turn back, and lets the run that has waited longest for one ask again. A run somebody has locked is about to ask by
-- itself.
CREATE FUNCTION quota_give_pace(q quota_reservations, p_step int, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_pace text;
BEGIN
  PERFORM quota_move(q, 0, 0, p_step, 'release', p_now);
  DELETE FROM quota_reservations WHERE workspace_id = q.workspace_id AND run_id = q.run_id AND window_id = q.window_id;
  SELECT pace_key(w.own, w.limit_name, w.subject_key) INTO v_pace FROM quota_windows w WHERE w.workspace_id = q.workspace_id AND w.id = q.window_id;
  UPDATE runs SET not_before = p_now, dispatched_at = NULL
   WHERE workspace_id = q.workspace_id AND id = (
     SELECT id FROM runs WHERE workspace_id = q.workspace_id AND parked AND status = 'queued' AND NOT behind AND parked_on = v_pace AND not_before > p_now
      ORDER BY id LIMIT 1 FOR NO KEY UPDATE SKIP LOCKED);
END $$;

-- Closes what a run still holds: its tokens go back, and the run itself is charged when it did any work. Called once, in
-- the transaction that makes the run terminal. Same lock order as quota_reserve.
CREATE OR REPLACE FUNCTION quota_close(p_workspace uuid, p_run uuid, p_charge_run boolean, p_step int, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  q quota_reservations;
BEGIN
  FOR q IN SELECT * FROM quota_lines(p_workspace, p_run) LOOP
    IF q.unit = 'concurrent_runs' THEN
      PERFORM quota_give_pace(q, p_step, p_now);
    ELSIF q.amount > 0 THEN
      PERFORM quota_move(q, CASE WHEN q.unit = 'runs' AND p_charge_run THEN q.amount ELSE 0 END, 0, p_step,
                         CASE WHEN q.unit = 'runs' AND p_charge_run THEN 'settle' ELSE 'release' END, p_now);
    END IF;
  END LOOP;
  DELETE FROM quota_reservations WHERE workspace_id = p_workspace AND run_id = p_run;
END $$;

-- Reservations of runs that have ended: nothing leaves any behind, and should something do so they come back by themselves.
CREATE FUNCTION leaked_reservations(p_limit int) RETURNS TABLE (workspace_id uuid, run_id uuid)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT DISTINCT q.workspace_id, q.run_id FROM quota_reservations q JOIN runs r ON r.workspace_id = q.workspace_id AND r.id = q.run_id
   WHERE r.finished_at < maru_now() - interval '1 minute' LIMIT p_limit
$$;
CREATE FUNCTION quota_expire(p_workspace uuid, p_run uuid) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  q quota_reservations;
BEGIN
  PERFORM enter_workspace(p_workspace);
  PERFORM 1 FROM runs WHERE workspace_id = p_workspace AND id = p_run AND finished_at IS NOT NULL FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  FOR q IN SELECT * FROM quota_lines(p_workspace, p_run) LOOP
    PERFORM quota_move(q, 0, 0, 2147483647, 'expire', v_now);
  END LOOP;
  DELETE FROM quota_reservations WHERE workspace_id = p_workspace AND run_id = p_run;
END $$;

-- Notices that a window ends within three days, for those in which something was used or held; once each. Answers how many.
CREATE FUNCTION notice_ending_windows() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_count int;
BEGIN
  INSERT INTO quota_notices (workspace_id, window_id, kind, at)
  SELECT w.workspace_id, w.id, 'ending', v_now FROM quota_windows w
   WHERE w.ends_at > v_now AND w.ends_at <= v_now + interval '3 days' AND w.subject = 'workspace' AND w.starts_at < w.ends_at - interval '3 days'
  ON CONFLICT DO NOTHING;
  GET DIAGNOSTICS v_count = ROW_COUNT;
  RETURN v_count;
END $$;
CREATE INDEX quota_windows_ends_at ON quota_windows (ends_at) WHERE ends_at < 'infinity';

CREATE OR REPLACE FUNCTION quota_open_windows(p_workspace uuid, p_starts_at timestamptz, p_ends_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v record;
BEGIN
  PERFORM enter_workspace(p_workspace);
  SELECT * INTO v FROM plan_in_force(p_workspace, maru_now());
  INSERT INTO quota_windows (workspace_id, id, limit_name, unit, starts_at, ends_at, amount, base_amount, grace_s)
  -- A plan that began within a period begins its first window there: the one before ended at that instant.
  SELECT p_workspace, gen_random_uuid(), l.name, l.unit,
         CASE WHEN EXISTS (SELECT 1 FROM workspace_plans w WHERE w.workspace_id = p_workspace AND w.from_at = v.since) THEN GREATEST(p_starts_at, v.since) ELSE p_starts_at END,
         p_ends_at, l.amount, l.amount, p.grace_s
    FROM plan_limits l JOIN plans p ON p.id = l.plan_id
   WHERE l.plan_id = v.plan_id AND l.subject = 'workspace' AND l.span_s IS NULL AND l.unit NOT IN ('concurrent_runs', 'run_tokens')
   -- In the order of limits_on: a row that is there is locked.
   ORDER BY quota_rank(l.unit), l.name DESC
  -- Opened before its campaign was extended: it goes on to the new end, and nothing of it begins anew.
  ON CONFLICT (workspace_id, limit_name, subject_key, own, unit, span_s, subject, starts_at) DO UPDATE SET ends_at = GREATEST(quota_windows.ends_at, excluded.ends_at);
END $$;

-- The workspace's plan, its limits and their windows at this instant, in one round trip. What left a rolling span is taken off as the
-- next admission would.
CREATE OR REPLACE FUNCTION quota_state(p_workspace uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object(
      'now', v_now, 'plan', p.id, 'renew', p.renew, 'time_zone', p.time_zone, 'through_day', p.through_day, 'grace_s', p.grace_s,
      'workspace_created_at', f.since,
      'next_plan', (SELECT jsonb_build_object('plan', w.plan_id, 'from', w.from_at) FROM workspace_plans w
                     WHERE w.workspace_id = p_workspace AND w.from_at > v_now ORDER BY w.from_at LIMIT 1),
      'term', (SELECT jsonb_build_object('starts_at', t.starts_at, 'ends_at', t.ends_at, 'note', t.note) FROM plan_terms t
                WHERE t.plan_id = p.id AND (t.effective_at <= v_now OR t.seq = 1) ORDER BY t.seq DESC LIMIT 1),
      'windows', COALESCE((
        SELECT jsonb_agg(jsonb_build_object(
                 'own', l.own, 'name', l.name, 'subject', l.subject, 'key', COALESCE(q.subject_key, ''), 'unit', l.unit, 'span_s', l.span_s,
                 'amount', CASE WHEN q.id IS NULL OR l.span_s IS NOT NULL OR l.unit = 'concurrent_runs' THEN l.amount ELSE q.amount END,
                 'used', COALESCE(q.used - a.aged, 0), 'reserved', COALESCE(q.reserved, 0), 'overdraft', COALESCE(q.overdraft, 0),
                 'granted', COALESCE(q.amount - q.base_amount, 0), 'starts_at', q.starts_at, 'ends_at', NULLIF(q.ends_at, 'infinity'), 'frees_at', a.frees_at,
                 'notices', (SELECT COALESCE(jsonb_agg(jsonb_build_object('kind', n.kind, 'at', n.at) ORDER BY n.at, n.kind DESC), '[]') FROM quota_notices n
                              WHERE n.workspace_id = p_workspace AND n.window_id = q.id))
               ORDER BY (l.subject = 'workspace') DESC, l.own, l.subject, l.name DESC, q.subject_key)
          FROM (SELECT false AS own, x.name, x.subject, NULL AS subject_id, x.unit, x.span_s, x.amount FROM plan_limits x WHERE x.plan_id = p.id
                UNION ALL SELECT true, x.name, x.subject, x.subject_id, x.unit, x.span_s, x.amount FROM workspace_limits x WHERE x.workspace_id = p_workspace
                UNION ALL SELECT true, 'deploy.concurrency', 'deployment', d.id::text, 'concurrent_runs', NULL, d.concurrency FROM deployments d
                           WHERE d.workspace_id = p_workspace AND d.concurrency IS NOT NULL) l
          LEFT JOIN quota_windows q ON q.workspace_id = p_workspace AND q.limit_name = l.name AND q.own = l.own AND q.subject = l.subject AND q.unit = l.unit AND q.span_s = COALESCE(l.span_s, 0)
                                   AND (l.subject_id IS NULL OR q.subject_key = l.subject_id) AND q.starts_at <= v_now AND v_now < q.ends_at
          LEFT JOIN LATERAL (
            SELECT COALESCE(sum(s.amount) FILTER (WHERE s.at <= v_now - l.span_s * interval '1 second'), 0) AS aged,
                   min(s.at) FILTER (WHERE s.at > v_now - l.span_s * interval '1 second') + l.span_s * interval '1 second' AS frees_at
              FROM quota_spent s WHERE s.workspace_id = p_workspace AND s.window_id = q.id) a ON true
         -- A limit for the workspace is shown before it has a window, one for its parts when a part has used it.
         WHERE q.id IS NOT NULL OR l.subject = 'workspace'), '[]'))
      FROM plan_in_force(p_workspace, v_now) f JOIN plans p ON p.id = f.plan_id);
END $$;

-- As before, under all limits of the run. One that is refused by a limit of pace waits for it, where its deployment asks for that:
-- then it is accepted, and `parked`. SQLSTATE MQ003: as many wait as may.
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
  SELECT d.id, d.agent_id, d.revision, r.reserve_tokens, r.spec #>> '{model,name}' AS model,
         (r.spec #>> '{memory,thread,maxTokens}')::int AS thread_max,
         COALESCE(p->>'on_thread_busy', d.on_thread_busy) AS on_thread_busy, d.on_limit INTO v_dep
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
  INSERT INTO runs (workspace_id, id, deployment_id, agent_id, revision, thread_id, behind, parked, api_key_id, status, next_event, input,
                    metadata, end_user, model, simulated, idempotency_key, request_hash, dispatched_at, created_at, deadline_at)
  VALUES (v_ws, v_run, v_dep.id, v_dep.agent_id, v_dep.revision, v_thread, v_busy, v_busy, (p->>'api_key_id')::uuid, 'queued', 2, p->>'input',
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

-- As before; and a run that waited for a limit of pace asks for its turn here, and again after half a minute at most: the limit may
-- be another by then. The cap on its tokens lies over the agent's own.
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

-- As before, but for runs that wait for a limit of pace, before it can have room.
CREATE OR REPLACE FUNCTION due_runs(p_limit int, p_resend_ms int) RETURNS TABLE (workspace_id uuid, run_id uuid, epoch int, recovered boolean)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE runs r SET dispatched_at = maru_now()
    FROM (
      SELECT d.workspace_id, d.id FROM runs d
       WHERE (d.status = 'queued' AND NOT d.behind AND (NOT d.parked OR d.not_before IS NULL OR d.not_before <= maru_now())
              AND (d.dispatched_at IS NULL OR (d.parked AND d.dispatched_at < d.not_before) OR d.dispatched_at < maru_now() - p_resend_ms * interval '1 millisecond'))
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

-- As before, with what the deployment does when a limit of pace has no room, and how many of its runs go at once.
CREATE OR REPLACE FUNCTION deploy_manifest(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_dry boolean := (p->>'dry_run')::boolean;
  v_busy text := p->>'on_thread_busy';
  v_limit text := COALESCE(p->>'on_limit', 'reject');
  v_concurrency int := (p->>'concurrency')::int;
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
                   WHEN v_rev.digest = p->>'digest' AND v_dep.on_thread_busy = v_busy AND v_dep.on_limit = v_limit AND v_dep.concurrency IS NOT DISTINCT FROM v_concurrency THEN 'unchanged' ELSE 'update' END;
  IF NOT v_dry AND v_action <> 'unchanged' THEN
    IF v_latest.digest IS DISTINCT FROM p->>'digest' THEN
      UPDATE agents SET latest_revision = latest_revision + 1, updated_at = v_now WHERE workspace_id = v_ws AND id = v_agent.id
      RETURNING * INTO v_agent;
      INSERT INTO revisions (workspace_id, agent_id, number, digest, spec, reserve_tokens, created_at)
      VALUES (v_ws, v_agent.id, v_agent.latest_revision, p->>'digest', p->'spec', (p->>'reserve_tokens')::int, v_now);
    END IF;
    INSERT INTO deployments (workspace_id, id, name, agent_id, revision, on_thread_busy, on_limit, concurrency, created_at, updated_at)
    VALUES (v_ws, (p->>'deployment_id')::uuid, p->>'deployment', v_agent.id, v_agent.latest_revision, v_busy, v_limit, v_concurrency, v_now, v_now)
    ON CONFLICT (workspace_id, name) DO UPDATE
      SET revision = excluded.revision, on_thread_busy = excluded.on_thread_busy, on_limit = excluded.on_limit, concurrency = excluded.concurrency, generation = deployments.generation + 1, updated_at = v_now;
    SELECT * INTO v_dep FROM deployments WHERE workspace_id = v_ws AND name = p->>'deployment';
  END IF;
  RETURN jsonb_build_object('action', v_action, 'before', v_rev.spec, 'busy_before', v_before.on_thread_busy, 'settings_before', CASE WHEN v_before.id IS NOT NULL THEN jsonb_build_object('onThreadBusy', v_before.on_thread_busy, 'onLimit', v_before.on_limit, 'concurrency', v_before.concurrency) END, 'deployment', to_jsonb(v_dep), 'revision', v_dep.revision);
END $$;

-- As before, under all limits of the run.
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
   WHERE NOT EXISTS (SELECT 1 FROM run_steps s WHERE s.workspace_id = v_ws AND s.run_id = v_from AND s.seq = o.key::int AND s.seq < v_step AND s.kind IN ('tool', 'input'))
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

-- Would a run be accepted: as before; and what it would hold names the limit.
CREATE OR REPLACE FUNCTION check_run(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_made jsonb;
  v_detail text;
BEGIN
  BEGIN
    v_made := create_run(p);
    RAISE EXCEPTION 'checked' USING ERRCODE = 'MC000', DETAIL = (
      SELECT jsonb_build_object('behind', COALESCE(v_made->'behind', 'false'), 'parked', COALESCE(v_made->'parked', 'false'), 'holds', jsonb_agg(jsonb_build_object(
               'limit', w.limit_name, 'subject', w.subject, 'unit', r.unit, 'amount', r.amount, 'remaining', w.amount - w.used - w.reserved)
               ORDER BY (w.subject = 'workspace') DESC, w.own, w.limit_name DESC))::text
        FROM quota_reservations r JOIN quota_windows w ON w.workspace_id = r.workspace_id AND w.id = r.window_id
       WHERE r.workspace_id = v_ws AND r.run_id = (p->>'run_id')::uuid);
  EXCEPTION WHEN SQLSTATE 'MC000' THEN
    GET STACKED DIAGNOSTICS v_detail = PG_EXCEPTION_DETAIL;
  END;
  RETURN v_detail::jsonb;
END $$;

-- As before, a window at a time: a run is charged in each window it is in.
CREATE OR REPLACE FUNCTION quota_findings(p_workspace uuid) RETURNS TABLE (finding text, subject text, expected bigint, found bigint) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN QUERY
    WITH w AS (SELECT x.*, x.unit || ' window ' || x.id AS label FROM quota_windows x WHERE x.workspace_id = p_workspace),
         e AS (SELECT window_id, sum(used_delta)::bigint AS used, sum(reserved_delta)::bigint AS reserved
                 FROM quota_entries WHERE workspace_id = p_workspace GROUP BY window_id),
         u AS (SELECT run_id, sum(input_tokens::bigint + output_tokens)::bigint AS tokens, sum(input_tokens)::bigint AS input_tokens, sum(cached_input_tokens)::bigint AS cached_input_tokens,
                      sum(output_tokens)::bigint AS output_tokens, sum(cost_micros)::bigint AS cost_micros FROM usage_records WHERE workspace_id = p_workspace GROUP BY run_id)
    SELECT 'used is not the sum of the entries'::text, w.label, COALESCE(e.used, 0), w.used FROM w LEFT JOIN e ON e.window_id = w.id WHERE w.used <> COALESCE(e.used, 0)
    UNION ALL
    SELECT 'reserved is not the sum of the entries', w.label, COALESCE(e.reserved, 0), w.reserved FROM w LEFT JOIN e ON e.window_id = w.id WHERE w.reserved <> COALESCE(e.reserved, 0)
    UNION ALL
    SELECT 'reserved is not what open runs hold', w.label, COALESCE(s.held, 0)::bigint, w.reserved
      FROM w LEFT JOIN LATERAL (SELECT sum(q.amount) AS held FROM quota_reservations q WHERE q.workspace_id = w.workspace_id AND q.window_id = w.id) s ON true
     WHERE w.reserved <> COALESCE(s.held, 0)
    UNION ALL
    SELECT 'used is not what is within the span', w.label, COALESCE(s.spent, 0)::bigint, w.used
      FROM w LEFT JOIN LATERAL (SELECT sum(q.amount) AS spent FROM quota_spent q WHERE q.workspace_id = w.workspace_id AND q.window_id = w.id) s ON true
     WHERE w.span_s > 0 AND w.used <> COALESCE(s.spent, 0)
    UNION ALL
    SELECT 'a run that has ended holds ' || q.unit, 'run ' || q.run_id, 0::bigint, q.amount
      FROM quota_reservations q JOIN runs r ON r.workspace_id = q.workspace_id AND r.id = q.run_id
     WHERE q.workspace_id = p_workspace AND r.finished_at IS NOT NULL
    UNION ALL
    SELECT x.unit || ' charged are not those of the usage records', 'run ' || x.run_id, x.recorded, x.used
      FROM (SELECT c.unit, c.run_id, c.used, COALESCE(CASE c.unit WHEN 'tokens' THEN u.tokens WHEN 'input_tokens' THEN u.input_tokens WHEN 'cached_input_tokens' THEN u.cached_input_tokens
                                                                   WHEN 'output_tokens' THEN u.output_tokens ELSE u.cost_micros END, 0) AS recorded
              FROM (SELECT n.unit, n.run_id, n.window_id, sum(n.used_delta)::bigint AS used FROM quota_entries n
                     WHERE n.workspace_id = p_workspace AND n.kind <> 'age' AND n.unit NOT IN ('runs', 'requests', 'concurrent_runs') GROUP BY n.unit, n.run_id, n.window_id) c
              LEFT JOIN u ON u.run_id = c.run_id) x
     WHERE x.used <> x.recorded
    UNION ALL
    SELECT 'the run''s own count is not that of its usage records', 'run ' || r.id, COALESCE(u.tokens, 0)::bigint, (r.input_tokens::bigint + r.output_tokens)
      FROM runs r LEFT JOIN u ON u.run_id = r.id
     WHERE r.workspace_id = p_workspace AND r.input_tokens::bigint + r.output_tokens <> COALESCE(u.tokens, 0);
END $$;

-- A workspace's own limit, made or changed. What is open follows at once; used and held beyond a lower amount shows as overdraft.
-- SQLSTATE ML001: more limits than may be; ML002: the generation is another (If-Match); ML003: the plan has a limit of that name.
CREATE FUNCTION set_limit(p_workspace uuid, p_name text, p_subject text, p_subject_id text, p_unit text, p_span_s int, p_amount bigint, p_generation int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_old workspace_limits;
  v workspace_limits;
BEGIN
  PERFORM enter_workspace(p_workspace);
  -- Changes of a workspace's limits take turns.
  PERFORM pg_advisory_xact_lock(hashtextextended('limits ' || p_workspace, 0));
  IF EXISTS (SELECT 1 FROM plan_in_force(p_workspace, v_now) f JOIN plan_limits l ON l.plan_id = f.plan_id WHERE l.name = p_name) THEN
    RAISE EXCEPTION 'of the plan' USING ERRCODE = 'ML003';
  END IF;
  SELECT * INTO v_old FROM workspace_limits WHERE workspace_id = p_workspace AND name = p_name FOR UPDATE;
  IF p_generation IS NOT NULL AND v_old.generation IS DISTINCT FROM p_generation THEN RAISE EXCEPTION 'changed' USING ERRCODE = 'ML002'; END IF;
  IF v_old.name IS NULL AND (SELECT count(*) FROM workspace_limits WHERE workspace_id = p_workspace) >= 50 THEN RAISE EXCEPTION 'too many' USING ERRCODE = 'ML001'; END IF;
  -- Of another kind under the same name: what was counted for the old one ends with it.
  IF v_old.name IS NOT NULL AND (v_old.subject, v_old.unit, v_old.span_s) IS DISTINCT FROM (p_subject, p_unit, p_span_s) THEN
    PERFORM end_limit_windows(p_workspace, p_name, v_now);
  END IF;
  INSERT INTO workspace_limits (workspace_id, name, subject, subject_id, unit, span_s, amount, created_at, updated_at)
  VALUES (p_workspace, p_name, p_subject, p_subject_id, p_unit, p_span_s, p_amount, v_now, v_now)
  ON CONFLICT (workspace_id, name) DO UPDATE
     SET subject = excluded.subject, subject_id = excluded.subject_id, unit = excluded.unit, span_s = excluded.span_s, amount = excluded.amount,
         generation = workspace_limits.generation + 1, updated_at = v_now
  RETURNING * INTO v;
  UPDATE quota_windows SET amount = p_amount, base_amount = p_amount, overdraft = GREATEST(overdraft, used + reserved - p_amount)
   WHERE workspace_id = p_workspace AND own AND limit_name = p_name AND v_now < ends_at AND amount <> p_amount;
  RETURN to_jsonb(v) || jsonb_build_object('created', v_old.name IS NULL);
END $$;
-- Ends the windows of an own limit: runs in flight settle in them, no run is judged by them any more.
CREATE FUNCTION end_limit_windows(p_workspace uuid, p_name text, p_now timestamptz) RETURNS void LANGUAGE sql AS $$
  UPDATE quota_windows SET retired = true, limit_name = p_name || ' until ' || to_char(p_now AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'), ends_at = LEAST(ends_at, p_now + interval '1 millisecond')
   WHERE workspace_id = p_workspace AND own AND limit_name = p_name AND starts_at < p_now
$$;
CREATE FUNCTION drop_limit(p_workspace uuid, p_name text, p_generation int) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v workspace_limits;
BEGIN
  PERFORM enter_workspace(p_workspace);
  PERFORM pg_advisory_xact_lock(hashtextextended('limits ' || p_workspace, 0));
  SELECT * INTO v FROM workspace_limits WHERE workspace_id = p_workspace AND name = p_name FOR UPDATE;
  IF NOT FOUND THEN RETURN false; END IF;
  IF p_generation IS NOT NULL AND v.generation <> p_generation THEN RAISE EXCEPTION 'changed' USING ERRCODE = 'ML002'; END IF;
  DELETE FROM workspace_limits WHERE workspace_id = p_workspace AND name = p_name;
  PERFORM end_limit_windows(p_workspace, p_name, maru_now());
  RETURN true;
END $$;

-- Operators' functions, as before, each leaving a row that says what was done; callable by maru_operator, which owns nothing and may
-- do nothing else. SQLSTATE MP005: the action is in the way of another.
DO $$
BEGIN
  CREATE ROLE maru_operator NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT maru_operator TO %I', current_user);
  END IF;
END $$;
GRANT USAGE ON SCHEMA public TO maru_operator;

CREATE FUNCTION operator_did(p_action text, p_arguments jsonb) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  INSERT INTO operator_actions (id, action, arguments, at) VALUES (gen_random_uuid(), p_action, jsonb_strip_nulls(p_arguments), maru_now())
$$;

-- A plan: limits, and over what period they go. `p_limits`: [{name, unit, amount, subject, span_s}]. A campaign's period is its term.
DROP FUNCTION make_campaign(text, text, timestamptz, timestamptz, jsonb, text);
CREATE FUNCTION make_plan(p_id text, p_renew text, p_zone text, p_through_day int, p_starts timestamptz, p_ends timestamptz, p_grace_s int, p_limits jsonb, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM plans WHERE id = p_id) THEN
    RAISE EXCEPTION 'exists' USING ERRCODE = 'MP003', DETAIL = format('There is a plan %s already.', p_id);
  END IF;
  IF p_renew = 'campaign' AND (p_starts IS NULL OR p_ends IS NULL) THEN RAISE EXCEPTION 'span' USING ERRCODE = 'MP003', DETAIL = 'A campaign needs a start and an end.'; END IF;
  IF p_ends <= p_starts THEN RAISE EXCEPTION 'span' USING ERRCODE = 'MP003', DETAIL = 'It ends before it starts.'; END IF;
  IF NOT EXISTS (SELECT 1 FROM jsonb_to_recordset(p_limits) AS l(unit text, subject text, span_s int)
                  WHERE COALESCE(l.subject, 'workspace') = 'workspace' AND l.span_s IS NULL AND l.unit NOT IN ('concurrent_runs', 'run_tokens')) THEN
    RAISE EXCEPTION 'period' USING ERRCODE = 'MP003', DETAIL = 'A plan needs a limit for the workspace over its period, such as tokens or runs: its windows are the plan''s.';
  END IF;
  INSERT INTO plans (id, renew, time_zone, through_day, grace_s) VALUES (p_id, p_renew, p_zone, COALESCE(p_through_day, 31), COALESCE(p_grace_s, 86400));
  INSERT INTO plan_limits (plan_id, name, unit, amount, subject, span_s)
  SELECT p_id, COALESCE(l.name, l.unit), l.unit, l.amount, COALESCE(l.subject, 'workspace'), l.span_s
    FROM jsonb_to_recordset(p_limits) AS l(name text, unit text, amount bigint, subject text, span_s int);
  IF p_renew = 'campaign' THEN
    INSERT INTO plan_terms (plan_id, seq, starts_at, ends_at, effective_at, note) VALUES (p_id, 1, p_starts, p_ends, maru_now(), p_note);
  END IF;
  PERFORM operator_did('make_plan', jsonb_build_object('plan', p_id, 'renew', p_renew, 'time_zone', p_zone, 'through_day', p_through_day,
                                                       'starts_at', p_starts, 'ends_at', p_ends, 'limits', p_limits, 'note', p_note));
END $$;

-- As before.
CREATE OR REPLACE FUNCTION extend_campaign(p_id text, p_ends timestamptz, p_effective timestamptz, p_note text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v plan_terms;
  v_moved int;
BEGIN
  PERFORM 1 FROM plans WHERE id = p_id AND renew = 'campaign';
  IF NOT FOUND AND EXISTS (SELECT 1 FROM plans WHERE id = p_id) THEN
    RAISE EXCEPTION 'no campaign' USING ERRCODE = 'MP003', DETAIL = format('%s is a plan by the calendar, not a campaign: it has no end to move.', p_id);
  END IF;
  IF NOT EXISTS (SELECT 1 FROM plans WHERE id = p_id) THEN RAISE EXCEPTION 'no campaign' USING ERRCODE = 'MP001', DETAIL = p_id; END IF;
  SELECT * INTO v FROM plan_terms WHERE plan_id = p_id ORDER BY seq DESC LIMIT 1;
  IF v.ends_at <= v_now THEN
    RAISE EXCEPTION 'ended' USING ERRCODE = 'MP003', DETAIL = format('It ended at %s: begin another campaign instead.', v.ends_at);
  END IF;
  IF p_ends <= v.ends_at AND p_ends > v_now THEN
    RAISE EXCEPTION 'earlier' USING ERRCODE = 'MP003', DETAIL = format('It ends at %s already: an extension moves the end ahead, it takes nothing back.', v.ends_at);
  END IF;
  IF p_ends <= v.starts_at OR p_ends <= v_now THEN
    RAISE EXCEPTION 'span' USING ERRCODE = 'MP003', DETAIL = 'The new end must lie ahead, and behind its start.';
  END IF;
  IF COALESCE(p_effective, v_now) >= v.ends_at THEN
    RAISE EXCEPTION 'late' USING ERRCODE = 'MP003', DETAIL = 'It would take effect after the end it moves.';
  END IF;
  INSERT INTO plan_terms (plan_id, seq, starts_at, ends_at, effective_at, note)
  VALUES (p_id, v.seq + 1, v.starts_at, p_ends, COALESCE(p_effective, v_now), p_note);
  UPDATE quota_windows q SET ends_at = p_ends
   WHERE COALESCE(p_effective, v_now) <= v_now AND q.ends_at = v.ends_at AND EXISTS (SELECT 1 FROM plan_in_force(q.workspace_id, v_now) f WHERE f.plan_id = p_id);
  GET DIAGNOSTICS v_moved = ROW_COUNT;
  PERFORM operator_did('extend_campaign', jsonb_build_object('plan', p_id, 'ends_at', p_ends, 'effective_at', p_effective, 'note', p_note, 'windows', v_moved));
  RETURN v_moved;
END $$;

-- As before; windows without an end are not the plan's.
CREATE OR REPLACE FUNCTION change_plan(p_workspace uuid, p_plan text, p_from timestamptz, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_from timestamptz := COALESCE(p_from, v_now);
BEGIN
  IF NOT EXISTS (SELECT 1 FROM plans WHERE id = p_plan) THEN RAISE EXCEPTION 'no plan' USING ERRCODE = 'MP001', DETAIL = p_plan; END IF;
  IF NOT EXISTS (SELECT 1 FROM workspaces WHERE id = p_workspace) THEN RAISE EXCEPTION 'no workspace' USING ERRCODE = 'MP002'; END IF;
  IF v_from < v_now THEN RAISE EXCEPTION 'past' USING ERRCODE = 'MP003', DETAIL = 'A change can''t lie in the past.'; END IF;
  -- One that has begun stands; one that lies ahead may be put in another's place.
  DELETE FROM workspace_plans WHERE workspace_id = p_workspace AND from_at = v_from AND from_at > v_now;
  INSERT INTO workspace_plans (workspace_id, from_at, plan_id, note) VALUES (p_workspace, v_from, p_plan, p_note);
  UPDATE quota_windows SET ends_at = v_from WHERE workspace_id = p_workspace AND starts_at < v_from AND ends_at > v_from AND ends_at < 'infinity';
  PERFORM operator_did('change_plan', jsonb_build_object('workspace', p_workspace, 'plan', p_plan, 'from', v_from, 'note', p_note));
END $$;

-- As before; the unit is the name of one of the plan's limits.
CREATE OR REPLACE FUNCTION grant_quota(p_workspace uuid, p_key text, p_unit text, p_amount bigint, p_note text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v quota_windows;
  v_old quota_grants;
  v_names text;
  v_plan text;
  v_known boolean;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM workspaces WHERE id = p_workspace) THEN RAISE EXCEPTION 'no workspace' USING ERRCODE = 'MP002'; END IF;
  IF p_amount IS NULL OR p_amount <= 0 THEN RAISE EXCEPTION 'amount' USING ERRCODE = 'MP003', DETAIL = 'The amount must be a whole number above zero.'; END IF;
  IF p_amount > 1000000000000000 THEN RAISE EXCEPTION 'amount' USING ERRCODE = 'MP003', DETAIL = 'The amount may be 10^15 at most.'; END IF;
  -- The row lock makes grants of one window take turns, so a repeated key finds what was done.
  SELECT * INTO v FROM quota_windows WHERE workspace_id = p_workspace AND limit_name = p_unit AND NOT own AND subject = 'workspace' AND starts_at <= v_now AND v_now < ends_at AND ends_at < 'infinity' FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    SELECT string_agg(l.name, ', ' ORDER BY l.name DESC) FILTER (WHERE l.subject = 'workspace' AND l.span_s IS NULL AND l.unit NOT IN ('concurrent_runs', 'run_tokens')),
           f.plan_id, bool_or(l.name = p_unit) INTO v_names, v_plan, v_known
      FROM plan_in_force(p_workspace, v_now) f JOIN plan_limits l ON l.plan_id = f.plan_id GROUP BY f.plan_id;
    RAISE EXCEPTION 'no window' USING ERRCODE = 'MP003', DETAIL = CASE WHEN v_known AND p_unit = ANY (string_to_array(v_names, ', '))
      THEN format('No window of %s is open yet: it opens when the workspace looks at its quota or begins a run. Grant again then.', p_unit)
      ELSE format('The plan %s has no limit %s over its period that can be granted to: it has %s.', v_plan, p_unit, v_names) END;
  END IF;
  SELECT * INTO v_old FROM quota_grants WHERE workspace_id = p_workspace AND key = p_key;
  IF FOUND THEN
    IF v_old.unit <> p_unit OR v_old.amount <> p_amount THEN RAISE EXCEPTION 'other' USING ERRCODE = 'MP004'; END IF;
    RETURN jsonb_build_object('granted', false, 'amount', v.amount);
  END IF;
  INSERT INTO quota_grants (workspace_id, key, window_id, unit, amount, note) VALUES (p_workspace, p_key, v.id, p_unit, p_amount, p_note);
  UPDATE quota_windows SET amount = amount + p_amount WHERE workspace_id = p_workspace AND id = v.id;
  PERFORM operator_did('grant', jsonb_build_object('workspace', p_workspace, 'limit', p_unit, 'amount', p_amount, 'key', p_key, 'note', p_note));
  RETURN jsonb_build_object('granted', true, 'amount', v.amount + p_amount);
END $$;

GRANT SELECT, INSERT, DELETE ON workspace_plans TO maru_definer;
GRANT SELECT, INSERT ON operator_actions TO maru_definer;
GRANT SELECT (parked, not_before) ON runs TO maru_definer;
GRANT SELECT (workspace_id, run_id) ON quota_reservations TO maru_definer;
CREATE POLICY definer_reads ON quota_reservations FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_notices ON quota_notices TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT ON quota_notices TO maru_definer;
-- What operators look at.
GRANT SELECT ON plans, plan_limits, plan_terms, operator_actions TO maru_operator;
CREATE FUNCTION plans_of(p_workspace uuid) RETURNS TABLE (plan_id text, from_at timestamptz, note text)
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT w.plan_id, w.created_at, 'made with it' FROM workspaces w WHERE w.id = p_workspace
  UNION ALL SELECT c.plan_id, c.from_at, c.note FROM workspace_plans c WHERE c.workspace_id = p_workspace ORDER BY 2
$$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION subject_key(runs, text), quota_rank(text), pace_key(boolean, text, text), limits_on(runs, timestamptz), model_price(text, bigint, bigint, timestamptz), quota_ask(runs, text, bigint, timestamptz),
  quota_crossed(quota_windows, bigint, timestamptz), quota_window(runs, boolean, text, text, text, text, int, bigint, timestamptz), quota_frees_at(quota_windows, bigint),
  quota_reserve(runs, bigint, boolean, timestamptz), quota_lines(uuid, uuid), quota_move(quota_reservations, bigint, bigint, int, text, timestamptz),
  quota_give_pace(quota_reservations, int, timestamptz), leaked_reservations(int), quota_expire(uuid, uuid), notice_ending_windows(),
  set_limit(uuid, text, text, text, text, int, bigint, int), end_limit_windows(uuid, text, timestamptz), drop_limit(uuid, text, int) TO maru_runtime;
GRANT EXECUTE ON FUNCTION operator_did(text, jsonb) TO maru_definer;
GRANT EXECUTE ON FUNCTION maru_now() TO maru_operator;
GRANT EXECUTE ON FUNCTION make_plan(text, text, text, int, timestamptz, timestamptz, int, jsonb, text), extend_campaign(text, timestamptz, timestamptz, text),
  change_plan(uuid, text, timestamptz, text), grant_quota(uuid, text, text, bigint, text), plans_of(uuid) TO maru_operator;
GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION leaked_reservations(int) OWNER TO maru_definer;
ALTER FUNCTION notice_ending_windows() OWNER TO maru_definer;
ALTER FUNCTION operator_did(text, jsonb) OWNER TO maru_definer;
ALTER FUNCTION make_plan(text, text, text, int, timestamptz, timestamptz, int, jsonb, text) OWNER TO maru_definer;
ALTER FUNCTION plans_of(uuid) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;
