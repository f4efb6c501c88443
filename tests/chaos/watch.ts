import type { CrashablePostgres } from "./postgres.ts";

/**
 * Has the database note every change of what must not change any more: a finished step, an ended run, an event. Nothing
 * slips through, as it would between two looks from outside.
 */
export async function watchHistory(postgres: CrashablePostgres): Promise<void> {
  await postgres.query(`
    CREATE TABLE chaos_changes (of text NOT NULL, run_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp());
    CREATE FUNCTION chaos_note() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path = public AS $$
    BEGIN
      INSERT INTO chaos_changes (of, run_id) VALUES (TG_TABLE_NAME, (to_jsonb(OLD)->>TG_ARGV[0])::uuid);
      RETURN NULL;
    END $$;
    CREATE TRIGGER chaos_step AFTER UPDATE OR DELETE ON run_steps FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL)
      EXECUTE FUNCTION chaos_note('run_id');
    CREATE TRIGGER chaos_event AFTER UPDATE OR DELETE ON run_events FOR EACH ROW EXECUTE FUNCTION chaos_note('run_id');
    CREATE TRIGGER chaos_run AFTER UPDATE OR DELETE ON runs FOR EACH ROW WHEN (OLD.finished_at IS NOT NULL)
      EXECUTE FUNCTION chaos_note('id');`);
}
