import { createHash, randomUUID } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import pg from "pg";

export { schemaSql } from "./schema-sql.ts";
export { seedModels } from "./seed.ts";

/** Any number; it only has to be the same in every process that migrates. */
const ADVISORY_LOCK = 7_264_918;

/** Prisma's own ledger of migrations (its `migrate deploy` reads the same), so either tool can carry on. */
const LEDGER = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum VARCHAR(64) NOT NULL,
    finished_at TIMESTAMPTZ,
    migration_name VARCHAR(255) NOT NULL,
    logs TEXT,
    rolled_back_at TIMESTAMPTZ,
    started_at TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

/**
 * Applies the migrations the database does not have yet, each in a transaction of its own, and answers their names.
 * Processes that start together take turns. Needs the role that owns the tables, or will.
 * @throws Error when a migration that was applied has changed since
 */
export async function migrate(options: { ownerUrl: string; migrationsDir: string }): Promise<string[]> {
  const client = new pg.Client({ connectionString: options.ownerUrl });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [ADVISORY_LOCK]);
    await client.query(LEDGER);
    const { rows } = await client.query<{ migration_name: string; checksum: string }>(
      "SELECT migration_name, checksum FROM _prisma_migrations WHERE finished_at IS NOT NULL AND rolled_back_at IS NULL",
    );
    const applied = new Map(rows.map((row) => [row.migration_name, row.checksum]));
    const names: string[] = [];
    for (const { name, sql } of migrationFiles(options.migrationsDir)) {
      const checksum = createHash("sha256").update(sql).digest("hex");
      const before = applied.get(name);
      if (before !== undefined && before !== checksum) {
        throw new Error(
          `The migration ${name} was changed after it had been applied. Restore it and add a new one instead.`,
        );
      }
      if (before !== undefined) continue;
      await client.query("BEGIN");
      try {
        await client.query(sql);
        await client.query(
          "INSERT INTO _prisma_migrations (id, checksum, finished_at, migration_name, applied_steps_count) VALUES ($1, $2, now(), $3, 1)",
          [randomUUID(), checksum, name],
        );
        await client.query("COMMIT");
      } catch (error) {
        await client.query("ROLLBACK");
        throw new Error(`The migration ${name} failed: ${error instanceof Error ? error.message : error}`, {
          cause: error,
        });
      }
      names.push(name);
    }
    return names;
  } finally {
    await client.end();
  }
}

/** The migrations of a folder, oldest first. */
export function migrationFiles(folder: string): { name: string; sql: string }[] {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => ({ name, sql: readFileSync(join(folder, name, "migration.sql"), "utf8") }))
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}

/**
 * Makes (or gives a new password to) a login role that is a member of `maru_runtime` and nothing else: what gateways and
 * workers connect as.
 */
export async function ensureRuntimeLogin(options: { ownerUrl: string; user: string; password: string }): Promise<void> {
  const client = new pg.Client({ connectionString: options.ownerUrl });
  client.on("error", () => {});
  await client.connect();
  try {
    await client.query("SELECT pg_advisory_lock($1)", [ADVISORY_LOCK]);
    const user = client.escapeIdentifier(options.user);
    const { rowCount } = await client.query("SELECT 1 FROM pg_roles WHERE rolname = $1", [options.user]);
    if (rowCount === 0) await client.query(`CREATE ROLE ${user} LOGIN INHERIT IN ROLE maru_runtime`);
    await client.query(`ALTER ROLE ${user} LOGIN PASSWORD ${client.escapeLiteral(options.password)}`);
  } finally {
    await client.end();
  }
}

/** The same server and database as another user. */
export function withLogin(url: string, user: string, password: string): string {
  const changed = new URL(url);
  changed.username = encodeURIComponent(user);
  changed.password = encodeURIComponent(password);
  return changed.toString();
}

/** The same server and login, another database. */
export function withDatabase(url: string, database: string): string {
  const changed = new URL(url);
  changed.pathname = `/${database}`;
  return changed.toString();
}
