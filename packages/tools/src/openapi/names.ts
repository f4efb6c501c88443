import { createHash } from "node:crypto";
import type { Operation } from "./select.ts";

const MAX_NAME = 64;

/**
 * Names of a document's operations as tools, by key. From the operationId, else from method and path; a name that is too long or
 * that several would have ends with a hash of the operation's key. Looks at all operations, not the chosen ones, and not at their order:
 * what else is chosen or added renames nothing, unless it would have the same name.
 */
export function toolNames(
  operations: readonly Operation[],
  prefix: string,
  reserved: readonly string[],
): ReadonlyMap<string, string> {
  const wanted = operations.map(({ key, id }) => ({
    key,
    base: safe(id ?? "") || safe(key.toLowerCase()) || "operation",
  }));
  let names = wanted.map(({ key, base }) => ({ key, base, name: `${prefix}${base}` }));
  // A second round, and a longer hash, only for documents that name an operation after the hash of another.
  for (const length of [8, 16, 32]) {
    const users = Map.groupBy(names, ({ name }) => name);
    names = names.map(({ key, base, name }) =>
      name.length <= MAX_NAME && !reserved.includes(name) && users.get(name)?.length === 1
        ? { key, base, name }
        : { key, base, name: hashed(prefix, base, key, length) },
    );
  }
  return new Map(names.map(({ key, name }) => [key, name]));
}

function hashed(prefix: string, base: string, key: string, length: number): string {
  const hash = createHash("sha256")
    .update(key)
    .digest("hex")
    .slice(0, Math.min(length, MAX_NAME - prefix.length - 1));
  const room = MAX_NAME - prefix.length - hash.length - 1;
  const rest = base.slice(0, Math.max(0, room)).replace(/[_-]+$/, "");
  return `${prefix}${rest}${rest === "" ? "" : "_"}${hash}`;
}

/** Letters, digits, underscores and hyphens only, which is what K-EXAONE's hosts accept. */
const safe = (text: string): string => text.replace(/[^A-Za-z0-9_-]+/g, "_").replace(/^_+|_+$/g, "");
