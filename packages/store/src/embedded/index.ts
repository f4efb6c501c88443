import { type ChildProcess, execFile, spawn } from "node:child_process";
import { chownSync, existsSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { type Account, postgresAccount } from "./account.ts";
import { placeBinaries, placeData } from "./place.ts";

export interface EmbeddedPostgres {
  /** Superuser connection string to the `postgres` database, on loopback. */
  readonly url: string;
  readonly port: number;
  /** Fast shutdown; resolves when the server is gone. */
  stop(): Promise<void>;
}

export interface EmbeddedPostgresOptions {
  readonly dataDir: string;
  readonly superuserPassword: string;
  /** Default: a free one. */
  readonly port?: number;
  /** Off only for throw-away data: a power cut may then lose it. Default on. */
  readonly fsync?: boolean;
}

/**
 * The keeper of one Postgres: a shell that starts it and waits on its own standard input. When that ends (we stop, or
 * died in any way, SIGKILL included) it asks Postgres for a fast shutdown. It leads a session of its own, so Ctrl-C in a
 * terminal reaches us and not the database, whose runs are still to be drained.
 */
const KEEPER =
  '"$@" </dev/null & child=$!; { while kill -0 $child 2>/dev/null; do sleep 1; done; kill $$ 2>/dev/null; } & watch=$!; trap "exit 1" TERM; cat >/dev/null; kill $watch 2>/dev/null; kill -INT $child 2>/dev/null; wait $child';

const START_TIMEOUT_MS = 30_000;

/** Starts (and on first use creates) a PostgreSQL server of our own from the binaries of the npm package. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const account = postgresAccount();
  const binaries = placeBinaries(account);
  const data = placeData(options.dataDir, account);
  await formerServerGone(data);
  if (!existsSync(join(data, "PG_VERSION"))) await initialise(binaries, data, options.superuserPassword, account);
  const port = options.port === undefined || options.port === 0 ? await freePort() : options.port;
  const logFile = join(dirname(data), "postgres.log");
  const log = openSync(logFile, "w");
  const settings = {
    listen_addresses: "127.0.0.1",
    port: String(port),
    unix_socket_directories: "",
    max_connections: "200",
    shared_buffers: "128MB",
    fsync: options.fsync === false ? "off" : "on",
    synchronous_commit: options.fsync === false ? "off" : "on",
    logging_collector: "off",
  };
  const server = [
    join(binaries, "bin", "postgres"),
    "-D",
    data,
    ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]),
  ];
  const keeper = spawn("sh", ["-c", KEEPER, "keeper", ...server], {
    cwd: dirname(data),
    detached: true,
    stdio: ["pipe", log, log],
    env: environment(),
    ...identity(account),
  });
  keeper.stdin?.on("error", () => {});
  const gone = new Promise<void>((done) => keeper.once("exit", () => done()));
  const url = `postgres://postgres:${encodeURIComponent(options.superuserPassword)}@127.0.0.1:${port}/postgres`;
  try {
    await answering(url, keeper, logFile);
  } catch (error) {
    keeper.stdin?.end();
    throw error;
  }
  keeper.unref();
  return {
    url,
    port,
    stop: async () => {
      keeper.ref();
      keeper.stdin?.end();
      await gone;
    },
  };
}

/** The superuser connection string of the server that runs on a data folder, or null when none does. */
export function runningEmbeddedPostgres(options: { dataDir: string; superuserPassword: string }): string | null {
  const file = join(placeData(options.dataDir, postgresAccount()), "postmaster.pid");
  if (!existsSync(file)) return null;
  // Its lines: process, folder, start, port (PostgreSQL, src/include/utils/pidfile.h).
  const [pid, , , port] = readFileSync(file, "utf8").split("\n");
  if (!alive(Number(pid))) return null;
  return `postgres://postgres:${encodeURIComponent(options.superuserPassword)}@127.0.0.1:${Number(port)}/postgres`;
}

const identity = (account: Account | null) => (account === null ? {} : { uid: account.uid, gid: account.gid });

/** Postgres' own variables of the caller must not steer a server that is not the caller's. */
const environment = () => ({ PATH: "/usr/local/bin:/usr/bin:/bin", LC_ALL: "C", TZ: "UTC" });

/** Creates the cluster beside its place and renames it there: a half-made one is never taken for a cluster. */
async function initialise(binaries: string, data: string, password: string, account: Account | null): Promise<void> {
  const half = `${data}.new`;
  rmSync(half, { recursive: true, force: true });
  mkdirSync(half, { recursive: true, mode: 0o700 });
  const passwordFile = join(tmpdir(), `maru-initdb-${process.pid}`);
  writeFileSync(passwordFile, password, { mode: 0o600 });
  if (account !== null) {
    chownSync(half, account.uid, account.gid);
    chownSync(passwordFile, account.uid, account.gid);
  }
  try {
    await promisify(execFile)(
      join(binaries, "bin", "initdb"),
      [
        "-D",
        half,
        "-U",
        "postgres",
        "-A",
        "scram-sha-256",
        `--pwfile=${passwordFile}`,
        "-E",
        "UTF8",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--locale=C",
      ],
      { cwd: dirname(half), env: environment(), ...identity(account) },
    );
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    const output = error instanceof Error && "stderr" in error ? String(error.stderr) : String(error);
    throw new Error(`initdb failed: ${output.trim()}`);
  } finally {
    rmSync(passwordFile, { force: true });
  }
  rmSync(data, { recursive: true, force: true });
  renameSync(half, data);
}

/** A server of a process that died is being shut down by its keeper: wait for it, since two must never share the data. */
async function formerServerGone(data: string): Promise<void> {
  const file = join(data, "postmaster.pid");
  for (let waited = 0; existsSync(file); waited += 100) {
    const pid = Number(readFileSync(file, "utf8").split("\n")[0]);
    if (!alive(pid)) return;
    if (waited >= 10_000) throw new Error(`Another Postgres (process ${pid}) uses ${data}. Is Maru already running?`);
    await new Promise((done) => setTimeout(done, 100));
  }
}

function alive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && "code" in error && error.code === "EPERM";
  }
}

async function answering(url: string, keeper: ChildProcess, logFile: string): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  for (;;) {
    const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
    client.on("error", () => {});
    try {
      await client.connect();
      await client.end();
      return;
    } catch (error) {
      await client.end().catch(() => {});
      if (keeper.exitCode !== null || keeper.signalCode !== null || Date.now() > deadline) {
        const tail = readFileSync(logFile, "utf8").trim().split("\n").slice(-5).join("\n");
        throw new Error(`Postgres did not start (${error instanceof Error ? error.message : error}):\n${tail}`);
      }
      await new Promise((done) => setTimeout(done, 20));
    }
  }
}

/** A loopback port nobody listens on now. Another process may take it before we do; the caller then sees the error. */
export async function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => {
      const address = server.address();
      server.close(() =>
        typeof address === "object" && address !== null ? resolve(address.port) : reject(new Error("no port")),
      );
    });
  });
}
