import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** What a local set-up makes up on first start and must find again: its secrets and its first account. */
export interface LocalState {
  readonly superuserPassword: string;
  readonly runtimePassword: string;
  readonly secret: string;
  readonly account: { readonly email: string; readonly password: string };
  /** For the API operators change quota policy by. */
  readonly operatorToken: string;
  /** Null until the first API key was made. */
  readonly apiKey: string | null;
}

/** The state of a data folder, made up on first use. The file is its owner's alone. */
export function loadState(dataDir: string): LocalState {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, "state.json");
  if (existsSync(file)) return withOperator(dataDir, JSON.parse(readFileSync(file, "utf8")) as LocalState);
  const random = () => randomBytes(24).toString("base64url");
  const state: LocalState = {
    superuserPassword: random(),
    runtimePassword: random(),
    secret: randomBytes(32).toString("base64url"),
    account: { email: "you@example.com", password: random() },
    operatorToken: random(),
    apiKey: null,
  };
  saveState(dataDir, state);
  return state;
}

/** A folder of a version that had no operator token gets one. */
function withOperator(dataDir: string, state: LocalState): LocalState {
  if (state.operatorToken !== undefined) return state;
  const whole = { ...state, operatorToken: randomBytes(24).toString("base64url") };
  saveState(dataDir, whole);
  return whole;
}

export function saveState(dataDir: string, state: LocalState): void {
  const file = join(dataDir, "state.json");
  writeFileSync(`${file}.new`, `${JSON.stringify(state, null, 2)}\n`, { mode: 0o600 });
  chmodSync(`${file}.new`, 0o600);
  renameSync(`${file}.new`, file);
}

/** Keeps two processes from using one data folder. @throws Error when another one lives */
export function lockDataDir(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true });
  const file = join(dataDir, "maru.pid");
  const other = existsSync(file) ? Number(readFileSync(file, "utf8")) : 0;
  if (other > 0 && other !== process.pid && isAlive(other))
    throw new Error(`Maru is already running on ${dataDir} (process ${other}). Stop it first, or set MARU_DATA_DIR.`);
  writeFileSync(file, String(process.pid));
  return () => rmSync(file, { force: true });
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
