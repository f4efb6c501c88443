import { resolve } from "node:path";

/** What the migration needs to know; read once, here. @throws Error naming the variable that is missing */
export function migrateConfig(env: NodeJS.ProcessEnv) {
  const need = (name: string): string => {
    const value = env[name];
    if (!value) throw new Error(`${name} is not set`);
    return value;
  };
  return {
    ownerUrl: need("DATABASE_URL"),
    runtimeUser: need("RUNTIME_DB_USER"),
    runtimePassword: need("RUNTIME_DB_PASSWORD"),
    migrationsDir: resolve(import.meta.dirname, "../../../prisma/migrations"),
  };
}
