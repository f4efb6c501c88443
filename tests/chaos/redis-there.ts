import { spawnSync } from "node:child_process";

/** Whether `redis-server` is on PATH: chaos empties its Redis, so it never uses one that was given. */
export const redisThere = (): boolean => spawnSync("redis-server", ["--version"]).status === 0;
