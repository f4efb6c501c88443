-- Tenancy, second lock. The first is the workspace filter in every statement; this one holds when that is forgotten.
--
-- maru_runtime  what gateways and workers are (through a login role that is a member): owns nothing, cannot bypass.
-- maru_definer  owns the few functions that must look across workspaces (sweeper, key lookup). Nobody logs in as it, and
--               it too is under row security: it sees only what a policy below names.
DO $$
BEGIN
  CREATE ROLE maru_runtime NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
DO $$
BEGIN
  CREATE ROLE maru_definer NOLOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE;
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL;
END $$;
-- A migrating role that is not a superuser must be a member of the role it gives functions to.
DO $$
BEGIN
  IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
    EXECUTE format('GRANT maru_definer TO %I', current_user);
  END IF;
END $$;

-- The one clock that judges windows, leases and deadlines. Tests replace it in their own database.
CREATE FUNCTION maru_now() RETURNS timestamptz LANGUAGE sql VOLATILE PARALLEL SAFE
  AS $$ SELECT date_trunc('milliseconds', clock_timestamp()) $$;

-- NULLIF: after a transaction that used SET LOCAL the setting is '' and not NULL, and ''::uuid would throw.
CREATE FUNCTION current_workspace() RETURNS uuid LANGUAGE sql STABLE PARALLEL SAFE
  AS $$ SELECT NULLIF(current_setting('app.workspace_id', true), '')::uuid $$;

CREATE FUNCTION enter_workspace(p_workspace uuid) RETURNS void LANGUAGE sql VOLATILE
  AS $$ SELECT set_config('app.workspace_id', p_workspace::text, true) $$;

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY[
    'memberships', 'sessions', 'refresh_tokens', 'api_keys', 'agents', 'revisions', 'deployments', 'threads',
    'thread_messages', 'runs', 'run_steps', 'run_events', 'idempotency_records', 'quota_windows', 'quota_reservations',
    'quota_entries', 'usage_records']
  LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO maru_runtime USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO maru_runtime', t);
  END LOOP;
END $$;
ALTER TABLE workspaces ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspaces FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspaces TO maru_runtime USING (id = (SELECT current_workspace())) WITH CHECK (id = (SELECT current_workspace()));

GRANT USAGE ON SCHEMA public TO maru_runtime, maru_definer;
GRANT SELECT, INSERT ON workspaces TO maru_runtime;
GRANT SELECT, INSERT ON users TO maru_runtime;
GRANT SELECT ON plans, plan_limits TO maru_runtime;
-- The ledger and the bill are append-only for whoever runs the service.
REVOKE UPDATE, DELETE ON quota_entries, usage_records FROM maru_runtime;

-- What the definer may see across workspaces: ids, leases and hashes; never input, output or secrets in clear.
CREATE POLICY definer_reads ON runs FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_leases ON runs FOR UPDATE TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT (workspace_id, id, status, epoch, lease_until, dispatched_at, cancel_requested_at, deadline_at, created_at) ON runs TO maru_definer;
GRANT UPDATE (lease_until, dispatched_at) ON runs TO maru_definer;
CREATE POLICY definer_reads ON api_keys FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_touches ON api_keys FOR UPDATE TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT ON api_keys TO maru_definer;
GRANT UPDATE (last_used_at) ON api_keys TO maru_definer;
CREATE POLICY definer_reads ON memberships FOR SELECT TO maru_definer USING (true);
GRANT SELECT ON memberships TO maru_definer;
CREATE POLICY definer_all ON sessions TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE ON sessions TO maru_definer;
CREATE POLICY definer_all ON refresh_tokens TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT, INSERT, UPDATE, DELETE ON refresh_tokens TO maru_definer;
CREATE POLICY definer_deletes ON idempotency_records FOR DELETE TO maru_definer USING (true);
CREATE POLICY definer_reads ON idempotency_records FOR SELECT TO maru_definer USING (true);
GRANT SELECT, DELETE ON idempotency_records TO maru_definer;
GRANT SELECT ON users TO maru_definer;
