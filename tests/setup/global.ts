import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { CATALOGUE } from "@maru/model";
import { prepareQueue } from "@maru/queue";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "@maru/store/embedded";
import { ensureRuntimeLogin, migrate, seedModels, withDatabase } from "@maru/store/migrate";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { startRedis } from "./redis-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    postgres: { serverUrl: string; template: string; runtimeUser: string; runtimePassword: string };
    redisUrl: string | null;
  }
}

/**
 * One Postgres for the whole test run: DATABASE_URL's server when it is set, else an embedded one of our own. A migrated
 * template database is made once and cloned by every file that needs one. Redis: REDIS_URL, else a server of our own
 * when `redis-server` is on PATH, else none. What this made, it removes.
 */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const folder = mkdtempSync(join(tmpdir(), "maru-test-"));
  const given = process.env.DATABASE_URL;
  let embedded: EmbeddedPostgres | null = null;
  if (given === undefined || given === "") {
    embedded = await startEmbeddedPostgres({
      dataDir: join(folder, "data"),
      superuserPassword: randomBytes(12).toString("hex"),
      fsync: false,
    });
  }
  const serverUrl = embedded?.url ?? (given as string);
  const suffix = randomBytes(5).toString("hex");
  const template = `maru_template_${suffix}`;
  const runtimeUser = `maru_test_${suffix}`;
  const runtimePassword = randomBytes(12).toString("hex");
  await query(serverUrl, `CREATE DATABASE ${template}`);
  const templateUrl = withDatabase(serverUrl, template);
  await migrate({ ownerUrl: templateUrl, migrationsDir: resolve("prisma/migrations") });
  await seedModels({ ownerUrl: templateUrl, models: CATALOGUE });
  await prepareQueue({ ownerUrl: templateUrl, runtimeRole: "maru_runtime" });
  await ensureRuntimeLogin({ ownerUrl: templateUrl, user: runtimeUser, password: runtimePassword });
  const redis = process.env.REDIS_URL ? { url: process.env.REDIS_URL, stop: async () => {} } : await startRedis(folder);
  project.provide("postgres", { serverUrl, template, runtimeUser, runtimePassword });
  project.provide("redisUrl", redis?.url ?? null);

  return async () => {
    await redis?.stop();
    if (embedded === null) {
      await query(serverUrl, `DROP DATABASE IF EXISTS ${template} WITH (FORCE)`);
      await query(serverUrl, `DROP ROLE IF EXISTS ${runtimeUser}`);
    } else await embedded.stop();
    rmSync(folder, { recursive: true, force: true });
  };
}

async function query(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  await client.query(sql);
  await client.end();
}
