import { accessSync, constants, readFileSync, statSync } from "node:fs";
import { dirname, resolve } from "node:path";

/** An account of this machine. */
export interface Account {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

/**
 * Postgres refuses to run as root, so root lends it an account that exists everywhere: `postgres` where a package made
 * one, else `nobody`. Null when we are not root (or on Windows): then it runs as we do.
 * @throws Error when we are root and there is neither
 */
export function postgresAccount(): Account | null {
  if (process.getuid?.() !== 0) return null;
  const accounts = readFileSync("/etc/passwd", "utf8")
    .split("\n")
    .map((line) => line.split(":"))
    .map(([name, , uid, gid]) => ({ name: name ?? "", uid: Number(uid), gid: Number(gid) }));
  const account = ["postgres", "nobody"].map((name) => accounts.find((item) => item.name === name)).find(Boolean);
  if (account === undefined) {
    throw new Error(
      "Postgres cannot run as root, and this machine has no account named postgres or nobody. Set DATABASE_URL instead.",
    );
  }
  return account;
}

/** Whether the account can walk down to the path: `mktemp -d` and root's home make folders nobody else may enter. */
export function canReach(path: string, account: Account | null): boolean {
  for (let folder = resolve(path); ; folder = dirname(folder)) {
    try {
      if (account === null) accessSync(folder, constants.X_OK);
      else {
        const { mode, uid, gid } = statSync(folder);
        const bit = uid === account.uid ? 0o100 : gid === account.gid ? 0o010 : 0o001;
        if ((mode & bit) === 0) return false;
      }
    } catch (error) {
      // What does not exist yet will be made by us.
      if (!(error instanceof Error && "code" in error && error.code === "ENOENT")) return false;
    }
    if (folder === dirname(folder)) return true;
  }
}
