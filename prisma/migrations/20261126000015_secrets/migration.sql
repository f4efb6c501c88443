-- Secrets that tools may use. Only ciphertext comes here: `sealed` under a data key of its own, `wrapped_key` that key under
-- the installation's key named by `key_id`. Both are bound to workspace, agent, name and version.
CREATE TABLE secrets (
  workspace_id UUID NOT NULL,
  -- The name of the one agent that has it, which may not exist yet; '' = every agent of the workspace.
  agent TEXT NOT NULL,
  name TEXT NOT NULL,
  version INTEGER NOT NULL,
  key_id TEXT NOT NULL,
  wrapped_key BYTEA NOT NULL,
  sealed BYTEA NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL,
  updated_at TIMESTAMPTZ(3) NOT NULL,
  last_used_at TIMESTAMPTZ(3),
  CONSTRAINT secrets_pkey PRIMARY KEY (workspace_id, name, agent),
  CONSTRAINT secrets_name CHECK (name ~ '^[A-Z][A-Z0-9_]{0,63}$'),
  CONSTRAINT secrets_version CHECK (version > 0),
  CONSTRAINT secrets_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION
);
CREATE INDEX secrets_key_id_idx ON secrets (key_id);

ALTER TABLE secrets ENABLE ROW LEVEL SECURITY;
ALTER TABLE secrets FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON secrets TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
GRANT SELECT, INSERT, UPDATE, DELETE ON secrets TO maru_runtime;
-- The definer notes uses and wraps data keys anew; `sealed` it cannot even read.
CREATE POLICY definer_reads ON secrets FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_writes ON secrets FOR UPDATE TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT (workspace_id, agent, name, version, key_id, wrapped_key, last_used_at) ON secrets TO maru_definer;
GRANT UPDATE (last_used_at, key_id, wrapped_key) ON secrets TO maru_definer;

-- SQLSTATEs of Maru's own: MS001 the workspace has as many secrets as may be.

-- Writes the version after the one its caller saw (the version is bound into the ciphertext, so it must be known before).
-- Answers null when there is another one by now. Writers of a workspace take turns, so the limit holds under any race.
CREATE FUNCTION put_secret(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_version int := (p->>'version')::int;
  v_now timestamptz := maru_now();
  v secrets;
BEGIN
  PERFORM enter_workspace(v_ws);
  PERFORM pg_advisory_xact_lock(hashtextextended('secrets ' || v_ws, 0));
  SELECT * INTO v FROM secrets WHERE workspace_id = v_ws AND name = p->>'name' AND agent = p->>'agent' FOR UPDATE;
  IF COALESCE(v.version, 0) <> v_version - 1 THEN RETURN NULL; END IF;
  IF v.version IS NULL AND (SELECT count(*) FROM secrets WHERE workspace_id = v_ws) >= (p->>'max')::int THEN
    RAISE EXCEPTION 'too many secrets' USING ERRCODE = 'MS001';
  END IF;
  INSERT INTO secrets AS s (workspace_id, agent, name, version, key_id, wrapped_key, sealed, created_at, updated_at)
  VALUES (v_ws, p->>'agent', p->>'name', v_version, p->>'key_id', decode(p->>'wrapped_key', 'hex'), decode(p->>'sealed', 'hex'), v_now, v_now)
  ON CONFLICT (workspace_id, name, agent) DO UPDATE
    SET version = excluded.version, key_id = excluded.key_id, wrapped_key = excluded.wrapped_key, sealed = excluded.sealed, updated_at = v_now
  RETURNING * INTO v;
  RETURN to_jsonb(v) - 'wrapped_key' - 'sealed';
END $$;

-- Secrets an agent may use, by name: its own before the workspace's.
CREATE FUNCTION read_secrets(p_workspace uuid, p_agent text, p_names text[])
RETURNS TABLE (agent text, name text, version int, key_id text, wrapped_key bytea, sealed bytea) LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN QUERY SELECT DISTINCT ON (s.name) s.agent, s.name, s.version, s.key_id, s.wrapped_key, s.sealed FROM secrets s
    WHERE s.workspace_id = p_workspace AND s.name = ANY (p_names) AND s.agent IN ('', p_agent)
    ORDER BY s.name, s.agent DESC;
END $$;

-- When secrets were last used, of any workspaces, at most once a batch.
CREATE FUNCTION touch_secrets(p_used jsonb) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  UPDATE secrets s SET last_used_at = greatest(s.last_used_at, u.at)
    FROM jsonb_to_recordset(p_used) AS u(w uuid, agent text, name text, at timestamptz)
   WHERE s.workspace_id = u.w AND s.agent = u.agent AND s.name = u.name
$$;

-- Secrets not wrapped by the key named, after a place in their order; for the operator's rewrap only.
CREATE FUNCTION secrets_to_rewrap(p_key text, p_after jsonb, p_limit int)
RETURNS TABLE (workspace_id uuid, agent text, name text, version int, wrapped_key bytea)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT s.workspace_id, s.agent, s.name, s.version, s.wrapped_key FROM secrets s
   WHERE s.key_id <> p_key
     AND (p_after IS NULL OR (s.workspace_id, s.name, s.agent) > ((p_after->>'workspace_id')::uuid, p_after->>'name', p_after->>'agent'))
   ORDER BY s.workspace_id, s.name, s.agent LIMIT p_limit
$$;

-- Puts another wrapping of the same data key in place. False when the secret was changed or removed meanwhile.
CREATE FUNCTION rewrap_secret(p_workspace uuid, p_agent text, p_name text, p_version int, p_before bytea, p_key text, p_wrapped bytea)
RETURNS boolean LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
BEGIN
  UPDATE secrets SET key_id = p_key, wrapped_key = p_wrapped
   WHERE workspace_id = p_workspace AND agent = p_agent AND name = p_name AND version = p_version AND wrapped_key = p_before;
  RETURN FOUND;
END $$;

-- That data keys were wrapped anew, among what operators did.
CREATE FUNCTION secrets_rewrapped(p_key text, p_rewrapped int, p_unopened int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT operator_did('rewrap-secrets', jsonb_build_object('key_id', p_key, 'rewrapped', p_rewrapped, 'unopened', p_unopened))
$$;

GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION touch_secrets(jsonb) OWNER TO maru_definer;
ALTER FUNCTION secrets_to_rewrap(text, jsonb, int) OWNER TO maru_definer;
ALTER FUNCTION rewrap_secret(uuid, text, text, int, bytea, text, bytea) OWNER TO maru_definer;
ALTER FUNCTION secrets_rewrapped(text, int, int) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;
REVOKE EXECUTE ON FUNCTION put_secret(jsonb), read_secrets(uuid, text, text[]), touch_secrets(jsonb),
  secrets_to_rewrap(text, jsonb, int), rewrap_secret(uuid, text, text, int, bytea, text, bytea), secrets_rewrapped(text, int, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION put_secret(jsonb), read_secrets(uuid, text, text[]), touch_secrets(jsonb) TO maru_runtime;
GRANT EXECUTE ON FUNCTION secrets_to_rewrap(text, jsonb, int), rewrap_secret(uuid, text, text, int, bytea, text, bytea),
  secrets_rewrapped(text, int, int) TO maru_operator;
