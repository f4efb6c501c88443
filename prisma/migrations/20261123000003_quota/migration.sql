-- The quota ledger. A run holds a reservation per unit; every move of an amount is one append-only entry, written in
-- the transaction that changes the window, so the entries of a window always sum to its balance.
--
-- SQLSTATEs of Maru's own, read by packages/store:
--   MQ001 no window covers this instant: the caller opens one (the calendar rule lives in packages/domain) and repeats
--   MQ002 the window has no room; DETAIL is JSON

-- Reserves for a new run. Admission is one conditional UPDATE: a caller that waited for the row lock re-reads the
-- condition, so any number of concurrent callers cannot overspend. Windows are locked in one order everywhere: tokens, then
-- runs; the other way round, creating and ending runs would deadlock.
CREATE FUNCTION quota_reserve(p_workspace uuid, p_run uuid, p_unit text, p_amount bigint, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_window uuid;
  v_full quota_windows;
BEGIN
  LOOP
    UPDATE quota_windows SET reserved = reserved + p_amount
     WHERE workspace_id = p_workspace AND unit = p_unit AND starts_at <= p_now AND p_now < ends_at
       AND used + reserved + p_amount <= amount
    RETURNING id INTO v_window;
    EXIT WHEN FOUND;
    SELECT * INTO v_full FROM quota_windows
     WHERE workspace_id = p_workspace AND unit = p_unit AND starts_at <= p_now AND p_now < ends_at;
    IF NOT FOUND THEN
      RAISE EXCEPTION 'no quota window' USING ERRCODE = 'MQ001', DETAIL = jsonb_build_object('now', p_now)::text;
    END IF;
    -- Opened, or given back to, between the two statements: there is room after all.
    CONTINUE WHEN v_full.used + v_full.reserved + p_amount <= v_full.amount;
    RAISE EXCEPTION 'quota exhausted' USING ERRCODE = 'MQ002', DETAIL = jsonb_build_object(
      'unit', p_unit, 'limit', v_full.amount, 'used', v_full.used, 'reserved', v_full.reserved, 'asked', p_amount,
      'ends_at', v_full.ends_at)::text;
  END LOOP;
  INSERT INTO quota_reservations (workspace_id, run_id, unit, window_id, amount)
  VALUES (p_workspace, p_run, p_unit, v_window, p_amount);
  INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
  VALUES (p_workspace, p_run, p_unit, 0, 'reserve', v_window, p_amount, 0, p_now);
END $$;

-- Settles the tokens of one model step against the run's reservation and reserves for the next step in the same move.
-- What the model reported is always charged, even beyond the reservation (the excess shows as overdraft). Returns false
-- when there is no room for the next reservation; then nothing is held. Called under the run's row lock.
CREATE FUNCTION quota_settle_step(p_workspace uuid, p_run uuid, p_step int, p_used bigint, p_next bigint, p_now timestamptz)
RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_held bigint;
  v_window quota_windows;
  v_next bigint := 0;
BEGIN
  SELECT amount INTO STRICT v_held FROM quota_reservations
   WHERE workspace_id = p_workspace AND run_id = p_run AND unit = 'tokens';
  SELECT w.* INTO STRICT v_window FROM quota_windows w
    JOIN quota_reservations r ON r.workspace_id = w.workspace_id AND r.window_id = w.id
   WHERE r.workspace_id = p_workspace AND r.run_id = p_run AND r.unit = 'tokens'
     FOR NO KEY UPDATE OF w;
  IF v_window.used + p_used + v_window.reserved - v_held + p_next <= v_window.amount THEN
    v_next := p_next;
  END IF;
  UPDATE quota_windows
     SET used = used + p_used,
         reserved = reserved - v_held + v_next,
         overdraft = greatest(overdraft, used + p_used + reserved - v_held + v_next - amount)
   WHERE workspace_id = p_workspace AND id = v_window.id;
  UPDATE quota_reservations SET amount = v_next WHERE workspace_id = p_workspace AND run_id = p_run AND unit = 'tokens';
  INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
  VALUES (p_workspace, p_run, 'tokens', p_step, 'settle', v_window.id, -v_held, p_used, p_now);
  IF v_next > 0 THEN
    INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
    VALUES (p_workspace, p_run, 'tokens', p_step, 'reserve', v_window.id, v_next, 0, p_now);
  END IF;
  RETURN v_next = p_next;
END $$;

-- Closes what a run still holds: its tokens go back, and the run itself is charged when it did any work. Called once, in
-- the transaction that makes the run terminal. Same lock order as quota_reserve.
CREATE FUNCTION quota_close(p_workspace uuid, p_run uuid, p_charge_run boolean, p_step int, p_now timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v quota_reservations;
  v_used bigint;
BEGIN
  FOR v IN SELECT * FROM quota_reservations WHERE workspace_id = p_workspace AND run_id = p_run ORDER BY unit DESC LOOP
    v_used := CASE WHEN v.unit = 'runs' AND p_charge_run THEN v.amount ELSE 0 END;
    IF v.amount > 0 THEN
      UPDATE quota_windows SET used = used + v_used, reserved = reserved - v.amount
       WHERE workspace_id = p_workspace AND id = v.window_id;
      INSERT INTO quota_entries (workspace_id, run_id, unit, step, kind, window_id, reserved_delta, used_delta, at)
      VALUES (p_workspace, p_run, v.unit, p_step, CASE WHEN v_used > 0 THEN 'settle' ELSE 'release' END, v.window_id, -v.amount, v_used, p_now);
    END IF;
  END LOOP;
  DELETE FROM quota_reservations WHERE workspace_id = p_workspace AND run_id = p_run;
END $$;

-- Opens the window of an instant from the workspace's plan; bounds come from the caller, who owns the calendar rule.
-- Two callers racing insert the same row once.
CREATE FUNCTION quota_open_windows(p_workspace uuid, p_starts_at timestamptz, p_ends_at timestamptz)
RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  INSERT INTO quota_windows (workspace_id, id, unit, starts_at, ends_at, amount)
  SELECT p_workspace, gen_random_uuid(), l.unit, p_starts_at, p_ends_at, l.amount
    FROM workspaces w JOIN plan_limits l ON l.plan_id = w.plan_id
   WHERE w.id = p_workspace
   ORDER BY l.unit
  ON CONFLICT (workspace_id, unit, starts_at) DO NOTHING;
END $$;

-- The workspace's plan and its windows at this instant, in one round trip.
CREATE FUNCTION quota_state(p_workspace uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT jsonb_build_object(
      'now', v_now, 'plan', p.id, 'renew', p.renew, 'time_zone', p.time_zone, 'through_day', p.through_day,
      'workspace_created_at', w.created_at,
      'windows', COALESCE((
        SELECT jsonb_agg(to_jsonb(q) ORDER BY q.unit DESC) FROM quota_windows q
         WHERE q.workspace_id = p_workspace AND q.starts_at <= v_now AND v_now < q.ends_at), '[]'))
      FROM workspaces w JOIN plans p ON p.id = w.plan_id WHERE w.id = p_workspace);
END $$;

INSERT INTO plans (id, renew, time_zone, through_day) VALUES ('free', 'monthly', 'Asia/Seoul', 28);
INSERT INTO plan_limits (plan_id, unit, amount) VALUES ('free', 'tokens', 10000000), ('free', 'runs', 10000);
