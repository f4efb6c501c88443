-- What a workspace lets its agents reach and use. Without a row it allows everything.
CREATE TABLE workspace_policies (
  workspace_id UUID NOT NULL,
  version INTEGER NOT NULL,
  rules JSONB NOT NULL,
  updated_at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT workspace_policies_pkey PRIMARY KEY (workspace_id),
  CONSTRAINT workspace_policies_version CHECK (version > 0),
  CONSTRAINT workspace_policies_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION
);

ALTER TABLE workspace_policies ENABLE ROW LEVEL SECURITY;
ALTER TABLE workspace_policies FORCE ROW LEVEL SECURITY;
CREATE POLICY tenant ON workspace_policies TO maru_runtime
  USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()));
GRANT SELECT, INSERT, UPDATE, DELETE ON workspace_policies TO maru_runtime;

-- The policy of a workspace with its version; null where nobody has set one.
CREATE FUNCTION read_policy(p_workspace uuid) RETURNS jsonb LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN (SELECT to_jsonb(p) - 'workspace_id' FROM workspace_policies p WHERE p.workspace_id = p_workspace);
END $$;

-- Replaces the policy, if its version is still `p_version` (0: there is none yet; null: whatever it is). Answers null when it
-- is another one. The row's lock decides between two callers: the second one sees the version the first one wrote.
CREATE FUNCTION put_policy(p_workspace uuid, p_rules jsonb, p_version int) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v workspace_policies;
BEGIN
  PERFORM enter_workspace(p_workspace);
  IF COALESCE(p_version, 0) = 0 THEN
    INSERT INTO workspace_policies AS p (workspace_id, version, rules, updated_at) VALUES (p_workspace, 1, p_rules, maru_now())
    ON CONFLICT (workspace_id) DO UPDATE SET version = p.version + 1, rules = excluded.rules, updated_at = excluded.updated_at
      WHERE p_version IS NULL
    RETURNING * INTO v;
  ELSE
    UPDATE workspace_policies p SET version = p.version + 1, rules = p_rules, updated_at = maru_now()
     WHERE p.workspace_id = p_workspace AND p.version = p_version
    RETURNING * INTO v;
  END IF;
  IF v.version IS NULL THEN RETURN NULL; END IF;
  RETURN to_jsonb(v) - 'workspace_id';
END $$;

REVOKE EXECUTE ON FUNCTION read_policy(uuid), put_policy(uuid, jsonb, int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION read_policy(uuid), put_policy(uuid, jsonb, int) TO maru_runtime;

-- As before, with what is said of the effects of the tool that is to be approved.
CREATE OR REPLACE FUNCTION required_action(p_workspace uuid, p_run uuid, p_until timestamptz) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT jsonb_build_object(
    'expires_at', p_until,
    'tool_results', COALESCE(jsonb_agg(jsonb_build_object('call_id', 'call_' || s.seq, 'step', s.seq, 'name', s.name,
        'arguments', s.input->>'arguments') ORDER BY s.seq) FILTER (WHERE s.kind = 'input'), '[]'),
    'runs', COALESCE(jsonb_agg(jsonb_build_object('run_id', s.input->>'run', 'step', s.seq, 'name', s.name) ORDER BY s.seq) FILTER (WHERE s.kind = 'run'), '[]'),
    'approvals', COALESCE(jsonb_agg(jsonb_build_object('call_id', 'call_' || s.seq, 'step', (s.input->>'step')::int, 'name', s.name,
        'arguments', s.input->>'arguments', 'question', s.input->>'question')
        || CASE WHEN s.input ? 'annotations' THEN jsonb_build_object('annotations', s.input->'annotations') ELSE '{}' END
        ORDER BY s.seq) FILTER (WHERE s.kind = 'approval'), '[]'))
    FROM run_steps s
   WHERE s.workspace_id = p_workspace AND s.run_id = p_run AND s.state = 'waiting' AND waits_for_somebody(s)
$$;
