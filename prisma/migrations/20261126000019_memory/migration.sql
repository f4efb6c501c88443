-- What agents remember from one run to the next. An item has a key and any JSON in a namespace, which is the workspace's, an
-- agent's, or what an agent keeps of one thread or of one end user.
CREATE TABLE memory_namespaces (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  scope TEXT NOT NULL,
  -- The agent's name, which may not exist yet; '' = none, the workspace's.
  agent TEXT NOT NULL,
  -- The thread's public id or the end user; '' = none.
  subject TEXT NOT NULL,
  -- A thread's memory goes with it.
  thread_id UUID,
  -- What is in it, with what has expired and was not removed yet.
  items INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  created_at TIMESTAMPTZ(3) NOT NULL,
  updated_at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT memory_namespaces_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT memory_namespaces_place CHECK (
    CASE scope WHEN 'workspace' THEN agent = '' AND subject = '' WHEN 'agent' THEN agent <> '' AND subject = ''
               WHEN 'thread' THEN agent <> '' AND thread_id IS NOT NULL WHEN 'user' THEN agent <> '' AND subject <> '' ELSE false END),
  CONSTRAINT memory_namespaces_counts CHECK (items >= 0 AND bytes >= 0),
  CONSTRAINT memory_namespaces_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT memory_namespaces_workspace_id_thread_id_fkey FOREIGN KEY (workspace_id, thread_id) REFERENCES threads (workspace_id, id)
    ON DELETE CASCADE ON UPDATE NO ACTION
);
CREATE UNIQUE INDEX memory_namespaces_workspace_id_scope_agent_subject_key ON memory_namespaces (workspace_id, scope, agent, subject);
CREATE INDEX memory_namespaces_workspace_id_thread_id_idx ON memory_namespaces (workspace_id, thread_id);

CREATE TABLE memory_items (
  workspace_id UUID NOT NULL,
  namespace_id UUID NOT NULL,
  -- In the order of its characters' numbers, whatever the database's locale.
  key TEXT COLLATE "C" NOT NULL,
  value JSONB NOT NULL,
  -- Key and texts as a search reads them: lower-case words with one space before and after each.
  words TEXT NOT NULL,
  -- Of length one, so that a dot product is the cosine.
  embedding REAL[],
  bytes INTEGER NOT NULL,
  version INTEGER NOT NULL,
  -- The run that wrote it; null = a caller of the API.
  run_id UUID,
  created_at TIMESTAMPTZ(3) NOT NULL,
  updated_at TIMESTAMPTZ(3) NOT NULL,
  expires_at TIMESTAMPTZ(3),
  CONSTRAINT memory_items_pkey PRIMARY KEY (workspace_id, namespace_id, key),
  CONSTRAINT memory_items_workspace_id_namespace_id_fkey FOREIGN KEY (workspace_id, namespace_id) REFERENCES memory_namespaces (workspace_id, id)
    ON DELETE CASCADE ON UPDATE NO ACTION
);
CREATE INDEX memory_items_expiring ON memory_items (expires_at) WHERE expires_at IS NOT NULL;
CREATE INDEX memory_items_expiring_in ON memory_items (workspace_id, namespace_id, expires_at) WHERE expires_at IS NOT NULL;

-- Bytes of all of a workspace's namespaces. Whoever changes it holds its namespace's row already, never the other way round.
CREATE TABLE memory_usage (
  workspace_id UUID NOT NULL,
  bytes BIGINT NOT NULL,
  CONSTRAINT memory_usage_pkey PRIMARY KEY (workspace_id),
  CONSTRAINT memory_usage_counts CHECK (bytes >= 0),
  CONSTRAINT memory_usage_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION
);

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['memory_namespaces', 'memory_items', 'memory_usage'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO maru_runtime USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()))', t);
    EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON %I TO maru_runtime', t);
  END LOOP;
END $$;
-- The definer removes what has expired, and sees neither keys nor values.
CREATE POLICY definer_reads ON memory_items FOR SELECT TO maru_definer USING (true);
CREATE POLICY definer_forgets ON memory_items FOR DELETE TO maru_definer USING (true);
GRANT SELECT (workspace_id, namespace_id, expires_at, bytes), DELETE ON memory_items TO maru_definer;
CREATE POLICY definer_all ON memory_namespaces TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT (workspace_id, id, items, bytes), UPDATE (items, bytes), DELETE ON memory_namespaces TO maru_definer;
CREATE POLICY definer_all ON memory_usage TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT, UPDATE ON memory_usage TO maru_definer;

-- SQLSTATEs of Maru's own: MM001 a quota has no room ({"limit"}), MM002 another version is there, MM003 the run has another
-- worker by now.

-- A namespace that goes, whoever deletes it (its thread too), gives its bytes back.
CREATE FUNCTION memory_namespaces_gone() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  UPDATE memory_usage u SET bytes = u.bytes - g.bytes
    FROM (SELECT workspace_id, sum(bytes) AS bytes FROM gone GROUP BY workspace_id) g
   WHERE u.workspace_id = g.workspace_id AND g.bytes > 0;
  RETURN NULL;
END $$;
CREATE TRIGGER memory_namespaces_gone AFTER DELETE ON memory_namespaces
  REFERENCING OLD TABLE AS gone FOR EACH STATEMENT EXECUTE FUNCTION memory_namespaces_gone();

CREATE FUNCTION memory_tag(i memory_items) RETURNS text LANGUAGE sql STABLE
  AS $$ SELECT (extract(epoch FROM i.created_at) * 1000)::bigint || ':' || i.version $$;

-- An item as callers see it. Its key, value and times are theirs; words and embedding are only for finding it.
CREATE FUNCTION memory_object(i memory_items) RETURNS jsonb LANGUAGE sql STABLE AS $$
  SELECT to_jsonb(i) - 'workspace_id' - 'namespace_id' - 'words' - 'embedding'
         || jsonb_build_object('dimensions', cardinality(i.embedding), 'tag', memory_tag(i))
$$;

-- Enters the workspace and, for a run's write, makes sure that its worker still has it: as with every write of a run, the
-- epoch is the fencing token. The share lock keeps another worker from claiming the run until this write is committed.
CREATE FUNCTION enter_memory(p jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace((p->>'workspace_id')::uuid);
  IF p ? 'run_id' THEN
    PERFORM 1 FROM runs WHERE workspace_id = (p->>'workspace_id')::uuid AND id = (p->>'run_id')::uuid AND epoch = (p->>'epoch')::int FOR SHARE;
    IF NOT FOUND THEN RAISE EXCEPTION 'the run has another worker' USING ERRCODE = 'MM003'; END IF;
  END IF;
END $$;

-- Writes an item: a new version, or a first one, also where one has expired. The namespace's row is locked first, so its
-- writers take turns and its quotas hold under any race; the workspace's last, for as short as can be. All or nothing.
CREATE FUNCTION put_memory(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
  v_size int := (p->>'bytes')::int;
  v_space memory_namespaces;
  v memory_items;
  v_is_new boolean;
  v_gone_items int;
  v_gone_bytes int;
  v_bytes int;
  v_total bigint;
BEGIN
  PERFORM enter_memory(p);
  LOOP
    SELECT * INTO v_space FROM memory_namespaces
     WHERE workspace_id = v_ws AND scope = p->>'scope' AND agent = p->>'agent' AND subject = p->>'subject' FOR UPDATE;
    EXIT WHEN FOUND;
    INSERT INTO memory_namespaces (workspace_id, id, scope, agent, subject, thread_id, items, bytes, created_at, updated_at)
    VALUES (v_ws, gen_random_uuid(), p->>'scope', p->>'agent', p->>'subject', (p->>'thread_id')::uuid, 0, 0, v_now, v_now)
    ON CONFLICT DO NOTHING;
  END LOOP;
  -- What has expired is not there, and makes room.
  WITH gone AS (
    DELETE FROM memory_items WHERE workspace_id = v_ws AND namespace_id = v_space.id AND expires_at <= v_now RETURNING bytes)
  SELECT count(*), COALESCE(sum(bytes), 0) INTO v_gone_items, v_gone_bytes FROM gone;
  SELECT * INTO v FROM memory_items WHERE workspace_id = v_ws AND namespace_id = v_space.id AND key = p->>'key';
  v_is_new := v.key IS NULL;
  IF p->>'if_match' IS NOT NULL AND (v_is_new OR memory_tag(v) <> p->>'if_match') THEN
    RAISE EXCEPTION 'another version' USING ERRCODE = 'MM002';
  END IF;
  IF v_is_new AND v_space.items - v_gone_items >= (p->>'max_items')::int THEN
    RAISE EXCEPTION 'full' USING ERRCODE = 'MM001', DETAIL = '{"limit": "items"}';
  END IF;
  v_bytes := v_space.bytes - v_gone_bytes - COALESCE(v.bytes, 0) + v_size;
  IF v_bytes > (p->>'max_bytes')::int AND v_size > COALESCE(v.bytes, 0) THEN
    RAISE EXCEPTION 'full' USING ERRCODE = 'MM001', DETAIL = '{"limit": "bytes"}';
  END IF;
  INSERT INTO memory_items AS i (workspace_id, namespace_id, key, value, words, embedding, bytes, version, run_id, created_at, updated_at, expires_at)
  VALUES (v_ws, v_space.id, p->>'key', p->'value', p->>'words',
          CASE jsonb_typeof(p->'embedding') WHEN 'array' THEN (SELECT array_agg(e::real ORDER BY o) FROM jsonb_array_elements_text(p->'embedding') WITH ORDINALITY AS a(e, o)) END,
          v_size, 1, (p->>'run_id')::uuid, v_now, v_now, v_now + (p->>'ttl')::int * interval '1 second')
  ON CONFLICT (workspace_id, namespace_id, key) DO UPDATE
    SET value = excluded.value, words = excluded.words, embedding = excluded.embedding, bytes = excluded.bytes, version = i.version + 1,
        run_id = excluded.run_id, updated_at = v_now, expires_at = excluded.expires_at
  RETURNING * INTO v;
  UPDATE memory_namespaces SET items = items - v_gone_items + v_is_new::int, bytes = v_bytes, updated_at = v_now
   WHERE workspace_id = v_ws AND id = v_space.id;
  IF v_bytes <> v_space.bytes THEN
    INSERT INTO memory_usage AS u (workspace_id, bytes) VALUES (v_ws, v_bytes)
    ON CONFLICT (workspace_id) DO UPDATE SET bytes = u.bytes + v_bytes - v_space.bytes RETURNING bytes INTO v_total;
    IF v_total > (p->>'max_workspace_bytes')::bigint AND v_bytes > v_space.bytes THEN
      RAISE EXCEPTION 'full' USING ERRCODE = 'MM001', DETAIL = '{"limit": "workspace_bytes"}';
    END IF;
  END IF;
  RETURN memory_object(v) || jsonb_build_object('created', v_is_new);
END $$;

-- One item, or null.
CREATE FUNCTION read_memory(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_memory(p);
  RETURN (SELECT memory_object(i) FROM memory_namespaces n
            JOIN memory_items i ON i.workspace_id = n.workspace_id AND i.namespace_id = n.id
           WHERE n.workspace_id = (p->>'workspace_id')::uuid AND n.scope = p->>'scope' AND n.agent = p->>'agent' AND n.subject = p->>'subject'
             AND i.key = p->>'key' AND (i.expires_at IS NULL OR i.expires_at > v_now));
END $$;

-- Items whose key begins with a prefix, after a key, in the keys' order.
CREATE FUNCTION list_memory(p jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_memory(p);
  RETURN QUERY
    SELECT memory_object(i) FROM memory_namespaces n
      JOIN memory_items i ON i.workspace_id = n.workspace_id AND i.namespace_id = n.id
     WHERE n.workspace_id = (p->>'workspace_id')::uuid AND n.scope = p->>'scope' AND n.agent = p->>'agent' AND n.subject = p->>'subject'
       AND i.key > (p->>'after') COLLATE "C" AND i.key >= (p->>'prefix') COLLATE "C" AND starts_with(i.key, p->>'prefix')
       AND (i.expires_at IS NULL OR i.expires_at > v_now)
     ORDER BY i.key LIMIT (p->>'limit')::int;
END $$;

-- Removes an item; answers whether it was there. The last one takes its namespace along.
CREATE FUNCTION delete_memory(p jsonb) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
  v_space memory_namespaces;
  v memory_items;
BEGIN
  PERFORM enter_memory(p);
  SELECT * INTO v_space FROM memory_namespaces
   WHERE workspace_id = v_ws AND scope = p->>'scope' AND agent = p->>'agent' AND subject = p->>'subject' FOR UPDATE;
  SELECT * INTO v FROM memory_items
   WHERE workspace_id = v_ws AND namespace_id = v_space.id AND key = p->>'key' AND (expires_at IS NULL OR expires_at > v_now);
  IF NOT FOUND THEN RETURN false; END IF;
  IF p->>'if_match' IS NOT NULL AND memory_tag(v) <> p->>'if_match' THEN
    RAISE EXCEPTION 'another version' USING ERRCODE = 'MM002';
  END IF;
  IF v_space.items = 1 THEN
    DELETE FROM memory_namespaces WHERE workspace_id = v_ws AND id = v_space.id;
    RETURN true;
  END IF;
  DELETE FROM memory_items WHERE workspace_id = v_ws AND namespace_id = v_space.id AND key = v.key;
  UPDATE memory_namespaces SET items = items - 1, bytes = bytes - v.bytes, updated_at = v_now WHERE workspace_id = v_ws AND id = v_space.id;
  UPDATE memory_usage SET bytes = bytes - v.bytes WHERE workspace_id = v_ws;
  RETURN true;
END $$;

-- Removes namespaces whole: one, or with no agent named all that agents keep of a thread or an end user.
CREATE FUNCTION erase_memory(p jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$
DECLARE
  v jsonb;
BEGIN
  PERFORM enter_memory(p);
  WITH gone AS (
    DELETE FROM memory_namespaces n
     WHERE n.workspace_id = (p->>'workspace_id')::uuid AND n.scope = p->>'scope' AND n.subject = p->>'subject'
       AND (p->>'agent' IS NULL OR n.agent = p->>'agent')
    RETURNING n.items, n.bytes)
  SELECT jsonb_build_object('namespaces', count(*), 'items', COALESCE(sum(items), 0), 'bytes', COALESCE(sum(bytes), 0)) INTO v FROM gone;
  RETURN v;
END $$;

-- Namespaces with what is in them, in the order of scope, agent and subject, after a place in it; by scope, agent and subject
-- where they are named. What has expired is not counted, though the workspace's sum has it until it is removed.
CREATE FUNCTION list_memory_namespaces(p jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_memory(p);
  RETURN QUERY
    SELECT jsonb_build_object('scope', n.scope, 'agent', n.agent, 'subject', n.subject, 'items', n.items - COALESCE(e.items, 0),
                              'bytes', n.bytes - COALESCE(e.bytes, 0), 'created_at', n.created_at, 'updated_at', n.updated_at)
      FROM memory_namespaces n
      LEFT JOIN LATERAL (SELECT count(*) AS items, sum(i.bytes) AS bytes FROM memory_items i
                          WHERE i.workspace_id = v_ws AND i.namespace_id = n.id AND i.expires_at <= v_now) e ON true
     WHERE n.workspace_id = v_ws AND (p->>'scope' IS NULL OR n.scope = p->>'scope') AND (p->>'agent' IS NULL OR n.agent = p->>'agent')
       AND (p->>'subject' IS NULL OR n.subject = p->>'subject') AND n.items > COALESCE(e.items, 0)
       AND (p->'after' IS NULL OR jsonb_typeof(p->'after') = 'null'
            OR (n.scope, n.agent, n.subject) > (p->'after'->>0, p->'after'->>1, p->'after'->>2))
     ORDER BY n.scope, n.agent, n.subject LIMIT (p->>'limit')::int;
END $$;

CREATE FUNCTION memory_total(p_workspace uuid) RETURNS bigint LANGUAGE plpgsql AS $$
BEGIN
  PERFORM enter_workspace(p_workspace);
  RETURN COALESCE((SELECT bytes FROM memory_usage WHERE workspace_id = p_workspace), 0);
END $$;

-- The items of a namespace that fit best. Every item is looked at: a namespace is small by its quota, and an index over all
-- workspaces' texts would let the size of one be felt by another. `terms` are what the query's words may look like in `words`
-- (word w found as text t counts s; parts of a word add up), so a word counts as its best form does, or its parts together
-- where they are most of it. A word counts the more the fewer items have it; words in no item count nothing. An embedding
-- is compared with those of the same length, by cosine; with both, each is half.
CREATE FUNCTION search_memory(p jsonb) RETURNS SETOF jsonb LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_ws uuid := (p->>'workspace_id')::uuid;
  v_embedding real[];
  v_by_text boolean := jsonb_array_length(p->'terms') > 0;
  v_space uuid;
BEGIN
  PERFORM enter_memory(p);
  SELECT id INTO v_space FROM memory_namespaces
   WHERE workspace_id = v_ws AND scope = p->>'scope' AND agent = p->>'agent' AND subject = p->>'subject';
  IF jsonb_typeof(p->'embedding') = 'array' THEN
    v_embedding := (SELECT array_agg(e::real ORDER BY o) FROM jsonb_array_elements_text(p->'embedding') WITH ORDINALITY AS a(e, o));
  END IF;
  RETURN QUERY
    -- The empty text makes a copy that is not stored elsewhere and unpacked anew for each term.
    WITH found AS MATERIALIZED (
      SELECT i.key, i.words || '' AS words, i.embedding, i.updated_at FROM memory_items i
       WHERE i.workspace_id = v_ws AND i.namespace_id = v_space AND (i.expires_at IS NULL OR i.expires_at > v_now)),
    terms AS MATERIALIZED (SELECT * FROM jsonb_to_recordset(p->'terms') AS t(w int, t text, s float8, part boolean)),
    forms AS (
      SELECT f.key, t.w, max(t.s) FILTER (WHERE NOT t.part) AS best, sum(t.s) FILTER (WHERE t.part) AS parts
        FROM found f JOIN terms t ON strpos(f.words, t.t) > 0 GROUP BY f.key, t.w),
    words AS MATERIALIZED (
      SELECT key, w, GREATEST(best, parts) AS s FROM forms WHERE best IS NOT NULL OR parts >= (p->>'least_parts')::float8),
    weights AS MATERIALIZED (
      SELECT w, ln(1 + (SELECT count(*) FROM found)::float8 / count(*)) AS weight FROM words GROUP BY w),
    texts AS (
      SELECT key, sum(s * weight) / (SELECT sum(weight) FROM weights) AS score FROM words JOIN weights USING (w) GROUP BY key),
    ranked AS (
      SELECT f.key, f.updated_at, COALESCE(t.score, 0) AS by_text,
             CASE WHEN cardinality(f.embedding) = cardinality(v_embedding)
                  THEN GREATEST(0, (SELECT sum(u.a * u.b) FROM unnest(f.embedding, v_embedding) AS u(a, b))) ELSE 0 END AS by_vector
        FROM found f LEFT JOIN texts t USING (key)),
    scored AS (
      SELECT key, updated_at, CASE WHEN v_embedding IS NULL THEN by_text WHEN v_by_text THEN (by_text + by_vector) / 2 ELSE by_vector END AS score
        FROM ranked)
    SELECT memory_object(i) || jsonb_build_object('score', round(s.score::numeric, 4))
      FROM (SELECT key, updated_at, score FROM scored WHERE score >= (p->>'least_score')::float8 ORDER BY score DESC, updated_at DESC, key LIMIT (p->>'limit')::int) s
      JOIN memory_items i ON i.workspace_id = v_ws AND i.namespace_id = v_space AND i.key = s.key
     ORDER BY s.score DESC, s.updated_at DESC, s.key;
END $$;

-- Removes what has expired, of so many namespaces of any workspaces; answers how many it went through. Namespaces that are being
-- written to are left: their writers do the same.
CREATE FUNCTION forget_memory(p_namespaces int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_ws uuid[];
  v_ids uuid[];
BEGIN
  SELECT array_agg(workspace_id), array_agg(id) INTO v_ws, v_ids FROM (
    SELECT n.workspace_id, n.id FROM memory_namespaces n
     WHERE (n.workspace_id, n.id) IN (SELECT DISTINCT i.workspace_id, i.namespace_id FROM memory_items i WHERE i.expires_at <= v_now LIMIT p_namespaces)
     ORDER BY n.workspace_id, n.id FOR UPDATE SKIP LOCKED) locked;
  WITH gone AS (
    DELETE FROM memory_items i USING unnest(v_ws, v_ids) AS l(w, n)
     WHERE i.workspace_id = l.w AND i.namespace_id = l.n AND i.expires_at <= v_now RETURNING i.workspace_id, i.namespace_id, i.bytes),
  shrunk AS (
    UPDATE memory_namespaces n SET items = n.items - g.items, bytes = n.bytes - g.bytes
      FROM (SELECT workspace_id, namespace_id, count(*)::int AS items, sum(bytes)::int AS bytes FROM gone GROUP BY workspace_id, namespace_id) g
     WHERE n.workspace_id = g.workspace_id AND n.id = g.namespace_id RETURNING n.workspace_id, g.bytes)
  UPDATE memory_usage u SET bytes = u.bytes - s.bytes
    FROM (SELECT workspace_id, sum(bytes) AS bytes FROM shrunk GROUP BY workspace_id) s WHERE u.workspace_id = s.workspace_id;
  DELETE FROM memory_namespaces d USING unnest(v_ws, v_ids) AS l(w, n) WHERE d.workspace_id = l.w AND d.id = l.n AND d.items = 0;
  RETURN COALESCE(cardinality(v_ids), 0);
END $$;

GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION forget_memory(int) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;
DO $$
DECLARE
  f regprocedure;
BEGIN
  FOREACH f IN ARRAY ARRAY['memory_namespaces_gone()', 'memory_tag(memory_items)', 'memory_object(memory_items)', 'enter_memory(jsonb)', 'put_memory(jsonb)',
                           'read_memory(jsonb)', 'list_memory(jsonb)', 'delete_memory(jsonb)', 'erase_memory(jsonb)', 'list_memory_namespaces(jsonb)',
                           'memory_total(uuid)', 'search_memory(jsonb)', 'forget_memory(int)']::regprocedure[] LOOP
    EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', f);
    EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO maru_runtime', f);
  END LOOP;
END $$;
