import type { Problem } from "@maru/contract";
import { PrismaPg } from "@prisma/adapter-pg";
import pg from "pg";
import { PrismaClient } from "./generated/client.ts";

/** What every module of the store works with. */
export interface Database {
  /** Runs one named SQL function with named-by-position parameters: one round trip. Retries a deadlock victim. */
  call<Row extends pg.QueryResultRow>(sql: string, parameters: readonly unknown[]): Promise<Row[]>;
  /** As `call`, for what a process does of itself and for no run: not counted. */
  aside<Row extends pg.QueryResultRow>(sql: string, parameters: readonly unknown[]): Promise<Row[]>;
  /** Prisma inside one workspace: every call is a transaction that enters it first, so row security applies. */
  forWorkspace(workspaceId: string): WorkspaceClient;
  /** Prisma for tables that belong to no workspace (plans). */
  readonly prisma: PrismaClient;
  /** Statements sent by `call` so far: what the round-trip test counts. */
  roundTrips(): number;
  ping(): Promise<void>;
  close(): Promise<void>;
}

export type WorkspaceClient = Pick<
  PrismaClient,
  | "agent"
  | "apiKey"
  | "artifact"
  | "deployment"
  | "release"
  | "revision"
  | "run"
  | "runStep"
  | "thread"
  | "threadMessage"
  | "usageRecord"
  | "workspace"
  | "idempotencyRecord"
  | "modelEndpoint"
  | "workspaceLimit"
  | "webhookEndpoint"
  | "webhookDelivery"
  | "secret"
  | "schedule"
  | "scheduleFire"
  | "trigger"
  | "triggerDelivery"
>;

export interface DatabaseOptions {
  /** Connection string of a role that owns nothing and cannot bypass row security. */
  readonly url: string;
  /** Connections of the pool the hot path uses. Default 10. */
  readonly poolSize?: number;
}

/** Serialisation failure and deadlock: the transaction had no effect and may simply run again. */
const RETRYABLE = new Set(["40001", "40P01"]);

/** Opens the pool, and refuses to go on with a role that row security would not hold. */
export async function openDatabase({ url, poolSize = 10 }: DatabaseOptions): Promise<Database> {
  const pool = new pg.Pool({
    connectionString: url,
    max: poolSize,
    connectionTimeoutMillis: 10_000,
    statement_timeout: 30_000,
    application_name: "maru",
    // The planner cannot tell that a custom plan gains nothing under row security, and plans anew each time: measured,
    // a third of the hot functions' time.
    options: "-c plan_cache_mode=force_generic_plan",
  });
  // A checked-out client emits `error` when Postgres goes away, and an unheard `error` ends the process; the query that
  // was under way rejects on its own.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  const prisma = new PrismaClient({
    adapter: new PrismaPg(pool),
    // Prisma's own 2 s to begin and 5 s to end would fail calls that only wait their turn; the pool's limits hold instead.
    transactionOptions: { maxWait: 10_000, timeout: 30_000 },
  });
  let sent = 0;

  const aside = async <Row extends pg.QueryResultRow>(text: string, parameters: readonly unknown[]): Promise<Row[]> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return (await pool.query<Row>({ name: statementName(text), text, values: [...parameters] })).rows;
      } catch (error) {
        const code = sqlState(error);
        if (code !== null && RETRYABLE.has(code) && attempt < 5) continue;
        throw error;
      }
    }
  };

  const call: Database["call"] = (text, parameters) => {
    sent++;
    return aside(text, parameters);
  };

  const forWorkspace = (workspaceId: string): WorkspaceClient =>
    prisma.$extends({
      query: {
        $allModels: {
          async $allOperations({ args, query }) {
            const [, result] = await prisma.$transaction([
              prisma.$executeRaw`SELECT enter_workspace(${workspaceId}::uuid)`,
              query(args) as never,
            ]);
            return result;
          },
        },
      },
    }) as unknown as WorkspaceClient;

  const database: Database = {
    call,
    aside,
    forWorkspace,
    prisma,
    roundTrips: () => sent,
    ping: async () => {
      await pool.query("SELECT 1");
    },
    close: async () => {
      await prisma.$disconnect();
      await pool.end();
    },
  };
  try {
    await refuseUnsafeRole(pool);
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

/** Row security holds for no superuser, no BYPASSRLS role and (unless forced) no owner: refuse to serve as one. */
async function refuseUnsafeRole(pool: pg.Pool): Promise<void> {
  const { rows } = await pool.query<{ role: string; unsafe: string | null }>(`
    SELECT current_user AS role, CASE
      WHEN EXISTS (SELECT 1 FROM pg_roles r WHERE (r.rolsuper OR r.rolbypassrls) AND pg_has_role(current_user, r.oid, 'MEMBER'))
        THEN 'is a superuser or may bypass row security'
      WHEN EXISTS (SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                    WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND pg_has_role(current_user, c.relowner, 'MEMBER'))
        THEN 'owns tables'
      WHEN NOT pg_has_role(current_user, 'maru_runtime', 'MEMBER')
        THEN 'is not a member of maru_runtime'
    END AS unsafe`);
  const found = rows[0];
  if (found === undefined || found.unsafe !== null) {
    throw new Error(
      `The database role ${found?.role} ${found?.unsafe}: services must connect as a role that is only a member of ` +
        "maru_runtime. Set DATABASE_RUNTIME_URL to one (docs/operations.md, “Database roles”).",
    );
  }
}

/** Prepared statements are cached by name, a connection each; the text itself names them. */
const names = new Map<string, string>();
function statementName(text: string): string {
  let name = names.get(text);
  if (name === undefined) {
    name = `maru_${names.size}`;
    names.set(text, name);
  }
  return name;
}

/** The SQLSTATE of a database error, or null when it is something else. */
export function sqlState(error: unknown): string | null {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : null;
}

/**
 * Whether a failed statement surely changed nothing: the database refused it. A connection that broke, or a server that
 * went down (class 57P), may have done so after the commit, with only the answer lost.
 */
export const hadNoEffect = (error: unknown): boolean =>
  error instanceof pg.DatabaseError && !/^(57P|08)/.test(error.code ?? "");

/** The JSON DETAIL of an error raised by one of Maru's own functions. */
export function sqlDetail(error: unknown): Record<string, unknown> {
  return error instanceof Error && "detail" in error && typeof error.detail === "string"
    ? JSON.parse(error.detail)
    : {};
}

/** Rethrows a database error as the problem its SQLSTATE stands for, anything else as it is. */
export function asProblem(error: unknown, problems: Record<string, () => Problem>): never {
  const make = problems[sqlState(error) ?? ""];
  throw make === undefined ? error : make();
}

/** The single row a function call answers. */
export function only<T>(rows: readonly T[]): T {
  const row = rows[0];
  if (row === undefined) throw new Error("the database answered no row");
  return row;
}

/** An instant as the API prints it, from whatever JSON or a driver made of a timestamptz. */
export function instant(value: string | Date): string {
  return (typeof value === "string" ? new Date(value) : value).toISOString();
}
export const instantOrNull = (value: string | Date | null): string | null => (value === null ? null : instant(value));
