-- Quota policy as data: campaigns whose end may be moved, plans that change, amounts that are granted. What was in force when
-- stays readable: a change is a row, never an update of what was said before. Operators make them (npm run admin), by functions the
-- services may not call.
ALTER TABLE plans DROP CONSTRAINT plans_renew, ADD CONSTRAINT plans_renew CHECK (renew IN ('monthly', 'none', 'campaign'));

-- The terms of a campaign, oldest first: the last one that is in force counts.
CREATE TABLE plan_terms (
  plan_id TEXT NOT NULL,
  seq INTEGER NOT NULL,
  starts_at TIMESTAMPTZ(3) NOT NULL,
  ends_at TIMESTAMPTZ(3) NOT NULL,
  effective_at TIMESTAMPTZ(3) NOT NULL,
  note TEXT NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT plan_terms_pkey PRIMARY KEY (plan_id, seq),
  CONSTRAINT plan_terms_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES plans (id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT plan_terms_span CHECK (ends_at > starts_at)
);
-- Which plan a workspace is on from when; before the first of them the one it was made with.
CREATE TABLE workspace_plans (
  workspace_id UUID NOT NULL,
  from_at TIMESTAMPTZ(3) NOT NULL,
  plan_id TEXT NOT NULL,
  note TEXT NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT workspace_plans_pkey PRIMARY KEY (workspace_id, from_at),
  CONSTRAINT workspace_plans_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT workspace_plans_plan_id_fkey FOREIGN KEY (plan_id) REFERENCES plans (id) ON DELETE RESTRICT ON UPDATE NO ACTION
);
-- Amounts added to a window. The key makes a repeated grant the same grant.
CREATE TABLE quota_grants (
  workspace_id UUID NOT NULL,
  key TEXT NOT NULL,
  window_id UUID NOT NULL,
  unit TEXT NOT NULL,
  amount BIGINT NOT NULL,
  note TEXT NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
  CONSTRAINT quota_grants_pkey PRIMARY KEY (workspace_id, key),
  CONSTRAINT quota_grants_workspace_id_window_id_fkey FOREIGN KEY (workspace_id, window_id) REFERENCES quota_windows (workspace_id, id) ON DELETE RESTRICT ON UPDATE NO ACTION,
  CONSTRAINT quota_grants_amount CHECK (amount > 0)
);
-- A window's amount is what its plan gave and what was granted.
ALTER TABLE quota_windows ADD COLUMN base_amount BIGINT;
UPDATE quota_windows SET base_amount = amount;
ALTER TABLE quota_windows ALTER COLUMN base_amount SET NOT NULL;

ALTER TABLE workspace_plans ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspace_plans FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspace_plans TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
ALTER TABLE quota_grants ENABLE ROW LEVEL SECURITY;
ALTER TABLE quota_grants FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON quota_grants TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
GRANT SELECT ON plan_terms, workspace_plans, quota_grants TO maru_runtime;
CREATE POLICY definer_all ON workspace_plans TO maru_definer USING (true) WITH CHECK (true);
CREATE POLICY definer_all ON quota_grants TO maru_definer USING (true) WITH CHECK (true);
CREATE POLICY definer_moves ON quota_windows TO maru_definer USING (true) WITH CHECK (true);
CREATE POLICY definer_reads ON workspaces FOR SELECT TO maru_definer USING (true);
GRANT SELECT, INSERT ON plans, plan_limits, plan_terms, workspace_plans, quota_grants TO maru_definer;
GRANT SELECT ON workspaces, quota_windows TO maru_definer;
GRANT UPDATE (ends_at, amount) ON quota_windows TO maru_definer;

-- The plan in force, and since when it is.
CREATE FUNCTION plan_in_force(p_workspace uuid, p_at timestamptz) RETURNS TABLE (plan_id text, since timestamptz) LANGUAGE sql STABLE AS $$
  (SELECT w.plan_id, w.from_at FROM workspace_plans w WHERE w.workspace_id = p_workspace AND w.from_at <= p_at ORDER BY w.from_at DESC LIMIT 1)
  UNION ALL SELECT w.plan_id, w.created_at FROM workspaces w WHERE w.id = p_workspace
  LIMIT 1
$$;

CREATE OR REPLACE FUNCTION quota_open_windows(p_workspace uuid, p_starts_at timestamptz, p_ends_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v record;
BEGIN
  PERFORM enter_workspace(p_workspace);
  SELECT * INTO v FROM plan_in_force(p_workspace, maru_now());
  INSERT INTO quota_windows (workspace_id, id, unit, starts_at, ends_at, amount, base_amount)
  -- A plan that began within a period begins its first window there: the one before ended at that instant.
  SELECT p_workspace, gen_random_uuid(), l.unit,
         CASE WHEN EXISTS (SELECT 1 FROM workspace_plans w WHERE w.workspace_id = p_workspace AND w.from_at = v.since) THEN GREATEST(p_starts_at, v.since) ELSE p_starts_at END,
         p_ends_at, l.amount, l.amount
    FROM plan_limits l WHERE l.plan_id = v.plan_id
   -- Tokens before runs, as everywhere: a row that is there is locked.
   ORDER BY l.unit DESC
  -- Opened before its campaign was extended: it goes on to the new end, and nothing of it begins anew.
  ON CONFLICT (workspace_id, unit, starts_at) DO UPDATE SET ends_at = GREATEST(quota_windows.ends_at, excluded.ends_at);
END $$;

CREATE OR REPLACE FUNCTION quota_state(p_workspace uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object(
      'now', v_now, 'plan', p.id, 'renew', p.renew, 'time_zone', p.time_zone, 'through_day', p.through_day,
      'workspace_created_at', f.since,
      'term', (SELECT jsonb_build_object('starts_at', t.starts_at, 'ends_at', t.ends_at, 'note', t.note) FROM plan_terms t
                WHERE t.plan_id = p.id AND (t.effective_at <= v_now OR t.seq = 1) ORDER BY t.seq DESC LIMIT 1),
      'windows', COALESCE((
        SELECT jsonb_agg(to_jsonb(q) ORDER BY q.unit DESC) FROM quota_windows q
         WHERE q.workspace_id = p_workspace AND q.starts_at <= v_now AND v_now < q.ends_at), '[]'))
      FROM plan_in_force(p_workspace, v_now) f JOIN plans p ON p.id = f.plan_id);
END $$;

-- Operators' functions. SQLSTATEs: MP001 no such plan or campaign, MP002 no such workspace, MP003 it makes no sense (DETAIL says
-- what), MP004 the key was used for another grant.

-- A campaign: a span in which its limits may be used, once.
CREATE FUNCTION make_campaign(p_id text, p_zone text, p_starts timestamptz, p_ends timestamptz, p_limits jsonb, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  IF EXISTS (SELECT 1 FROM plans WHERE id = p_id) THEN
    RAISE EXCEPTION 'exists' USING ERRCODE = 'MP003', DETAIL = format('There is a plan %s already.', p_id);
  END IF;
  IF p_ends <= p_starts THEN RAISE EXCEPTION 'span' USING ERRCODE = 'MP003', DETAIL = 'It ends before it starts.'; END IF;
  INSERT INTO plans (id, renew, time_zone, through_day) VALUES (p_id, 'campaign', p_zone, 31);
  INSERT INTO plan_limits (plan_id, unit, amount) SELECT p_id, l.key, l.value::text::bigint FROM jsonb_each(p_limits) l;
  INSERT INTO plan_terms (plan_id, seq, starts_at, ends_at, effective_at, note) VALUES (p_id, 1, p_starts, p_ends, maru_now(), p_note);
END $$;

-- Moves the end of a campaign that has not ended: a new term. `p_effective` may lie ahead: until then the old end is what callers
-- are told. Windows that are open move with it: now, or when the first run after the old end asks for one.
CREATE FUNCTION extend_campaign(p_id text, p_ends timestamptz, p_effective timestamptz, p_note text) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v plan_terms;
  v_moved int;
BEGIN
  PERFORM 1 FROM plans WHERE id = p_id AND renew = 'campaign';
  IF NOT FOUND THEN RAISE EXCEPTION 'no campaign' USING ERRCODE = 'MP001', DETAIL = p_id; END IF;
  SELECT * INTO v FROM plan_terms WHERE plan_id = p_id ORDER BY seq DESC LIMIT 1;
  IF v.ends_at <= v_now THEN
    RAISE EXCEPTION 'ended' USING ERRCODE = 'MP003', DETAIL = format('It ended at %s: begin another campaign instead.', v.ends_at);
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
  RETURN v_moved;
END $$;

-- Puts a workspace on a plan from an instant on. Windows of the plan before end there; runs they admitted settle in them.
CREATE FUNCTION change_plan(p_workspace uuid, p_plan text, p_from timestamptz, p_note text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_from timestamptz := COALESCE(p_from, v_now);
BEGIN
  IF NOT EXISTS (SELECT 1 FROM plans WHERE id = p_plan) THEN RAISE EXCEPTION 'no plan' USING ERRCODE = 'MP001', DETAIL = p_plan; END IF;
  IF NOT EXISTS (SELECT 1 FROM workspaces WHERE id = p_workspace) THEN RAISE EXCEPTION 'no workspace' USING ERRCODE = 'MP002'; END IF;
  IF v_from < v_now THEN RAISE EXCEPTION 'past' USING ERRCODE = 'MP003', DETAIL = 'A change can''t lie in the past.'; END IF;
  INSERT INTO workspace_plans (workspace_id, from_at, plan_id, note) VALUES (p_workspace, v_from, p_plan, p_note);
  UPDATE quota_windows SET ends_at = v_from WHERE workspace_id = p_workspace AND starts_at < v_from AND ends_at > v_from;
END $$;

-- Adds to what a workspace may use in the window that is open. The same key again is the same grant.
CREATE FUNCTION grant_quota(p_workspace uuid, p_key text, p_unit text, p_amount bigint, p_note text) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v quota_windows;
  v_old quota_grants;
BEGIN
  IF NOT EXISTS (SELECT 1 FROM workspaces WHERE id = p_workspace) THEN RAISE EXCEPTION 'no workspace' USING ERRCODE = 'MP002'; END IF;
  IF p_amount IS NULL OR p_amount <= 0 THEN RAISE EXCEPTION 'amount' USING ERRCODE = 'MP003', DETAIL = 'The amount must be a whole number above zero.'; END IF;
  -- The row lock makes grants of one window take turns, so a repeated key finds what was done.
  SELECT * INTO v FROM quota_windows WHERE workspace_id = p_workspace AND unit = p_unit AND starts_at <= v_now AND v_now < ends_at FOR NO KEY UPDATE;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'no window' USING ERRCODE = 'MP003', DETAIL = format('No window of %s is open: it opens with the workspace''s first run or look at its quota.', p_unit);
  END IF;
  SELECT * INTO v_old FROM quota_grants WHERE workspace_id = p_workspace AND key = p_key;
  IF FOUND THEN
    IF v_old.unit <> p_unit OR v_old.amount <> p_amount THEN RAISE EXCEPTION 'other' USING ERRCODE = 'MP004'; END IF;
    RETURN jsonb_build_object('granted', false, 'amount', v.amount);
  END IF;
  INSERT INTO quota_grants (workspace_id, key, window_id, unit, amount, note) VALUES (p_workspace, p_key, v.id, p_unit, p_amount, p_note);
  UPDATE quota_windows SET amount = amount + p_amount WHERE workspace_id = p_workspace AND id = v.id;
  RETURN jsonb_build_object('granted', true, 'amount', v.amount + p_amount);
END $$;

-- As before; and what a window may hold is what its plan gave and what was granted.
CREATE FUNCTION grant_findings(p_workspace uuid) RETURNS TABLE (finding text, subject text, expected bigint, found bigint) LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN QUERY SELECT 'the limit is not the plan''s and what was granted'::text, w.unit || ' window ' || w.id,
         w.base_amount + COALESCE(sum(g.amount), 0)::bigint, w.amount
    FROM quota_windows w LEFT JOIN quota_grants g ON g.workspace_id = w.workspace_id AND g.window_id = w.id
   WHERE w.workspace_id = p_workspace GROUP BY w.workspace_id, w.id HAVING w.amount <> w.base_amount + COALESCE(sum(g.amount), 0);
END $$;

REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON FUNCTION plan_in_force(uuid, timestamptz), grant_findings(uuid) TO maru_runtime;
GRANT EXECUTE ON FUNCTION plan_in_force(uuid, timestamptz) TO maru_definer;
GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION make_campaign(text, text, timestamptz, timestamptz, jsonb, text) OWNER TO maru_definer;
ALTER FUNCTION extend_campaign(text, timestamptz, timestamptz, text) OWNER TO maru_definer;
ALTER FUNCTION change_plan(uuid, text, timestamptz, text) OWNER TO maru_definer;
ALTER FUNCTION grant_quota(uuid, text, text, bigint, text) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;

-- The launch of K-EXAONE: free from 2026-01-09 through 2026-01-28, 24:00 in Seoul, and before that end extended through
-- 2026-02-12. When the extension was announced is not known here; it is dated at the beginning of the last day it moved.
INSERT INTO plans (id, renew, time_zone, through_day) VALUES ('k-exaone-launch', 'campaign', 'Asia/Seoul', 28);
INSERT INTO plan_limits (plan_id, unit, amount) VALUES ('k-exaone-launch', 'tokens', 10000000), ('k-exaone-launch', 'runs', 10000);
INSERT INTO plan_terms (plan_id, seq, starts_at, ends_at, effective_at, note) VALUES
  ('k-exaone-launch', 1, '2026-01-08T15:00:00Z', '2026-01-28T15:00:00Z', '2026-01-08T15:00:00Z', 'Launch: free through January 28th, 24:00 KST'),
  ('k-exaone-launch', 2, '2026-01-08T15:00:00Z', '2026-02-12T15:00:00Z', '2026-01-27T15:00:00Z', 'Extended: free through February 12th, 24:00 KST');
