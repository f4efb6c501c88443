-- Webhooks: an outbox written in the transactions that make events true, and delivered from by workers.
--
-- SQLSTATEs of Maru's own: MW001 the workspace has as many endpoints as it may, MW002 the endpoint is disabled

-- Where a workspace wants its events. A deleted one keeps its row, without its secret, until its log is forgotten: so nobody who
-- writes an event ever waits for a deletion.
CREATE TABLE webhook_endpoints (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  url TEXT NOT NULL,
  events TEXT[],
  description TEXT NOT NULL,
  enabled BOOLEAN NOT NULL,
  disabled_reason TEXT,
  sealed_secret BYTEA NOT NULL,
  sealed_previous BYTEA,
  previous_until TIMESTAMPTZ(3),
  generation INTEGER NOT NULL DEFAULT 1,
  created_at TIMESTAMPTZ(3) NOT NULL,
  updated_at TIMESTAMPTZ(3) NOT NULL,
  deleted_at TIMESTAMPTZ(3),
  CONSTRAINT webhook_endpoints_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT webhook_endpoints_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT webhook_endpoints_events CHECK (events IS NOT NULL),
  CONSTRAINT webhook_endpoints_deleted CHECK (deleted_at IS NULL OR NOT enabled)
);
CREATE INDEX webhook_endpoints_enabled ON webhook_endpoints (workspace_id) WHERE enabled;
CREATE INDEX webhook_endpoints_gone ON webhook_endpoints (deleted_at) WHERE deleted_at IS NOT NULL;

-- What happened, as it is told: the same bytes on every try.
CREATE TABLE webhook_events (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  type TEXT NOT NULL,
  data JSONB NOT NULL,
  at TIMESTAMPTZ(3) NOT NULL,
  CONSTRAINT webhook_events_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT webhook_events_workspace_id_fkey FOREIGN KEY (workspace_id) REFERENCES workspaces (id) ON DELETE CASCADE ON UPDATE NO ACTION
);
CREATE INDEX webhook_events_at_idx ON webhook_events (at);

-- One event on its way to one endpoint. `attempts` is the fencing token of a try: an answer to an older one changes nothing.
CREATE TABLE webhook_deliveries (
  workspace_id UUID NOT NULL,
  id UUID NOT NULL,
  event_id UUID NOT NULL,
  endpoint_id UUID NOT NULL,
  state TEXT NOT NULL DEFAULT 'pending',
  attempts INTEGER NOT NULL DEFAULT 0,
  next_at TIMESTAMPTZ(3) NOT NULL,
  lease_until TIMESTAMPTZ(3),
  last_status INTEGER,
  last_error TEXT,
  created_at TIMESTAMPTZ(3) NOT NULL,
  last_attempt_at TIMESTAMPTZ(3),
  finished_at TIMESTAMPTZ(3),
  CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (workspace_id, id),
  CONSTRAINT webhook_deliveries_workspace_id_event_id_fkey FOREIGN KEY (workspace_id, event_id) REFERENCES webhook_events (workspace_id, id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT webhook_deliveries_workspace_id_endpoint_id_fkey FOREIGN KEY (workspace_id, endpoint_id) REFERENCES webhook_endpoints (workspace_id, id) ON DELETE CASCADE ON UPDATE NO ACTION,
  CONSTRAINT webhook_deliveries_state CHECK (state IN ('pending', 'delivered', 'dead') AND (state = 'pending') = (finished_at IS NULL))
);
CREATE INDEX webhook_deliveries_workspace_id_endpoint_id_id_idx ON webhook_deliveries (workspace_id, endpoint_id, id);
CREATE INDEX webhook_deliveries_workspace_id_event_id_idx ON webhook_deliveries (workspace_id, event_id);
CREATE INDEX webhook_deliveries_pending ON webhook_deliveries (endpoint_id, next_at) WHERE state = 'pending';
CREATE INDEX webhook_deliveries_finished ON webhook_deliveries (finished_at) WHERE state <> 'pending';

DO $$
DECLARE
  t text;
BEGIN
  FOREACH t IN ARRAY ARRAY['webhook_endpoints', 'webhook_events', 'webhook_deliveries'] LOOP
    EXECUTE format('ALTER TABLE %I ENABLE ROW LEVEL SECURITY', t);
    EXECUTE format('ALTER TABLE %I FORCE ROW LEVEL SECURITY', t);
    EXECUTE format('CREATE POLICY tenant ON %I TO maru_runtime USING (workspace_id = (SELECT current_workspace())) WITH CHECK (workspace_id = (SELECT current_workspace()))', t);
  END LOOP;
END $$;
GRANT SELECT, INSERT, UPDATE ON webhook_endpoints, webhook_deliveries TO maru_runtime;
GRANT SELECT, INSERT ON webhook_events TO maru_runtime;

-- A UUIDv7 (RFC 9562 §5.7): the milliseconds of an instant, then random bits. In bytea, bit 0 is the lowest of a byte; a v4's
-- version 0100 becomes 0111.
CREATE FUNCTION time_ordered_id(p_at timestamptz) RETURNS uuid LANGUAGE sql VOLATILE AS $$
  SELECT encode(set_bit(set_bit(overlay(uuid_send(gen_random_uuid())
    PLACING substring(int8send((extract(epoch FROM p_at) * 1000)::bigint) FROM 3) FROM 1 FOR 6), 52, 1), 53, 1), 'hex')::uuid
$$;

-- An id as the API shows it (TypeID): 128 bits in 26 characters of Crockford's base32, five bits each, two zeros before them.
-- In plpgsql, like webhook_wanted: an SQL function that can't be inlined is planned at every call.
CREATE FUNCTION public_id(p_prefix text, p_id uuid) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  v_bits bit varying := B'00' || ('x' || replace(p_id::text, '-', ''))::bit(128);
  v_text text := p_prefix || '_';
BEGIN
  IF p_id IS NULL THEN RETURN NULL; END IF;
  FOR n IN 0..25 LOOP
    v_text := v_text || substr('0123456789abcdefghjkmnpqrstvwxyz', 1 + substring(v_bits FROM 5 * n + 1 FOR 5)::bit(5)::int, 1);
  END LOOP;
  RETURN v_text;
END $$;

-- An instant as the API prints it.
CREATE FUNCTION api_instant(p_at timestamptz) RETURNS text LANGUAGE sql STABLE AS $$
  SELECT to_char(p_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')
$$;

-- Whether any enabled endpoint of the workspace wants events of a type: one index lookup.
CREATE FUNCTION webhook_wanted(p_workspace uuid, p_type text) RETURNS boolean LANGUAGE plpgsql STABLE AS $$
BEGIN
  RETURN EXISTS (SELECT 1 FROM webhook_endpoints e WHERE e.workspace_id = p_workspace AND e.enabled
                    AND e.events && ARRAY[p_type, split_part(p_type, '.', 1) || '.*']);
END $$;

-- Tells the workspace's endpoints of an event, in the transaction that makes it true: rolled back, it was not said. Where nobody
-- wants to know nothing is written. Takes no lock that anybody else holds for long (see webhook_endpoints). `p_data` is what
-- receivers read: public ids (public_id), instants as text (api_instant), nothing of a run's input or output.
CREATE FUNCTION emit_webhook(p_workspace uuid, p_type text, p_data jsonb, p_now timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_event uuid;
BEGIN
  IF NOT webhook_wanted(p_workspace, p_type) THEN RETURN; END IF;
  v_event := time_ordered_id(p_now);
  INSERT INTO webhook_events (workspace_id, id, type, data, at) VALUES (p_workspace, v_event, p_type, p_data, p_now);
  INSERT INTO webhook_deliveries (workspace_id, id, event_id, endpoint_id, next_at, created_at)
  SELECT p_workspace, time_ordered_id(p_now), v_event, e.id, p_now, p_now FROM webhook_endpoints e
   WHERE e.workspace_id = p_workspace AND e.enabled AND e.events && ARRAY[p_type, split_part(p_type, '.', 1) || '.*'];
END $$;

-- Runs tell of their ends, and of coming to wait: whoever makes them so does it by an UPDATE that sets the status. No WHEN: it
-- is planned anew at every statement, which costs more than the call.
CREATE FUNCTION emit_run_webhook() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.status = OLD.status OR NEW.status IN ('queued', 'running') OR NOT webhook_wanted(NEW.workspace_id, 'run.' || NEW.status) THEN
    RETURN NULL;
  END IF;
  PERFORM emit_webhook(NEW.workspace_id, 'run.' || NEW.status, jsonb_build_object(
      'run_id', public_id('run', NEW.id), 'status', NEW.status, 'deployment', d.name, 'thread_id', public_id('thr', NEW.thread_id),
      'user', NEW.end_user, 'created_at', api_instant(NEW.created_at), 'started_at', api_instant(NEW.started_at),
      'finished_at', api_instant(NEW.finished_at))
      || CASE WHEN NEW.status = 'waiting' THEN jsonb_build_object('expires_at', api_instant(NEW.wait_until)) ELSE '{}' END,
      COALESCE(NEW.finished_at, NEW.waiting_since))
    FROM deployments d WHERE d.workspace_id = NEW.workspace_id AND d.id = NEW.deployment_id;
  RETURN NULL;
END $$;
CREATE TRIGGER webhooks AFTER UPDATE OF status ON runs FOR EACH ROW EXECUTE FUNCTION emit_run_webhook();

-- Deployments tell of themselves: a manifest that changes nothing writes nothing.
CREATE FUNCTION emit_deployment_webhook() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_type text := CASE TG_OP WHEN 'INSERT' THEN 'deployment.created' ELSE 'deployment.updated' END;
BEGIN
  IF webhook_wanted(NEW.workspace_id, v_type) THEN
    PERFORM emit_webhook(NEW.workspace_id, v_type, jsonb_build_object(
        'deployment_id', public_id('dep', NEW.id), 'deployment', NEW.name, 'agent', a.name, 'revision', NEW.revision,
        'created_at', api_instant(NEW.created_at), 'updated_at', api_instant(NEW.updated_at)), NEW.updated_at)
      FROM agents a WHERE a.workspace_id = NEW.workspace_id AND a.id = NEW.agent_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhooks_created AFTER INSERT ON deployments FOR EACH ROW EXECUTE FUNCTION emit_deployment_webhook();
CREATE TRIGGER webhooks_updated AFTER UPDATE ON deployments FOR EACH ROW
  WHEN (NEW.generation <> OLD.generation) EXECUTE FUNCTION emit_deployment_webhook();

-- Adds an endpoint, of which a workspace has at most 20: those who add at once take turns. MW001 when there is no room.
CREATE FUNCTION add_webhook(p_workspace uuid, p_id uuid, p_url text, p_events text[], p_description text, p_enabled boolean, p_secret bytea)
RETURNS void LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  PERFORM pg_advisory_xact_lock(hashtextextended('webhooks ' || p_workspace, 0));
  IF (SELECT count(*) FROM webhook_endpoints WHERE workspace_id = p_workspace AND deleted_at IS NULL) >= 20 THEN
    RAISE EXCEPTION 'too many endpoints' USING ERRCODE = 'MW001';
  END IF;
  INSERT INTO webhook_endpoints (workspace_id, id, url, events, description, enabled, sealed_secret, created_at, updated_at)
  VALUES (p_workspace, p_id, p_url, p_events, p_description, p_enabled, p_secret, v_now, v_now);
END $$;

-- Gives an endpoint a new secret; the one before it signs for a day more. Two rotations within a day end the oldest at once.
-- False when there is no such endpoint.
CREATE FUNCTION rotate_webhook_secret(p_workspace uuid, p_id uuid, p_secret bytea) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  PERFORM enter_workspace(p_workspace);
  UPDATE webhook_endpoints SET sealed_previous = sealed_secret, previous_until = v_now + interval '24 hours', sealed_secret = p_secret,
         generation = generation + 1, updated_at = v_now
   WHERE workspace_id = p_workspace AND id = p_id AND deleted_at IS NULL;
  RETURN FOUND;
END $$;

-- Sends one endpoint an event of its own, whatever it is subscribed to; answers the delivery, null when there is no such endpoint.
-- MW002 when it is disabled.
CREATE FUNCTION test_webhook(p_workspace uuid, p_endpoint uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_event uuid := time_ordered_id(v_now);
  v_delivery uuid := time_ordered_id(v_now);
  v webhook_endpoints;
BEGIN
  PERFORM enter_workspace(p_workspace);
  SELECT * INTO v FROM webhook_endpoints WHERE workspace_id = p_workspace AND id = p_endpoint AND deleted_at IS NULL;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF NOT v.enabled THEN RAISE EXCEPTION 'disabled' USING ERRCODE = 'MW002'; END IF;
  INSERT INTO webhook_events (workspace_id, id, type, data, at)
  VALUES (p_workspace, v_event, 'webhook.test', jsonb_build_object('webhook_id', public_id('wh', p_endpoint)), v_now);
  INSERT INTO webhook_deliveries (workspace_id, id, event_id, endpoint_id, next_at, created_at)
  VALUES (p_workspace, v_delivery, v_event, p_endpoint, v_now, v_now);
  RETURN v_delivery;
END $$;

-- Delivers again what was delivered or given up, as a new delivery of the same event; one that is still pending is tried now,
-- unless a try is under way. Answers the delivery, null when there is none. MW002 when the endpoint is disabled.
CREATE FUNCTION redeliver_webhook(p_workspace uuid, p_endpoint uuid, p_delivery uuid) RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v_new uuid := time_ordered_id(v_now);
  v webhook_deliveries;
  e webhook_endpoints;
BEGIN
  PERFORM enter_workspace(p_workspace);
  SELECT * INTO e FROM webhook_endpoints WHERE workspace_id = p_workspace AND id = p_endpoint AND deleted_at IS NULL;
  IF NOT FOUND THEN RETURN NULL; END IF;
  SELECT * INTO v FROM webhook_deliveries WHERE workspace_id = p_workspace AND id = p_delivery AND endpoint_id = p_endpoint FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF NOT e.enabled THEN RAISE EXCEPTION 'disabled' USING ERRCODE = 'MW002'; END IF;
  IF v.state = 'pending' THEN
    UPDATE webhook_deliveries SET next_at = v_now
     WHERE workspace_id = p_workspace AND id = p_delivery AND (lease_until IS NULL OR lease_until <= v_now);
    RETURN p_delivery;
  END IF;
  INSERT INTO webhook_deliveries (workspace_id, id, event_id, endpoint_id, next_at, created_at)
  VALUES (p_workspace, v_new, v.event_id, p_endpoint, v_now, v_now);
  RETURN v_new;
END $$;

-- Takes deliveries that are due, under a lease: a worker that dies with them loses nothing, they are due again when it ends. At
-- most p_per_endpoint of an endpoint are with the caller, who says how many it has (p_busy, p_in_flight), so that the backlog of
-- one receiver does not stand before others. Endpoints with something pending are found one by one in the index: the cost
-- grows with them, not with what is pending. What comes due at a disabled endpoint is given up.
CREATE FUNCTION due_webhooks(p_limit int, p_per_endpoint int, p_lease_ms int, p_busy uuid[], p_in_flight int[])
RETURNS TABLE (workspace_id uuid, delivery_id uuid, attempt int, event_id uuid, type text, data jsonb, at timestamptz, endpoint_id uuid,
               generation int, url text, sealed_secret bytea, sealed_previous bytea)
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
#variable_conflict use_column
DECLARE
  v_now timestamptz := maru_now();
BEGIN
  RETURN QUERY
  WITH RECURSIVE waiting (id) AS (
    (SELECT d.endpoint_id FROM webhook_deliveries d WHERE d.state = 'pending' ORDER BY d.endpoint_id LIMIT 1)
    UNION ALL
    SELECT (SELECT d.endpoint_id FROM webhook_deliveries d WHERE d.state = 'pending' AND d.endpoint_id > w.id ORDER BY d.endpoint_id LIMIT 1)
      FROM waiting w WHERE w.id IS NOT NULL
  ), due AS (
    SELECT c.workspace_id, c.id FROM waiting w
      LEFT JOIN unnest(p_busy, p_in_flight) AS b (id, n) ON b.id = w.id
     CROSS JOIN LATERAL (
       SELECT d.workspace_id, d.id, d.next_at FROM webhook_deliveries d
        WHERE d.state = 'pending' AND d.endpoint_id = w.id AND d.next_at <= v_now
        ORDER BY d.next_at LIMIT GREATEST(0, p_per_endpoint - COALESCE(b.n, 0))) c
     ORDER BY c.next_at LIMIT p_limit
  ), mine AS (
    SELECT d.workspace_id, d.id FROM webhook_deliveries d JOIN due ON due.workspace_id = d.workspace_id AND due.id = d.id
     WHERE d.state = 'pending' AND d.next_at <= v_now FOR NO KEY UPDATE OF d SKIP LOCKED
  ), taken AS (
    UPDATE webhook_deliveries d
       SET attempts = d.attempts + e.enabled::int,
           last_attempt_at = CASE WHEN e.enabled THEN v_now ELSE d.last_attempt_at END,
           lease_until = CASE WHEN e.enabled THEN v_now + p_lease_ms * interval '1 millisecond' END,
           next_at = CASE WHEN e.enabled THEN v_now + p_lease_ms * interval '1 millisecond' ELSE d.next_at END,
           state = CASE WHEN e.enabled THEN 'pending' ELSE 'dead' END,
           last_error = CASE WHEN e.enabled THEN d.last_error ELSE 'webhook_disabled' END,
           finished_at = CASE WHEN e.enabled THEN NULL ELSE v_now END
      FROM mine JOIN webhook_endpoints e ON e.workspace_id = mine.workspace_id
     WHERE d.workspace_id = mine.workspace_id AND d.id = mine.id AND e.id = d.endpoint_id
    RETURNING d.workspace_id, d.id, d.attempts, d.event_id, d.endpoint_id, d.state, e.generation, e.url, e.sealed_secret,
              CASE WHEN e.previous_until > v_now THEN e.sealed_previous END AS sealed_previous
  )
  SELECT t.workspace_id, t.id, t.attempts, t.event_id, v.type, v.data, v.at, t.endpoint_id, t.generation, t.url, t.sealed_secret,
         t.sealed_previous
    FROM taken t JOIN webhook_events v ON v.workspace_id = t.workspace_id AND v.id = t.event_id
   WHERE t.state = 'pending';
END $$;

-- Records what came of a try, if it is still the latest: p_outcome is 'delivered', 'failed', or 'gone', which disables the endpoint
-- unless it was changed since the try began. What failed is tried again after p_retry_ms, the last time when it is three days
-- old; then it is given up. Answers the delivery's state, null for a try that was superseded.
CREATE FUNCTION finish_webhook(p_workspace uuid, p_delivery uuid, p_attempt int, p_generation int, p_outcome text, p_status int, p_error text, p_retry_ms bigint)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
  v_now timestamptz := maru_now();
  v webhook_deliveries;
  v_state text := 'pending';
BEGIN
  PERFORM enter_workspace(p_workspace);
  SELECT * INTO v FROM webhook_deliveries
   WHERE workspace_id = p_workspace AND id = p_delivery AND attempts = p_attempt AND state = 'pending' FOR NO KEY UPDATE;
  IF NOT FOUND THEN RETURN NULL; END IF;
  IF p_outcome = 'delivered' THEN
    v_state := 'delivered';
  ELSIF p_outcome = 'gone' THEN
    UPDATE webhook_endpoints SET enabled = false, disabled_reason = 'gone', generation = generation + 1, updated_at = v_now
     WHERE workspace_id = p_workspace AND id = v.endpoint_id AND enabled AND generation = p_generation;
    IF FOUND THEN v_state := 'dead'; END IF;
  END IF;
  IF v_state = 'pending' AND v.created_at + interval '3 days' <= v_now THEN v_state := 'dead'; END IF;
  UPDATE webhook_deliveries SET state = v_state, last_status = p_status, last_error = p_error, lease_until = NULL,
         next_at = CASE WHEN v_state = 'pending'
           THEN LEAST(v_now + p_retry_ms * interval '1 millisecond', v.created_at + interval '3 days') ELSE next_at END,
         finished_at = CASE WHEN v_state <> 'pending' THEN v_now END
   WHERE workspace_id = p_workspace AND id = p_delivery;
  RETURN v_state;
END $$;

-- Forgets, a batch at a time, deliveries that ended more than 30 days ago, events nothing is left of, and endpoints that were deleted
-- when their log is gone. Answers how many rows went.
CREATE FUNCTION forget_webhooks(p_limit int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
  v_before timestamptz := maru_now() - interval '30 days';
  v_rows int;
  v_gone int;
BEGIN
  DELETE FROM webhook_deliveries d USING (
    SELECT o.workspace_id, o.id FROM webhook_deliveries o WHERE o.state <> 'pending' AND o.finished_at < v_before
     ORDER BY o.finished_at LIMIT p_limit FOR UPDATE SKIP LOCKED) old
   WHERE d.workspace_id = old.workspace_id AND d.id = old.id;
  GET DIAGNOSTICS v_gone = ROW_COUNT;
  DELETE FROM webhook_events v USING (
    SELECT o.workspace_id, o.id FROM webhook_events o
     WHERE o.at < v_before AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.workspace_id = o.workspace_id AND d.event_id = o.id)
     ORDER BY o.at LIMIT p_limit FOR UPDATE SKIP LOCKED) old
   WHERE v.workspace_id = old.workspace_id AND v.id = old.id;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  v_gone := v_gone + v_rows;
  DELETE FROM webhook_endpoints e USING (
    SELECT o.workspace_id, o.id FROM webhook_endpoints o
     WHERE o.deleted_at < v_before AND NOT EXISTS (SELECT 1 FROM webhook_deliveries d WHERE d.workspace_id = o.workspace_id AND d.endpoint_id = o.id)
     LIMIT p_limit FOR UPDATE SKIP LOCKED) old
   WHERE e.workspace_id = old.workspace_id AND e.id = old.id;
  GET DIAGNOSTICS v_rows = ROW_COUNT;
  RETURN v_gone + v_rows;
END $$;

-- What the definer may see: for the sweep everything a delivery needs (the secret is sealed), for forgetting ids and times; and it
-- may add events, for functions of its own that tell of something.
CREATE POLICY definer_all ON webhook_endpoints TO maru_definer USING (true) WITH CHECK (true);
CREATE POLICY definer_all ON webhook_events TO maru_definer USING (true) WITH CHECK (true);
CREATE POLICY definer_all ON webhook_deliveries TO maru_definer USING (true) WITH CHECK (true);
GRANT SELECT, DELETE, UPDATE (deleted_at) ON webhook_endpoints TO maru_definer;
GRANT SELECT, INSERT, DELETE, UPDATE (at) ON webhook_events TO maru_definer;
GRANT SELECT, INSERT, DELETE, UPDATE ON webhook_deliveries TO maru_definer;

GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION due_webhooks(int, int, int, uuid[], int[]) OWNER TO maru_definer;
ALTER FUNCTION forget_webhooks(int) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;

REVOKE EXECUTE ON FUNCTION time_ordered_id(timestamptz), public_id(text, uuid), api_instant(timestamptz), webhook_wanted(uuid, text),
  emit_webhook(uuid, text, jsonb, timestamptz), emit_run_webhook(), emit_deployment_webhook(),
  add_webhook(uuid, uuid, text, text[], text, boolean, bytea), rotate_webhook_secret(uuid, uuid, bytea), test_webhook(uuid, uuid),
  redeliver_webhook(uuid, uuid, uuid), due_webhooks(int, int, int, uuid[], int[]),
  finish_webhook(uuid, uuid, int, int, text, int, text, bigint), forget_webhooks(int) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION time_ordered_id(timestamptz), public_id(text, uuid), api_instant(timestamptz), webhook_wanted(uuid, text),
  emit_webhook(uuid, text, jsonb, timestamptz),
  add_webhook(uuid, uuid, text, text[], text, boolean, bytea), rotate_webhook_secret(uuid, uuid, bytea), test_webhook(uuid, uuid),
  redeliver_webhook(uuid, uuid, uuid), due_webhooks(int, int, int, uuid[], int[]),
  finish_webhook(uuid, uuid, int, int, text, int, text, bigint), forget_webhooks(int) TO maru_runtime;
GRANT EXECUTE ON FUNCTION time_ordered_id(timestamptz), public_id(text, uuid), api_instant(timestamptz), webhook_wanted(uuid, text),
  emit_webhook(uuid, text, jsonb, timestamptz) TO maru_definer;
