-- Where tools that others declare (an MCP server's) are not what they were when a revision was deployed.
CREATE TABLE tool_drifts (
  workspace_id UUID NOT NULL,
  agent_id UUID NOT NULL,
  revision INTEGER NOT NULL,
  -- The manifest's name for the server, and the server's for the tool.
  entry TEXT NOT NULL,
  tool TEXT NOT NULL,
  what TEXT NOT NULL,
  since TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT tool_drifts_pkey PRIMARY KEY (workspace_id, agent_id, revision, entry, tool),
  CONSTRAINT tool_drifts_what CHECK (what IN ('gone', 'parameters', 'description')),
  CONSTRAINT tool_drifts_revision_fkey FOREIGN KEY (workspace_id, agent_id, revision)
    REFERENCES revisions (workspace_id, agent_id, number) ON DELETE CASCADE ON UPDATE NO ACTION
);

ALTER TABLE tool_drifts ENABLE ROW LEVEL SECURITY;
ALTER TABLE tool_drifts FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON tool_drifts TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
GRANT SELECT, INSERT, UPDATE, DELETE ON tool_drifts TO maru_runtime;

-- Notes what a call of a run found, for the run's revision; `what` null: the tool is again what it was. Callers that race have
-- looked at the same server: whoever comes last has seen no less. A run that is gone leaves nothing.
CREATE FUNCTION note_tool_drift(p jsonb) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_run uuid := (p->>'run_id')::uuid;
BEGIN
  PERFORM enter_workspace(v_ws);
  IF p->>'what' IS NULL THEN
    DELETE FROM tool_drifts d USING runs r
     WHERE r.workspace_id = v_ws AND r.id = v_run AND d.workspace_id = v_ws AND d.agent_id = r.agent_id
       AND d.revision = r.revision AND d.entry = p->>'entry' AND d.tool = p->>'tool';
    RETURN;
  END IF;
  INSERT INTO tool_drifts AS d (workspace_id, agent_id, revision, entry, tool, what, since)
  SELECT r.workspace_id, r.agent_id, r.revision, p->>'entry', p->>'tool', p->>'what', maru_now()
    FROM runs r WHERE r.workspace_id = v_ws AND r.id = v_run
  ON CONFLICT (workspace_id, agent_id, revision, entry, tool) DO UPDATE SET what = excluded.what, since = excluded.since
   WHERE d.what <> excluded.what;
END $$;

REVOKE EXECUTE ON FUNCTION note_tool_drift(jsonb) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION note_tool_drift(jsonb) TO maru_runtime;
