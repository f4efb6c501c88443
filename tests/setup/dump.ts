import { Redis } from "ioredis";
import { inject } from "vitest";
import type { TestDatabase } from "./database.ts";

/** Every row of every table of every schema, as the owner, by table; binary columns as hex. */
export async function dumpDatabase(database: TestDatabase): Promise<Map<string, string>> {
  const tables = await database.query<{ name: string }>(`
    SELECT quote_ident(n.nspname) || '.' || quote_ident(c.relname) AS name
      FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE c.relkind IN ('r', 'p') AND n.nspname NOT LIKE 'pg\\_%' AND n.nspname <> 'information_schema'`);
  const dump = new Map<string, string>();
  for (const { name } of tables) {
    const rows = await database.query<{ row: string }>(`SELECT to_jsonb(t)::text AS row FROM ${name} t`);
    dump.set(name, rows.map(({ row }) => row).join("\n"));
  }
  return dump;
}

/** Every key a test's queue has in Redis, with all that is in it. */
export async function dumpRedis(database: TestDatabase): Promise<string> {
  const redis = new Redis(inject("redisUrl") as string);
  try {
    const lines: string[] = [];
    for await (const keys of redis.scanStream({ match: `*${database.name}*` })) {
      for (const key of keys as string[]) {
        const value: unknown = await (async () => {
          switch (await redis.type(key)) {
            case "string":
              return redis.get(key);
            case "hash":
              return redis.hgetall(key);
            case "list":
              return redis.lrange(key, 0, -1);
            case "set":
              return redis.smembers(key);
            case "zset":
              return redis.zrange(key, 0, "-1");
            case "stream":
              return redis.xrange(key, "-", "+");
            default:
              return null;
          }
        })();
        lines.push(`${key} ${JSON.stringify(value)}`);
      }
    }
    return lines.join("\n");
  } finally {
    redis.disconnect();
  }
}
