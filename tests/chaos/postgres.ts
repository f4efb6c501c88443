import { chmodSync, existsSync, readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { CATALOGUE } from "@maru/model";
import { prepareQueue } from "@maru/queue";
import { startEmbeddedPostgres } from "@maru/store/embedded";
import { ensureRuntimeLogin, migrate, seedModels, withLogin } from "@maru/store/migrate";
import pg from "pg";

const PASSWORD = "chaos";
const UNREACHABLE_MS = 60_000;

export interface CrashablePostgres {
  /** As the services connect. */
  readonly runtimeUrl: string;
  /** As the owner; waits for the server when it is away. */
  query<Row extends pg.QueryResultRow>(sql: string, parameters?: unknown[]): Promise<Row[]>;
  /** Stops the server as a crash would (no checkpoint, no goodbye to clients) and starts it on the same data. */
  crash(downMs: number): Promise<void>;
  close(): Promise<void>;
}

/** A migrated Postgres of our own that keeps what it committed (fsync on), with plans nobody can use up. */
export async function startPostgres(folder: string): Promise<CrashablePostgres> {
  // Postgres runs as another account when we are root: it must be able to enter, or its data would lie elsewhere.
  chmodSync(folder, 0o755);
  const dataDir = join(folder, "data");
  let server = await startEmbeddedPostgres({ dataDir, superuserPassword: PASSWORD });
  const { url: ownerUrl, port } = server;
  await migrate({ ownerUrl, migrationsDir: resolve("prisma/migrations") });
  await seedModels({ ownerUrl, models: CATALOGUE });
  await prepareQueue({ ownerUrl, runtimeRole: "maru_runtime" });
  await ensureRuntimeLogin({ ownerUrl, user: "maru_chaos", password: PASSWORD });
  const pool = new pg.Pool({ connectionString: ownerUrl, max: 2, connectionTimeoutMillis: 2_000 });
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  await pool.query("UPDATE plan_limits SET amount = 1000000000000");

  return {
    runtimeUrl: withLogin(ownerUrl, "maru_chaos", PASSWORD),
    async query<Row extends pg.QueryResultRow>(sql: string, parameters: unknown[] = []) {
      const deadline = Date.now() + UNREACHABLE_MS;
      for (;;) {
        try {
          return (await pool.query<Row>(sql, parameters)).rows;
        } catch (error) {
          // An error of the statement itself has a position; all others are of the connection.
          if ((error instanceof pg.DatabaseError && !/^(57|08|53)/.test(error.code ?? "")) || Date.now() > deadline)
            throw error;
          await sleep(100);
        }
      }
    },
    async crash(downMs) {
      const pidFile = join(dataDir, "postmaster.pid");
      const pid = Number(readFileSync(pidFile, "utf8").split("\n")[0]);
      process.kill(pid, "SIGQUIT");
      await server.stop();
      if (existsSync(pidFile)) throw new Error(`Postgres (process ${pid}) did not stop`);
      await sleep(downMs);
      server = await startEmbeddedPostgres({ dataDir, port, superuserPassword: PASSWORD });
    },
    async close() {
      await pool.end();
      await server.stop();
    },
  };
}
