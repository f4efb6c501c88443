import { defineConfig } from "vitest/config";

const exclude = ["**/node_modules/**"];

export default defineConfig({
  test: {
    pool: "forks",
    // More than there are processors: many tests wait for processes to start, for leases to end, for the clock.
    maxWorkers: 3,
    // Not how long a test takes, but when it hangs: on a machine that does other things as well, starting a worker takes a while.
    testTimeout: 90_000,
    hookTimeout: 90_000,
    projects: [
      {
        extends: true,
        test: {
          name: "parts",
          include: ["packages/**/*.test.ts", "services/**/*.test.ts"],
          exclude,
          // They change nothing that others see: what they share is loaded once.
          isolate: false,
        },
      },
      {
        extends: true,
        test: { name: "whole", include: ["tests/**/*.test.ts"], exclude, globalSetup: ["tests/setup/global.ts"] },
      },
    ],
  },
});
