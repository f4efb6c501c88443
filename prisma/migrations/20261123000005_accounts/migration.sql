-- Accounts and deployments: transactions of several statements that must be one.
-- SQLSTATEs of Maru's own: MA001 email taken, MD001 deployment name taken by another agent, MD002 precondition failed

-- A user with a workspace, a session in it and the session's first refresh token.
CREATE FUNCTION register_account(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_user uuid := (p->>'user_id')::uuid;
BEGIN
  PERFORM enter_workspace(v_ws);
  INSERT INTO users (id, email, password_hash) VALUES (v_user, lower(p->>'email'), p->>'password_hash') ON CONFLICT (email) DO NOTHING;
  IF NOT FOUND THEN RAISE EXCEPTION 'email taken' USING ERRCODE = 'MA001'; END IF;
  INSERT INTO workspaces (id, name, plan_id) VALUES (v_ws, p->>'workspace', 'free');
  INSERT INTO memberships (workspace_id, user_id, role) VALUES (v_ws, v_user, 'owner');
  RETURN jsonb_build_object('at', maru_now());
END $$;

-- The password hash of an account and the workspace it signs in to (the oldest it belongs to).
CREATE FUNCTION find_account(p_email text) RETURNS TABLE (user_id uuid, password_hash text, workspace_id uuid)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT u.id, u.password_hash, m.workspace_id FROM users u JOIN memberships m ON m.user_id = u.id
   WHERE u.email = lower(p_email) ORDER BY m.created_at, m.workspace_id LIMIT 1
$$;

CREATE FUNCTION open_session(p_workspace uuid, p_user uuid, p_session uuid, p_hash bytea, p_ttl_seconds int) RETURNS timestamptz
LANGUAGE plpgsql AS $$
DECLARE
  v_expires timestamptz := maru_now() + p_ttl_seconds * interval '1 second';
BEGIN
  PERFORM enter_workspace(p_workspace);
  INSERT INTO sessions (workspace_id, id, user_id) VALUES (p_workspace, p_session, p_user);
  INSERT INTO refresh_tokens (workspace_id, hash, session_id, expires_at) VALUES (p_workspace, p_hash, p_session, v_expires);
  RETURN v_expires;
END $$;

-- Exchanges a refresh token for a new one. The row lock makes two users of one token take turns: the second finds it
-- used, which is theft or a bug, and ends the session for both. No rows: not a token, expired, or session ended.
CREATE FUNCTION rotate_refresh_token(p_hash bytea, p_new_hash bytea, p_ttl_seconds int)
RETURNS TABLE (workspace_id uuid, user_id uuid, session_id uuid, expires_at timestamptz)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_token refresh_tokens;
  v_session sessions;
  v_expires timestamptz := maru_now() + p_ttl_seconds * interval '1 second';
BEGIN
  SELECT * INTO v_token FROM refresh_tokens t WHERE t.hash = p_hash FOR UPDATE;
  IF NOT FOUND THEN RETURN; END IF;
  SELECT * INTO v_session FROM sessions s WHERE s.workspace_id = v_token.workspace_id AND s.id = v_token.session_id FOR UPDATE;
  IF v_session.revoked_at IS NOT NULL THEN RETURN; END IF;
  IF v_token.used_at IS NOT NULL THEN
    UPDATE sessions s SET revoked_at = maru_now() WHERE s.workspace_id = v_session.workspace_id AND s.id = v_session.id;
    RETURN;
  END IF;
  IF v_token.expires_at <= maru_now() THEN RETURN; END IF;
  UPDATE refresh_tokens t SET used_at = maru_now() WHERE t.hash = p_hash;
  INSERT INTO refresh_tokens (workspace_id, hash, session_id, expires_at)
  VALUES (v_token.workspace_id, p_new_hash, v_token.session_id, v_expires);
  RETURN QUERY SELECT v_session.workspace_id, v_session.user_id, v_session.id, v_expires;
END $$;

CREATE FUNCTION revoke_session(p_workspace uuid, p_session uuid) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  UPDATE sessions SET revoked_at = COALESCE(revoked_at, maru_now()) WHERE workspace_id = p_workspace AND id = p_session;
END $$;

CREATE FUNCTION session_alive(p_workspace uuid, p_session uuid, p_user uuid) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN EXISTS (SELECT 1 FROM sessions WHERE workspace_id = p_workspace AND id = p_session AND user_id = p_user AND revoked_at IS NULL);
END $$;

-- The key with this public id, whatever its workspace: the workspace is what the caller wants to learn.
CREATE FUNCTION find_api_key(p_key_id text)
RETURNS TABLE (workspace_id uuid, id uuid, secret_hash bytea, scopes text[], usable boolean)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT k.workspace_id, k.id, k.secret_hash, k.scopes,
         k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > maru_now())
    FROM api_keys k WHERE k.key_id = p_key_id
$$;

CREATE FUNCTION touch_api_keys(p_keys jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE api_keys k SET last_used_at = greatest(k.last_used_at, t.at)
    FROM jsonb_to_recordset(p_keys) AS t(w uuid, id uuid, at timestamptz)
   WHERE k.workspace_id = t.w AND k.id = t.id
$$;

-- Creates or rolls forward. The agent's row lock makes two deploys of one agent take turns. The same digest as the
-- revision in force changes nothing. With `dry_run` it only answers what is there now.
CREATE FUNCTION deploy_manifest(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_dry boolean := (p->>'dry_run')::boolean;
  v_now timestamptz := maru_now();
  v_agent agents;
  v_dep deployments;
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
  SELECT * INTO v_rev FROM revisions WHERE workspace_id = v_ws AND agent_id = v_dep.agent_id AND number = v_dep.revision;
  SELECT * INTO v_latest FROM revisions WHERE workspace_id = v_ws AND agent_id = v_agent.id AND number = v_agent.latest_revision;
  v_action := CASE WHEN v_dep.id IS NULL THEN 'create' WHEN v_rev.digest = p->>'digest' THEN 'unchanged' ELSE 'update' END;
  IF NOT v_dry AND v_action <> 'unchanged' THEN
    IF v_latest.digest IS DISTINCT FROM p->>'digest' THEN
      UPDATE agents SET latest_revision = latest_revision + 1, updated_at = v_now WHERE workspace_id = v_ws AND id = v_agent.id
      RETURNING * INTO v_agent;
      INSERT INTO revisions (workspace_id, agent_id, number, digest, spec, reserve_tokens, created_at)
      VALUES (v_ws, v_agent.id, v_agent.latest_revision, p->>'digest', p->'spec', (p->>'reserve_tokens')::int, v_now);
    END IF;
    INSERT INTO deployments (workspace_id, id, name, agent_id, revision, created_at, updated_at)
    VALUES (v_ws, (p->>'deployment_id')::uuid, p->>'deployment', v_agent.id, v_agent.latest_revision, v_now, v_now)
    ON CONFLICT (workspace_id, name) DO UPDATE
      SET revision = excluded.revision, generation = deployments.generation + 1, updated_at = v_now;
    SELECT * INTO v_dep FROM deployments WHERE workspace_id = v_ws AND name = p->>'deployment';
  END IF;
  RETURN jsonb_build_object('action', v_action, 'before', v_rev.spec, 'deployment', to_jsonb(v_dep), 'revision', v_dep.revision);
END $$;

-- Idempotency-Key for calls without a row of their own to carry it. The primary key decides a race: one caller takes the
-- key, the others see it in progress, then the reply.
CREATE FUNCTION begin_idempotent(p_workspace uuid, p_operation text, p_key text, p_hash bytea, p_lock_seconds int)
RETURNS TABLE (outcome text, status int, reply bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
  v idempotency_records;
  v_now timestamptz := maru_now();
  v_until timestamptz := v_now + p_lock_seconds * interval '1 second';
BEGIN
  PERFORM enter_workspace(p_workspace);
  INSERT INTO idempotency_records (workspace_id, operation, key, request_hash, created_at, locked_until)
  VALUES (p_workspace, p_operation, p_key, p_hash, v_now, v_until) ON CONFLICT DO NOTHING;
  IF FOUND THEN RETURN QUERY SELECT 'taken', NULL::int, NULL::bytea; RETURN; END IF;
  SELECT * INTO v FROM idempotency_records r
   WHERE r.workspace_id = p_workspace AND r.operation = p_operation AND r.key = p_key FOR UPDATE;
  IF v.request_hash <> p_hash THEN RETURN QUERY SELECT 'mismatch', NULL::int, NULL::bytea; RETURN; END IF;
  IF v.status IS NOT NULL THEN RETURN QUERY SELECT 'replay', v.status, v.reply; RETURN; END IF;
  IF v.locked_until >= v_now THEN RETURN QUERY SELECT 'in_progress', NULL::int, NULL::bytea; RETURN; END IF;
  UPDATE idempotency_records r SET locked_until = v_until
   WHERE r.workspace_id = p_workspace AND r.operation = p_operation AND r.key = p_key;
  RETURN QUERY SELECT 'taken', NULL::int, NULL::bytea;
END $$;

CREATE FUNCTION finish_idempotent(p_workspace uuid, p_operation text, p_key text, p_status int, p_reply bytea) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  UPDATE idempotency_records SET status = p_status, reply = p_reply, locked_until = NULL
   WHERE workspace_id = p_workspace AND operation = p_operation AND key = p_key;
END $$;

CREATE FUNCTION abandon_idempotent(p_workspace uuid, p_operation text, p_key text) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  DELETE FROM idempotency_records WHERE workspace_id = p_workspace AND operation = p_operation AND key = p_key AND status IS NULL;
END $$;

-- Sums of the usage records of [from, to), grouped by the named dimensions. A run counts in the group of its records.
CREATE FUNCTION usage_report(p_workspace uuid, p_from timestamptz, p_to timestamptz, p_zone text, p_by text[]) RETURNS jsonb
LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (
    SELECT COALESCE(jsonb_agg(jsonb_build_object(
        'key', jsonb_strip_nulls(jsonb_build_object('day', g.day, 'agent', g.agent, 'deployment', g.deployment, 'model', g.model, 'key', g.key)),
        'runs', g.runs, 'model_calls', g.calls, 'input_tokens', g.input, 'cached_input_tokens', g.cached,
        'output_tokens', g.output, 'total_tokens', g.input + g.output, 'cost_micros', g.cost)
        ORDER BY g.day, g.agent, g.deployment, g.model, g.key), '[]')
      FROM (
        SELECT u.day, u.agent, u.deployment, u.model, u.key, count(DISTINCT u.run_id) AS runs, count(*) AS calls,
               sum(u.input_tokens) AS input, sum(u.cached_input_tokens) AS cached, sum(u.output_tokens) AS output, sum(u.cost_micros) AS cost
          FROM (
            SELECT r.*,
                   CASE WHEN 'day' = ANY (p_by) THEN to_char(r.at AT TIME ZONE p_zone, 'YYYY-MM-DD') END AS day,
                   CASE WHEN 'agent' = ANY (p_by) THEN a.name END AS agent,
                   CASE WHEN 'deployment' = ANY (p_by) THEN d.name END AS deployment,
                   CASE WHEN 'key' = ANY (p_by) THEN COALESCE(n.api_key_id::text, '') END AS key
              FROM (SELECT workspace_id, run_id, at, input_tokens, cached_input_tokens, output_tokens, cost_micros,
                           CASE WHEN 'model' = ANY (p_by) THEN model END AS model
                      FROM usage_records WHERE workspace_id = p_workspace AND at >= p_from AND at < p_to) r
              JOIN runs n ON n.workspace_id = r.workspace_id AND n.id = r.run_id
              JOIN deployments d ON d.workspace_id = n.workspace_id AND d.id = n.deployment_id
              JOIN agents a ON a.workspace_id = n.workspace_id AND a.id = n.agent_id) u
         GROUP BY u.day, u.agent, u.deployment, u.model, u.key) g);
END $$;

GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION find_account(text) OWNER TO maru_definer;
ALTER FUNCTION rotate_refresh_token(bytea, bytea, int) OWNER TO maru_definer;
ALTER FUNCTION find_api_key(text) OWNER TO maru_definer;
ALTER FUNCTION touch_api_keys(jsonb) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;

-- Functions may be called by the service only.
REVOKE EXECUTE ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA public TO maru_runtime;
GRANT EXECUTE ON FUNCTION maru_now(), current_workspace(), enter_workspace(uuid) TO maru_definer;
