import type { CatalogueModel } from "@maru/contract";
import pg from "pg";

/**
 * Brings the catalogue's rows up to date with what this version knows. The operator's overrides stay; entries that are no
 * longer known go. Needs the owner's role, as migrations do; processes that start together may do it at once.
 */
export async function seedModels(options: { ownerUrl: string; models: readonly CatalogueModel[] }): Promise<void> {
  const client = new pg.Client({ connectionString: options.ownerUrl });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("BEGIN");
    // Two starts at once would else lock the rows in different orders.
    await client.query("LOCK TABLE models IN SHARE ROW EXCLUSIVE MODE");
    await client.query(
      `INSERT INTO models AS m (id, position, seed)
       SELECT entry->>'id', position, entry FROM jsonb_array_elements($1::jsonb) WITH ORDINALITY AS e (entry, position)
       ON CONFLICT (id) DO UPDATE SET position = EXCLUDED.position, seed = EXCLUDED.seed
         WHERE (m.position, m.seed) IS DISTINCT FROM (EXCLUDED.position, EXCLUDED.seed)`,
      [JSON.stringify(options.models)],
    );
    await client.query("DELETE FROM models WHERE id <> ALL ($1)", [options.models.map(({ id }) => id)]);
    await client.query("COMMIT");
  } finally {
    await client.end();
  }
}
