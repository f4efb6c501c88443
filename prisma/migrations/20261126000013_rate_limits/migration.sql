-- A key may have a limit of its own instead of the installation's.
ALTER TABLE api_keys ADD COLUMN rate_per_minute INTEGER, ADD COLUMN rate_burst INTEGER,
  ADD CONSTRAINT api_keys_rate CHECK ((rate_per_minute IS NULL) = (rate_burst IS NULL) AND rate_per_minute >= 1 AND rate_burst >= 1);

DROP FUNCTION find_api_key(text);
CREATE FUNCTION find_api_key(p_key_id text)
RETURNS TABLE (workspace_id uuid, id uuid, secret_hash bytea, scopes text[], usable boolean, rate_per_minute int, rate_burst int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
  SELECT k.workspace_id, k.id, k.secret_hash, k.scopes,
         k.revoked_at IS NULL AND (k.expires_at IS NULL OR k.expires_at > maru_now()), k.rate_per_minute, k.rate_burst
    FROM api_keys k WHERE k.key_id = p_key_id
$$;
REVOKE EXECUTE ON FUNCTION find_api_key(text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION find_api_key(text) TO maru_runtime;
GRANT CREATE ON SCHEMA public TO maru_definer;
ALTER FUNCTION find_api_key(text) OWNER TO maru_definer;
REVOKE CREATE ON SCHEMA public FROM maru_definer;

-- Buckets of the generic cell rate algorithm (ITU-T I.371) when the queue is on Postgres: a key is the id of an API key, a user
-- or a workspace, its arrival the microsecond since 1970 when it would be empty again.
-- UNLOGGED: its transactions write no log and wait for no disk. After a crash of Postgres it is empty: every bucket is full
-- again, which costs one burst a caller, once. Room in the pages keeps updates of the hottest rows within them.
CREATE UNLOGGED TABLE rate_limits (
  key TEXT NOT NULL,
  arrival BIGINT NOT NULL,
  CONSTRAINT rate_limits_pkey PRIMARY KEY (key)
) WITH (fillfactor = 50);
GRANT SELECT, INSERT, UPDATE, DELETE ON rate_limits TO maru_runtime;

-- Judges the calls of one gateway that came together. Bucket k is p_keys[k] with a call every p_every[k] µs, p_burst[k] ahead.
-- p_asks is [[calls, k, k …], …]: so many like calls that take from these buckets, each from all of them or from none. Answers
-- for each how many are granted, and how far its buckets' arrivals are then ahead, µs.
-- Every taker locks its rows in one order before it reads the clock, so no two see the same room, and who waited for the locks
-- does not judge by the time at which it began to wait. Missing rows are made before any lock is held.
CREATE FUNCTION take_rates(p_keys text[], p_every bigint[], p_burst bigint[], p_asks jsonb)
RETURNS TABLE (granted bigint, ahead double precision[]) LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint;
  v_arrival bigint[];
  v_ahead bigint[];
  v_before bigint[];
  v_ask jsonb;
  k int;
BEGIN
  LOOP
    IF (SELECT count(*) FROM rate_limits r WHERE r.key = ANY (p_keys)) < cardinality(p_keys) THEN
      INSERT INTO rate_limits (key, arrival) SELECT n.key, 0 FROM unnest(p_keys) AS n(key) ORDER BY n.key ON CONFLICT DO NOTHING;
    END IF;
    SELECT array_agg(l.arrival ORDER BY l.i) INTO v_arrival FROM (
      SELECT r.arrival, n.i FROM unnest(p_keys) WITH ORDINALITY AS n(key, i) JOIN rate_limits r ON r.key = n.key
       ORDER BY r.key FOR UPDATE OF r) l;
    -- An idle row may have been forgotten in between.
    EXIT WHEN cardinality(v_arrival) = cardinality(p_keys);
  END LOOP;
  v_now := (extract(epoch FROM maru_now()) * 1000000)::bigint;
  v_before := ARRAY(SELECT GREATEST(a.arrival - v_now, 0) FROM unnest(v_arrival) WITH ORDINALITY AS a(arrival, i) ORDER BY a.i);
  -- A minute beyond a full burst: the clock was set back. Counts as a full burst from now on.
  v_ahead := ARRAY(SELECT CASE WHEN a.before > a.every * a.burst + 60000000 THEN a.every * a.burst ELSE a.before END
                     FROM unnest(v_before, p_every, p_burst) WITH ORDINALITY AS a(before, every, burst, i) ORDER BY a.i);
  FOR v_ask IN SELECT a.value FROM jsonb_array_elements(p_asks) WITH ORDINALITY AS a ORDER BY a.ordinality LOOP
    granted := (v_ask->>0)::bigint;
    FOR i IN 1 .. jsonb_array_length(v_ask) - 1 LOOP
      k := (v_ask->>i)::int;
      granted := LEAST(granted, GREATEST(0, (p_burst[k] * p_every[k] - v_ahead[k]) / p_every[k]));
    END LOOP;
    ahead := '{}';
    FOR i IN 1 .. jsonb_array_length(v_ask) - 1 LOOP
      k := (v_ask->>i)::int;
      v_ahead[k] := v_ahead[k] + granted * p_every[k];
      ahead := ahead || v_ahead[k]::double precision;
    END LOOP;
    RETURN NEXT;
  END LOOP;
  UPDATE rate_limits r SET arrival = v_now + n.ahead
    FROM unnest(p_keys, v_ahead, v_before) AS n(key, ahead, before) WHERE r.key = n.key AND n.ahead <> n.before;
END $$;

-- A bucket nobody has used for a minute beyond its arrival is as good as none. Takes no lock it would have to wait for.
CREATE FUNCTION forget_idle_rates() RETURNS void LANGUAGE sql AS $$
  DELETE FROM rate_limits WHERE key IN (
    SELECT key FROM rate_limits WHERE arrival < (extract(epoch FROM maru_now()) - 60) * 1000000 LIMIT 10000 FOR UPDATE SKIP LOCKED)
$$;

REVOKE EXECUTE ON FUNCTION take_rates(text[], bigint[], bigint[], jsonb), forget_idle_rates() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_rates(text[], bigint[], bigint[], jsonb), forget_idle_rates() TO maru_runtime;
