import { randomBytes } from "node:crypto";
import type { QueueBackend } from "@maru/queue";
import { withDatabase, withLogin } from "@maru/store/migrate";
import pg from "pg";
import { describe, inject } from "vitest";

export interface TestDatabase {
  readonly name: string;
  /** As the owner of the tables: for arranging and for looking at what the service may not see. */
  readonly ownerUrl: string;
  /** As the service connects. */
  readonly runtimeUrl: string;
  query<Row extends pg.QueryResultRow>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  /** As the server's superuser, from another database. */
  server(sql: string): Promise<void>;
  drop(): Promise<void>;
}

/** A database of its own for one test file, cloned from the migrated template. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const { serverUrl, template, runtimeUser, runtimePassword } = inject("postgres");
  const name = `maru_test_${randomBytes(6).toString("hex")}`;
  const server = new pg.Client({ connectionString: serverUrl });
  await server.connect();
  // Cloning needs the template to itself: files that start together wait for each other here.
  await server.query("SELECT pg_advisory_lock(811)");
  await server.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY FILE_COPY`);
  await server.end();
  const ownerUrl = withDatabase(serverUrl, name);
  const owner = new pg.Pool({ connectionString: ownerUrl, max: 2 });
  owner.on("error", () => {});
  return {
    name,
    ownerUrl,
    runtimeUrl: withLogin(ownerUrl, runtimeUser, runtimePassword),
    query: async <Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []) =>
      (await owner.query<Row>(sql, parameters)).rows,
    server: (sql) => onServer(serverUrl, sql),
    drop: async () => {
      await owner.end();
      await onServer(serverUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

async function onServer(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql);
  await client.end();
}

export type BackendName = "postgres" | "redis";

/** The queue backend of a name, kept apart from every other test file's. */
export function backendFor(name: BackendName, database: TestDatabase): QueueBackend {
  if (name === "postgres") return { kind: "postgres", url: database.runtimeUrl };
  return { kind: "redis", url: inject("redisUrl") as string, prefix: `test-${database.name}` };
}

/** Runs a suite on both queue backends; without a Redis the second is reported as not run. */
export function describeEachBackend(title: string, suite: (backend: BackendName) => void): void {
  describe(`${title} (Postgres queue)`, () => suite("postgres"));
  const redis = inject("redisUrl") !== null;
  describe.skipIf(!redis)(
    `${title} (Redis queue${redis ? "" : ": not run, there is neither REDIS_URL nor redis-server"})`,
    () => suite("redis"),
  );
}
