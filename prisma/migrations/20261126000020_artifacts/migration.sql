-- What tools gave that does not go into a prompt: pictures, files, the whole of a text that was cut. Part of the run's payload: it goes
-- with the steps when they do.
CREATE TABLE artifacts (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  run_id UUID NOT NULL,
  step INTEGER NOT NULL,
  name TEXT NOT NULL,
  media_type TEXT NOT NULL,
  size INTEGER NOT NULL,
  sha256 BYTEA NOT NULL,
  bytes BYTEA NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT artifacts_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT artifacts_size CHECK (size = octet_length(bytes)),
  CONSTRAINT artifacts_workspace_id_run_id_step_fkey FOREIGN KEY (workspace_id, run_id, step)
    REFERENCES run_steps (workspace_id, run_id, seq) ON DELETE CASCADE ON UPDATE NO ACTION
);
CREATE UNIQUE INDEX artifacts_workspace_id_run_id_step_name_key ON artifacts (workspace_id, run_id, step, name);
-- Bytes do not shrink a second time, and those that could are mostly small.
ALTER TABLE artifacts ALTER COLUMN bytes SET STORAGE EXTERNAL;
ALTER TABLE artifacts ENABLE ROW LEVEL SECURITY;
ALTER TABLE artifacts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON artifacts TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
GRANT SELECT, INSERT, UPDATE, DELETE ON artifacts TO maru_runtime;

-- Keeps one for a step that is being executed; a step that is executed again replaces what it kept. Answers `kept`; `lost` when the
-- run is another worker's by now; `full` when the run or the workspace has as much as may be.
CREATE FUNCTION keep_artifact(p jsonb, p_bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_run uuid := (p->>'run_id')::uuid;
  v_size int := octet_length(p_bytes);
  v record;
BEGIN
  PERFORM enter_workspace(v_ws);
  -- Writers of a workspace take turns, so that the limits hold.
  PERFORM pg_advisory_xact_lock(hashtextextended('artifacts ' || v_ws, 0));
  IF NOT EXISTS (SELECT 1 FROM runs WHERE workspace_id = v_ws AND id = v_run AND epoch = (p->>'epoch')::int AND status = 'running') THEN RETURN 'lost'; END IF;
  SELECT count(*) FILTER (WHERE a.run_id = v_run) AS run_count, COALESCE(sum(a.size) FILTER (WHERE a.run_id = v_run), 0) AS run_bytes,
         count(*) AS count, COALESCE(sum(a.size), 0) AS bytes INTO v
    FROM artifacts a WHERE a.workspace_id = v_ws AND NOT (a.run_id = v_run AND a.step = (p->>'step')::int AND a.name = p->>'name');
  IF v.run_count >= (p->'limits'->>'run_count')::int OR v.run_bytes + v_size > (p->'limits'->>'run_bytes')::bigint
     OR v.count >= (p->'limits'->>'count')::int OR v.bytes + v_size > (p->'limits'->>'bytes')::bigint THEN RETURN 'full'; END IF;
  INSERT INTO artifacts (workspace_id, id, run_id, step, name, media_type, size, sha256, bytes, created_at)
  VALUES (v_ws, (p->>'id')::uuid, v_run, (p->>'step')::int, p->>'name', p->>'media_type', v_size, sha256(p_bytes), p_bytes, maru_now())
  ON CONFLICT (workspace_id, run_id, step, name) DO UPDATE
    SET id = EXCLUDED.id, media_type = EXCLUDED.media_type, size = EXCLUDED.size, sha256 = EXCLUDED.sha256, bytes = EXCLUDED.bytes, created_at = EXCLUDED.created_at;
  RETURN 'kept';
END $$;
REVOKE EXECUTE ON FUNCTION keep_artifact(jsonb, bytea) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION keep_artifact(jsonb, bytea) TO maru_runtime;
