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
-- Every taker locks (or makes) its rows in the order of p_keys, which callers sort alike, and only then reads the clock: no two
-- see the same room, none waits for one that waits for it, and who waited does not judge by the time at which it began to.
CREATE FUNCTION take_rates(p_keys text[], p_every bigint[], p_burst bigint[], p_asks jsonb)
RETURNS TABLE (granted bigint, ahead double precision[]) LANGUAGE plpgsql AS $$
DECLARE
  v_now bigint;
  v_arrival bigint[] := '{}';
  v_ahead bigint[] := '{}';
  v_one bigint;
  v_ask jsonb;
  k int;
BEGIN
  FOR k IN 1 .. cardinality(p_keys) LOOP
    LOOP
      SELECT r.arrival INTO v_one FROM rate_limits r WHERE r.key = p_keys[k] FOR UPDATE;
      EXIT WHEN FOUND;
      INSERT INTO rate_limits (key, arrival) VALUES (p_keys[k], 0) ON CONFLICT DO NOTHING;
    END LOOP;
    v_arrival[k] := v_one;
  END LOOP;
  v_now := (extract(epoch FROM maru_now()) * 1000000)::bigint;
  FOR k IN 1 .. cardinality(p_keys) LOOP
    v_one := GREATEST(v_arrival[k] - v_now, 0);
    -- A minute beyond a full burst: the clock was set back. Counts as a full burst from now on.
    IF v_one > p_every[k] * p_burst[k] + 60000000 THEN v_one := p_every[k] * p_burst[k]; END IF;
    v_ahead[k] := v_one;
  END LOOP;
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
      ahead[i] := v_ahead[k];
    END LOOP;
    RETURN NEXT;
  END LOOP;
  FOR k IN 1 .. cardinality(p_keys) LOOP
    IF v_ahead[k] > 0 AND v_now + v_ahead[k] <> v_arrival[k] THEN
      UPDATE rate_limits r SET arrival = v_now + v_ahead[k] WHERE r.key = p_keys[k];
    END IF;
  END LOOP;
END $$;

-- A bucket nobody has used for a minute beyond its arrival is as good as none. Takes no lock it would have to wait for.
CREATE FUNCTION forget_idle_rates() RETURNS void LANGUAGE sql AS $$
  DELETE FROM rate_limits WHERE key IN (
    SELECT key FROM rate_limits WHERE arrival < (extract(epoch FROM maru_now()) - 60) * 1000000 LIMIT 10000 FOR UPDATE SKIP LOCKED)
$$;

REVOKE EXECUTE ON FUNCTION take_rates(text[], bigint[], bigint[], jsonb), forget_idle_rates() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION take_rates(text[], bigint[], bigint[], jsonb), forget_idle_rates() TO maru_runtime;
