-- Webhooks hear of what a quota window has to say, in the transaction in which it says it.
CREATE FUNCTION emit_quota_webhook() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
  v_type text := CASE NEW.kind WHEN 'ending' THEN 'quota.window_ending' ELSE 'quota.threshold_reached' END;
BEGIN
  IF webhook_wanted(NEW.workspace_id, v_type) THEN
    PERFORM emit_webhook(NEW.workspace_id, v_type, jsonb_build_object(
        'limit', w.limit_name, 'unit', w.unit, 'subject', w.subject,
        'subject_id', CASE w.subject WHEN 'workspace' THEN NULL WHEN 'api_key' THEN public_id('key', w.subject_key::uuid)
                                     WHEN 'deployment' THEN public_id('dep', w.subject_key::uuid) ELSE w.subject_key END,
        'amount', w.amount, 'used', w.used, 'reserved', w.reserved, 'ends_at', CASE WHEN w.ends_at < 'infinity' THEN api_instant(w.ends_at) END)
        || CASE NEW.kind WHEN 'ending' THEN '{}'::jsonb ELSE jsonb_build_object('percent', substr(NEW.kind, 6)::int) END, NEW.at)
      FROM quota_windows w WHERE w.workspace_id = NEW.workspace_id AND w.id = NEW.window_id;
  END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER webhooks AFTER INSERT ON quota_notices FOR EACH ROW EXECUTE FUNCTION emit_quota_webhook();
REVOKE EXECUTE ON FUNCTION emit_quota_webhook() FROM PUBLIC;
