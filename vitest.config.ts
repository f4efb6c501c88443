import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/**/*.test.ts", "services/**/*.test.ts", "tests/**/*.test.ts"],
    exclude: ["**/node_modules/**"],
    globalSetup: ["tests/setup/global.ts"],
    pool: "forks",
    // More than there are processors: many tests wait for processes to start, for leases to end, for the clock.
    maxWorkers: 3,
    // Not how long a test takes, but when it hangs: on a machine that does other things as well, starting a worker takes a while.
    testTimeout: 90_000,
    hookTimeout: 90_000,
  },
});
