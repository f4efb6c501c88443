import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/**/*.test.ts", "services/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    globalSetup: ["tests/setup/global.ts"],
    pool: "forks",
    maxWorkers: 2,
    // Not how long a test takes, but when it hangs: on a machine that does other things as well, starting a worker takes a while.
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
});
