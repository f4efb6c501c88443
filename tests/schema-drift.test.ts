import { schemaSql } from "@maru/store/migrate";
import { afterAll, beforeAll, expect, test } from "vitest";
import { createTestDatabase, type TestDatabase } from "./setup/database.ts";

let migrated: TestDatabase;
let declared: TestDatabase;
beforeAll(async () => {
  migrated = await createTestDatabase();
  declared = await createTestDatabase();
});
afterAll(async () => {
  await migrated?.drop();
  await declared?.drop();
});

/** Tables, columns, keys and full indexes of a database: what Prisma's schema can say. */
const CATALOGUE = `
  SELECT 'column ' || table_name || '.' || column_name || ' ' || udt_name || ' ' || COALESCE(datetime_precision::text, '') || ' ' || is_nullable || ' ' || COALESCE(column_default, '') AS fact
    FROM information_schema.columns WHERE table_schema = 'public' AND table_name <> '_prisma_migrations'
  UNION ALL
  SELECT 'key ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
   WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f', 'u') AND conrelid::regclass::text <> '_prisma_migrations'
  UNION ALL
  SELECT 'index ' || indexdef FROM pg_indexes WHERE schemaname = 'public' AND indexdef NOT LIKE '% WHERE %' AND indexname NOT IN ('runs_by_deployment') AND tablename <> '_prisma_migrations'
  ORDER BY 1`;

test("the migrations make the tables that schema.prisma declares", async () => {
  const sql = await schemaSql("prisma/schema.prisma", declared.ownerUrl);
  await declared.query("DROP SCHEMA public CASCADE");
  await declared.query("CREATE SCHEMA public");
  await declared.query(sql);
  const facts = async (database: TestDatabase) =>
    (await database.query<{ fact: string }>(CATALOGUE)).map(({ fact }) => fact);
  const wanted = await facts(declared);
  expect(wanted.length).toBeGreaterThan(150);
  expect(await facts(migrated)).toEqual(wanted);
});
